//! `formula resume`: carries on.

use super::answer;
use super::app::App;
use super::drive::{self, Show};
use super::failure::Outcome;
use crate::backend::Drive;

/// Carries on with a run.
///
/// One that was held, stopped or cut off.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// Stay and wait for the answer of an open gate.
    #[arg(long)]
    pub wait: bool,
    /// Approve open gates.
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON envelope a line.
    #[arg(long)]
    pub json: bool,
}

/// Resumes.
pub fn resume(app: &App, args: &Args) -> Outcome {
    let (_, run) = app.existing(args.run.as_deref())?;
    let how = Drive { by: app.user(), wait_for_gates: args.wait, ..Drive::default() };
    let show = Show { json: args.json };
    let code = drive::resume(app, &run, &[], &how, show)?;
    answer::open_gates(app, &run, code, args.yes, &how, show)
}
