//! What a rehearsal knows and does beside the run: what goes wrong, what really happened, and how all stood at each moment.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use formula_steps::contract::StepError;
use formula_steps::world::fake::FakeWorld;
use serde_json::Value;

use super::calls::{Calls, Failing};
use super::compare;
use crate::model::{Envelope, Event};

/// What an event says about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// An attempt begins, or a gate opens.
    Start,
    /// It ended.
    End,
    /// Its undo begins.
    UndoStart,
    /// That ended.
    UndoEnd,
}

/// A moment of a run: a batch of events became durable.
#[derive(Clone)]
pub(super) struct Mark {
    pub step: String,
    pub what: What,
    /// Changes of the world so far.
    pub changes: usize,
    /// Entries of the journal before it, and with it.
    pub before: usize,
    pub with: usize,
    /// The world, where moments are kept.
    pub world: Option<FakeWorld>,
    /// What was known beside the run.
    pub known: Known,
}

/// A failure that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Id of the step, or of the `foreach` step that it is an item of.
    pub step: String,
    /// How often; None for always.
    pub left: Option<u32>,
    /// The effect takes place before.
    pub after: bool,
    pub error: StepError,
    /// It strikes calls of a port while the step is at work, not the step.
    pub call: Option<Failing>,
}

/// What outlives the machine because it is no part of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// What steps gave whose work ended well, whether or not that was recorded.
    ended: BTreeMap<String, Value>,
    faults: Vec<Fault>,
}

/// The world as it was when a step had just been recorded as done.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub done: BTreeSet<String>,
    pub world: Value,
}

#[derive(Default)]
struct Inner {
    known: Known,
    calls: Calls,
    undoing: HashSet<String>,
    marks: Vec<Mark>,
    /// Changes of the world before each batch of the journal, and its entries with that batch.
    batches: Vec<(usize, usize)>,
    done: BTreeSet<String>,
    moments: Option<Vec<Moment>>,
    /// Steps that a rollback leaves alone, with the world before each of them that is under way.
    alone: BTreeMap<String, Option<Value>>,
    /// Fields that each of those changed.
    left: BTreeMap<String, Vec<String>>,
}

/// Shared by the journal, the stage and the actors of one theatre.
pub(super) struct Control {
    fake: FakeWorld,
    inner: Mutex<Inner>,
}

/// Whether an id is that of a step, or of an item of it.
pub(super) fn is_of(id: &str, step: &str) -> bool {
    id == step || id.strip_prefix(step).is_some_and(|rest| rest.starts_with('['))
}

fn told(event: &Event) -> Option<(&str, What)> {
    Some(match event {
        Event::AttemptStarted { step, .. } | Event::GateOpened { step, .. } => (step, What::Start),
        Event::AttemptSucceeded { step, .. } | Event::AttemptFailed { step, .. } | Event::GateDecided { step, .. } => (step, What::End),
        Event::UndoStarted { step } => (step, What::UndoStart),
        Event::UndoSucceeded { step } | Event::UndoFailed { step, .. } => (step, What::UndoEnd),
        _ => return None,
    })
}

impl Known {
    /// What is known before a run: what will go wrong.
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { ended: BTreeMap::new(), faults }
    }
}

impl Control {
    pub(super) fn new(fake: FakeWorld, known: Known) -> Self {
        Self { fake, inner: Mutex::new(Inner { known, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps how all stands at every moment.
    pub(super) fn keep_moments(&self) {
        self.fake.keep_history();
        self.lock().moments = Some(Vec::new());
    }

    /// Keeps what these steps change, which a rollback leaves alone.
    pub(super) fn watch(&self, alone: impl Iterator<Item = String>) {
        self.lock().alone = alone.map(|step| (step, None)).collect();
    }

    /// Whether the undo of a step is under way.
    pub(super) fn is_undoing(&self, step: &str) -> bool {
        self.lock().undoing.contains(step)
    }

    /// What a step gave whose work ended well, whether or not that was recorded.
    pub(super) fn ended(&self, step: &str) -> Option<Value> {
        self.lock().known.ended.get(step).cloned()
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        self.lock().marks.clone()
    }

    pub(super) fn moments(&self) -> Vec<Moment> {
        self.lock().moments.clone().unwrap_or_default()
    }

    /// How many entries the journal had when a change of that number took place.
    pub(super) fn entries_before(&self, change: usize) -> usize {
        self.lock().batches.iter().take_while(|(changes, _)| *changes < change).last().map_or(1, |(_, entries)| *entries)
    }

    /// What is known beside the run by now.
    pub(super) fn known(&self) -> Known {
        let mut inner = self.lock();
        self.settle_calls(&mut inner);
        inner.known.clone()
    }

    /// Takes note of the calls that have failed as they should.
    fn settle_calls(&self, inner: &mut Inner) {
        for (number, left) in inner.calls.left(&self.fake) {
            inner.known.faults[number].left = Some(left);
        }
    }

    /// A step is at work: from now on calls fail that are to fail in it.
    pub(super) fn begin_calls(&self, step: &str) {
        let inner = &mut *self.lock();
        for (number, fault) in inner.known.faults.iter().enumerate().filter(|(_, fault)| is_of(step, &fault.step)) {
            if let Some(failing) = fault.call.as_ref().filter(|_| fault.left != Some(0)) {
                inner.calls.begin(&self.fake, number, failing, fault.left, fault.after);
            }
        }
    }

    /// It no longer is.
    pub(super) fn end_calls(&self, step: &str) {
        let mut inner = self.lock();
        self.settle_calls(&mut inner);
        for number in 0..inner.known.faults.len() {
            if is_of(step, &inner.known.faults[number].step) {
                inner.calls.end(&self.fake, number);
            }
        }
    }

    /// Fields that steps changed which a rollback leaves alone, by step.
    pub(super) fn left(&self) -> BTreeMap<String, Vec<String>> {
        self.lock().left.clone()
    }

    /// Events that are durable; `before` of the run's entries were so already.
    pub(super) fn saw(&self, entries: &[Envelope], before: usize) {
        let changes = self.fake.changes();
        let mut inner = self.lock();
        inner.batches.push((changes, before + entries.len()));
        let keeps = inner.moments.is_some();
        for entry in entries {
            if let Event::RunResumed { .. } = &entry.event {
                inner.undoing.clear();
            }
            let Some((step, what)) = told(&entry.event) else { continue };
            let (step, success) = (step.to_owned(), matches!(entry.event, Event::AttemptSucceeded { .. } | Event::GateDecided { .. }));
            match what {
                What::UndoStart => drop(inner.undoing.insert(step.clone())),
                What::UndoEnd => drop(inner.undoing.remove(&step)),
                What::Start => {
                    if let Some(world @ None) = inner.alone.get_mut(&step) {
                        *world = Some(self.fake.snapshot());
                    }
                }
                What::End => self.ends(&mut inner, &step, success),
            }
            self.settle_calls(&mut inner);
            let (world, known) = if keeps { (Some(self.fake.fork()), inner.known.clone()) } else { (None, Known::default()) };
            inner.marks.push(Mark { step, what, changes, before, with: before + entries.len(), world, known });
        }
    }

    fn ends(&self, inner: &mut Inner, step: &str, success: bool) {
        if success {
            inner.done.insert(step.to_owned());
            let done = inner.done.clone();
            if let Some(moments) = &mut inner.moments {
                moments.push(Moment { done, world: self.fake.snapshot() });
            }
        }
        if let Some(before) = inner.alone.get_mut(step).and_then(Option::take) {
            let fields = compare::fields(&before, &self.fake.snapshot());
            inner.left.entry(step.to_owned()).or_default().extend(fields);
        }
    }

    /// A failure that was asked for, if it is due.
    pub(super) fn fault(&self, step: &str, after: bool) -> Option<StepError> {
        let mut inner = self.lock();
        let due = |fault: &&mut Fault| fault.call.is_none() && is_of(step, &fault.step) && fault.after == after && fault.left != Some(0);
        let fault = inner.known.faults.iter_mut().find(due)?;
        fault.left = fault.left.map(|left| left - 1);
        Some(fault.error.clone())
    }

    pub(super) fn note_end(&self, step: &str, output: &Value) {
        self.lock().known.ended.insert(step.to_owned(), output.clone());
    }
}
