//! `formula rollback`: takes back what a run made.

use super::app::App;
use super::drive::{self, Show};
use super::failure::{Failure, Outcome};
use crate::backend::{Backend as _, Drive};
use crate::model::{Outcome as End, Request};
use crate::report::Hub;

/// Takes back what a run made, in reverse.
///
/// Each step is undone after all that rest on it. Can be continued when it is cut off. Answers 0 when it took back all that it was asked
/// to, else 23.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// The step that stays, with everything it needs.
    #[arg(long, value_name = "STEP")]
    pub to: Option<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON envelope a line.
    #[arg(long)]
    pub json: bool,
}

/// Rolls back.
pub fn rollback(app: &App, args: &Args) -> Outcome {
    let (journal, run) = app.existing(args.run.as_deref())?;
    let (plan, state) = app.backend(journal, Hub::new()).look(&run)?;
    let request = Request::Rollback { by: app.user(), to: args.to.clone() };
    state.check_request(&request).map_err(|refusal| {
        let failure = Failure::usage(refusal.message);
        match refusal.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    if !args.yes && !args.json {
        let what = state.to_undo(args.to.as_deref());
        let names: Vec<&str> = what.iter().map(|step| plan.step(*step).id.as_str()).collect();
        let list = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        if app.ui.interactive {
            if !app.ui.confirm(&format!("Take back {list} of run {run}?"))? {
                return Err(Failure::new(21, "nothing was taken back"));
            }
        } else {
            return Err(Failure::usage("a rollback must be confirmed").hint(format!("it would take back: {list}")).hint("add `--yes`"));
        }
    }
    let how = Drive { by: app.user(), ..Drive::default() };
    let code = drive::resume(app, &run, &[request], &how, Show { json: args.json })?;
    // A rolled-back run has failed; a rollback that a person asked for has not.
    let all = code == End::RolledBack.exit_code() || args.to.is_some() && code == End::Stopped.exit_code();
    Ok(if all { 0 } else { code })
}
