//! `formula run NAME`: the same command again converges.

use std::ffi::OsString;
use std::sync::Arc;

use super::answer;
use super::app::App;
use super::drive::{self, Show};
use super::failure::{Failure, Outcome};
use super::load;
use super::saved::Saved;
use super::typed;
use super::vars::{self, Parsed};
use crate::backend::{Backend as _, Drive};
use crate::journal::{Journal, RunRecord};
use crate::model::{Outcome as End, Plan, Verdict};
use crate::report::Hub;

/// Runs a formula; the same command again carries on.
///
/// Its vars are flags: `formula run NAME --help` lists them. An unfinished run of the same formula and vars is resumed, a finished one is
/// looked at and found done. One that was rolled back starts anew, and so does one that a person cancelled before anything was done that cannot
/// be taken back.
///
/// A var is taken from the first of these that has it: its flag, `--set`, `--vars`, the environment (`FORMULA_VAR_NAME`), its default.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    override_usage = "formula run NAME [--VAR VALUE]… [--set K=V] [--vars FILE] [--key KEY] [--fresh] [--wait] [--yes] [--json] [--plan FILE] [--timeout D] [--wait-lock D]"
)]
pub struct Args {
    /// Name or path of the formula, its vars as flags, and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "NAME AND FLAGS")]
    pub rest: Vec<OsString>,
}

/// Runs.
pub fn run(app: &App, args: &Args) -> Outcome {
    let Some(Parsed { name, formula, given, options, app }) = vars::parse(app, "run", &args.rest)? else { return Ok(0) };
    let app = &app;
    let mut plan = load::plan(app, &formula, &given, options.key.as_deref(), options.lenient)?;
    plan.command = Some(typed::command(&name, &formula, &given, plan.inputs(), options.key.as_deref()));
    drop(formula);
    let show = Show { json: options.json };
    let how = how(app, &options)?;
    let saved = options.plan.as_deref().map(|path| Saved::read(app, &plan, path)).transpose()?;
    if !options.fresh
        && let Some(record) = same(app, &plan)?
    {
        match standing(app, &record)? {
            Standing::Done => {
                if let Some(code) = still_done(app, &record, show)? {
                    return Ok(code);
                }
            }
            Standing::Anew => {}
            Standing::On(begun) => {
                if let Some(saved) = &saved {
                    saved.is_of(app, &record.run, &begun)?;
                }
                app.ui.status(&format!("carrying on with run {}", record.run));
                let verdict = drive::resume(app, &record.run, &[], &how, show)?;
                let verdict = answer::open_gates(app, verdict, options.yes, &how, show)?;
                return drive::end(app, show, verdict, "done");
            }
        }
    }
    if let Some(saved) = &saved {
        saved.is_fresh(app, &plan)?;
    }
    let journal = app.journal_or_new()?;
    let extent = drive::Extent { steps: plan.steps.len(), over: 0 };
    let verdict =
        drive::drive(app, journal, show, extent, async |backend| backend.start(plan, options.key, &how).await.map(|(_, verdict)| verdict))?;
    let verdict = answer::open_gates(app, verdict, options.yes, &how, show)?;
    drive::end(app, show, verdict, "done")
}

fn how(app: &App, options: &vars::Options) -> Result<Drive, Failure> {
    Ok(Drive {
        by: app.user(),
        wait_for_gates: options.wait,
        deadline: drive::duration("timeout", options.timeout.as_deref())?,
        wait_for_lock: drive::duration("wait-lock", options.wait_lock.as_deref())?,
    })
}

/// What the same command does with a run that is there.
enum Standing {
    /// Looks whether all is still so.
    Done,
    /// Leaves it alone and starts a new one.
    Anew,
    /// Carries it on, with the plan that it has.
    On(Arc<Plan>),
}

fn standing(app: &App, record: &RunRecord) -> Result<Standing, Failure> {
    match record.outcome {
        Some(End::Done) => return Ok(Standing::Done),
        Some(End::Refused | End::RolledBack) => return Ok(Standing::Anew),
        _ => {}
    }
    let journal: Arc<dyn Journal> = match app.journal()? {
        Some(journal) => journal,
        None => return Ok(Standing::Anew),
    };
    let (plan, state) = app.backend(journal, Hub::new()).look(&record.run)?;
    Ok(if state.starts_anew() { Standing::Anew } else { Standing::On(plan) })
}

/// The newest run of the same formula with the same vars.
fn same(app: &App, plan: &Plan) -> Result<Option<RunRecord>, Failure> {
    let Some(journal) = app.journal()? else { return Ok(None) };
    Ok(journal.runs()?.into_iter().find(|run| run.fingerprint == plan.fingerprint && run.workdir == plan.workdir))
}

/// Whether a finished run is still what its steps made. The exit code if so; None if something is missing now.
fn still_done(app: &App, record: &RunRecord, show: Show) -> Result<Option<u8>, Failure> {
    let Some(journal) = app.journal()? else { return Ok(None) };
    let hub = Hub::new();
    let backend = app.backend(journal, hub);
    let (_, state) = backend.look(&record.run)?;
    let moved = app.runtime()?.block_on(backend.moved(&record.run))?;
    if let Some(moved) = moved {
        app.ui.status(&format!("run {} was done, but step `{}` has to act again: {}", record.run, moved.step, moved.why));
        return Ok(None);
    }
    let verdict = Verdict { changed: false, ..state.verdict(&record.run) };
    drive::end(app, show, verdict, "nothing to do").map(Some)
}
