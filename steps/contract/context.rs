//! What a step may use while it probes, runs or is undone.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Formulas, NoFormulas, StepError};
use crate::world::{Cancel, Output, Secret, World};

/// Facts of the run a step belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Identifier of the run.
    pub id: String,
    /// Name of the formula.
    pub formula: String,
    /// Start of the run, RFC 3339 in UTC.
    pub started: String,
}

/// Another run of the same working directory that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// Its identifier.
    pub id: String,
    /// Name of its formula.
    pub formula: String,
    /// How it stands, in words behind its name: `is held`.
    pub state: String,
}

/// What this program's records say.
pub trait Records: Send + Sync {
    /// Runs of the working directory that are not over, the one that asks included.
    ///
    /// # Errors
    /// Why the records cannot be read.
    fn unfinished(&self) -> Result<Vec<UnfinishedRun>, String>;
}

/// Records of nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecords;

impl Records for NoRecords {
    fn unfinished(&self) -> Result<Vec<UnfinishedRun>, String> {
        Ok(Vec::new())
    }
}

/// Receives how far a step is. Best effort: nothing depends on it.
pub trait Progress: Send + Sync {
    /// `done` of `total` (bytes, layers, …) and what is going on, in a few words.
    fn update(&self, message: &str, done: Option<u64>, total: Option<u64>);
}

/// Drops all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn update(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
}

struct NoOutput;

impl Output for NoOutput {
    fn write(&self, _: &[u8]) {}
}

/// Everything a step may use. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The doors to everything outside.
    pub world: Arc<World>,
    /// The working directory of the run; an absolute path.
    pub workdir: Arc<Path>,
    /// The run.
    pub run: Arc<RunInfo>,
    /// Id of the step, such as `mirror[codeberg]`.
    pub step: Arc<str>,
    /// Number of this attempt, from 1; 0 while only probing.
    pub attempt: u32,
    /// Idempotency key: equal across attempts of a step, different across steps and runs.
    pub key: Arc<str>,
    /// The rendered `env` table of the step.
    pub env: Arc<BTreeMap<String, String>>,
    /// What children may see of the environment this program was started with.
    pub base_env: Arc<BTreeMap<String, String>>,
    /// A folder of the run's own, outside the working directory, for the user alone. It is there before the step starts, outlives
    /// a crash and goes with the run.
    pub scratch: Arc<Path>,
    /// The folder where this program keeps its records, outside what a rollback takes back: what must be known after the run is over
    /// goes here. A step keeps its files in a folder of its own in it.
    pub state: Arc<Path>,
    /// A folder for locks that runs of this user in other working directories see, too.
    pub locks: Arc<Path>,
    /// The secrets that the step names, by name.
    pub secrets: Arc<BTreeMap<String, Secret>>,
    /// Where output lines go; redacted behind this trait.
    pub output: Arc<dyn Output>,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
    /// What this program's records say about other runs.
    pub records: Arc<dyn Records>,
    /// What this program knows of formulas.
    pub formulas: Arc<dyn Formulas>,
    /// Raised when the run is asked to stop.
    pub cancel: Cancel,
}

impl Context {
    /// A context that hands the step nothing: no environment, no secrets, nobody who listens. All fields can be replaced.
    pub fn bare(world: World, workdir: &Path) -> Self {
        Self {
            world: Arc::new(world),
            workdir: Arc::from(workdir),
            run: Arc::new(RunInfo { id: "run".into(), formula: "formula".into(), started: "2026-01-02T03:04:05Z".into() }),
            step: "step".into(),
            attempt: 1,
            key: "key".into(),
            env: Arc::default(),
            base_env: Arc::default(),
            scratch: Arc::from(workdir.with_file_name(".scratch")),
            state: Arc::from(workdir.with_file_name(".state")),
            locks: Arc::from(workdir.with_file_name(".locks")),
            secrets: Arc::default(),
            output: Arc::new(NoOutput),
            progress: Arc::new(NoProgress),
            records: Arc::new(NoRecords),
            formulas: Arc::new(NoFormulas),
            cancel: Cancel::new(),
        }
    }

    /// Writes a line to the log of the attempt.
    pub fn log(&self, line: impl AsRef<str>) {
        let line = line.as_ref();
        let mut text = String::with_capacity(line.len() + 1);
        text.push_str(line);
        text.push('\n');
        self.output.write(text.as_bytes());
    }

    /// Goes on unless the run is asked to stop. Called before each thing that changes the world.
    ///
    /// # Errors
    /// Cancelled.
    pub fn proceed(&self) -> Result<(), StepError> {
        if self.cancel.is_raised() { Err(StepError::cancelled()) } else { Ok(()) }
    }

    /// The result of `work`, unless the run is asked to stop first: then `work` is dropped, which is how a call of a port that
    /// takes no [`Cancel`] is stopped.
    ///
    /// # Errors
    /// Those of `work`; Cancelled.
    pub async fn unless_cancelled<T, E: Into<StepError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, StepError> {
        self.proceed()?;
        tokio::select! {
            biased;
            result = work => result.map_err(Into::into),
            _ = self.cancel.raised() => Err(StepError::cancelled()),
        }
    }

    /// Waits, unless the run is asked to stop first.
    ///
    /// # Errors
    /// Cancelled.
    pub async fn sleep(&self, duration: Duration) -> Result<(), StepError> {
        let waiting = async {
            self.world.clock.sleep(duration).await;
            Ok::<(), StepError>(())
        };
        self.unless_cancelled(waiting).await
    }

    /// A declared secret by its name.
    ///
    /// # Errors
    /// Refused when the step does not name it in `secrets`.
    pub fn secret(&self, name: &str) -> Result<&Secret, StepError> {
        self.secrets.get(name).ok_or_else(|| {
            StepError::refused(format!("secret `{name}` is not handed to step `{}`", self.step))
                .hint(format!("declare it under [secrets.{name}] and add `secrets = [\"{name}\"]` to the step"))
        })
    }

    /// The absolute path of `path`, which must stay below the working directory by its spelling.
    /// The files port checks again what it really opens.
    ///
    /// # Errors
    /// Refused for an empty path, one that begins with `-`, or one that leaves the working directory.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf, StepError> {
        let path = path.as_ref();
        let shown = path.display();
        if path.as_os_str().is_empty() || path.as_os_str().as_encoded_bytes().starts_with(b"-") {
            return Err(StepError::refused(format!("`{shown}` is not a path that a step may use")));
        }
        let relative = if path.is_absolute() {
            path.strip_prefix(&self.workdir)
                .map_err(|_| StepError::refused(format!("`{shown}` is outside the working directory `{}`", self.workdir.display())))?
        } else {
            path
        };
        let mut depth = 0_i32;
        for part in relative.components() {
            depth += match part {
                Component::Normal(_) => 1,
                Component::ParentDir => -1,
                _ => 0,
            };
            if depth < 0 {
                return Err(StepError::refused(format!("`{shown}` leaves the working directory `{}`", self.workdir.display())));
            }
        }
        Ok(self.workdir.join(relative))
    }
}
