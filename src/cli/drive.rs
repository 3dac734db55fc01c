//! Drives a run with somebody watching, and ends with its verdict.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::failure::{Failure, Outcome};
use crate::backend::local::LocalBackend;
use crate::backend::{Backend as _, Drive, Error, log_path};
use crate::engine::{RunState, StepState};
use crate::journal::{self, Journal, SqliteJournal};
use crate::model::{Event, Plan, Request, RunId, StepIx, Verdict};
use crate::report::{self, Hub};
use crate::syntax::duration;

/// How to show a run.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// One envelope a line on stdout.
    pub json: bool,
}

/// How many steps a run has, and how many of them are over.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// All.
    pub steps: usize,
    /// Over when the drive begins.
    pub over: usize,
}

/// Takes up a run, applies `first`, and drives it on.
pub fn resume(app: &App, run: &RunId, first: &[Request], how: &Drive, show: Show) -> Result<Verdict, Failure> {
    let journal = app.journal()?.ok_or_else(|| Failure::usage("there is no run here yet"))?;
    let (plan, state) = app.backend(journal.clone(), Hub::new()).look(run)?;
    let again = first.iter().map(|request| if let Request::Redo { steps, .. } = request { again(&state, steps) } else { 0 }).sum();
    if !first.iter().any(|request| matches!(request, Request::Rollback { .. })) {
        tell_denials(app, &state)?;
    }
    let extent = Extent { steps: plan.steps.len(), over: state.over_in_all().saturating_sub(again) };
    let back = first.iter().any(|request| matches!(request, Request::Rollback { .. }));
    let with = edited(&plan).filter(|_| !back).map(|path| format!("formula resume {run} --with {path}"));
    if let Some(with) = &with
        && first.is_empty()
    {
        let with = app.place.command(with);
        app.ui.status(&format!("the formula was edited since, and the run goes on as it was started; `{with}` takes what was edited"));
    }
    let mut verdict =
        drive(app, journal, show, extent, async move |backend| backend.resume(run, first, how).await).map_err(|failure| failure.of(run))?;
    if !verdict.outcome.is_final() {
        verdict.next.extend(with);
    }
    Ok(verdict)
}

/// The file of the formula, as a word to type, if it says something else than what a run was started with.
fn edited(plan: &Plan) -> Option<String> {
    let text = std::fs::read_to_string(plan.workdir.join(&plan.formula_path)).ok()?;
    let path = plan.formula_path.to_string_lossy();
    (text != plan.formula_source).then(|| shlex::try_quote(&path).map_or_else(|_| path.to_string(), std::borrow::Cow::into_owned))
}

/// A duration that was given for a flag.
pub fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = text else { return Ok(None) };
    duration::parse(text).map(Some).map_err(|why| Failure::usage(format!("`--{name} {text}`: {why}")))
}

/// Gates that were denied, or not answered in time, and are asked again now: nobody shall think that the first answer did not count.
fn tell_denials(app: &App, state: &RunState) -> Result<(), Failure> {
    let mut taken_up = state.clone();
    let event = Event::RunResumed { tool: String::new(), by: String::new() };
    taken_up.fold(&event).map_err(|corrupt| Failure::new(74, corrupt.to_string()))?;
    for (index, step) in state.plan().steps.iter().enumerate().filter(|(_, step)| step.gate.is_some()) {
        let ix = StepIx(index as u32);
        if let (StepState::Failed(trouble), StepState::Pending) = (state.step(ix), taken_up.step(ix)) {
            app.ui.status(&format!("gate `{}` is asked again: {}", step.id, report::clean(&trouble.message)));
        }
    }
    Ok(())
}

/// How many steps are done again for those.
fn again(state: &RunState, steps: &[String]) -> usize {
    state.redoing(steps).map_or(0, |redoing| redoing.again.len())
}

/// Runs `work` on a backend with the subscribers that `show` asks for. What it ends with is for [`end`], once nothing follows.
pub fn drive(
    app: &App,
    journal: Arc<SqliteJournal>,
    show: Show,
    extent: Extent,
    work: impl AsyncFnOnce(&LocalBackend) -> Result<Verdict, Error>,
) -> Result<Verdict, Failure> {
    let hub = Hub::new();
    subscribe(app, &hub, journal.clone(), show, extent);
    let backend = app.backend(journal.clone(), hub.clone());
    let runtime = app.runtime()?;
    let ended = runtime.block_on(work(&backend));
    hub.close();
    // A thread that is stuck in a credential helper or a look-up must not hold the exit.
    runtime.shutdown_background();
    for orphan in backend.left_behind() {
        let (pid, command) = (orphan.pid, report::clean(&orphan.command));
        let lead = app.ui.paint("warning:", "33");
        app.ui.status(&format!("{lead} a process outlived its step: pid {pid}, `{command}`; end it with `kill {pid}`"));
    }
    ended.map_err(|error| {
        let cut = matches!(error, Error::Journal(journal::Error::Io { .. }) | Error::Unrecorded { .. });
        let locked = matches!(error, Error::Locked { .. });
        let failure = Failure { cut, ..Failure::from(error) };
        if locked { failure.hint("`--wait-lock 10m` at the end of the command waits that long") } else { failure }
    })
}

fn subscribe(app: &App, hub: &Hub, journal: Arc<SqliteJournal>, show: Show, extent: Extent) {
    if show.json {
        hub.subscribe("json", Box::new(report::Json::new()));
        return;
    }
    if app.ui.quiet {
        return;
    }
    let plan = Box::new(move |digest: &str| journal.blob(digest).ok());
    let style = report::Style { color: app.ui.color_err, verbose: app.ui.verbose, ci: app.ui.ci };
    // What draws live lines looks at the environment only.
    dialoguer::console::set_colors_enabled(style.color);
    dialoguer::console::set_colors_enabled_stderr(style.color);
    match app.ui.ci {
        None if app.ui.live => hub.subscribe("terminal", Box::new(report::Terminal::new(style, extent.steps, extent.over, plan))),
        None => hub.subscribe("plain", Box::new(report::Plain::new(style, plan))),
        Some(ci) => {
            let logs = app.state_dir.join("runs");
            let log = move |run: &RunId, step: &str, attempt| printed(&log_path(&logs.join(run.as_str()), step, attempt));
            hub.subscribe("plain", Box::new(report::Plain::new(style, plan).in_job(ci, Box::new(log))));
        }
    }
}

/// Bytes of an attempt's output that the page of a job shows.
const SHOWN: u64 = 1024 * 1024;

/// What is in a log, of a long one the end.
fn printed(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let over = file.metadata().ok()?.len().saturating_sub(SHOWN);
    let mut text = if over > 0 { format!("… {over} bytes before are in the log of the step\n").into_bytes() } else { Vec::new() };
    file.seek(SeekFrom::Start(over)).ok()?;
    file.read_to_end(&mut text).ok()?;
    Some(text)
}

/// The last line: how the run stands and what to type next. `done` is the word for a run that is done. In a CI system, its summary too.
pub fn end(app: &App, show: Show, mut verdict: Verdict, done: &str) -> Outcome {
    let run = verdict.run.clone().ok_or_else(|| Failure::new(1, "the verdict names no run"))?;
    to_type(app, &mut verdict, show.json || !app.ui.interactive);
    if let Some(ci) = app.ui.ci {
        let runs = app.journal()?.map(|journal| journal.runs()).transpose()?.unwrap_or_default();
        let record = runs.into_iter().find(|record| record.run == run);
        ci.summarise(&app.env, record.as_ref().map_or("", |record| &record.formula), &run, &verdict);
    }
    if show.json {
        app.ui.line(&report::verdict_json(&run, &verdict));
    } else if !(app.ui.quiet && verdict.exit == 0) {
        let style = report::Style { color: app.ui.color_err, verbose: app.ui.verbose, ci: None };
        for line in report::verdict_lines(&run, &verdict, done, style) {
            app.ui.err(&line);
        }
    }
    Ok(verdict.exit)
}

/// Makes the commands of a verdict such that they can be typed as they stand: here, and `alone`, where nobody can be asked.
pub fn to_type(app: &App, verdict: &mut Verdict, alone: bool) {
    for next in &mut verdict.next {
        if alone && next.starts_with("formula rollback ") {
            next.push_str(" --yes");
        }
        *next = app.place.command(next);
    }
}
