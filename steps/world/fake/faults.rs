//! What goes wrong in a fake world, and the log of what was asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Cancel, PortError, PortErrorKind, PortResult};

/// One call of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Port and operation, such as `git.push`.
    pub op: &'static str,
    /// What it was called with, as far as anyone but the other side may see it.
    pub detail: String,
    /// Whether the operation is one that changes something.
    pub changes: bool,
}

/// On which side of the effect a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing has happened.
    Before,
    /// It has happened, and nobody is told.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The call fails with this kind and these words.
    Error(PortErrorKind, String),
    /// The process dies: this call and every later one fails until [`super::FakeWorld::heal`].
    Cut,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation it strikes, such as `git.push`; None for any.
    pub op: Option<String>,
    /// Which call of it, from 0.
    pub nth: usize,
    /// On which side of the effect.
    pub when: When,
    /// What happens.
    pub what: What,
}

/// All that goes wrong.
pub type Faults = Vec<Fault>;

impl Fault {
    /// The `nth` call of `op` fails before its effect.
    pub fn fails(op: &str, nth: usize, kind: PortErrorKind, message: &str) -> Self {
        Self { op: Some(op.to_owned()), nth, when: When::Before, what: What::Error(kind, message.to_owned()) }
    }

    /// The process dies at the `nth` call of any port.
    pub fn cut(nth: usize, when: When) -> Self {
        Self { op: None, nth, when, what: What::Cut }
    }
}

/// Words of the error that a dead process sees.
pub(super) const CUT: &str = "the process died here";

#[derive(Default)]
pub(super) struct Control {
    pub(super) calls: Vec<Call>,
    pub(super) faults: Faults,
    pub(super) raises: Vec<(usize, Cancel)>,
    pub(super) cut: bool,
    pub(super) now: Duration,
    pub(super) unique: BTreeMap<&'static str, u64>,
    /// Changes that took place.
    pub(super) changed: usize,
    /// The world after each of them, where that is kept.
    pub(super) history: Option<Vec<super::FakeWorld>>,
    counts: BTreeMap<&'static str, usize>,
    total: usize,
}

impl Control {
    pub(super) fn forget_calls(&mut self) {
        self.calls.clear();
        self.counts.clear();
        self.total = 0;
        self.raises.clear();
    }

    pub(super) fn heal(&mut self) {
        self.cut = false;
        self.faults.clear();
        self.raises.clear();
    }

    /// Logs a call. Fails where a fault strikes before the effect; gives what strikes after it.
    pub(super) fn begin(&mut self, op: &'static str, detail: String, changes: bool) -> PortResult<Option<What>> {
        debug_assert!(super::CALLS.contains(&op), "`{op}` is missing in the list of calls");
        if self.cut {
            return Err(cut());
        }
        let of_op = self.counts.entry(op).or_default();
        let (nth_of_op, nth) = (*of_op, self.total);
        *of_op += 1;
        self.total += 1;
        self.calls.push(Call { op, detail, changes });
        for (_, cancel) in self.raises.iter().filter(|(at, _)| *at == nth) {
            cancel.raise(super::super::CancelLevel::Graceful(15));
        }
        let strikes = |fault: &&Fault| match &fault.op {
            Some(name) => name == op && fault.nth == nth_of_op,
            None => fault.nth == nth,
        };
        let mut after = None;
        for fault in self.faults.iter().filter(strikes) {
            match fault.when {
                When::Before => {
                    let what = fault.what.clone();
                    self.end(Some(what))?;
                    break;
                }
                When::After => after = Some(fault.what.clone()),
            }
        }
        Ok(after)
    }

    /// Strikes with what [`Control::begin`] gave.
    pub(super) fn end(&mut self, what: Option<What>) -> PortResult<()> {
        match what {
            None => Ok(()),
            Some(What::Error(kind, message)) => Err(PortError::new(kind, message)),
            Some(What::Cut) => {
                self.cut = true;
                Err(cut())
            }
        }
    }
}

fn cut() -> PortError {
    PortError::failed(CUT)
}
