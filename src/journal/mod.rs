//! The durable record of every run: an ordered list of envelopes, blobs, a lease per run, and requests from other processes.
//!
//! Knows [`crate::model`] and the clock; must not know who drives runs or who looks at them.

mod error;
mod lock;
mod memory;
mod sqlite;
#[cfg(test)]
mod suite;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Envelope, Event, Outcome, Request, RunId, Timestamp};

pub use error::{Error, Result};
pub use lock::{Held, Lock, LockError};
pub use memory::MemoryJournal;
pub use sqlite::SqliteJournal;

/// Who drives a run: shown to whoever finds it locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// User name.
    pub user: String,
    /// Since when.
    pub since: Timestamp,
}

impl Holder {
    /// The mark that every child of this driver bears in its environment, as `FORMULA_DRIVER`.
    pub fn mark(&self) -> String {
        format!("{}-{}", self.pid, self.since.0)
    }
}

/// One line of `formula runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// Name of the formula.
    pub formula: String,
    /// What "the same command" means.
    pub fingerprint: String,
    /// `--key`, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The working directory.
    pub workdir: PathBuf,
    /// Start.
    pub started: Timestamp,
    /// The newest event.
    pub updated: Timestamp,
    /// How it stands; None while it is driven or after a crash.
    pub outcome: Option<Outcome>,
    /// Whether it changed anything.
    pub changed: bool,
}

/// The right to append to a run. A higher epoch takes it from a lower one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Fencing number.
    pub epoch: u64,
}

/// A value stored by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `sha256:…` of the bytes.
    pub digest: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Entries for one run that become durable together, with the blobs they name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Envelopes with dense sequence numbers.
    pub entries: Vec<Envelope>,
    /// Blobs.
    pub blobs: Vec<Blob>,
}

/// Completes when a batch is durable, or says why it is not.
pub type Ack = tokio::sync::oneshot::Receiver<Result<()>>;

/// The store. Calls other than [`Journal::append`] block until they are done.
pub trait Journal: Send + Sync {
    /// Registers a run with its first batch (which starts with [`Event::RunStarted`]) and takes its lease.
    fn create(&self, record: &RunRecord, holder: &Holder, first: Batch) -> Result<Lease>;

    /// Takes the lease of a run: whoever held it can no longer append. The caller holds the kernel lock of the run's target already.
    fn acquire(&self, run: &RunId, holder: &Holder) -> Result<Lease>;

    /// Gives the lease back. After the end of the run ([`Event::RunFinished`]) nothing is left to do: whoever records that has let go in the
    /// same commit.
    fn release(&self, lease: &Lease) -> Result<()>;

    /// Who holds the lease, if anybody says so.
    fn holder(&self, run: &RunId) -> Result<Option<Holder>>;

    /// Hands a batch to the writer and returns at once. Batches of a caller become durable in order; those that arrive together share
    /// one commit. After a failure every later append fails too: nothing is tried twice on a disk that lies.
    fn append(&self, lease: &Lease, batch: Batch) -> Ack;

    /// All envelopes of a run from `since` on.
    fn read(&self, run: &RunId, since: u64) -> Result<Vec<Envelope>>;

    /// A blob's bytes; [`Error::Damaged`] if it is missing or does not match its digest.
    fn blob(&self, digest: &str) -> Result<Vec<u8>>;

    /// Runs, newest first.
    fn runs(&self) -> Result<Vec<RunRecord>>;

    /// Leaves a request for the run's driver; returns its number.
    fn post(&self, run: &RunId, request: &Request) -> Result<u64>;

    /// Requests with a number above `after`, in order.
    fn requests(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Request)>>;

    /// Removes a run and the blobs nobody else names.
    fn remove(&self, run: &RunId) -> Result<()>;
}

impl RunRecord {
    /// Brings the record up to date with an envelope.
    pub fn apply(&mut self, envelope: &Envelope) {
        self.updated = envelope.at;
        match &envelope.event {
            Event::RunFinished { outcome, changed } => {
                self.outcome = Some(*outcome);
                self.changed = *changed;
            }
            Event::RunResumed { .. } | Event::RollbackRequested { .. } => self.outcome = None,
            Event::PlanReplaced { fingerprint, .. } => self.fingerprint.clone_from(fingerprint),
            _ => {}
        }
    }
}
