//! How a port fails.

use std::time::Duration;

/// The kind of a port's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// The thing asked for does not exist.
    NotFound,
    /// Credentials are missing or refused.
    Denied,
    /// Nobody answers at that address.
    Unreachable,
    /// May go away by itself: 408, 429, 5xx, a reset connection.
    Transient,
    /// Another state is there than the one the call was made for.
    Conflict,
    /// The call itself is malformed.
    Invalid,
    /// The deadline of the call passed.
    Timeout,
    /// Stopped on request.
    Cancelled,
    /// Anything else; will fail again.
    Failed,
}

/// A port's failure: kind, words, and what the person can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What kind of failure.
    pub kind: PortErrorKind,
    /// What failed and why; lower case, no full stop; the other side's own words where it has any.
    pub message: String,
    /// What to do now.
    pub hint: Option<String>,
    /// The earliest a retry makes sense.
    pub retry_after: Option<Duration>,
}

/// The result of a port's call.
pub type PortResult<T> = Result<T, PortError>;

impl PortError {
    /// A failure of the given kind.
    pub fn new(kind: PortErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None }
    }
    /// See [`PortErrorKind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Failed, message)
    }
    /// See [`PortErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Invalid, message)
    }
    /// See [`PortErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(PortErrorKind::Cancelled, "stopped on request")
    }
    /// Adds what to do now.
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
