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
    /// Wait this long for a lock that another run holds.
    #[arg(long, value_name = "DURATION")]
    pub wait_lock: Option<String>,
}

/// Rolls back.
pub fn rollback(app: &App, args: &Args) -> Outcome {
    let wait_for_lock = drive::duration("wait-lock", args.wait_lock.as_deref())?;
    let (journal, run) = app.existing(args.run.as_deref())?;
    let (plan, state) = app.backend(journal.clone(), Hub::new()).look(&run)?;
    let request = Request::Rollback { by: app.user(), to: args.to.clone() };
    state.check_request(&request).map_err(|refusal| {
        let failure = Failure::usage(refusal.message);
        match refusal.hint {
            Some(hint) => failure.hint(hint.replace("RUN", run.as_str())),
            None => failure,
        }
    })?;
    if !args.yes {
        let what = state.to_undo(args.to.as_deref());
        let names: Vec<&str> = what.iter().map(|step| plan.step(*step).id.as_str()).collect();
        let list = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        // Whoever reads data is no person that could be asked.
        if app.ui.interactive && !args.json {
            if !app.ui.confirm(&format!("Take back {list} of run {run}?"))? {
                return Err(Failure::new(21, "nothing was taken back"));
            }
        } else {
            let to = args.to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
            let confirmed = format!("`formula rollback {run}{to} --yes` does it");
            return Err(Failure::usage("a rollback must be confirmed")
                .hint(format!("it would take back: {list}"))
                .hint(confirmed)
                .of(&run));
        }
    }
    let how = Drive { by: app.user(), wait_for_lock, ..Drive::default() };
    let show = Show { json: args.json };
    let mut verdict = drive::resume(app, &run, &[request], &how, show)?;
    // A rolled-back run has failed; a rollback that a person asked for and that took back all of it has not.
    let all = match (verdict.outcome, &args.to) {
        (End::RolledBack, _) => true,
        (End::Stopped, Some(to)) => app.backend(journal, Hub::new()).look(&run)?.1.to_undo(Some(to)).is_empty(),
        _ => false,
    };
    if all {
        verdict.exit = 0;
    }
    drive::end(app, show, verdict, "done")
}
