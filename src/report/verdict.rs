//! The last word on a run, for programs and for people.

use serde_json::json;

use super::lines::sign;
use super::style::Style;
use crate::model::{Outcome, RunId, Verdict};

/// The last line of `--json`.
pub fn verdict_json(run: &RunId, verdict: &Verdict) -> String {
    json!({ "v": 1, "run": run.as_str(), "verdict": verdict }).to_string()
}

/// The last lines for a person; `done` is the word for a run that is done.
pub fn verdict_lines(run: &RunId, verdict: &Verdict, done: &str, style: Style) -> Vec<String> {
    // A rollback that a person asked for, and that did all of it.
    let asked = verdict.exit == 0 && verdict.outcome != Outcome::Done;
    let what = match verdict.outcome {
        Outcome::Done if verdict.changed => done.to_owned(),
        Outcome::Done => format!("{done}: nothing was changed"),
        Outcome::Refused => "refused before anything was changed".to_owned(),
        Outcome::Held => "held: needs a person".to_owned(),
        Outcome::Stopped if asked => "taken back, down to the step that stays".to_owned(),
        Outcome::Stopped => "stopped on request".to_owned(),
        Outcome::RolledBack if verdict.failed_step.is_some() && !asked => "failed, and everything it made is taken back".to_owned(),
        Outcome::RolledBack => "rolled back: everything it made is taken back".to_owned(),
        Outcome::RollbackIncomplete => "failed, and not everything could be taken back".to_owned(),
        Outcome::Interrupted => "interrupted".to_owned(),
        Outcome::Terminated => "terminated".to_owned(),
    };
    let sign = if asked { style.good("✓") } else { sign(verdict.outcome, style) };
    let mut lines = vec![format!("{sign} {} {}", style.bold(&what), style.dim(&format!("run {run}")))];
    if verdict.exit != 0
        && let Some(step) = &verdict.failed_step
    {
        let message =
            verdict.message.as_deref().and_then(|message| message.lines().next()).map(|line| style.clean(line)).unwrap_or_default();
        let class = verdict.class.map_or_else(String::new, |class| format!(" ({})", class.as_str()));
        lines.push(format!("  at step `{step}`{class}: {message}"));
    }
    if verdict.outcome != Outcome::Done && verdict.one_way_crossed {
        lines.push("  something was done that cannot be taken back".to_owned());
    }
    for (index, next) in verdict.next.iter().enumerate() {
        let lead = if index == 0 { "next:" } else { "  or:" };
        lines.push(format!("  {} {next}", style.paint(lead, "36")));
    }
    if let Some(runbook) = verdict.runbook.as_ref().filter(|_| verdict.exit != 0) {
        lines.push(format!("  {} {runbook}", style.dim("about this step:")));
    }
    lines
}
