//! The command line: one file per command, each an `Args` whose doc comments are its help, and a function.
//!
//! The only part of the library that reads the environment, prints, or asks.

mod answer;
mod app;
mod cancel;
mod check;
mod complete;
mod completions;
mod docs;
mod doctor;
mod drive;
mod explain;
mod failure;
mod fmt;
mod forge;
mod gate;
mod graph;
mod list;
mod load;
mod log;
mod lsp;
mod man;
mod migrate;
mod new;
mod place;
mod plan;
mod prompt;
mod prune;
mod resume;
mod rollback;
mod root;
mod run;
mod runs;
mod saved;
mod schema;
mod show;
mod steps;
mod table;
mod test;
mod typed;
mod ui;
mod vars;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser as _;
use formula_steps::contract::StepType;

use self::app::App;
use self::failure::{Failure, Outcome};
use self::place::Place;
use self::root::{Command, Global, Root};
use self::ui::Ui;
use crate::report::Ci;
use crate::syntax::manual as kind;

/// Runs the program with kinds of other crates beside its own; returns the exit code.
pub fn main_with(kinds: &[&'static dyn StepType], args: Vec<OsString>) -> u8 {
    match formula_steps::add(kinds) {
        Ok(()) => main(args),
        Err(problem) => {
            Ui::new(ui::ColorChoice::Never, true, true, true, 0).err(&format!("error: {problem}"));
            1
        }
    }
}

/// Runs the program; returns the exit code.
pub fn main(args: Vec<OsString>) -> u8 {
    // The most frequent question of scripts needs no parser.
    if args.len() == 2 && (args[1] == "--version" || args[1] == "-V") {
        Ui::new(ui::ColorChoice::Never, true, true, true, 0).line(&format!("formula {}", app::VERSION));
        return 0;
    }
    let root = match Root::try_parse_from(&args) {
        Ok(root) => root,
        Err(error) => {
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if code != 0 && is_json(&args) {
                let text = error.to_string();
                let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
                Ui::new(ui::ColorChoice::Never, true, true, true, 0).line(&Failure::new(code, what).json());
            }
            return code;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    let env: BTreeMap<String, String> =
        std::env::vars_os().map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect();
    let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
    let dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    let Global { color, quiet, verbose, .. } = root.global;
    let ui = Ui { ci: Ci::detect(&env), ..Ui::new(color, set("NO_COLOR"), dumb, quiet, verbose) };
    let failure_ui = ui.clone();
    let place = Place::of(&root.global);
    let drives = matches!(root.command, Command::Run(_) | Command::Resume(_) | Command::Rollback(_));
    let ended = settle(&root.global, env, ui).and_then(|app| dispatch(&app, root.command));
    let code = ended.unwrap_or_else(|mut failure| {
        for hint in &mut failure.hints {
            *hint = place.hint(hint);
        }
        failure_ui.failure(&failure);
        if is_json(&args) {
            failure_ui.line(&failure.json());
        }
        failure.code
    });
    match failure_ui.lost() {
        // A run goes on whoever reads, and its exit code says how it stands.
        Some(why) if !drives => {
            failure_ui.failure(&Failure::new(1, format!("not everything could be written to stdout: {why}")));
            if code == 0 { 1 } else { code }
        }
        _ => code,
    }
}

/// Whether data is asked for.
fn is_json(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == "--json")
}

/// Settles where we are.
fn settle(global: &Global, env: BTreeMap<String, String>, ui: Ui) -> Result<App, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the working directory is settled here, once")]
    let here = std::env::current_dir().map_err(|error| Failure::usage(format!("the current directory cannot be used: {error}")))?;
    let workdir = match &global.directory {
        None => here.clone(),
        Some(path) => here.join(path),
    };
    let workdir = workdir
        .canonicalize()
        .map_err(|error| Failure::usage(format!("`{}`: {error}", workdir.display())).hint("name a directory that is there"))?;
    let given = global.state_dir.clone().or_else(|| env.get("FORMULA_STATE_DIR").filter(|path| !path.is_empty()).map(PathBuf::from));
    let state_dir = match given {
        // Relative to where the command was typed, as any path on a command line.
        Some(path) => here.join(path),
        None => workdir.join(".formula"),
    };
    Ok(App { ui, env, workdir, state_dir, place: Place::of(global) })
}

fn dispatch(app: &App, command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::run(app, &args),
        Command::Plan(args) => plan::plan(app, &args),
        Command::Resume(args) => resume::resume(app, &args),
        Command::Rollback(args) => rollback::rollback(app, &args),
        Command::Settle(args) => answer::settle(app, &args),
        Command::Approve(args) => answer::approve(app, &args),
        Command::Cancel(args) => cancel::cancel(app, &args),
        Command::Check(args) => check::check(app, &args),
        Command::Fmt(args) => fmt::fmt(app, &args),
        Command::Lsp(args) => lsp::lsp(app, &args),
        Command::New(args) => new::new(app, &args),
        Command::Runs(args) => runs::runs(app, &args),
        Command::Show(args) => show::show(app, &args),
        Command::Log(args) => log::log(app, &args),
        Command::List(args) => Ok(list::list(app, &args)),
        Command::Steps(args) => steps::steps(app, &args),
        Command::Test(args) => test::test(app, &args),
        Command::Explain(args) => explain::explain(app, &args),
        Command::Graph(args) => graph::graph(app, &args),
        Command::Schema(args) => Ok(schema::schema(app, &args)),
        Command::Completions(args) => Ok(completions::completions(app, &args)),
        Command::Complete(args) => Ok(complete::complete(app, &args)),
        Command::Man(args) => man::man(app, &args),
        Command::Docs(args) => docs::docs(app, &args),
        Command::Doctor(args) => doctor::doctor(app, &args),
        Command::Migrate(args) => migrate::migrate(app, &args),
        Command::Prune(args) => prune::prune(app, &args),
    }
}
