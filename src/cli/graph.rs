//! `formula graph NAME`: a picture, before anything runs or of how a run stands.

use std::ffi::{OsStr, OsString};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::load;
use super::runs;
use super::show::stories;
use super::vars::{self, Parsed};
use crate::backend::Backend as _;
use crate::engine::{Origin, StepState};
use crate::graph::draw::{Drawing, Mark, Stand, dot, mermaid, svg, text};
use crate::journal::Journal as _;
use crate::model::{Formula, Plan, PlanStep, StepIx};
use crate::plan::Given;
use crate::report::{Hub, duration};
use crate::syntax::{self, Builtin, Kinds as _};

/// Draws a formula.
///
/// What comes after what, what each step does to the world, the line past which there is no way back. Vars are flags, as for `run`; without
/// those that are required the formula is drawn as it is written, with lists that are not expanded. With `--run` it is drawn as that run has
/// it, with the state and the duration of each step.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    override_usage = "formula graph NAME [--VAR VALUE]… [--format text|dot|mermaid|svg] [-o FILE]\n       formula graph [NAME] --run RUN [--format text|dot|mermaid|svg] [-o FILE]"
)]
pub struct Args {
    /// Name or path of the formula, its vars as flags, and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "NAME AND FLAGS")]
    pub rest: Vec<OsString>,
}

/// What can be drawn.
const FORMATS: [&str; 4] = ["text", "dot", "mermaid", "svg"];

/// Draws.
pub fn graph(app: &App, args: &Args) -> Outcome {
    // A run has its plan: the file, which may have changed or be gone, is not asked.
    if args.rest.iter().any(|word| word == "--run" || word.to_string_lossy().starts_with("--run=")) && !asks_help(&args.rest) {
        let (app, name, options) = vars::without_formula(app, "graph", &args.rest)?;
        let drawing = of_run(&app, name.as_deref(), options.run.as_deref())?;
        return put(&app, &drawing, options.format.as_deref(), options.output.as_deref());
    }
    let Some(Parsed { name, formula, given, options, app }) = vars::parse(app, "graph", &args.rest)? else { return Ok(0) };
    let drawing = of_formula(&app, &name, &formula, &given, &options)?;
    put(&app, &drawing, options.format.as_deref(), options.output.as_deref())
}

fn asks_help(words: &[OsString]) -> bool {
    words.iter().any(|word| word == OsStr::new("--help") || word == OsStr::new("-h"))
}

fn of_formula(app: &App, name: &str, formula: &Formula, given: &[Given], options: &vars::Options) -> Result<Drawing, Failure> {
    let prose = formula.steps.iter().chain(&formula.finally).any(|step| step.uses.is_none());
    let missing = formula.vars.iter().find(|(name, var)| var.required && !given.iter().any(|given| given.name == **name));
    if missing.is_none() && !prose {
        let plan = load::plan(app, formula, given, options.key.as_deref(), options.lenient)?;
        return Ok(Drawing::of_plan(&plan, &formula.description));
    }
    if let (Some((var, _)), false) = (missing, prose) {
        app.ui.status(&format!(
            "drawn as it is written, since var `{var}` has no value; `formula graph {name} --{} …` draws what would run",
            var.replace('_', "-")
        ));
    }
    Ok(as_written(formula))
}

/// A formula before its vars are known.
pub fn as_written(formula: &Formula) -> Drawing {
    let kinds = Builtin::default();
    Drawing::of_formula(formula, &|kind, with| kinds.behaviour(kind, with))
}

/// A run with how each step stands.
fn of_run(app: &App, name: Option<&str>, run: Option<&str>) -> Result<Drawing, Failure> {
    let (journal, run) = app.existing(run)?;
    let record = app.find_run(journal.as_ref(), Some(run.as_str()))?;
    if let Some(name) = name.filter(|name| !names(name, &record.formula)) {
        let failure = Failure::usage(format!("run {run} is one of `{}`, not of `{name}`", record.formula));
        return Err(failure.hint(format!("`formula graph {} --run {run}` draws it", record.formula)));
    }
    let entries = journal.read(&run, 0)?;
    let driver = runs::driver(app, &journal, &record)?;
    let (plan, state) = app.backend(journal, Hub::new()).look(&run)?;
    let mut drawing = Drawing::of_plan(&plan, &description(&plan));
    let stories = stories(&entries);
    for (at, node) in drawing.nodes.iter_mut().enumerate() {
        let step = StepIx(at as u32);
        let took = stories.get(&plan.step(step).id).and_then(|story| story.took_ms).map(duration);
        node.stand = Some(stand(plan.step(step), state.step(step), took));
    }
    let stands = runs::stands(&record, driver.as_ref()).replace('_', " ");
    drawing.run = Some(format!("run {run} {stands}"));
    Ok(drawing)
}

/// Whether a word on the command line, a name or a path, means the formula of that name.
fn names(word: &str, formula: &str) -> bool {
    word == formula || std::path::Path::new(word).file_stem() == Some(OsStr::new(formula))
}

/// The one line of a formula, from the text that a plan keeps.
fn description(plan: &Plan) -> String {
    let source = crate::diagnostic::SourceFile::new(plan.formula_path.clone(), plan.formula_source.clone());
    let options = syntax::Options { lenient: true, ..syntax::Options::default() };
    syntax::parse(&source, &Builtin::default(), options).formula.map(|formula| formula.description).unwrap_or_default()
}

fn stand(step: &PlanStep, state: &StepState, took: Option<String>) -> Stand {
    let (mark, words) = match state {
        StepState::Done { origin: Origin::Created } => (Mark::Good, "done"),
        StepState::Done { origin: Origin::Adopted } => (Mark::Good, "already so"),
        StepState::Skipped => (Mark::Still, "skipped"),
        StepState::Failed(_) => (Mark::Bad, "failed"),
        StepState::UndoFailed(_) => (Mark::Bad, "undo failed"),
        StepState::Held { .. } => (Mark::Person, "held"),
        StepState::InDoubt { .. } => (Mark::Person, "in doubt"),
        StepState::Waiting { .. } => (Mark::Person, "waits"),
        StepState::WaitingRetry { .. } => (Mark::Going, "will be tried again"),
        StepState::Running { .. } => (Mark::Going, "running"),
        StepState::Undoing => (Mark::Going, "being taken back"),
        StepState::Undone if step.leaves_nothing() => (Mark::Still, "nothing to take back"),
        StepState::Undone => (Mark::Still, "taken back"),
        StepState::Pending | StepState::Ready => (Mark::Still, "not begun"),
    };
    let took = took.filter(|_| !matches!(state, StepState::Pending | StepState::Skipped | StepState::Undone | StepState::Running { .. }));
    Stand { mark, state: words.into(), took }
}

/// Prints a picture or writes it to a file.
fn put(app: &App, drawing: &Drawing, format: Option<&str>, output: Option<&str>) -> Outcome {
    // `-o x.svg` says it all.
    let by_name = output.and_then(|path| FORMATS.into_iter().find(|format| path.ends_with(&format!(".{format}"))));
    let format = format.or(by_name).unwrap_or("text");
    let colour = app.ui.color_out && output.is_none();
    let picture = match format {
        "text" => text(drawing, &|text, style| if colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }),
        "dot" => dot(drawing),
        "mermaid" => mermaid(drawing),
        "svg" => svg(drawing).map_err(|error| {
            Failure::new(10, error.to_string()).hint(
                "Graphviz may have the patience: `formula graph … --format dot | dot -Tsvg`; `--format text` draws any number of them",
            )
        })?,
        other => {
            let failure = Failure::usage(format!("there is no format `{other}`"));
            return Err(failure.hint(format!("there are {}", FORMATS.join(", "))));
        }
    };
    match output {
        Some(path) => {
            let path = app.workdir.join(path);
            std::fs::write(&path, picture).map_err(|error| Failure::new(1, format!("`{}`: {error}", path.display())))?;
        }
        None => app.ui.out(&picture),
    }
    Ok(0)
}
