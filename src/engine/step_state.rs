//! Where a single step is.

use std::sync::Arc;

use formula_steps::contract::Class;

use crate::model::{GateRules, Payload, StepIx, Timestamp};

/// Whose the effect of a finished step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This run made it.
    Created,
    /// It was found in place, or a person vouched for it: never undone.
    Adopted,
}

/// Why a step needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// An attempt began, its end is unknown, and it must not be repeated blindly.
    InDoubt,
    /// Something is there that is not ours to overwrite.
    Diverged,
    /// What it started waits for a person.
    Waits,
}

/// Why a step is not where it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of failure.
    pub class: Class,
    /// Words; lower case, no full stop.
    pub message: String,
    /// What can be done.
    pub hint: Option<String>,
}

impl Trouble {
    pub(super) fn new(class: Class, message: impl Into<String>, hint: Option<String>) -> Arc<Self> {
        Arc::new(Self { class, message: message.into(), hint })
    }
}

/// The trouble that decided how a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub step: StepIx,
    /// What kind of failure.
    pub class: Class,
    /// Words; lower case, no full stop.
    pub message: String,
    /// What can be done.
    pub hint: Option<String>,
}

/// Where a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Nothing was done yet.
    Pending,
    /// It was asked (its checkpoint is `before`), or a person said so: the next thing is an attempt.
    Ready,
    /// An attempt is announced or under way.
    Running {
        /// From 1.
        attempt: u32,
    },
    /// An attempt began and its end is unknown.
    InDoubt {
        /// From 1.
        attempt: u32,
    },
    /// It failed and will be tried again.
    WaitingRetry {
        /// The attempt to come.
        attempt: u32,
        /// When; None until a driver has settled it.
        at: Option<Timestamp>,
    },
    /// An open gate.
    Waiting {
        /// What an approval is bound to.
        digest: Arc<str>,
        /// When it is decided by itself.
        until: Option<Timestamp>,
        /// Who may answer, and how.
        rules: Arc<GateRules>,
    },
    /// Over, for good.
    Done {
        /// Whose the effect is.
        origin: Origin,
    },
    /// Left out.
    Skipped,
    /// Failed; not tried again unless a person asks.
    Failed(Arc<Trouble>),
    /// Needs a person.
    Held {
        /// Why.
        why: Hold,
        /// In words.
        trouble: Arc<Trouble>,
    },
    /// An undo is announced or under way.
    Undoing,
    /// Taken back.
    Undone,
    /// Could not be taken back.
    UndoFailed(Arc<Trouble>),
}

impl StepState {
    /// The name for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running { .. } => "running",
            Self::InDoubt { .. } => "in doubt",
            Self::WaitingRetry { .. } => "waiting for a retry",
            Self::Waiting { .. } => "waiting for a decision",
            Self::Done { origin: Origin::Created } => "done",
            Self::Done { origin: Origin::Adopted } => "done (adopted)",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::Held { why: Hold::InDoubt, .. } => "held (in doubt)",
            Self::Held { why: Hold::Diverged, .. } => "held (diverged)",
            Self::Held { why: Hold::Waits, .. } => "held (waits for a person)",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed(_) => "undo failed",
        }
    }

    /// Whether what needs it may go on.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped)
    }

    /// What is wrong with it.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Failed(trouble) | Self::Held { trouble, .. } | Self::UndoFailed(trouble) => Some(trouble),
            _ => None,
        }
    }

    /// Whether it is something to be started; a change from one such state to another keeps its turn.
    pub(super) fn is_startable(&self) -> bool {
        matches!(self, Self::Pending | Self::Ready | Self::InDoubt { .. })
    }
}

/// What an attempt may have to be forgotten to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Prior {
    pub(super) ready: bool,
    pub(super) trace: bool,
    pub(super) definite: bool,
}

/// Everything that is known of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) state: StepState,
    /// The checkpoint. The one from before the first attempt: a later one may already hold half of the effect.
    pub(super) before: Option<Payload>,
    pub(super) output: Option<Payload>,
    /// Attempts that were announced.
    pub(super) attempt: u32,
    /// Failures that count against `retry.attempts`. Renewed when a person asks for another try.
    pub(super) tries: u32,
    /// An attempt began, and its effect may be there.
    pub(super) trace: bool,
    /// As it was before the attempt under way: for one that is withdrawn, or that says it changed nothing.
    pub(super) prior: Prior,
    /// This run's attempt is known to have succeeded.
    pub(super) made: bool,
    /// It cannot be taken back, whatever the plan says of steps of its kind.
    pub(super) sealed: bool,
    /// A person said that it may be tried although nobody knows what is there. Used up by the attempt.
    pub(super) granted: bool,
    /// A person said that it is to be undone although nobody knows what is there.
    pub(super) undo_granted: bool,
    /// A person said that it is done, or left out.
    pub(super) vouched: bool,
    /// All that is known to have been tried failed in a way that leaves nothing half done.
    pub(super) definite: bool,
    /// It is settled that it has to be undone, whatever else is known.
    pub(super) undo_sure: bool,
    /// An undo was announced and did not end well.
    pub(super) undo_began: bool,
    /// Its turn: number of the event that put it where it is.
    pub(super) key: u64,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            state: StepState::Pending,
            before: None,
            output: None,
            attempt: 0,
            tries: 0,
            trace: false,
            prior: Prior::default(),
            made: false,
            sealed: false,
            granted: false,
            undo_granted: false,
            vouched: false,
            definite: false,
            undo_sure: false,
            undo_began: false,
            key: 0,
        }
    }

    /// Where it stands, once its undo is no longer under way: as made, or as unknown as before.
    pub(super) fn before_undo(&self) -> StepState {
        if self.made { StepState::Done { origin: Origin::Created } } else { StepState::InDoubt { attempt: self.attempt } }
    }
}
