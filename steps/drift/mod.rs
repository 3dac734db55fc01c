//! Survey of a box: has it drifted from what its release, its configuration and its records say?
//!
//! Eighteen checks, each a function over what was gathered once through the ports. All of them look only, all run, and each tells what
//! it saw, how bad that is, and what mends it. What kind of box it is says `box.toml`; the checks know none of its names.
//! Knows the contract and the ports. Must not know any kind of step, and does not decide what follows from a blocker.

mod agents;
mod checks;
mod clones;
mod facts;
mod finding;
mod git;
mod kind_of_box;
mod looks;
mod running;
mod subject;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use finding::{Finding, Severity, Status};
pub use kind_of_box::{KindOfBox, SHIPPED};
pub use subject::{Readings, Subject};

use crate::contract::{Context, StepError};
use facts::Facts;
use kind_of_box::Services;

/// Checks of which three blockers together make a box stale.
const STALE: [&str; 4] = ["d7", "d10", "d11", "d13"];

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every check, in order.
    pub checks: Vec<Finding>,
    /// Too far gone to be upgraded: the reset comes first.
    pub stale: bool,
    /// The reset, in order.
    pub reset: Vec<ResetStep>,
    /// What was read on the way.
    pub readings: Readings,
    /// Which description of a box was used.
    pub described_by: String,
}

/// A step of the reset and whether it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResetStep {
    /// Its id.
    pub step: String,
    /// What is done.
    pub title: String,
    /// Whether nothing is left to do.
    pub done: bool,
    /// The place in the runbook.
    pub runbook: Option<String>,
}

impl Report {
    /// What stands in the way.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().filter(|finding| finding.blocks())
    }

    /// Everything that stands in the way as one refusal, with the reset where the box is stale; none where nothing does.
    pub fn refusal(&self) -> Option<StepError> {
        let blockers: Vec<&Finding> = self.blockers().collect();
        if blockers.is_empty() {
            return None;
        }
        let line = |finding: &&Finding| {
            let remedy =
                if finding.remedy.is_empty() { String::new() } else { format!("\n    {}", finding.remedy.replace('\n', "\n    ")) };
            format!("{} {}: {}{remedy}", finding.id, finding.title, finding.evidence)
        };
        let mut told: Vec<String> = blockers.iter().map(line).collect();
        if self.stale {
            told.push(format!("the box is stale; bring it back to a known state first:\n{}", self.reset_lines().join("\n")));
        }
        let what = crate::kit::text::count(blockers.len(), "blocker");
        let error = StepError::refused(format!("the box has {what}:\n- {}", told.join("\n- ")));
        let ids: Vec<&str> = blockers.iter().map(|finding| finding.id.as_str()).collect();
        let hint = "`formula doctor` shows every check";
        Some(error.hint(match (self.stale, self.reset.first().and_then(|step| step.runbook.as_ref())) {
            (true, Some(runbook)) => format!("{hint}; {} tells the steps", runbook.split('#').next().unwrap_or(runbook)),
            _ => format!("{hint}; what is meant to be so can be accepted by its id ({})", ids.join(", ")),
        }))
    }

    /// The reset for people, a line each: number, whether it is done, what it is, where it is told.
    pub fn reset_lines(&self) -> Vec<String> {
        let line = |(number, step): (usize, &ResetStep)| {
            let done = if step.done { "done" } else { "to do" };
            let place = step.runbook.as_ref().map(|place| format!("  ({place})")).unwrap_or_default();
            format!("  {number}. [{done:5}] {}{place}", step.title)
        };
        self.reset.iter().enumerate().map(|(at, step)| line((at + 1, step))).collect()
    }
}

/// Looks at everything.
///
/// # Errors
/// Where the description of the box cannot be used, a path leaves the working directory, or `accept` names no check; and when the run is
/// asked to stop. Whatever else goes wrong is a finding.
pub async fn survey(cx: &Context, subject: &Subject) -> Result<Report, StepError> {
    if let Some(problem) = subject.problems().into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let (kind, described_by) = KindOfBox::load(cx, &subject.box_file).await?;
    let subject = &subject.with(&kind);
    let facts = cx.unless_cancelled(Facts::gather(cx, subject, kind)).await?;
    let mut checks = checks::all(cx, &facts, subject);
    for finding in &mut checks {
        finding.accepted = subject.accept.contains(&finding.id);
        if finding.status == Status::Drift {
            finding.runbook = facts.kind.anchor(&finding.id);
        }
    }
    let stale = is_stale(&checks);
    let reset = reset(&facts, &checks);
    Ok(Report { checks, stale, reset, readings: facts.readings(subject), described_by })
}

fn is_stale(checks: &[Finding]) -> bool {
    let unknown = checks.iter().any(|finding| finding.unknown && !finding.accepted);
    let blockers = checks.iter().filter(|finding| STALE.contains(&finding.id.as_str()) && finding.blocks());
    unknown || blockers.count() >= 3
}

fn reset(facts: &Facts, checks: &[Finding]) -> Vec<ResetStep> {
    let clean = |id: &String| !checks.iter().any(|finding| finding.id == *id && (finding.drifts() || finding.status == Status::Skipped));
    let running = facts.running();
    let step = |step: &kind_of_box::Reset| {
        let services = match step.services {
            None => true,
            Some(Services::Down) => running == Some(0),
            Some(Services::Up) => running.is_some_and(|running| running > 0),
        };
        let runbook = (!facts.kind.runbook.is_empty()).then(|| format!("{}#{}", facts.kind.runbook, step.id));
        ResetStep { step: step.id.clone(), title: step.title.clone(), done: services && step.checks.iter().all(clean), runbook }
    };
    facts.kind.reset.iter().map(step).collect()
}
