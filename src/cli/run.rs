//! `formula run NAME`: the same command again converges.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use super::answer;
use super::app::App;
use super::drive::{self, Show};
use super::failure::{Failure, Outcome};
use super::load;
use super::typed;
use super::vars::{self, Parsed};
use crate::backend::{Backend as _, Drive};
use crate::journal::{Journal as _, MemoryJournal, RunRecord};
use crate::model::{Outcome as End, Plan, Verdict};
use crate::report::Hub;
use crate::syntax::duration;

/// Runs a formula; the same command again carries on.
///
/// Its vars are flags: `formula run NAME --help` lists them. An unfinished run of the same formula and vars is resumed, a finished one is
/// looked at and found done, one that was rolled back starts anew.
///
/// A var is taken from the first of these that has it: its flag, `--set`, `--vars`, the environment (`FORMULA_VAR_NAME`), its default.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    override_usage = "formula run NAME [--VAR VALUE]… [--set K=V] [--vars FILE] [--key KEY] [--fresh] [--wait] [--yes] [--json] [--timeout D]"
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
    if !options.fresh
        && let Some(record) = same(app, &plan)?
    {
        match record.outcome {
            Some(End::Done) => {
                if let Some(code) = still_done(app, &record, show)? {
                    return Ok(code);
                }
            }
            Some(End::Refused | End::RolledBack | End::Stopped) => {}
            Some(End::Held | End::RollbackIncomplete | End::Interrupted | End::Terminated) | None => {
                app.ui.status(&format!("carrying on with run {}", record.run));
                let how = how(app, &options)?;
                let code = drive::resume(app, &record.run, &[], &how, show)?;
                return answer::open_gates(app, &record.run, code, options.yes, &how, show);
            }
        }
    }
    if let Some(path) = &options.plan {
        fresh_enough(app, &plan, path)?;
    }
    let how = how(app, &options)?;
    let journal = app.journal_or_new()?;
    let started = std::cell::RefCell::new(None);
    let code = drive::drive(app, journal, show, drive::Extent { steps: plan.steps.len(), over: 0 }, async |backend| {
        let (run, verdict) = backend.start(plan, options.key, &how).await?;
        *started.borrow_mut() = Some(run);
        Ok(verdict)
    })?;
    match started.into_inner() {
        Some(run) => answer::open_gates(app, &run, code, options.yes, &how, show),
        None => Ok(code),
    }
}

fn how(app: &App, options: &vars::Options) -> Result<Drive, Failure> {
    let given = |name: &str, text: &Option<String>| -> Result<Option<Duration>, Failure> {
        let Some(text) = text else { return Ok(None) };
        duration::parse(text).map(Some).map_err(|why| Failure::usage(format!("`--{name} {text}`: {why}")))
    };
    Ok(Drive {
        by: app.user(),
        wait_for_gates: options.wait,
        deadline: given("timeout", &options.timeout)?,
        wait_for_lock: given("wait-lock", &options.wait_lock)?,
    })
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
    drive::print_verdict(app, show, &record.run, &verdict, "nothing to do");
    Ok(Some(verdict.exit))
}

/// Refuses a saved plan that is not what would be done now, and names what moved.
fn fresh_enough(app: &App, plan: &Plan, path: &str) -> Result<(), Failure> {
    let path = app.workdir.join(path);
    let bad = |why: String| {
        Failure::new(11, format!("`{}` cannot be applied: {why}", path.display())).hint("make a new one with `formula plan -o FILE`")
    };
    let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    let saved: SavedPlan = serde_json::from_str(&text).map_err(|error| bad(format!("it is no plan: {error}")))?;
    if saved.plan.fingerprint != plan.fingerprint {
        return Err(bad("it was made for other vars".into()));
    }
    if saved.plan.formula_digest != plan.formula_digest {
        return Err(bad("the formula was edited since".into()));
    }
    let backend = app.backend(Arc::new(MemoryJournal::new()), Hub::new());
    let runtime = app.runtime()?;
    let now = runtime.block_on(backend.preview(plan.clone()))?;
    runtime.shutdown_background();
    let now = serde_json::to_value(&now).map_err(|error| bad(error.to_string()))?;
    let steps = |preview: &serde_json::Value| preview["steps"].as_array().cloned().unwrap_or_default();
    let moved = steps(&saved.preview).into_iter().zip(steps(&now)).find(|(was, is)| was != is);
    match moved {
        Some((_, is)) => Err(bad(format!(
            "step `{}` would do something else now ({})",
            is["step"].as_str().unwrap_or("?"),
            is["verdict"].as_str().unwrap_or("?")
        ))),
        None => Ok(()),
    }
}

/// What `formula plan -o FILE` wrote.
#[derive(serde::Deserialize)]
struct SavedPlan {
    plan: Plan,
    preview: serde_json::Value,
}
