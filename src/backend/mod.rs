//! Where a run lives: the trait that every driver of runs implements, and the local one.
//!
//! A backend carries out what [`crate::engine`] decides. Plan and state are plain data and outputs are values or blobs, so that a distributed
//! engine can take the place of the local one with the same core, plans and steps.

pub mod local;
mod logs;
mod orphans;
mod records;
mod redact;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::RunState;
use crate::journal::{self, Held};
use crate::model::{Outcome, Plan, Request, RunId, Verdict};

pub use logs::path as log_path;
pub use orphans::{MARK, Orphan};
pub use records::JournalRecords;
pub use redact::{MASK, RedactStream, Redactor, SHORTEST};

/// How a run is to be driven.
#[derive(Debug, Clone, Default)]
pub struct Drive {
    /// Who drives, for the record.
    pub by: String,
    /// Stay and wait for the answer of an open gate.
    pub wait_for_gates: bool,
    /// Stop the run after this time.
    pub deadline: Option<Duration>,
    /// Wait this long for a lock that another run holds.
    pub wait_for_lock: Option<Duration>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the journal; nobody was driving the run.
    Recorded,
    /// It waits for the driver of the run.
    Posted,
}

/// Why a backend could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal failed; exit code 74.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The journal failed, and steps ended since; exit code 74.
    #[error("{cause}")]
    Unrecorded {
        /// What it met.
        cause: journal::Error,
        /// The steps whose ends are not in it.
        steps: Vec<String>,
        /// Where they are kept for whoever takes up the run; None where there was no room either.
        place: Option<PathBuf>,
    },
    /// Another run has the target; exit code 12.
    #[error("another run holds the lock `{lock}`")]
    Locked {
        /// Name of the lock.
        lock: String,
        /// Who holds it.
        held: Option<Box<Held>>,
    },
    /// A signal came while it waited for a lock, and nothing was begun; exit code 130 or 143.
    #[error("stopped by {by} while waiting for the lock `{lock}`")]
    Stopped {
        /// Name of the signal.
        by: &'static str,
        /// Its number.
        number: i32,
        /// Name of the lock.
        lock: String,
    },
    /// Children of a dead driver are still at work; exit code 12.
    #[error("{} of the run that was cut off {} still at work", if orphans.len() == 1 { "a process" } else { "processes" }, if orphans.len() == 1 { "is" } else { "are" })]
    Orphans {
        /// Those processes.
        orphans: Vec<Orphan>,
    },
    /// The state directory cannot be used; exit code 74.
    #[error("cannot use the state directory: {0}")]
    StateDir(String),
    /// The run's state does not allow it; exit code 2.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// What can be done instead.
        hint: Option<String>,
    },
    /// Secrets are missing; exit code 10.
    #[error("{0}")]
    Secrets(String),
    /// A defect of this program; exit code 1.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The exit code of the command that met it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Journal(journal::Error::NoSuchRun { .. }) | Self::Refused { .. } => 2,
            Self::Journal(journal::Error::Fenced { .. }) | Self::Locked { .. } | Self::Orphans { .. } => 12,
            Self::Journal(_) | Self::Unrecorded { .. } | Self::StateDir(_) => 74,
            Self::Secrets(_) => 10,
            Self::Stopped { number: 2, .. } => Outcome::Interrupted.exit_code(),
            Self::Stopped { .. } => Outcome::Terminated.exit_code(),
            Self::Internal(_) => 1,
        }
    }
}

/// Carries runs.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Starts a run and drives it until it is over, held or stopped.
    async fn start(&self, plan: Plan, key: Option<String>, how: &Drive) -> Result<(RunId, Verdict), Error>;
    /// Takes up a run, applies `first` (a rollback, a settlement, …), and drives it on.
    async fn resume(&self, run: &RunId, first: &[Request], how: &Drive) -> Result<Verdict, Error>;
    /// Takes up a run with another plan in the place of its own, and drives it on. The plan is durable with it before anything else happens.
    async fn mend(&self, run: &RunId, plan: Plan, how: &Drive) -> Result<Verdict, Error>;
    /// Delivers a request without driving the run.
    async fn request(&self, run: &RunId, request: &Request) -> Result<Delivery, Error>;
    /// The plan and state of a run, from its journal.
    fn look(&self, run: &RunId) -> Result<(Arc<Plan>, RunState), Error>;
}
