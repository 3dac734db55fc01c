//! A log that no driver could have written.

/// An event does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} (`{event}`) does not follow from those before it: {what}")]
pub struct Corrupt {
    /// Its place in the run, from 1.
    pub seq: u64,
    /// Its type.
    pub event: &'static str,
    /// Which state it met, and what that rules out.
    pub what: String,
}
