//! Why a command failed, with its exit code and the next command to type.

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What, where, why; empty when everything was said already.
    pub message: String,
    /// What now; one hint a line.
    pub hints: Vec<String>,
}

/// What a command ends with: its exit code, or a failure to be printed.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure with its exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }
    /// A mistake on the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }
    /// Everything was printed already.
    pub fn said(code: u8) -> Self {
        Self::new(code, "")
    }
    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// After a disk failed.
const NOTHING_LOST: &str = "nothing that was reported done is lost; make room or mend the disk, then give the same command again";

impl From<crate::journal::Error> for Failure {
    fn from(error: crate::journal::Error) -> Self {
        crate::backend::Error::from(error).into()
    }
}

impl From<crate::backend::Error> for Failure {
    fn from(error: crate::backend::Error) -> Self {
        use crate::backend::Error;
        use crate::journal::Error as Store;
        let failure = Self::new(error.exit_code(), error.to_string());
        match error {
            Error::Locked { held, .. } => match held {
                Some(held) => {
                    let run = held.run.as_ref().map_or_else(String::new, |run| format!("run {run}, "));
                    let who = format!(
                        "held by {run}pid {} of {} on {}, since {}",
                        held.holder.pid, held.holder.user, held.holder.host, held.holder.since
                    );
                    failure.hint(who).hint("wait for it with `--wait-lock 10m`, or look at it with `formula show`")
                }
                None => failure.hint("wait for it with `--wait-lock 10m`"),
            },
            Error::Orphans { orphans } => {
                let mut failure = failure;
                for orphan in &orphans {
                    failure = failure.hint(format!("pid {}: {}", orphan.pid, orphan.command));
                }
                failure.hint("let them end, or end them with `kill PID`, then give the same command again")
            }
            Error::Stopped { .. } => failure.hint("nothing was begun; the same command waits again"),
            Error::Refused { hint: Some(hint), .. } => failure.hint(hint),
            Error::Journal(Store::Io { .. }) => failure.hint(NOTHING_LOST),
            Error::Unrecorded { steps, place, .. } => {
                let steps: Vec<_> = steps.iter().map(|step| format!("`{step}`")).collect();
                let steps = steps.join(", ");
                failure.hint(NOTHING_LOST).hint(match place {
                    Some(place) => format!("how {steps} ended is kept in `{}`, and that command takes it up", place.display()),
                    None => format!("how {steps} ended could not be kept either: that command asks what is so"),
                })
            }
            Error::Journal(Store::Damaged { .. }) => {
                failure.hint("keep the file; restore it from a backup, or move the state directory aside to begin a new history")
            }
            Error::Journal(Store::Newer { .. }) => failure.hint("use the program that wrote it, or a later one"),
            Error::Journal(Store::NoSuchRun { .. }) => failure.hint("`formula runs` lists them"),
            Error::Internal(_) => failure.hint("this is a defect of formula; `formula log --json` has what led to it"),
            _ => failure,
        }
    }
}
