//! What every part of one drive shares: the plan, the world, the secrets, the sinks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use formula_steps::contract::{Context, Formulas, Progress, Records, RunInfo, StepType};
use formula_steps::world::{Cancel, Output, Secret, World};
use sha2::{Digest as _, Sha256};

use super::stage::Stage;
use crate::backend::logs::{self, AttemptLog};
use crate::backend::redact::Redactor;
use crate::clock::Clock;
use crate::model::{Plan, RunId, StepIx};
use crate::plan::{Rendered, Resolver};
use crate::report::{Hub, ProgressUpdate};

/// How often requests of other processes are looked for.
const POLL: Duration = Duration::from_millis(200);
/// The same where there are no other processes.
const NOBODY: Duration = Duration::from_hours(1);

/// Shared by the driver and its tasks.
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) resolver: Resolver,
    pub(super) run: RunId,
    pub(super) info: Arc<RunInfo>,
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hub: Hub,
    pub(super) redactor: Arc<Redactor>,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) base_env: Arc<BTreeMap<String, String>>,
    pub(super) workdir: Arc<std::path::Path>,
    /// Folder for steps' own temporary files; outlives a crash.
    pub(super) scratch: Arc<std::path::Path>,
    /// The state directory.
    pub(super) state: Arc<std::path::Path>,
    /// Folder for locks that other runs of the user see.
    pub(super) locks: Arc<std::path::Path>,
    /// What the journal says about other runs.
    pub(super) records: Arc<dyn Records>,
    /// What this program knows of formulas.
    pub(super) formulas: Arc<dyn Formulas>,
    /// Folder of this run's log files.
    pub(super) logs: PathBuf,
    /// What takes the place of this machine.
    pub(super) stage: Option<Arc<dyn Stage>>,
}

struct NoOutput;

impl Output for NoOutput {
    fn write(&self, _: &[u8]) {}
}

struct HubProgress {
    hub: Hub,
    step: Arc<str>,
}

impl Progress for HubProgress {
    fn update(&self, message: &str, done: Option<u64>, total: Option<u64>) {
        self.hub.progress(&ProgressUpdate::Step { step: self.step.clone(), message: message.to_owned(), done, total });
    }
}

impl Shared {
    /// The kind of a step, where this program has it.
    pub(super) fn kind(&self, step: StepIx) -> Option<&'static dyn StepType> {
        let name = &self.plan.step(step).kind;
        self.stage.as_ref().map_or_else(|| formula_steps::find(name), |stage| stage.kind(name))
    }

    /// How long the driver may go on without looking for requests.
    pub(super) fn poll(&self) -> Duration {
        if self.stage.is_some() { NOBODY } else { POLL }
    }

    /// The log of one attempt.
    pub(super) fn log(&self, step: StepIx, attempt: u32) -> Arc<AttemptLog> {
        let id = &self.plan.step(step).id;
        let path = logs::path(&self.logs, id, attempt);
        let log = AttemptLog::new(path, id.as_str().into(), self.redactor.clone(), self.hub.clone());
        Arc::new(if self.stage.is_some() { log.without_file() } else { log })
    }

    /// What a step may use. Without a log (a probe) its output goes nowhere.
    pub(super) fn context(&self, step: StepIx, attempt: u32, rendered: &Rendered, log: Option<Arc<AttemptLog>>, cancel: Cancel) -> Context {
        let planned = self.plan.step(step);
        let id: Arc<str> = planned.id.as_str().into();
        let secrets = planned.secrets.iter().filter_map(|name| Some((name.clone(), self.secrets.get(name)?.clone()))).collect();
        Context {
            world: self.world.clone(),
            workdir: self.workdir.clone(),
            run: self.info.clone(),
            step: id.clone(),
            attempt,
            key: self.key(&planned.id),
            env: Arc::new(rendered.env.clone()),
            base_env: self.base_env.clone(),
            scratch: self.scratch.clone(),
            state: self.state.clone(),
            locks: self.locks.clone(),
            secrets: Arc::new(secrets),
            output: match log {
                Some(log) => log,
                None => Arc::new(NoOutput),
            },
            progress: Arc::new(HubProgress { hub: self.hub.clone(), step: id }),
            records: self.records.clone(),
            formulas: self.formulas.clone(),
            cancel,
        }
    }

    /// The idempotency key of a step: the same for each of its attempts, another for any other step or run.
    fn key(&self, step: &str) -> Arc<str> {
        let hash = Sha256::digest(format!("{}\0{step}", self.run));
        hash[..16]
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
            .collect::<String>()
            .into()
    }
}
