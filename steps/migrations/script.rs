//! Running a migration: its environment, its time limit, how it ended.

use std::time::Duration;

use super::nested::{Direction, Nested};
use super::{Phase, Place, Version};
use crate::contract::{Class, Context, StepError};
use crate::kit::{Period, program};
use crate::world::{Command, Exit};

/// `EX_TEMPFAIL` of sysexits.h.
const TRY_AGAIN: i32 = 75;

/// One start of a script or of a formula.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// What is started.
    pub what: Calls<'a>,
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
    /// It was begun before and did not end well.
    pub again: bool,
}

/// What is started.
#[derive(Debug, Clone, Copy)]
pub enum Calls<'a> {
    /// A script, by its path below the working directory.
    Script(&'a str),
    /// A formula, by its path below the working directory and its text.
    Formula(&'a str, &'a str, Direction),
    /// The way back of the run that a formula was.
    Undo(Direction),
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    /// For the ledger: `0`, `7`, `signal 9`, `time limit`.
    pub exit: String,
    /// What it did turned out to have no way back.
    pub one_way: bool,
    /// What it failed with.
    pub result: Result<(), StepError>,
}

impl End {
    /// By the way it ended.
    pub(super) fn new(exit: impl Into<String>, result: Result<(), StepError>) -> Self {
        Self { exit: exit.into(), one_way: false, result }
    }
}

impl Call<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or the run is asked to stop: then nobody knows how far it came.
    pub async fn run(&self, cx: &Context, place: &Place) -> Result<End, StepError> {
        match self.what {
            Calls::Script(path) => self.script(cx, place, path).await,
            Calls::Formula(path, text, direction) => Nested::new(cx, place, self, direction).run(path, text).await,
            Calls::Undo(direction) => Nested::new(cx, place, self, direction).undo().await,
        }
    }

    async fn script(&self, cx: &Context, place: &Place, path: &str) -> Result<End, StepError> {
        let argv = program::file_argv(cx, path).await?;
        let mut command = Command { dir: place.workdir.clone(), ..cx.command(argv) };
        command.env.extend(self.told(place).map(|(name, value)| (name.to_owned(), value)));
        let (exit, tail) = program::run_within(cx, &command, self.limit()).await?;
        Ok(match exit {
            Some(Exit::Code(0)) => End::new("0", Ok(())),
            Some(exit @ Exit::Code(code)) => {
                let class = if code == TRY_AGAIN { Class::Transient } else { Class::Permanent };
                End::new(code.to_string(), Err(StepError::new(class, format!("{} {}", self.name(), tail.describe(exit)))))
            }
            Some(exit @ Exit::Signal(signal)) => {
                let error = StepError::permanent(format!("{} {}", self.name(), tail.describe(exit)));
                End::new(format!("signal {signal}"), Err(error))
            }
            None => self.late(),
        })
    }

    /// What it is told of the box, as variables.
    pub(super) fn told(&self, place: &Place) -> [(&'static str, String); 6] {
        [
            ("FORMULA_FROM", self.from.map(Version::to_string).unwrap_or_default()),
            ("FORMULA_TO", self.to.to_string()),
            ("FORMULA_MIGRATION", self.version.to_string()),
            ("FORMULA_PHASE", self.phase.as_str().to_owned()),
            ("FORMULA_ENV_FILE", place.workdir.join(self.env_file).to_string_lossy().into_owned()),
            ("FORMULA_ROOT", place.workdir.to_string_lossy().into_owned()),
        ]
    }

    pub(super) fn limit(&self) -> Duration {
        if self.timeout == Period::ZERO { Duration::from_secs(u64::from(u32::MAX)) } else { self.timeout.0 }
    }

    pub(super) fn late(&self) -> End {
        let error = StepError::new(Class::Timeout, format!("{} took longer than its limit of {}", self.name(), self.timeout))
            .hint("raise `timeout` in its `migration.toml` or of the step, or find out what it waits for with `formula log`");
        End::new("time limit", Err(error))
    }

    /// How messages name it.
    pub(super) fn name(&self) -> String {
        let path = match self.what {
            Calls::Script(path) | Calls::Formula(path, ..) => format!(", `{path}`"),
            Calls::Undo(_) => String::new(),
        };
        format!("migration {} ({}{path})", self.version, self.phase.as_str())
    }
}
