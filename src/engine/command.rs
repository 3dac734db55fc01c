//! What should be in flight.

use crate::model::{Outcome, ProbeReason, StepIx, Timestamp};

/// One thing that a driver should be doing, or should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// The time of an open gate is up: record `gate_decided` by `timer`.
    DecideGate {
        /// The gate.
        step: StepIx,
        /// True for a wait that is over, false for an approval nobody gave.
        approved: bool,
    },
    /// An open gate has a probe: ask it now and then, and record `gate_decided` by `probe` once it says yes.
    AskGate(StepIx),
    /// Render the gate and record `gate_opened` (or `step_skipped` where its condition is false).
    OpenGate(StepIx),
    /// The last attempt failed and another is allowed: record `retry_scheduled` with the time of the next one.
    ScheduleRetry {
        /// The step.
        step: StepIx,
        /// The attempt to come.
        attempt: u32,
    },
    /// Ask the step and record `step_probed`; `attempt_failed` (`undo_failed` in a rollback) where it cannot even be asked, with nothing
    /// announced before it.
    Probe {
        /// The step.
        step: StepIx,
        /// What for.
        reason: ProbeReason,
    },
    /// Record `attempt_started`, and once that is durable run the step. Also named while the attempt is under way.
    Attempt {
        /// The step.
        step: StepIx,
        /// From 1.
        attempt: u32,
    },
    /// Record `undo_started`, and once that is durable undo the step. Also named while the undo is under way.
    Undo(StepIx),
    /// Nothing may be missed before that time: call `tick` then.
    WaitUntil(Timestamp),
    /// Nothing is left to do: let go of the run.
    Finish(Outcome),
}
