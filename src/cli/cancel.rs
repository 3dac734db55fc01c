//! `formula cancel`: stops a run.

use super::app::App;
use super::failure::Outcome;
use crate::backend::local::LocalBackend;
use crate::backend::{Backend as _, Delivery};
use crate::model::{Request, RunId};
use crate::report::Hub;

/// Stops a run after what is in flight.
///
/// Given a second time it stops that at once. With `--for-good` it gives up a run that nobody drives: the same command then starts anew, whatever
/// was done, and `formula prune` may remove it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// Take back what the run made afterwards.
    #[arg(long)]
    pub rollback: bool,
    /// Stop what is in flight too.
    #[arg(long)]
    pub now: bool,
    /// Give up a run that nobody drives; what it did stays.
    #[arg(long, conflicts_with_all = ["rollback", "now"])]
    pub for_good: bool,
}

/// Cancels.
pub fn cancel(app: &App, args: &Args) -> Outcome {
    let (journal, run) = app.existing(args.run.as_deref())?;
    if args.for_good {
        return give_up(app, &app.backend(journal, Hub::new()), &run);
    }
    // That a second one stops at once is for the driver to see: it alone knows whether the first was meant for it.
    let request = Request::Cancel { by: app.user(), now: args.now, rollback: args.rollback };
    let backend = app.backend(journal, Hub::new());
    match app.runtime()?.block_on(backend.request(&run, &request))? {
        Delivery::Posted => app.ui.status(&format!("asked the driver of run {run} to stop; `formula show {run}` tells when it has")),
        Delivery::Recorded => app.ui.status(&format!("run {run} is stopped; `formula resume {run}` carries on")),
    }
    Ok(0)
}

fn give_up(app: &App, backend: &LocalBackend, run: &RunId) -> Outcome {
    app.runtime()?.block_on(backend.request(run, &Request::GiveUp { by: app.user() }))?;
    let (plan, state) = backend.look(run)?;
    app.ui.status(&format!("run {run} is given up: the same command starts anew, and `formula prune` may remove it"));
    let stays: Vec<String> = state.past_return().into_iter().map(|step| format!("`{}`", plan.step(step).id)).collect();
    if !stays.is_empty() {
        app.ui.status(&format!("what cannot be taken back was done, and would be done again: {}", stays.join(", ")));
    }
    Ok(0)
}
