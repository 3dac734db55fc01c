//! The flags of `run` and `plan`: a formula's vars become flags of their own, beside the options.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::app::App;
use super::failure::Failure;
use super::load;
use super::root::{Global, Root};
use super::ui::Ui;
use crate::diagnostic::nearest;
use crate::model::{Formula, VarDecl, VarType};
use crate::plan::Given;

/// Options of `run` and `plan` that are no vars.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// `--json`.
    pub json: bool,
    /// `--fresh`.
    pub fresh: bool,
    /// `--wait`.
    pub wait: bool,
    /// `--yes`.
    pub yes: bool,
    /// `--lenient`.
    pub lenient: bool,
    /// `--key`.
    pub key: Option<String>,
    /// `--timeout`.
    pub timeout: Option<String>,
    /// `--wait-lock`.
    pub wait_lock: Option<String>,
    /// `-o`.
    pub output: Option<String>,
    /// `--plan`.
    pub plan: Option<String>,
    /// `--format`.
    pub format: Option<String>,
    /// `--run`.
    pub run: Option<String>,
}

/// What was typed.
pub struct Parsed {
    /// Name or path of the formula.
    pub name: String,
    /// The formula, read once: its text may change while we look.
    pub formula: Formula,
    /// Values for vars, from all places but the defaults.
    pub given: Vec<Given>,
    /// Options.
    pub options: Options,
    /// The app, with the shared flags that stood behind the name.
    pub app: App,
}

/// Flags that take a value; needed to find the name among the words.
const WITH_VALUE: [&str; 13] = [
    "--set",
    "--vars",
    "--key",
    "--format",
    "--run",
    "--timeout",
    "--wait-lock",
    "-o",
    "--output",
    "--plan",
    "-C",
    "--state-dir",
    "--color",
];

/// Parses what stands behind `run` or `plan`. None: help was asked for and printed.
///
/// # Errors
/// A mistake on the command line, or a formula that does not load.
pub fn parse(app: &App, verb: &'static str, words: &[OsString]) -> Result<Option<Parsed>, Failure> {
    let Some(at) = name_at(words) else {
        if words.iter().any(|word| word == "--help" || word == "-h") {
            app.ui.out(&command(verb, None).render_help().to_string());
            return Ok(None);
        }
        return Err(Failure::usage(format!("which formula? `formula {verb} NAME`")).hint("`formula list` shows what there is"));
    };
    let name = words[at].to_string_lossy().into_owned();
    let words: Vec<&OsStr> = words.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, word)| word.as_os_str()).collect();
    // Where to look for the formula must be known before its flags are.
    let early = directory(&words).map(|path| Global { directory: Some(path), ..Global::default() });
    let early = early.map(|global| settled(app, &global, app.ui.clone())).transpose()?;
    let app = early.as_ref().unwrap_or(app);
    let formula = load::formula(app, &name, words.iter().any(|word| *word == "--lenient"))?;
    let mut command = command(verb, Some(&formula));
    if words.iter().any(|word| *word == "--help" || *word == "-h") {
        app.ui.out(&command.render_long_help().to_string());
        return Ok(None);
    }
    let known: Vec<String> = command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect();
    let matches = command.try_get_matches_from(std::iter::once(OsStr::new("formula")).chain(words)).map_err(|error| {
        let text = error.to_string();
        let failure = Failure::usage(text.trim_start_matches("error: ").trim_end().to_owned());
        let failure = nearest_flag(&error, &known).into_iter().fold(failure, Failure::hint);
        failure.hint(format!("`formula {verb} {name} --help` lists its flags"))
    })?;
    let given = given(app, &formula, &matches)?;
    let global = Global::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string()))?;
    let color = matches.value_source("color") == Some(ValueSource::CommandLine);
    let app = settled(app, &global, ui(app, &global, color))?;
    Ok(Some(Parsed { name, formula, given, options: options(&matches), app }))
}

/// Parses what stands behind a verb where no formula is read: the app, the name if one is given, and the options.
///
/// # Errors
/// A mistake on the command line.
pub fn without_formula(app: &App, verb: &'static str, words: &[OsString]) -> Result<(App, Option<String>, Options), Failure> {
    let command = command(verb, None).arg(Arg::new("NAME"));
    let matches = command.try_get_matches_from(std::iter::once(OsStr::new("formula")).chain(words.iter().map(OsString::as_os_str)));
    let matches = matches.map_err(|error| {
        Failure::usage(error.to_string().trim_start_matches("error: ").trim_end().to_owned())
            .hint(format!("`formula {verb} --help` lists its flags"))
    })?;
    let global = Global::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string()))?;
    let color = matches.value_source("color") == Some(ValueSource::CommandLine);
    let app = settled(app, &global, ui(app, &global, color))?;
    Ok((app, matches.get_one::<String>("NAME").cloned(), options(&matches)))
}

/// The flag that a misspelt one may have meant.
fn nearest_flag(error: &clap::Error, known: &[String]) -> Option<String> {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument)
    else {
        return None;
    };
    // clap has an idea of its own.
    if error.get(ContextKind::SuggestedArg).is_some() {
        return None;
    }
    let wrong = wrong.trim_start_matches('-').split('=').next()?.replace('_', "-");
    let near = nearest(&wrong, known.iter().map(String::as_str))?;
    Some(format!("did you mean `--{near}`?"))
}

/// Where the formula's name stands: the first word that is neither a flag nor a flag's value.
fn name_at(words: &[OsString]) -> Option<usize> {
    let mut skip = false;
    for (index, word) in words.iter().enumerate() {
        let text = word.to_string_lossy();
        if std::mem::take(&mut skip) {
            continue;
        }
        if text.starts_with('-') && text.len() > 1 {
            skip = WITH_VALUE.contains(&text.as_ref());
            continue;
        }
        return Some(index);
    }
    None
}

/// What follows `-C`.
fn directory(words: &[&OsStr]) -> Option<PathBuf> {
    let at = words.iter().position(|word| word.to_str().is_some_and(|word| word.starts_with("-C")))?;
    match words[at].to_str() {
        Some("-C") => words.get(at + 1).map(PathBuf::from),
        joined => joined.map(|word| PathBuf::from(word[2..].trim_start_matches('='))),
    }
}

/// Shared flags may stand behind the name too.
fn settled(app: &App, global: &Global, ui: Ui) -> Result<App, Failure> {
    let directory = global.directory.clone().unwrap_or_else(|| app.workdir.clone());
    let state_dir = global.state_dir.clone().or_else(|| (app.state_dir != app.workdir.join(".formula")).then(|| app.state_dir.clone()));
    let settled = super::settle(&Global { directory: Some(directory), state_dir, ..global.clone() }, app.env.clone(), ui)?;
    // Twice would be once too often: what was parsed behind the name has the last word.
    Ok(App { place: app.place.with(global), ..settled })
}

/// How to talk, where shared flags behind the name say it; `color` if they say that too.
fn ui(app: &App, global: &Global, color: bool) -> Ui {
    let dumb = app.var("TERM") == Some("dumb");
    let (quiet, verbose) = (global.quiet || app.ui.quiet, global.verbose.max(app.ui.verbose));
    let fresh = Ui::new(global.color, app.var("NO_COLOR").is_some(), dumb, quiet, verbose);
    let fresh = Ui { lost: app.ui.lost.clone(), ci: app.ui.ci, ..fresh };
    if color { fresh } else { Ui { color_out: app.ui.color_out, color_err: app.ui.color_err, ..fresh } }
}

/// Commands whose flags are a formula's vars.
pub const VERBS: [&str; 3] = ["run", "plan", "graph"];

/// The help of one of them without a formula, at that width.
pub fn help_of(verb: &'static str, width: usize) -> String {
    command(verb, None).term_width(width).render_long_help().to_string()
}

/// The whole command line, with the options of the commands that read theirs with a formula in hand: for pages and completions.
pub fn described() -> Command {
    VERBS.into_iter().fold(Root::command(), |root, verb| {
        root.mut_subcommand(verb, |short| {
            let name = Arg::new("NAME").help("Name or path of the formula; its vars are flags");
            let about = short.get_about().cloned().unwrap_or_default();
            let long_about = short.get_long_about().cloned().unwrap_or_default();
            let options = command(verb, None);
            let options = options.get_arguments().filter(|arg| !arg.is_global_set()).cloned();
            Command::new(verb).about(about).long_about(long_about).arg(name).args(options)
        })
    })
}

/// The flags of a formula's vars, with what they are for.
pub fn flags(verb: &'static str, formula: &Formula) -> Vec<(String, String)> {
    let ours = |arg: &&Arg| arg.get_id().as_str().starts_with("var:");
    let told = |arg: &Arg| Some((format!("--{}", arg.get_long()?), arg.get_help().map(ToString::to_string).unwrap_or_default()));
    command(verb, Some(formula)).get_arguments().filter(ours).filter_map(told).collect()
}

fn command(verb: &'static str, formula: Option<&Formula>) -> Command {
    let name = formula.map_or("NAME", |formula| formula.name.as_str());
    let mut command = Command::new("formula")
        .disable_version_flag(true)
        .max_term_width(100)
        .override_usage(format!("formula {verb} {name} [--VAR VALUE]… [OPTIONS]"));
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let value = |name: &'static str, of: &'static str, help: &'static str| Arg::new(name).long(name).value_name(of).help(help);
    command = command
        .arg(value("set", "NAME=VALUE", "Give a var any TOML value").action(ArgAction::Append))
        .arg(value("vars", "FILE", "Take vars from a TOML file"))
        .arg(value("key", "KEY", "Tell this run from another with the same vars"))
        .arg(flag("lenient", "Read files with letter-escapes that TOML does not know"));
    command = match verb {
        "run" => command
            .arg(flag("json", "Print data only"))
            .arg(flag("fresh", "Start anew, whatever there is"))
            .arg(flag("wait", "Stay and wait for the answer of an open gate"))
            .arg(flag("yes", "Do not ask").short('y'))
            .arg(value("plan", "FILE", "Apply a plan that `formula plan -o FILE` wrote, unless it is stale"))
            .arg(value("timeout", "DURATION", "Stop the run after this time"))
            .arg(value("wait-lock", "DURATION", "Wait this long for a lock that another run holds")),
        "graph" => command
            .arg(value("format", "FORMAT", "What to draw: text, dot, mermaid or svg [default: by the ending of FILE, else text]"))
            .arg(value("run", "RUN", "Draw this run, with how each step stands"))
            .arg(value("output", "FILE", "Write the picture here").short('o')),
        _ => command
            .arg(flag("json", "Print data only"))
            .arg(value("output", "FILE", "Write the plan here, for `formula run --plan FILE`").short('o')),
    };
    let shared = <Global as clap::Args>::augment_args(Command::new("formula"));
    let about = match formula {
        Some(formula) => {
            command = command.next_help_heading("Vars");
            let taken: Vec<String> =
                command.get_arguments().chain(shared.get_arguments()).filter_map(Arg::get_long).map(str::to_owned).collect();
            let (named, hidden): (Vec<_>, Vec<_>) = formula.vars.iter().partition(|(name, _)| !taken.contains(&name.replace('_', "-")));
            for (name, var) in named {
                command = var_args(command, name, var);
            }
            if !hidden.is_empty() {
                let lines = hidden.iter().map(|(name, _)| format!("\n  --set {name}=VALUE"));
                command = command.after_help(format!("Vars called like an option have no flag of their own:{}", lines.collect::<String>()));
            }
            formula.description.clone().into()
        }
        None => Root::command().find_subcommand(verb).and_then(Command::get_long_about).cloned().unwrap_or_default(),
    };
    <Global as clap::Args>::augment_args(command).about(about).long_about(None)
}

/// Whether a flag of that name is an option of `run`, so that a var called like it is given with `--set`.
pub fn is_option(long: &str) -> bool {
    command("run", None).get_arguments().any(|arg| arg.get_long() == Some(long))
}

/// The flag, or flags, of one var.
fn var_args(command: Command, name: &str, var: &VarDecl) -> Command {
    let long = name.replace('_', "-");
    let id = format!("var:{name}");
    let arg = Arg::new(id.clone()).long(long.clone()).help(help(var));
    if var.ty == VarType::Bool {
        let no = Arg::new(format!("no:{name}")).long(format!("no-{long}")).action(ArgAction::SetTrue).hide(true).overrides_with(id);
        return command.arg(arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")).arg(no);
    }
    let several = matches!(var.ty, VarType::List | VarType::Table);
    let action = if several { ArgAction::Append } else { ArgAction::Set };
    let value_name = match var.ty {
        VarType::Table => "K=V".to_owned(),
        VarType::Enum => var.choices.join("|"),
        _ => type_name(var.ty).to_uppercase(),
    };
    command.arg(arg.action(action).value_name(value_name).allow_hyphen_values(true))
}

fn help(var: &VarDecl) -> StyledStr {
    let mut text = var.description.clone();
    if var.required {
        text.push_str(" (required)");
    } else if let Some(default) = &var.default {
        let shown = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        if !shown.is_empty() && shown != "[]" && shown != "{}" {
            let _ = write!(text, " [default: {shown}]");
        }
    }
    text.trim_start().to_owned().into()
}

/// The name of a type, as authors write it.
pub fn type_name(ty: VarType) -> String {
    serde_json::to_value(ty).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn options(matches: &ArgMatches) -> Options {
    let set = |name: &str| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    let text = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    Options {
        json: set("json"),
        fresh: set("fresh"),
        wait: set("wait"),
        yes: set("yes"),
        lenient: set("lenient"),
        key: text("key"),
        timeout: text("timeout"),
        wait_lock: text("wait-lock"),
        output: text("output"),
        plan: text("plan"),
        format: text("format"),
        run: text("run"),
    }
}

/// Everything that was given for vars, strongest first: flags, `--set`, `--vars`, the environment.
fn given(app: &App, formula: &Formula, matches: &ArgMatches) -> Result<Vec<Given>, Failure> {
    let mut given = Vec::new();
    for name in formula.vars.keys() {
        let id = format!("var:{name}");
        if let Ok(Some(values)) = matches.try_get_many::<String>(&id) {
            given.extend(values.map(|text| Given::flag(name, text)));
        }
        if matches.try_get_one::<bool>(&format!("no:{name}")).ok().flatten() == Some(&true) {
            given.push(Given::flag(name, "false"));
        }
    }
    for set in matches.get_many::<String>("set").into_iter().flatten() {
        given.push(Given::set(set).map_err(|error| Failure::usage(error.message).hint(error.help))?);
    }
    if let Some(path) = matches.get_one::<String>("vars") {
        given.extend(vars_file(app, path)?);
    }
    given.extend(Given::env(formula, &app.env));
    Ok(given)
}

fn vars_file(app: &App, path: &str) -> Result<Vec<Given>, Failure> {
    let path = app.workdir.join(path);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    Given::file(&text).map_err(|why| Failure::new(10, format!("`{}`: {why}", path.display())))
}
