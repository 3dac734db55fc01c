//! Running the script of a migration: its environment, its time limit, how it ended.

use std::time::Duration;

use super::{Phase, Place, Version};
use crate::contract::{Class, Context, StepError};
use crate::kit::{Period, program};
use crate::world::{Command, Exit};

/// `EX_TEMPFAIL` of sysexits.h.
const TRY_AGAIN: i32 = 75;

/// One start of a script.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Path below the working directory.
    pub script: &'a str,
    /// The version it belongs to.
    pub version: &'a Version,
    /// The phase.
    pub phase: Phase,
    /// Where the box stood.
    pub from: Option<&'a Version>,
    /// Where it goes.
    pub to: &'a Version,
    /// Time limit.
    pub timeout: Period,
    /// The env file, below the working directory.
    pub env_file: &'a str,
}

/// How a script ended.
#[derive(Debug)]
pub struct End {
    /// For the ledger: `0`, `7`, `signal 9`, `time limit`.
    pub exit: String,
    /// What it failed with.
    pub result: Result<(), StepError>,
}

impl Call<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or the run is asked to stop: then nobody knows how far it came.
    pub async fn run(&self, cx: &Context, place: &Place) -> Result<End, StepError> {
        let argv = program::file_argv(cx, self.script).await?;
        let mut command = Command { dir: place.workdir.clone(), ..cx.command(argv) };
        let env = [
            ("FORMULA_FROM", self.from.map(Version::to_string).unwrap_or_default()),
            ("FORMULA_TO", self.to.to_string()),
            ("FORMULA_MIGRATION", self.version.to_string()),
            ("FORMULA_PHASE", self.phase.as_str().to_owned()),
            ("FORMULA_ENV_FILE", place.workdir.join(self.env_file).to_string_lossy().into_owned()),
            ("FORMULA_ROOT", place.workdir.to_string_lossy().into_owned()),
        ];
        command.env.extend(env.map(|(name, value)| (name.to_owned(), value)));
        let limit = if self.timeout == Period::ZERO { Duration::from_secs(u64::from(u32::MAX)) } else { self.timeout.0 };
        let (exit, tail) = program::run_within(cx, &command, limit).await?;
        Ok(match exit {
            Some(Exit::Code(0)) => End { exit: "0".into(), result: Ok(()) },
            Some(exit @ Exit::Code(code)) => {
                let class = if code == TRY_AGAIN { Class::Transient } else { Class::Permanent };
                End { exit: code.to_string(), result: Err(StepError::new(class, format!("{} {}", self.name(), tail.describe(exit)))) }
            }
            Some(exit @ Exit::Signal(signal)) => {
                let error = StepError::permanent(format!("{} {}", self.name(), tail.describe(exit)));
                End { exit: format!("signal {signal}"), result: Err(error) }
            }
            None => {
                let error = StepError::new(Class::Timeout, format!("{} took longer than its limit of {}", self.name(), self.timeout))
                    .hint("raise `timeout` in its `migration.toml` or of the step, or find out what it waits for with `formula log`");
                End { exit: "time limit".into(), result: Err(error) }
            }
        })
    }

    fn name(&self) -> String {
        format!("migration {} ({}, `{}`)", self.version, self.phase.as_str(), self.script)
    }
}
