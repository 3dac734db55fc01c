//! Drives a run with somebody watching, and ends with its verdict.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::app::App;
use super::failure::{Failure, Outcome};
use crate::backend::local::LocalBackend;
use crate::backend::{Backend as _, Drive, Error, log_path};
use crate::engine::RunState;
use crate::journal::{Journal, SqliteJournal};
use crate::model::{Request, RunId, Verdict};
use crate::report::{self, Hub};

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
pub fn resume(app: &App, run: &RunId, first: &[Request], how: &Drive, show: Show) -> Outcome {
    let journal = app.journal()?.ok_or_else(|| Failure::usage("there is no run here yet"))?;
    let (plan, state) = app.backend(journal.clone(), Hub::new()).look(run)?;
    let again = first.iter().map(|request| if let Request::Redo { steps, .. } = request { again(&state, steps) } else { 0 }).sum();
    let extent = Extent { steps: plan.steps.len(), over: state.over_in_all().saturating_sub(again) };
    drive(app, journal, show, extent, async move |backend| backend.resume(run, first, how).await)
}

/// How many steps are done again for those.
fn again(state: &RunState, steps: &[String]) -> usize {
    state.redoing(steps).map_or(0, |redoing| redoing.again.len())
}

/// Runs `work` on a backend with the subscribers that `show` asks for.
pub fn drive(
    app: &App,
    journal: Arc<SqliteJournal>,
    show: Show,
    extent: Extent,
    work: impl AsyncFnOnce(&LocalBackend) -> Result<Verdict, Error>,
) -> Outcome {
    let hub = Hub::new();
    subscribe(app, &hub, journal.clone(), show, extent);
    let backend = app.backend(journal.clone(), hub.clone());
    let runtime = app.runtime()?;
    let ended = runtime.block_on(work(&backend));
    hub.close();
    // A thread that is stuck in a credential helper or a look-up must not hold the exit.
    runtime.shutdown_background();
    let verdict = ended?;
    let run = verdict.run.clone().ok_or_else(|| Failure::new(1, "the verdict names no run"))?;
    print_verdict(app, show, &run, &verdict, "done");
    if let Some(ci) = app.ui.ci {
        let record = journal.runs()?.into_iter().find(|record| record.run == run);
        ci.summarise(&app.env, record.as_ref().map_or("", |record| &record.formula), &run, &verdict);
    }
    Ok(verdict.exit)
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

/// The last line: how the run stands and what to type next.
pub fn print_verdict(app: &App, show: Show, run: &RunId, verdict: &Verdict, done: &str) {
    if show.json {
        app.ui.line(&report::verdict_json(run, verdict));
        return;
    }
    if app.ui.quiet && verdict.exit == 0 {
        return;
    }
    let style = report::Style { color: app.ui.color_err, verbose: app.ui.verbose, ci: None };
    for line in report::verdict_lines(run, verdict, done, style) {
        app.ui.err(&line);
    }
}
