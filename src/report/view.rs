//! What screens need to know of a run, folded from its envelopes once for all of them.

use std::collections::{HashMap, VecDeque};

use formula_steps::contract::{Class, Probe};

use super::FindPlan;
use super::outline::Outline;
use super::style::clean;
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
    /// Whether an attempt or its undo is in flight.
    pub running: bool,
    /// The last lines of its output that were shown as they came.
    pub printed: VecDeque<String>,
}

/// Lines of output that are remembered as shown: more than a failure quotes.
const PRINTED: usize = 64;
/// Characters that a failure quotes of a line.
const QUOTED: usize = 200;

impl StepView {
    /// Remembers that those lines were shown.
    pub fn print(&mut self, lines: &[String]) {
        self.printed.extend(lines.iter().map(|line| quoted(line)).filter(|line| !line.is_empty()));
        let over = self.printed.len().saturating_sub(PRINTED);
        self.printed.drain(..over);
    }

    /// Whether those lines are the last that were shown.
    pub fn has_shown(&self, lines: &[&str]) -> bool {
        let shown = self.printed.iter().rev();
        lines.len() <= self.printed.len() && lines.iter().rev().zip(shown).all(|(line, shown)| quoted(line) == *shown)
    }
}

/// A line as a failure quotes it.
fn quoted(line: &str) -> String {
    let line: String = line.trim_end().chars().take(QUOTED).collect();
    clean(&line)
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
                self.step(step).running = false;
            }
            Event::AttemptFailed { step, class, .. } => {
                self.step(step).failed = Some(*class);
                self.step(step).running = false;
            }
            Event::AttemptWithdrawn { step, .. } | Event::UndoSucceeded { step } | Event::UndoFailed { step, .. } => {
                self.step(step).running = false;
            }
            Event::UndoStarted { step } => {
                let view = self.step(step);
                (view.since, view.running) = (Some(envelope.at), true);
                view.printed.clear();
            }
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
        view.running = true;
        view.printed.clear();
    }

    /// The steps that are in flight, by name.
    pub fn running(&self) -> Vec<&str> {
        let mut running: Vec<&str> = self.steps.iter().filter(|(_, step)| step.running).map(|(id, _)| id.as_str()).collect();
        running.sort_unstable();
        running
    }
}
