//! What screens need to know of a run, folded from its envelopes once for all of them.

use std::collections::HashMap;

use formula_steps::contract::{Class, Probe};

use super::FindPlan;
use super::outline::Outline;
use crate::model::{Envelope, Event, Outcome, Payload, RunId, Timestamp};

/// A step as a screen shows it.
#[derive(Debug, Clone, Default)]
pub struct StepView {
    /// The running attempt.
    pub attempt: u32,
    /// When that attempt began.
    pub since: Option<Timestamp>,
    /// What the probe said would change.
    pub change: Option<String>,
    /// Whether it failed last.
    pub failed: Option<Class>,
}

/// A run as a screen shows it.
pub struct View {
    find_plan: FindPlan,
    /// The run.
    pub run: Option<RunId>,
    /// Its formula.
    pub formula: String,
    /// What is said of its steps, once its plan is known and found.
    pub outline: Outline,
    /// When it started.
    pub started: Option<Timestamp>,
    /// The newest envelope.
    pub now: Timestamp,
    /// How it stands.
    pub outcome: Option<Outcome>,
    /// Steps that something was said of.
    pub steps: HashMap<String, StepView>,
    /// Steps that are over.
    pub over: usize,
}

impl View {
    /// Knows nothing yet.
    pub fn new(find_plan: FindPlan) -> Self {
        Self {
            find_plan,
            run: None,
            formula: String::new(),
            outline: Outline::default(),
            started: None,
            now: Timestamp(0),
            outcome: None,
            steps: HashMap::new(),
            over: 0,
        }
    }

    /// Takes in an envelope. Call after the line for it is made: lines tell what was so before.
    pub fn take(&mut self, envelope: &Envelope) {
        self.now = envelope.at;
        self.run.get_or_insert_with(|| envelope.run.clone());
        match &envelope.event {
            Event::RunStarted { formula, plan, .. } => self.started(formula, plan, envelope.at),
            Event::RunResumed { .. } => self.outcome = None,
            Event::PlanReplaced { plan, .. } => {
                if let Some(outline) = self.find(plan) {
                    self.outline = outline;
                }
            }
            Event::StepProbed { step, probe, .. } => self.probed(step, probe),
            Event::AttemptStarted { step, attempt } => self.attempt(step, *attempt, envelope.at),
            Event::AttemptSucceeded { step, .. } | Event::StepSkipped { step, .. } => {
                self.over += 1;
                self.step(step).failed = None;
            }
            Event::AttemptFailed { step, class, .. } => self.step(step).failed = Some(*class),
            Event::UndoStarted { step } => self.step(step).since = Some(envelope.at),
            Event::RunFinished { outcome, .. } => self.outcome = Some(*outcome),
            _ => {}
        }
    }

    /// The step of that id.
    pub fn step(&mut self, id: &str) -> &mut StepView {
        if !self.steps.contains_key(id) {
            self.steps.insert(id.to_owned(), StepView::default());
        }
        self.steps.get_mut(id).expect("it was just inserted")
    }

    /// Milliseconds since the step's attempt or undo began.
    pub fn elapsed(&self, step: &str, now: Timestamp) -> Option<u64> {
        self.steps.get(step)?.since.map(|since| now.since(since))
    }

    fn started(&mut self, formula: &str, plan: &Payload, at: Timestamp) {
        formula.clone_into(&mut self.formula);
        self.started = Some(at);
        self.outline = self.find(plan).unwrap_or_default();
    }

    fn find(&self, plan: &Payload) -> Option<Outline> {
        match plan {
            Payload::Blob { digest, .. } => (self.find_plan)(digest).map(|plan| Outline::read(&plan)),
            Payload::Value(value) => Some(Outline::read(value.to_string().as_bytes())),
        }
    }

    fn probed(&mut self, step: &str, probe: &Probe<Payload, Payload>) {
        match probe {
            Probe::Absent { changes, .. } => self.step(step).change = changes.first().map(|change| change.summary.clone()),
            Probe::Present { .. } => self.over += 1,
            _ => {}
        }
    }

    fn attempt(&mut self, step: &str, attempt: u32, at: Timestamp) {
        let view = self.step(step);
        view.attempt = attempt;
        view.since = Some(at);
    }
}
