//! How a step fails: a class that decides what the engine may do next, and words for the person who reads it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::world::{PortError, PortErrorKind};

/// What kind of failure this is; decides retry and rollback, never guessed from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// May go away by itself (network, 5xx, 429): retried with back-off.
    Transient,
    /// Will fail again with the same input.
    Permanent,
    /// A precondition is not met and nothing was changed.
    Refused,
    /// Something is there that is not ours to overwrite or to take back.
    Conflict,
    /// It did not fail, it waits: what it started needs a person's answer before it can go on. Held, whatever `on_failure` says.
    Waits,
    /// The step's own deadline passed.
    Timeout,
    /// Stopped because the run was asked to stop.
    Cancelled,
    /// The process or the machine was interrupted; outcome unknown.
    Interrupted,
    /// A defect of this program.
    Internal,
}

impl Class {
    /// The name as it stands in the journal and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Waits => "waits",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }

    /// Whether the engine may try again by itself.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Timeout)
    }
}

/// The failure of one probe, run or undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// Decides what may happen next.
    pub class: Class,
    /// What went wrong and where; lower case, no full stop.
    pub message: String,
    /// What the person can do now, ideally a command to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The earliest a retry makes sense (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl StepError {
    /// A failure of the given class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None, retry_after: None }
    }
    /// See [`Class::Permanent`].
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, message)
    }
    /// See [`Class::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Class::Transient, message)
    }
    /// See [`Class::Refused`].
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Class::Refused, message)
    }
    /// See [`Class::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Class::Conflict, message)
    }
    /// See [`Class::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(Class::Cancelled, "stopped on request")
    }
    /// Adds what the person can do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Says what was being done: `what: message`.
    #[must_use]
    pub fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<PortError> for StepError {
    fn from(error: PortError) -> Self {
        let class = match error.kind {
            PortErrorKind::Unreachable | PortErrorKind::Transient => Class::Transient,
            PortErrorKind::NotFound | PortErrorKind::Denied | PortErrorKind::Invalid | PortErrorKind::Failed => Class::Permanent,
            PortErrorKind::Conflict => Class::Conflict,
            PortErrorKind::Timeout => Class::Timeout,
            PortErrorKind::Cancelled => Class::Cancelled,
        };
        Self { class, message: error.message, hint: error.hint, retry_after: error.retry_after }
    }
}
