//! `formula completions SHELL`.

use clap::CommandFactory as _;

use super::app::App;
use super::root::Root;

/// Prints a completion script.
///
/// It completes commands and flags, and in bash, zsh and fish the names of formulas.
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
    clap_complete::generate(args.shell, &mut Root::command(), "formula", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    app.ui.out(&with_names(args.shell, script));
    0
}

/// Commands whose first word is the name of a formula.
const NAMED: &str = "run|plan|check|graph|docs";

/// Completes the name of a formula, or a file, in zsh.
const ZSH_NAMES: &str = r#"
(( $+functions[_formula_names] )) ||
_formula_names() {
    local -a names
    names=(${(f)"$(formula list 2>/dev/null | cut -d' ' -f1)"})
    _describe -t formulas 'formula' names
    _default
}
"#;

/// Adds the names of formulas, which only the program itself knows.
fn with_names(shell: clap_complete::Shell, script: String) -> String {
    match shell {
        clap_complete::Shell::Bash => format!(
            r#"{script}
_formula_with_names() {{
    _formula "$@"
    local word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in
            {NAMED})
                COMPREPLY+=($(compgen -W "$(formula list 2>/dev/null | cut -d' ' -f1)" -- "${{COMP_WORDS[COMP_CWORD]}}"))
                return
                ;;
        esac
    done
}}
complete -F _formula_with_names -o bashdefault -o default formula
"#
        ),
        clap_complete::Shell::Fish => format!(
            "{script}complete -c formula -n \"__fish_seen_subcommand_from {}\" -f -a \"(formula list 2>/dev/null | string split -f1 ' ')\"\n",
            NAMED.replace('|', " ")
        ),
        clap_complete::Shell::Zsh => {
            let marked = script.replacen("#compdef formula\n", &format!("#compdef formula\n{ZSH_NAMES}"), 1);
            let is_name = |line: &str| line.contains("Name or path of the formula") || line.contains("Names or paths of formulas");
            let named = |line: &str| if is_name(line) { line.replace(":_default'", ":_formula_names'") } else { line.to_owned() };
            let lines: Vec<String> = marked.lines().map(named).collect();
            lines.join("\n") + "\n"
        }
        _ => script,
    }
}
