//! How the journal fails. Every one of these ends in exit code 74.

use std::path::PathBuf;

/// The result of a call of the journal.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Could not be read or written (disk full, permission, I/O).
    #[error("cannot {doing} the journal `{path}`: {cause}")]
    Io {
        /// `open`, `write`, `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's or SQLite's words.
        cause: String,
    },
    /// The content is not what was written.
    #[error("the journal `{path}` is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Written by a later version of this program.
    #[error("the journal `{path}` has format {found}, this program reads up to {known}; it was written by formula {tool}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
        /// The version that wrote it.
        tool: String,
    },
    /// Another driver has taken the run.
    #[error("run {run} was taken over by another driver")]
    Fenced {
        /// The run.
        run: String,
    },
    /// There is no such run.
    #[error("there is no run {run}")]
    NoSuchRun {
        /// The run.
        run: String,
    },
}
