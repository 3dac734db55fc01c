//! Why a command failed, with its exit code and the next command to type.

use serde_json::json;

use crate::model::{Outcome as End, RunId, Verdict};

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What, where, why; empty when everything was said already.
    pub message: String,
    /// What now; one hint a line.
    pub hints: Vec<String>,
    /// The run that it is about.
    pub run: Option<RunId>,
    /// A run was under way, and is cut off by it.
    pub cut: bool,
}

/// What a command ends with: its exit code, or a failure to be printed.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure with its exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new(), run: None, cut: false }
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
    /// Says which run it is about.
    #[must_use]
    pub fn of(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }

    /// The last line of `--json` where no run could end with it.
    pub fn json(&self) -> String {
        let verdict = Verdict {
            run: None,
            outcome: if self.cut { End::Interrupted } else { End::Refused },
            exit: self.code,
            changed: false,
            failed_step: None,
            class: None,
            message: Some(self.message.clone()).filter(|message| !message.is_empty()),
            hint: Some(self.hints.join("; ")).filter(|hints| !hints.is_empty()),
            retry_safe: true,
            one_way_crossed: false,
            next: self.hints.iter().flat_map(|hint| commands(hint)).collect(),
            runbook: None,
        };
        json!({ "v": 1, "run": self.run, "verdict": verdict }).to_string()
    }
}

/// The commands that a hint names and that can be typed as they stand.
fn commands(hint: &str) -> Vec<String> {
    let quoted = hint.split('`').skip(1).step_by(2).filter(|text| text.starts_with("formula "));
    let whole = hint.split("   ").next().filter(|text| text.starts_with("formula ") && !text.contains('`'));
    let is_left_open = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    quoted.chain(whole).filter(|command| !command.contains('…') && !command.split(' ').any(is_left_open)).map(str::to_owned).collect()
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
                    let look = held.run.as_ref().map_or_else(|| "formula runs".to_owned(), |run| format!("formula show {run}"));
                    failure.hint(who).hint(format!("wait until it is over; `{look}` tells how it stands"))
                }
                None => failure.hint("wait until it is over; `formula runs` lists what there is"),
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
            Error::StateDir(_) => failure.hint("mend its folder, or keep the state elsewhere with `--state-dir DIR`"),
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

#[cfg(test)]
mod tests {
    use super::{Failure, commands};

    #[test]
    fn hints_give_the_commands_that_can_be_typed() {
        assert_eq!(commands("wait; `formula show 01J` tells, or `formula runs`"), ["formula show 01J", "formula runs"]);
        assert_eq!(commands("formula settle 01J a --skip --reason \"…\"   → skipped"), [""; 0]);
        assert_eq!(commands("`formula run NAME` starts one; `formula list` shows them"), ["formula list"]);
        assert_eq!(commands("add `--yes`"), [""; 0]);
    }

    #[test]
    fn a_failure_is_a_verdict_of_no_run() {
        let line: serde_json::Value =
            serde_json::from_str(&Failure::new(12, "held").hint("`formula show 01J` tells").json()).expect("JSON");
        assert_eq!((&line["run"], &line["verdict"]["outcome"]), (&serde_json::Value::Null, &"refused".into()));
        assert_eq!((&line["verdict"]["exit"], &line["verdict"]["next"][0]), (&12.into(), &"formula show 01J".into()));
    }
}
