//! `formula prune`: removes old runs.

use std::sync::Arc;
use std::time::Duration;

use formula_steps::kit::{keep, recipe};

use super::app::App;
use super::failure::{Failure, Outcome};
use crate::backend::Backend as _;
use crate::clock::{Clock as _, SystemClock};
use crate::journal::{Journal as _, RunRecord, SqliteJournal};
use crate::model::Outcome as End;
use crate::report::Hub;

/// Removes old runs.
///
/// Runs that are over, or given up, and older than a time, with their logs and what was kept for a way back: images, and what containers were told. A run that can still be
/// resumed or rolled back stays.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs whose last event is older than this.
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    pub older_than: String,
    /// Keep at least this many of the newest runs.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub keep: usize,
    /// Say what would go, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Whether nothing can follow, or a person gave the run up.
fn is_over(app: &App, journal: &Arc<SqliteJournal>, run: &RunRecord) -> Result<bool, Failure> {
    match run.outcome {
        Some(End::Stopped) => Ok(app.backend(journal.clone(), Hub::new()).look(&run.run)?.1.is_given_up()),
        outcome => Ok(outcome.is_some_and(End::is_final)),
    }
}

/// Prunes.
pub fn prune(app: &App, args: &Args) -> Outcome {
    let age = crate::syntax::duration::parse(&args.older_than)
        .map_err(|why| Failure::usage(format!("`--older-than {}`: {why}", args.older_than)))?;
    let Some(journal) = app.journal()? else { return Ok(0) };
    let now = SystemClock::default().now();
    let mut unwanted = Vec::new();
    let old = |millis: u64| Duration::from_millis(millis) >= age;
    for run in journal.runs()?.into_iter().skip(args.keep) {
        if !old(now.since(run.updated)) || !is_over(app, &journal, &run)? {
            continue;
        }
        unwanted.push(run);
    }
    let parts: Vec<String> = unwanted.iter().map(|run| keep::part(run.run.as_str())).collect();
    let of_them = |run: &str| parts.iter().any(|one| one == run);
    if !args.dry_run && !unwanted.is_empty() {
        let (world, runtime) = (app.world(&app.holder().mark()), app.runtime()?);
        // What may hold secrets goes first: nobody would find it without its run.
        let gone = runtime.block_on(recipe::let_go(&*world.files, &app.state_dir, |_, run, _| of_them(run)));
        gone.map_err(|error| Failure::new(1, error.message))?;
        // Most machines have kept nothing, and many have no engine: that is no reason to fail.
        let _ = runtime.block_on(keep::let_go(&*world.docker, |_, run| of_them(run)));
    }
    for run in unwanted {
        if !args.dry_run {
            journal.remove(&run.run)?;
            let logs = app.state_dir.join("runs").join(run.run.as_str());
            if logs.exists() {
                std::fs::remove_dir_all(&logs).map_err(|error| Failure::new(1, format!("`{}`: {error}", logs.display())))?;
            }
        }
        app.ui.line(&format!("{} {} {}", run.run, run.formula, run.updated));
    }
    Ok(0)
}
