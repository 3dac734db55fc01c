//! `formula runs`: history.

use serde_json::{Value, json};

use super::app::App;
use super::failure::Outcome;
use super::table::columns;
use crate::journal::{Holder, Journal, RunRecord, SqliteJournal};
use crate::model::{RunId, Timestamp};

/// Lists runs.
///
/// Those of this state directory, newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs of this formula only.
    #[arg(long, value_name = "NAME")]
    pub formula: Option<String>,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Lists.
pub fn runs(app: &App, args: &Args) -> Outcome {
    let journal = app.journal()?;
    let mut records = match &journal {
        Some(journal) => journal.runs()?,
        None => Vec::new(),
    };
    records.retain(|run| args.formula.as_ref().is_none_or(|formula| run.formula == *formula));
    let mut rows = Vec::with_capacity(records.len());
    let mut data: Vec<Value> = Vec::new();
    for run in &records {
        let driver = match &journal {
            Some(journal) => driver(app, journal, run)?,
            None => None,
        };
        let stands = stands(run, driver.as_ref());
        if args.json {
            let mut line = json!(run);
            line["state"] = stands.into();
            data.push(line);
        } else {
            let changed = if run.changed { "changed" } else { "" };
            let key = run.key.as_ref().map_or_else(String::new, |key| format!("key {key}"));
            rows.push(vec![run.run.to_string(), run.formula.clone(), seconds(run.started), stands.to_owned(), changed.to_owned(), key]);
        }
    }
    if args.json {
        app.ui.line(&json!({ "v": 1, "runs": data }).to_string());
        return Ok(0);
    }
    for line in columns(&rows) {
        app.ui.line(&line);
    }
    if rows.is_empty() {
        let of = args.formula.as_ref().map_or_else(String::new, |formula| format!(" of `{formula}`"));
        app.ui.status(&format!("there is no run{of} here yet; `formula run NAME` starts one"));
    }
    Ok(0)
}

/// How a run stands, in a word.
pub fn stands(run: &RunRecord, driver: Option<&Holder>) -> &'static str {
    match (run.outcome, driver) {
        (Some(outcome), _) => outcome.as_str(),
        (None, Some(_)) => "running",
        (None, None) => "cut_off",
    }
}

/// Who drives a run that is not finished, as far as this machine can tell.
pub fn driver(app: &App, journal: &SqliteJournal, run: &RunRecord) -> Result<Option<Holder>, crate::journal::Error> {
    if run.outcome.is_some() { Ok(None) } else { holder(app, journal, &run.run) }
}

/// Who holds the right to drive a run, unless that process is gone.
pub fn holder(app: &App, journal: &SqliteJournal, run: &RunId) -> Result<Option<Holder>, crate::journal::Error> {
    let holder = journal.holder(run)?;
    Ok(holder.filter(|holder| holder.host != app.holder().host || is_alive(holder.pid)))
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    // Somebody else's process may not be signalled, but it is there.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// A time to the second.
pub fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |text| format!("{text}Z"))
}
