//! What the journal tells of each step beside its state: how often, how long, what for.

use std::collections::HashMap;

use formula_steps::contract::{Change, Probe};

use crate::model::{Envelope, Event, Timestamp};

/// The story of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Story {
    /// Attempts that began.
    pub attempts: u32,
    /// When the newest attempt or undo began, while it lasts.
    pub since: Option<Timestamp>,
    /// How long the newest attempt took.
    pub took_ms: Option<u64>,
    /// What the probe said would change.
    pub changes: Vec<Change>,
    /// What an open gate asks.
    pub prompt: Option<String>,
    /// Who decided or settled it, and why.
    pub word: Option<String>,
}

/// The stories of all steps that something was said of.
pub fn stories(entries: &[Envelope]) -> HashMap<String, Story> {
    let mut stories: HashMap<String, Story> = HashMap::new();
    for envelope in entries {
        let Some(step) = envelope.event.step() else { continue };
        if !stories.contains_key(step) {
            stories.insert(step.to_owned(), Story::default());
        }
        if let Some(story) = stories.get_mut(step) {
            story.take(&envelope.event, envelope.at);
        }
    }
    stories
}

impl Story {
    fn take(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::StepProbed { probe: Probe::Absent { changes, .. }, .. } if self.attempts == 0 => self.changes.clone_from(changes),
            Event::AttemptStarted { attempt, .. } => {
                self.attempts = *attempt;
                self.since = Some(at);
            }
            Event::AttemptWithdrawn { attempt, .. } => {
                self.attempts = attempt.saturating_sub(1);
                self.since = None;
            }
            Event::AttemptSucceeded { .. } | Event::AttemptFailed { .. } => self.took_ms = self.since.take().map(|since| at.since(since)),
            Event::UndoStarted { .. } => self.since = Some(at),
            Event::UndoSucceeded { .. } | Event::UndoFailed { .. } => self.since = None,
            Event::GateOpened { prompt, .. } => self.prompt = Some(prompt.clone()),
            Event::StepSkipped { reason, .. } => self.word = Some(reason.clone()),
            Event::StepSettled { by, reason, .. } => self.word = Some(format!("{by}: {reason}")),
            Event::GateDecided { approved, by, reason, .. } => {
                let what = if *approved { "approved" } else { "denied" };
                let why = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
                self.word = Some(format!("{what} by {by}{why}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JOURNAL_VERSION, Payload, ProbeReason, RunId};
    use formula_steps::contract::Class;

    #[test]
    fn attempts_are_counted_and_timed() {
        let step = || "a".to_owned();
        let probe = Probe::Absent { before: Payload::Value(1.into()), changes: vec![Change::new("make it")] };
        let events = [
            (0, Event::StepProbed { step: step(), reason: ProbeReason::Ready, probe, params: None, one_way: false }),
            (10, Event::AttemptStarted { step: step(), attempt: 1 }),
            (30, Event::AttemptFailed { step: step(), attempt: 1, class: Class::Transient, message: "no".into(), hint: None }),
            (40, Event::AttemptStarted { step: step(), attempt: 2 }),
            (45, Event::AttemptSucceeded { step: step(), attempt: 2, output: Payload::Value(2.into()), one_way: false }),
            (50, Event::AttemptStarted { step: step(), attempt: 3 }),
            (50, Event::AttemptWithdrawn { step: step(), attempt: 3 }),
        ];
        let entries: Vec<Envelope> = events
            .into_iter()
            .zip(1..)
            .map(|((at, event), seq)| Envelope { v: JOURNAL_VERSION, run: RunId("R".into()), seq, at: Timestamp(at), event })
            .collect();
        let story = &stories(&entries)["a"];
        assert_eq!((story.attempts, story.took_ms, story.since), (2, Some(5), None));
        assert_eq!(story.changes[0].summary, "make it");
    }
}
