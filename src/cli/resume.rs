//! `formula resume`: carries on, with the formula as it was or with a mended one.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::answer;
use super::app::App;
use super::drive::{self, Show};
use super::failure::{Failure, Outcome};
use super::load;
use crate::backend::{Backend as _, Drive};
use crate::catalog::read_file;
use crate::diagnostic::SourceFile;
use crate::engine::{Mending, Mode};
use crate::model::{Event, Formula, Plan, Request, RunId, StepIx, Verdict};
use crate::plan::{Given, GivenValue, Origin, inputs};
use crate::report::Hub;
use crate::syntax;

/// Carries on with a run.
///
/// One that was held, stopped or cut off. With `--with` it goes on with a mended formula: first it says what is kept, what is done anew and what
/// is refused. A finished step that was edited is refused by name, and so is one that was tried and may have left something to be taken back.
///
/// What is done stays done, save what `--redo` names: that step and all that rests on it is asked again, and done again unless it is so already.
/// What the run made before it can still take back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// Go on with this file in the place of the formula that the run was started with.
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Do this finished step again, and what rests on it; of a run that is done as well. May be given more than once.
    #[arg(long, value_name = "STEP", conflicts_with = "with")]
    pub redo: Vec<String>,
    /// Stay and wait for the answer of an open gate.
    #[arg(long)]
    pub wait: bool,
    /// Approve open gates.
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON envelope a line.
    #[arg(long)]
    pub json: bool,
    /// Wait this long for a lock that another run holds.
    #[arg(long, value_name = "DURATION")]
    pub wait_lock: Option<String>,
}

/// Resumes.
pub fn resume(app: &App, args: &Args) -> Outcome {
    let (_, run) = app.existing(args.run.as_deref())?;
    let wait_for_lock = drive::duration("wait-lock", args.wait_lock.as_deref())?;
    let how = Drive { by: app.user(), wait_for_gates: args.wait, wait_for_lock, ..Drive::default() };
    let show = Show { json: args.json };
    let verdict = match &args.with {
        None if !args.redo.is_empty() => again(app, &run, &args.redo, &how, show)?,
        None => drive::resume(app, &run, &[], &how, show)?,
        Some(file) => mended(app, &run, file, &how, show)?,
    };
    let verdict = answer::open_gates(app, verdict, args.yes, &how, show)?;
    drive::end(app, show, verdict, "done")
}

/// Says what is done again, and does it.
fn again(app: &App, run: &RunId, steps: &[String], how: &Drive, show: Show) -> Result<Verdict, Failure> {
    let (journal, _) = app.existing(Some(run.as_str()))?;
    let (plan, state) = app.backend(journal, Hub::new()).look(run)?;
    let redoing = state.redoing(steps).map_err(|refusal| {
        let failure = Failure::usage(format!("refused, and nothing was changed: {refusal}"));
        refusal.hint.iter().fold(failure, |failure, hint| failure.hint(hint.replace("RUN", run.as_str())))
    })?;
    let names = |steps: &BTreeSet<StepIx>| steps.iter().map(|step| plan.step(*step).id.as_str()).collect::<Vec<_>>().join(", ");
    app.ui.status(&format!("asked or done again: {}", names(&redoing.again)));
    if !redoing.kept.is_empty() {
        let why = "named with `--redo` they are done again as well";
        app.ui.status(&format!("left as they are, though they rest on that: {} ({why})", names(&redoing.kept)));
    }
    let request = Request::Redo { by: how.by.clone(), steps: steps.to_vec() };
    drive::resume(app, run, &[request], how, show)
}

fn mended(app: &App, run: &RunId, file: &std::path::Path, how: &Drive, show: Show) -> Result<Verdict, Failure> {
    let (journal, _) = app.existing(Some(run.as_str()))?;
    let record = app.find_run(journal.as_ref(), Some(run.as_str()))?;
    let (old, mut state) = app.backend(journal.clone(), Hub::new()).look(run)?;
    if let Mode::Finished(outcome) = state.mode()
        && outcome.is_final()
    {
        let failure = Failure::usage(format!("run {run} is over: {}", outcome.as_str().replace('_', " ")));
        return Err(failure.hint(format!("`formula run {}` starts a new one", old.formula)));
    }
    let formula = read(app, file)?;
    let mut new = planned(app, &formula, &old, record.key.as_deref())?;
    new.command.clone_from(&old.command);
    let taken_up = Event::RunResumed { tool: String::new(), by: String::new() };
    state.fold(&taken_up).map_err(|corrupt| Failure::new(74, format!("run {run}: {corrupt}")))?;
    let mending = state.mending(&new);
    tell(app, &mending, &file.display().to_string());
    if let Some(failure) = refused(&mending, run) {
        return Err(failure);
    }
    let over = state.over_in_all().min(mending.kept.len());
    let extent = drive::Extent { steps: new.steps.len(), over };
    drive::drive(app, journal, show, extent, async |backend| backend.mend(run, new, how).await).map_err(|failure| failure.of(run))
}

/// The mended formula, whatever its file is called.
fn read(app: &App, file: &std::path::Path) -> Result<Formula, Failure> {
    let path = app.workdir.join(file);
    let source = read_file(&path, file.to_path_buf()).map_err(|error| {
        Failure::new(10, error.to_string())
            .hint("`formula resume RUN --with FILE` takes the path of the mended formula; `formula resume` goes on without one")
    })?;
    load::checked(app, &source, syntax::Options { any_name: true, ..syntax::Options::default() })
}

/// The plan of the mended formula with the vars that the run was started with.
fn planned(app: &App, formula: &Formula, old: &Plan, key: Option<&str>) -> Result<Plan, Failure> {
    let defaults = defaults(old);
    let was = old.inputs().iter();
    let given: Vec<Given> = was
        .filter(|(name, value)| formula.vars.contains_key(*name) && defaults.get(*name) != Some(*value))
        .map(|(name, value)| Given { name: name.clone(), value: GivenValue::Value(value.clone()), origin: Origin::File })
        .collect();
    // What the environment said then counts, for the steps that are finished have seen it.
    let mut env = app.env.clone();
    env.extend(old.scopes[0].env.clone());
    let then = App { ui: app.ui.clone(), env, workdir: old.workdir.clone(), state_dir: app.state_dir.clone(), place: app.place.clone() };
    load::plan(&then, formula, &given, key, false)
}

/// The values that the vars of the old formula had by themselves: a default that was mended counts.
fn defaults(old: &Plan) -> Map<String, Value> {
    let source = SourceFile::new(old.formula_path.clone(), old.formula_source.clone());
    let options = syntax::Options { any_name: true, lenient: true, ..syntax::Options::default() };
    let Some(formula) = syntax::parse(&source, &syntax::Builtin::default(), options).formula else { return Map::new() };
    let required = old.inputs().iter().filter(|(name, _)| formula.vars.get(*name).is_some_and(|var| var.required));
    let required: Vec<Given> =
        required.map(|(name, value)| Given { name: name.clone(), value: GivenValue::Value(value.clone()), origin: Origin::File }).collect();
    let named: HashSet<&String> = required.iter().map(|given| &given.name).collect();
    let all = inputs(&formula, &required).unwrap_or_default();
    all.into_iter().filter(|(name, _)| !named.contains(name)).collect()
}

/// What is kept, done anew, new and gone.
fn tell(app: &App, mending: &Mending, file: &str) {
    app.ui.status(&format!("with {file}:"));
    let line = |lead: &str, names: Vec<String>| {
        if !names.is_empty() {
            app.ui.status(&format!("  {lead:6} {}", names.join(", ")));
        }
    };
    line("kept", mending.kept.iter().map(|(id, state)| format!("{id} ({state})")).collect());
    line("anew", mending.again.iter().map(|(id, why)| format!("{id} ({why})")).collect());
    line("new", mending.added.clone());
    line("gone", mending.gone.clone());
}

fn refused(mending: &Mending, run: &RunId) -> Option<Failure> {
    let (first, rest) = mending.refused.split_first()?;
    let now = |now: &str| now.replace("RUN", run.as_str());
    let mut failure = Failure::usage(format!("refused, and nothing was changed: {}", first.0)).hint(now(&first.1));
    for (what, how) in rest {
        failure = failure.hint(format!("also: {what}; {}", now(how)));
    }
    Some(failure)
}
