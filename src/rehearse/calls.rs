//! Faults that strike single calls of ports inside a step, so that what is rehearsed is how its kind takes them.

use std::collections::BTreeMap;

use formula_steps::world::PortErrorKind;
use formula_steps::world::fake::{FakeWorld, Fault, What, When};
use serde_json::Value;

/// Calls that fail in a row where a fault is to stay.
const ALWAYS: u32 = 1_000;

/// How a call fails.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    /// One of [`formula_steps::world::fake::CALLS`].
    pub call: String,
    pub kind: PortErrorKind,
    pub message: String,
}

impl Failing {
    /// From what a test file says; None where it says nothing of the kind.
    pub(super) fn new(call: &str, with: &Value) -> Option<Self> {
        let words = match with {
            Value::Number(status) => status.as_u64()?.to_string(),
            Value::String(words) => words.clone(),
            _ => return None,
        };
        let status: Option<u16> = words.split(' ').next().and_then(|first| first.parse().ok()).filter(|status| (100..600).contains(status));
        let kind = match (status, words.as_str()) {
            (Some(408 | 425 | 429 | 500..), _) | (None, "transient") => PortErrorKind::Transient,
            (Some(401 | 403), _) | (None, "refused") => PortErrorKind::Denied,
            (Some(404), _) => PortErrorKind::NotFound,
            (Some(409 | 412), _) => PortErrorKind::Conflict,
            (None, "timeout") => PortErrorKind::Timeout,
            _ => PortErrorKind::Failed,
        };
        let message = match status {
            Some(status) => format!("the other side answered {status}"),
            None => words,
        };
        Some(Self { call: call.to_owned(), kind, message: format!("{message} (as the test file says)") })
    }
}

/// A fault that strikes while its step is at work.
struct Set {
    op: String,
    /// Calls of it before the step began.
    base: usize,
    /// How many were to fail then; None for all.
    left: Option<u32>,
    faults: Vec<Fault>,
}

/// Faults of the steps that are at work, by their number in the test file.
#[derive(Default)]
pub(super) struct Calls {
    set: BTreeMap<usize, Set>,
}

fn count(fake: &FakeWorld, op: &str) -> usize {
    fake.calls().iter().filter(|call| call.op == op).count()
}

impl Calls {
    /// Lets the next calls fail.
    pub(super) fn begin(&mut self, fake: &FakeWorld, number: usize, failing: &Failing, left: Option<u32>, after: bool) {
        let base = count(fake, &failing.call);
        let when = if after { When::After } else { When::Before };
        let many = left.unwrap_or(ALWAYS).min(ALWAYS) as usize;
        let what = What::Error(failing.kind, failing.message.clone());
        let faults = (base..base + many).map(|nth| Fault { op: Some(failing.call.clone()), nth, when, what: what.clone() }).collect();
        self.set.insert(number, Set { op: failing.call.clone(), base, left, faults });
        self.apply(fake);
    }

    /// How many calls are still to fail, by the number of the fault.
    pub(super) fn left(&self, fake: &FakeWorld) -> Vec<(usize, u32)> {
        let left = |set: &Set| {
            let struck = u32::try_from(count(fake, &set.op) - set.base).unwrap_or(u32::MAX);
            set.left.map(|left| left.saturating_sub(struck))
        };
        self.set.iter().filter_map(|(number, set)| Some((*number, left(set)?))).collect()
    }

    /// The step of that fault is at work no more.
    pub(super) fn end(&mut self, fake: &FakeWorld, number: usize) {
        if self.set.remove(&number).is_some() {
            self.apply(fake);
        }
    }

    fn apply(&self, fake: &FakeWorld) {
        fake.set_faults(self.set.values().flat_map(|set| set.faults.iter().cloned()).collect());
    }
}
