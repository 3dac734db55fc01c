//! `formula cancel`: stops a run.

use super::app::App;
use super::failure::Outcome;
use crate::backend::{Backend as _, Delivery};
use crate::model::Request;
use crate::report::Hub;

/// Stops a run after what is in flight.
///
/// Given a second time it stops that at once.
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
}

/// Cancels.
pub fn cancel(app: &App, args: &Args) -> Outcome {
    let (journal, run) = app.existing(args.run.as_deref())?;
    // That a second one stops at once is for the driver to see: it alone knows whether the first was meant for it.
    let request = Request::Cancel { by: app.user(), now: args.now, rollback: args.rollback };
    let backend = app.backend(journal, Hub::new());
    match app.runtime()?.block_on(backend.request(&run, &request))? {
        Delivery::Posted => app.ui.status(&format!("asked the driver of run {run} to stop; `formula show {run}` tells when it has")),
        Delivery::Recorded => app.ui.status(&format!("run {run} is stopped; `formula resume {run}` carries on")),
    }
    Ok(0)
}
