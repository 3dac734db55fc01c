//! Who is where, kept up to date event by event, so that deciding costs what is in flight and not what exists.

use std::collections::BTreeSet;

use crate::model::{StepIx, Timestamp};

/// The sets that `decide` reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Queues {
    /// Steps to be asked or tried, in the order of their turns.
    pub(super) open: BTreeSet<(u64, StepIx)>,
    pub(super) running: BTreeSet<StepIx>,
    pub(super) undoing: BTreeSet<StepIx>,
    /// Failed or held, the earliest first.
    pub(super) blocked: BTreeSet<(u64, StepIx)>,
    /// Failed attempts whose next one has no time yet.
    pub(super) unscheduled: BTreeSet<StepIx>,
    /// Attempts to come.
    pub(super) retries: BTreeSet<(Timestamp, StepIx)>,
    /// Gates to be opened.
    pub(super) closed: BTreeSet<StepIx>,
    /// Open gates that wait for a person.
    pub(super) asking: BTreeSet<StepIx>,
    /// Open gates that wait for time or a probe.
    pub(super) lasting: BTreeSet<StepIx>,
    /// When open gates are decided by themselves.
    pub(super) deadlines: BTreeSet<(Timestamp, StepIx)>,
    /// Open gates whose time is up.
    pub(super) due: BTreeSet<StepIx>,
}

/// Counts the operations on the core's sets, for the test that holds a run to linear cost.
pub(super) mod effort {
    #[cfg(test)]
    thread_local! {
        static SPENT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    /// One operation was made.
    pub(in crate::engine) fn spend() {
        #[cfg(test)]
        SPENT.with(|spent| spent.set(spent.get() + 1));
    }

    /// Operations of this thread so far.
    #[cfg(test)]
    pub(in crate::engine) fn spent() -> u64 {
        SPENT.with(std::cell::Cell::get)
    }
}
