//! One line, or a few, per event; one small function each.

use formula_steps::contract::{Class, Probe};

use super::style::{Style, duration};
use super::view::View;
use crate::model::{Envelope, Event, Outcome, Payload, ProbeReason, SettleAnswer, Timestamp};

/// What a line is about, so that a renderer can leave it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Something begins.
    Begin(String),
    /// Something ended or must be seen.
    End(String),
}

impl Line {
    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Self::Begin(text) | Self::End(text) => text,
        }
    }
}

/// Makes lines; knows what was so before.
pub struct Lines<'a> {
    /// What is known so far.
    pub view: &'a View,
    /// The look.
    pub style: Style,
}

impl Lines<'_> {
    /// The lines for an envelope.
    pub fn of(&self, envelope: &Envelope) -> Vec<Line> {
        match &envelope.event {
            Event::RunStarted { formula, .. } => {
                vec![Line::End(format!("{} {formula} {}", self.style.bold("run"), self.style.dim(envelope.run.as_str())))]
            }
            Event::RunResumed { by, .. } => {
                vec![Line::End(format!("{} {} {}", self.style.bold("resumed"), envelope.run, self.style.dim(&format!("by {by}"))))]
            }
            Event::PlanReplaced { .. } => vec![Line::End(format!("{} from here on", self.style.bold("mended formula")))],
            Event::StepProbed { step, probe, reason, .. } => self.probed(step, probe, *reason),
            Event::AttemptStarted { step, attempt } => vec![self.began(step, *attempt)],
            Event::AttemptSucceeded { step, .. } => vec![self.succeeded(step, envelope.at)],
            Event::AttemptFailed { step, class, message, hint, .. } => self.failed(step, *class, message, hint.as_deref(), envelope.at),
            Event::RetryScheduled { step, attempt, at } => vec![self.retry(step, *attempt, at.since(envelope.at))],
            Event::StepSkipped { step, reason } => {
                vec![Line::End(format!("{} {step}  {}", self.style.dim("-"), self.style.dim(&format!("skipped: {reason}"))))]
            }
            Event::StepSettled { step, answer, by, reason, .. } => vec![self.settled(step, *answer, by, reason)],
            Event::GateOpened { step, prompt, until, .. } => self.gate(step, prompt, *until, envelope),
            Event::GateDecided { step, approved, by, .. } => vec![self.decided(step, *approved, by)],
            Event::CancelRequested { by, now } => vec![self.stopping(by, *now)],
            Event::RollbackRequested { by, .. } if by == "formula" => {
                vec![Line::End(format!("{} as the formula says: on_failure = \"rollback\"", self.style.warn("rolling back")))]
            }
            Event::RollbackRequested { by, .. } => vec![Line::End(format!("{} asked for by {by}", self.style.warn("rolling back")))],
            Event::RedoRequested { by, steps } => {
                vec![Line::End(format!("{} {} asked for by {by}", self.style.bold("doing again"), steps.join(", ")))]
            }
            Event::UndoStarted { step } => vec![Line::Begin(format!("{} {step}  taking back", self.style.dim("↩")))],
            Event::UndoSucceeded { step } => {
                vec![Line::End(format!("{} {step}  taken back{}", self.style.good("↩"), self.took(step, envelope.at)))]
            }
            Event::UndoFailed { step, class, message, hint } => self.undo_failed(step, *class, message, hint.as_deref()),
            Event::RunFinished { .. } | Event::CheckpointSaved { .. } | Event::AttemptWithdrawn { .. } => Vec::new(),
        }
    }

    /// Who stops the run, what is waited for, and how not to wait.
    fn stopping(&self, by: &str, now: bool) -> Line {
        let running = self.view.running();
        let (first, more) = (running.first().map(|step| format!("`{step}`")), running.len().saturating_sub(1));
        let wait =
            first.filter(|_| !now || by.starts_with("SIG")).map(|step| if more > 0 { format!("{step} and {more} more") } else { step });
        let wait = wait.map_or_else(String::new, |steps| match by {
            "SIGINT" => format!(": up to 10 s for {steps} to end; Ctrl-C again does not wait"),
            "SIGTERM" | "SIGHUP" => format!(": up to 10 s for {steps} to end"),
            _ => format!(": once {steps} has ended; `formula cancel` again does not wait"),
        });
        Line::End(format!("{} by {by}{wait}", self.style.warn("stopping")))
    }

    fn took(&self, step: &str, now: Timestamp) -> String {
        self.view.elapsed(step, now).map_or_else(String::new, |millis| format!("  {}", self.style.dim(&duration(millis))))
    }

    fn began(&self, step: &str, attempt: u32) -> Line {
        let again = if attempt > 1 { format!("  attempt {attempt}") } else { String::new() };
        Line::Begin(format!("{} {step}{again}", self.style.dim("▸")))
    }

    fn succeeded(&self, step: &str, now: Timestamp) -> Line {
        let change = self.view.steps.get(step).and_then(|view| view.change.as_deref());
        let change = change.map_or_else(String::new, |change| format!("  {}", self.style.clean(change)));
        Line::End(format!("{} {step}{}{change}", self.style.good("✓"), self.took(step, now)))
    }

    fn probed(&self, step: &str, probe: &Probe<Payload, Payload>, reason: ProbeReason) -> Vec<Line> {
        let line = match (probe, reason) {
            (Probe::Present { .. }, ProbeReason::Ready) => format!("{} {step}  {}", self.style.good("="), self.style.dim("already so")),
            // By what the run did before it was cut off, or by a person after it failed: only the world is known.
            (Probe::Present { .. }, ProbeReason::InDoubt) => format!("{} {step}  found done", self.style.good("✓")),
            (Probe::Diverged { expected, found }, _) => {
                format!("{} {step}  found {}, expected {}", self.style.bad("✗"), self.style.clean(found), self.style.clean(expected))
            }
            (Probe::Unknown { reason: why }, ProbeReason::InDoubt) => {
                format!("{} {step}  cannot tell whether it was done: {}", self.style.warn("?"), self.style.clean(why))
            }
            _ => return Vec::new(),
        };
        vec![Line::End(line)]
    }

    fn failed(&self, step: &str, class: Class, message: &str, hint: Option<&str>, now: Timestamp) -> Vec<Line> {
        let mut rows = message.lines();
        let first = self.style.clean(rows.next().unwrap_or_default());
        let mut rows: Vec<&str> = rows.collect();
        if self.view.steps.get(step).is_some_and(|view| view.has_shown(&rows)) {
            rows.clear();
        }
        let mut lines = vec![Line::End(format!(
            "{} {step}  {}{}",
            self.style.bad("✗"),
            self.style.bad(&format!("{}: {first}", class.as_str())),
            self.took(step, now)
        ))];
        lines.extend(rows.into_iter().map(|row| Line::End(format!("    {}", self.style.clean(row)))));
        lines.extend(self.hint(hint));
        lines
    }

    fn undo_failed(&self, step: &str, class: Class, message: &str, hint: Option<&str>) -> Vec<Line> {
        let text = format!("could not be taken back ({}): {}", class.as_str(), self.style.clean(message));
        let mut lines = vec![Line::End(format!("{} {step}  {}", self.style.bad("✗"), self.style.bad(&text)))];
        lines.extend(self.hint(hint));
        lines
    }

    fn hint(&self, hint: Option<&str>) -> Option<Line> {
        hint.map(|hint| Line::End(format!("    {} {}", self.style.paint("hint:", "36"), self.style.clean(hint))))
    }

    fn retry(&self, step: &str, attempt: u32, wait: u64) -> Line {
        let of = self.view.outline.find(step).map(|fact| fact.attempts);
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        Line::End(format!("{} {step}  attempt {attempt}{of} in {}", self.style.warn("↻"), duration(wait)))
    }

    fn settled(&self, step: &str, answer: SettleAnswer, by: &str, reason: &str) -> Line {
        let what = match answer {
            SettleAnswer::Retry => "to be tried again",
            SettleAnswer::Adopt => "taken as it is",
            SettleAnswer::Skip => "left out",
        };
        Line::End(format!("{} {step}  {what} by {by}: {}", self.style.warn("!"), self.style.clean(reason)))
    }

    fn gate(&self, step: &str, prompt: &str, until: Option<Timestamp>, envelope: &Envelope) -> Vec<Line> {
        let until = until.map_or_else(String::new, |until| format!("  {}", self.style.dim(&format!("until {until}"))));
        let gate = self.view.outline.find(step).and_then(|fact| fact.gate);
        let mut lines = vec![Line::End(format!("{} {step}  {}{until}", self.style.warn("?"), self.style.clean(prompt)))];
        if gate != Some(crate::model::Gate::Wait) {
            lines.push(Line::End(format!("    answer it with `formula approve {} {step}`", envelope.run)));
        }
        lines
    }

    fn decided(&self, step: &str, approved: bool, by: &str) -> Line {
        if approved {
            Line::End(format!(
                "{} {step}  {}",
                self.style.good("✓"),
                if by == "timer" { "over".to_owned() } else { format!("approved by {by}") }
            ))
        } else {
            Line::End(format!(
                "{} {step}  {}",
                self.style.bad("✗"),
                if by == "timer" { "nobody answered in time".to_owned() } else { format!("denied by {by}") }
            ))
        }
    }
}

/// The sign of an outcome.
pub(super) fn sign(outcome: Outcome, style: Style) -> String {
    match outcome {
        Outcome::Done => style.good("✓"),
        Outcome::Held | Outcome::Stopped | Outcome::Interrupted | Outcome::Terminated => style.warn("‖"),
        Outcome::Refused | Outcome::RolledBack | Outcome::RollbackIncomplete => style.bad("✗"),
    }
}
