//! `formula completions SHELL`.

use super::app::App;
use super::vars;

/// Prints a completion script.
///
/// It completes commands and flags, and in bash, zsh and fish what only the program knows: the names of formulas and the flags of their
/// vars, runs and their steps, kinds of steps, codes of diagnostics.
#[derive(Debug, clap::Args)]
#[command(after_help = "bash:  formula completions bash > ~/.local/share/bash-completion/completions/formula\n\
zsh:   formula completions zsh > \"${fpath[1]}/_formula\"\n\
fish:  formula completions fish > ~/.config/fish/completions/formula.fish")]
pub struct Args {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Prints the script.
pub fn completions(app: &App, args: &Args) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut vars::described(), "formula", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    app.ui.out(&with_words(args.shell, script));
    0
}

/// What the program is asked for, by the words that were typed: the same in each shell.
const BASH: &str = r#"
_formula_with_names() {
    _formula "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" verb="" name="" at word
    local -a ask=() kept=()
    for word in "${COMPREPLY[@]}"; do
        # Placeholders are no words to type.
        [[ $word == [\[\<]* ]] || kept+=("$word")
    done
    COMPREPLY=("${kept[@]}")
    for ((at = 1; at < COMP_CWORD; at++)); do
        word="${COMP_WORDS[at]}"
        case "$word" in
            -C|--state-dir|--color|--set|--vars|--key|--plan|--timeout|--wait-lock|-o|--output|--format|--run) ((at++)) ;;
            -*) ;;
            *) if [[ -z $verb ]]; then verb="$word"; elif [[ -z $name ]]; then name="$word"; fi ;;
        esac
    done
    case "$prev" in
        --run) ask=(runs) ;;
        -C|--state-dir|--color|--set|--vars|--key|--plan|--timeout|--wait-lock|-o|--output|--format) return ;;
        *) case "$verb" in
            run|plan|graph)
                if [[ -z $name ]]; then ask=(formulas); elif [[ $cur == -* ]]; then ask=(flags "$name"); fi ;;
            check|fmt|test|docs) ask=(formulas) ;;
            resume|rollback|cancel|show) [[ -n $name ]] || ask=(runs) ;;
            log|settle|approve) if [[ -z $name ]]; then ask=(runs); else ask=(steps "$name"); fi ;;
            steps) ask=(kinds) ;;
            explain) ask=(codes) ;;
        esac ;;
    esac
    [[ ${#ask[@]} -eq 0 ]] && return
    COMPREPLY+=($(compgen -W "$(formula __complete "${ask[@]}" 2>/dev/null | cut -f1)" -- "$cur"))
}
complete -F _formula_with_names -o bashdefault -o default formula
"#;

const FISH: &str = r#"
function __formula_words
    set -l words (commandline -opc)[2..]
    set -l cur (commandline -ct)
    set -l valued -C --state-dir --color --set --vars --key --plan --timeout --wait-lock -o --output --format --run
    set -l verb; set -l name; set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
        else if contains -- $word $valued
            set skip yes
        else if string match -q -- '-*' $word
        else if test -z "$verb"
            set verb $word
        else if test -z "$name"
            set name $word
        end
    end
    if test $skip = yes
        test "$words[-1]" = --run; and formula __complete runs 2>/dev/null
        return
    end
    switch "$verb"
        case run plan graph
            if test -z "$name"
                formula __complete formulas 2>/dev/null
            else if string match -q -- '-*' $cur
                formula __complete flags $name 2>/dev/null
            end
        case check fmt test docs
            formula __complete formulas 2>/dev/null
        case resume rollback cancel show
            test -z "$name"; and formula __complete runs 2>/dev/null
        case log settle approve
            if test -z "$name"
                formula __complete runs 2>/dev/null
            else
                formula __complete steps $name 2>/dev/null
            end
        case steps
            formula __complete kinds 2>/dev/null
        case explain
            formula __complete codes 2>/dev/null
    end
end
complete -c formula -a "(__formula_words)"
"#;

const ZSH: &str = r#"
(( $+functions[_formula_ask] )) ||
_formula_ask() {
    local -a found
    found=(${(f)"$(formula __complete "$@" 2>/dev/null)"})
    found=("${(@)found//:/\\:}")
    found=("${(@)found/$'\t'/:}")
    if [[ $1 == flags ]]; then
        _describe -o -t vars 'var' found
    else
        _describe -t $1 $1 found
    fi
}

(( $+functions[_formula_words] )) ||
_formula_words() {
    local verb name word at
    local -a valued
    valued=(-C --state-dir --color --set --vars --key --plan --timeout --wait-lock -o --output --format --run)
    for ((at = 2; at < CURRENT; at++)); do
        word="$words[at]"
        if (( $valued[(Ie)$word] )); then
            ((at++))
        elif [[ $word == -* ]]; then
        elif [[ -z $verb ]]; then
            verb="$word"
        elif [[ -z $name ]]; then
            name="$word"
        fi
    done
    if (( $valued[(Ie)$words[CURRENT-1]] )); then
        [[ $words[CURRENT-1] == --run ]] && _formula_ask runs
        return
    fi
    case "$verb" in
        run|plan|graph)
            if [[ -z $name ]]; then
                [[ $PREFIX == -* ]] || _formula_ask formulas
            elif [[ $PREFIX == -* ]]; then
                _formula_ask flags "$name"
            fi ;;
        check|fmt|test|docs) _formula_ask formulas ;;
        resume|rollback|cancel|show) [[ -n $name ]] || _formula_ask runs ;;
        log|settle|approve) if [[ -z $name ]]; then _formula_ask runs; else _formula_ask steps "$name"; fi ;;
        steps) _formula_ask kinds ;;
        explain) _formula_ask codes ;;
    esac
}
"#;

/// Adds the words that only the program itself knows.
fn with_words(shell: clap_complete::Shell, script: String) -> String {
    match shell {
        clap_complete::Shell::Bash => script + BASH,
        clap_complete::Shell::Fish => script + FISH,
        // Before its own, so that both are offered.
        clap_complete::Shell::Zsh => script.replacen("#compdef formula\n", &format!("#compdef formula\n{ZSH}"), 1).replacen(
            "_formula() {\n",
            "_formula() {\n    _formula_words\n",
            1,
        ),
        _ => script,
    }
}
