//! Runs on this machine: tokio, child processes, one SQLite journal in the state directory.

mod driver;
mod folder;
mod preview;
mod recorder;
mod recover;
mod shared;
mod signals;
mod stage;
mod task;
mod values;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use formula_steps::contract::{Formulas, RunInfo};
use formula_steps::world::{Secret, World};
use sha2::{Digest as _, Sha256};

use self::driver::Driver;
pub use self::folder::{check_state_dir, make_state_dir_durable, prepare_state_dir};
pub use self::preview::{Foreseen, Foresight, Moved, Preview};
use self::recorder::{Recorder, read_blob};
use self::recover::Recovery;
use self::shared::Shared;
use self::signals::Signals;
pub use self::stage::Stage;
use self::task::Launch;
use super::orphans::{self, Orphan, Subreaper};
use super::records::JournalRecords;
use super::redact::Redactor;
use super::{Backend, Delivery, Drive, Error};
use crate::clock::Clock;
use crate::engine::{Mode, Refusal, RunState};
use crate::journal::{self, Batch, Blob, Held, Holder, Journal, Lease, Lock, LockError, RunRecord};
use crate::model::{Envelope, Event, JOURNAL_VERSION, Payload, Plan, Request, RunId, Timestamp, Verdict, digest_of_bytes};
use crate::plan::Resolver;
use crate::report::Hub;

/// How long children of a dead driver may take to end before the run is refused.
const ORPHANS: Duration = Duration::from_secs(3);

/// Resolves the secrets a plan names, or says which are missing.
pub type Secrets = Box<dyn Fn(&Plan) -> Result<BTreeMap<String, Secret>, String> + Send + Sync>;

/// Everything the local backend is given; it reads no environment by itself.
pub struct Config {
    /// The state directory; made with mode 0700.
    pub state_dir: PathBuf,
    /// Folder for locks with a name of their own, shared by all state directories of the user.
    pub shared_locks: PathBuf,
    /// The ports.
    pub world: Arc<World>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// Who watches.
    pub hub: Hub,
    /// Version of the program.
    pub tool: String,
    /// Who drives.
    pub holder: Holder,
    /// The environment that children start from.
    pub base_env: BTreeMap<String, String>,
    /// How secrets are resolved.
    pub secrets: Secrets,
    /// Whether SIGINT and SIGTERM are ours to handle.
    pub handle_signals: bool,
    /// Random bytes for the id of a new run.
    pub random: fn() -> [u8; 10],
    /// What steps may know of formulas, and the program that runs them.
    pub formulas: Arc<dyn Formulas>,
    /// What takes the place of this machine, for a rehearsal: no lock, folder or log file is made.
    pub stage: Option<Arc<dyn Stage>>,
}

/// The driver of runs on this machine.
pub struct LocalBackend(Config, Mutex<Vec<Orphan>>);

/// A name for whoever finds the lock taken; not knowing it would stop nobody.
fn describe(lock: &mut Option<Lock>, holder: &Holder, run: &RunId) {
    if let Some(lock) = lock {
        let _ = lock.describe(&Held { holder: holder.clone(), run: Some(run.clone()) });
    }
}

/// A refusal, with the name of the run in its hint.
fn refused(run: &RunId, refusal: Refusal) -> Error {
    Error::Refused { message: refusal.message, hint: refusal.hint.map(|hint| hint.replace("RUN", run.as_str())) }
}

fn writer_gone() -> journal::Error {
    journal::Error::Io { doing: "write", path: "journal.db".into(), cause: "the writer has stopped".into() }
}

impl LocalBackend {
    /// From its configuration.
    pub fn new(config: Config) -> Self {
        Self(config, Mutex::default())
    }

    /// Processes that outlived the steps of the last drive, in sessions of their own, where the signals are ours to handle.
    pub fn left_behind(&self) -> Vec<Orphan> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock_path(&self, plan: &Plan) -> PathBuf {
        if plan.lock == "workdir" {
            return self.0.state_dir.join("workdir.lock");
        }
        let hash = Sha256::digest(plan.lock.as_bytes());
        let readable: String = plan.lock.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        self.0.shared_locks.join(format!("{readable}-{:02x}{:02x}{:02x}{:02x}.lock", hash[0], hash[1], hash[2], hash[3]))
    }

    /// The lock of the plan's target, once no child of a dead holder is at work any more. None on a stage.
    async fn lock(&self, plan: &Plan, how: &Drive, mut signals: Option<&mut Signals>) -> Result<Option<Lock>, Error> {
        if self.0.stage.is_some() {
            return Ok(None);
        }
        let path = self.lock_path(plan);
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| Error::StateDir(format!("`{}`: {error}", folder.display())))?;
        }
        let start = self.0.clock.monotonic();
        let lock = loop {
            match Lock::acquire(&path, &self.0.holder) {
                Ok(lock) => break lock,
                Err(LockError::Io { path, cause }) => return Err(Error::StateDir(format!("`{}`: {cause}", path.display()))),
                Err(LockError::Held { held, .. }) => {
                    let waited = self.0.clock.monotonic().saturating_sub(start);
                    if how.wait_for_lock.is_none_or(|limit| waited >= limit) {
                        return Err(Error::Locked { lock: plan.lock.clone(), held });
                    }
                    let caught = async {
                        match signals.as_deref_mut() {
                            Some(signals) => signals.next().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        caught = caught => return Err(Error::Stopped { by: caught.name, number: caught.number, lock: plan.lock.clone() }),
                        () = tokio::time::sleep(Duration::from_millis(200)) => {}
                    }
                }
            }
        };
        if let Some(dead) = lock.left_behind() {
            self.clear(&dead.holder).await?;
        }
        Ok(Some(lock))
    }

    /// Waits until no child of a dead driver is at work, and takes away what it left half made.
    async fn clear(&self, dead: &Holder) -> Result<(), Error> {
        self.no_orphans(dead).await?;
        let swept = self.0.world.files.sweep(&dead.mark()).await;
        swept.map_err(|error| Error::StateDir(format!("what a driver that was cut off left in it: {error}")))
    }

    async fn no_orphans(&self, dead: &Holder) -> Result<(), Error> {
        let start = self.0.clock.monotonic();
        loop {
            let orphans = orphans::find(&dead.mark());
            if orphans.is_empty() {
                return Ok(());
            }
            if self.0.clock.monotonic().saturating_sub(start) >= ORPHANS {
                return Err(Error::Orphans { orphans });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn resolve(&self, plan: &Plan) -> Result<(BTreeMap<String, Secret>, Arc<Redactor>), Error> {
        let secrets = (self.0.secrets)(plan).map_err(Error::Secrets)?;
        let redactor = Arc::new(Redactor::new(secrets.values().map(Secret::expose)));
        Ok((secrets, redactor))
    }

    fn shared(&self, plan: Arc<Plan>, run: &RunId, started: String, secrets: BTreeMap<String, Secret>, redactor: Arc<Redactor>) -> Shared {
        let mut base_env = self.0.base_env.clone();
        base_env.insert(orphans::MARK.into(), self.0.holder.mark());
        let records = Arc::new(JournalRecords::new(self.0.journal.clone(), plan.workdir.clone()));
        Shared {
            info: Arc::new(RunInfo { id: run.to_string(), formula: plan.formula.clone(), started }),
            workdir: plan.workdir.as_path().into(),
            resolver: Resolver::new(plan.clone()),
            plan,
            run: run.clone(),
            world: self.0.world.clone(),
            clock: self.0.clock.clone(),
            hub: self.0.hub.clone(),
            redactor,
            secrets,
            base_env: Arc::new(base_env),
            scratch: self.0.state_dir.join("runs").join(run.as_str()).join("scratch").into(),
            state: self.0.state_dir.as_path().into(),
            locks: self.0.shared_locks.as_path().into(),
            records,
            formulas: self.0.formulas.clone(),
            logs: self.0.state_dir.join("runs").join(run.as_str()),
            stage: self.0.stage.clone(),
        }
    }

    /// Drives and lets go in an orderly way, whatever happens.
    async fn drive(&self, mut driver: Driver, lease: &Lease, signals: Option<Signals>) -> Result<Verdict, Error> {
        if self.0.stage.is_none() {
            // Not the scratch folder: whoever puts something there makes it, durably.
            let logs = driver.shared.logs.clone();
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&logs);
            made.map_err(|error| Error::StateDir(format!("`{}`: {error}", logs.display())))?;
        }
        let subreaper = signals.is_some().then(Subreaper::new);
        let ended = driver.run(signals).await;
        if let Some(subreaper) = subreaper {
            let mut left = subreaper.left(&self.0.holder.mark());
            for orphan in &mut left {
                orphan.command = driver.shared.redactor.text(&orphan.command);
            }
            *self.1.lock().unwrap_or_else(PoisonError::into_inner) = left;
        }
        match ended {
            Ok(outcome) => {
                self.0.journal.release(lease)?;
                let mut verdict = driver.state.verdict(&lease.run);
                verdict.outcome = outcome;
                verdict.exit = outcome.exit_code();
                verdict.run = Some(lease.run.clone());
                Ok(verdict)
            }
            Err(error) => {
                let Error::Journal(cause @ journal::Error::Io { .. }) = error else { return Err(error) };
                driver.let_end().await;
                Err(if self.0.stage.is_some() { Error::Journal(cause) } else { self.keep_results(&lease.run, &mut driver, cause) })
            }
        }
    }

    /// After the journal failed: keeps the results that it did not take for whoever takes up the run.
    fn keep_results(&self, run: &RunId, driver: &mut Driver, cause: journal::Error) -> Error {
        let Ok((_, durable, entries)) = self.load(run) else { return Error::Journal(cause) };
        let mut events = driver.state.ends_beyond(&durable);
        for event in &mut events {
            if let Event::AttemptSucceeded { output, .. } = event
                && let Ok(value) = driver.recorder.value(output)
            {
                *output = Payload::Value(value);
            }
        }
        if events.is_empty() {
            return Error::Journal(cause);
        }
        let steps = events.iter().filter_map(|event| event.step().map(str::to_owned)).collect();
        let place = self.recovery(run).keep(entries.len() as u64 + 1, self.0.clock.now(), events);
        Error::Unrecorded { cause, steps, place }
    }

    fn recovery(&self, run: &RunId) -> Recovery {
        Recovery::new(run, &self.0.state_dir, self.0.shared_locks.parent().unwrap_or(&self.0.shared_locks))
    }

    /// Records what an earlier driver knew and could not record, if it still fits.
    fn recover(&self, run: &RunId, state: &mut RunState, recorder: &mut Recorder<Launch>) -> Result<(), Error> {
        if self.0.stage.is_some() {
            return Ok(());
        }
        for mut event in self.recovery(run).kept(state.seq() + 1) {
            if state.clone().fold(&event).is_err() {
                continue;
            }
            if let Event::AttemptSucceeded { output, .. } = &mut event
                && let Payload::Value(value) = output
            {
                *output = recorder.payload(std::mem::take(value));
            }
            recorder.record(state, event)?;
        }
        Ok(())
    }

    fn signals(&self) -> Result<Option<Signals>, Error> {
        if !self.0.handle_signals {
            return Ok(None);
        }
        Signals::listen(self.0.world.clone()).map(Some).map_err(|error| Error::Internal(format!("cannot listen for signals: {error}")))
    }

    fn load(&self, run: &RunId) -> Result<(Arc<Plan>, RunState, Vec<Envelope>), Error> {
        let entries = self.0.journal.read(run, 0)?;
        let damaged = |what: String| Error::Journal(journal::Error::Damaged { path: "journal.db".into(), what });
        let Some(Envelope { event: Event::RunStarted { plan, .. }, .. }) = entries.first() else {
            return Err(damaged(format!("run {run} has no beginning")));
        };
        let plan: Plan = match plan {
            Payload::Value(value) => {
                serde_json::from_value(value.clone()).map_err(|error| damaged(format!("the plan of run {run} does not read: {error}")))?
            }
            Payload::Blob { digest, .. } => read_blob(self.0.journal.as_ref(), digest)?,
        };
        let mut entries = entries;
        for entry in &mut entries {
            // The core reads no blobs.
            if let Event::PlanReplaced { plan, .. } = &mut entry.event
                && let Payload::Blob { digest, .. } = plan
            {
                *plan = Payload::Value(read_blob(self.0.journal.as_ref(), digest)?);
            }
        }
        let state = RunState::replay(Arc::new(plan), &entries).map_err(|corrupt| damaged(format!("run {run}: {corrupt}")))?;
        Ok((state.plan().clone(), state, entries))
    }

    /// Takes up a run, with another plan if there is one.
    async fn take_up(&self, run: &RunId, first: &[Request], mended: Option<Plan>, how: &Drive) -> Result<Verdict, Error> {
        let (plan, ..) = self.load(run)?;
        let (secrets, redactor) = self.resolve(mended.as_ref().unwrap_or(&plan))?;
        let mut signals = self.signals()?;
        let mut lock = self.lock(&plan, how, signals.as_mut()).await?;
        describe(&mut lock, &self.0.holder, run);
        if let Some(dead) = self.0.journal.holder(run)?
            && self.0.stage.is_none()
        {
            self.clear(&dead).await?;
        }
        let last_request = self.0.journal.requests(run, 0)?.last().map_or(0, |(number, _)| *number);
        let lease = self.0.journal.acquire(run, &self.0.holder)?;
        // Only now is nobody else writing: what is read here is the end of the record.
        let (_, mut state, entries) = self.load(run)?;
        state.tick(self.0.clock.now());
        // An answer that comes late is the driver's to drop: it denies the gate.
        for request in first.iter().filter(|request| !state.comes_late(request)) {
            state.check_request(request).map_err(|refusal| refused(run, refusal))?;
        }
        if let (Mode::Finished(outcome), Some(_)) = (state.mode(), &mended)
            && outcome.is_final()
        {
            self.0.journal.release(&lease)?;
            return Err(Error::Refused { message: "the run is over".into(), hint: Some("`formula run` starts a new one".into()) });
        }
        let (started, next) = (entries[0].at.to_string(), entries.len() as u64 + 1);
        let mut recorder =
            Recorder::new(self.0.journal.clone(), lease.clone(), self.0.clock.clone(), self.0.hub.clone(), redactor.clone(), next);
        self.recover(run, &mut state, &mut recorder)?;
        let resumed = Event::RunResumed { tool: self.0.tool.clone(), by: how.by.clone() };
        recorder.record(&mut state, resumed)?;
        if let Some(plan) = &mended {
            if let Some((what, now)) = state.mending(plan).refused.into_iter().next() {
                self.0.journal.release(&lease)?;
                return Err(Error::Refused { message: what, hint: Some(now.replace("RUN", run.as_str())) });
            }
            recorder.record_plan(&mut state, plan, &self.0.tool, &how.by)?;
        }
        let shared = Arc::new(self.shared(state.plan().clone(), run, started, secrets, redactor));
        let mut driver = Driver::new(shared, state, recorder, self.0.journal.clone(), how.clone(), last_request);
        for request in first {
            driver.requested(request)?;
        }
        let verdict = self.drive(driver, &lease, signals).await?;
        if self.0.stage.is_none() {
            self.recovery(run).forget();
        }
        drop(lock);
        Ok(verdict)
    }

    fn first_batch(&self, run: &RunId, started: Timestamp, plan: &Plan, how: &Drive) -> (Batch, Arc<Envelope>) {
        // Written straight from the structure: a large plan is in memory once, and as text, and not as a tree of values beside them.
        let bytes = serde_json::to_vec(plan).expect("plain data");
        let digest = digest_of_bytes(&bytes);
        let payload = Payload::Blob { digest: digest.clone(), size: bytes.len() as u64 };
        let event = Event::RunStarted {
            formula: plan.formula.clone(),
            fingerprint: plan.fingerprint.clone(),
            plan: payload,
            tool: self.0.tool.clone(),
            by: how.by.clone(),
        };
        let envelope = Envelope { v: JOURNAL_VERSION, run: run.clone(), seq: 1, at: started, event };
        let batch = Batch { entries: vec![envelope.clone()], blobs: vec![Blob { digest, bytes }] };
        (batch, Arc::new(envelope))
    }
}

#[async_trait]
impl Backend for LocalBackend {
    async fn start(&self, plan: Plan, key: Option<String>, how: &Drive) -> Result<(RunId, Verdict), Error> {
        let (secrets, redactor) = self.resolve(&plan)?;
        let mut signals = self.signals()?;
        let mut lock = self.lock(&plan, how, signals.as_mut()).await?;
        let started = self.0.clock.now();
        let run = RunId::new(started, (self.0.random)());
        describe(&mut lock, &self.0.holder, &run);
        let (batch, envelope) = self.first_batch(&run, started, &plan, how);
        let record = RunRecord {
            run: run.clone(),
            formula: plan.formula.clone(),
            fingerprint: plan.fingerprint.clone(),
            key,
            workdir: plan.workdir.clone(),
            started,
            updated: started,
            outcome: None,
            changed: false,
        };
        let lease = self.0.journal.create(&record, &self.0.holder, batch)?;
        let plan = Arc::new(plan);
        let mut state = RunState::new(plan.clone());
        state.take(&envelope).map_err(|corrupt| Error::Internal(corrupt.to_string()))?;
        self.0.hub.event(&envelope);
        let shared = Arc::new(self.shared(plan, &run, started.to_string(), secrets, redactor.clone()));
        let recorder = Recorder::new(self.0.journal.clone(), lease.clone(), self.0.clock.clone(), self.0.hub.clone(), redactor, 2);
        let driver = Driver::new(shared, state, recorder, self.0.journal.clone(), how.clone(), 0);
        let verdict = self.drive(driver, &lease, signals).await?;
        drop(lock);
        Ok((run, verdict))
    }

    async fn resume(&self, run: &RunId, first: &[Request], how: &Drive) -> Result<Verdict, Error> {
        self.take_up(run, first, None, how).await
    }

    async fn mend(&self, run: &RunId, plan: Plan, how: &Drive) -> Result<Verdict, Error> {
        self.take_up(run, &[], Some(plan), how).await
    }

    async fn request(&self, run: &RunId, request: &Request) -> Result<Delivery, Error> {
        let (plan, known) = self.look(run)?;
        let lock = match self.lock(&plan, &Drive::default(), None).await {
            Ok(lock) => lock,
            Err(Error::Locked { held: Some(held), .. }) if held.run.as_ref() == Some(run) => {
                if matches!(request, Request::GiveUp { .. }) {
                    let hint = format!("`formula cancel {run}` stops it first");
                    return Err(Error::Refused { message: "the run is under way".into(), hint: Some(hint) });
                }
                if known.comes_late(request) {
                    known.check_request(request).map_err(|refusal| refused(run, refusal))?;
                }
                self.0.journal.post(run, request)?;
                return Ok(Delivery::Posted);
            }
            Err(error) => return Err(error),
        };
        let lease = self.0.journal.acquire(run, &self.0.holder)?;
        let (_, mut state, entries) = self.load(run)?;
        state.tick(self.0.clock.now());
        let checked = state.check_request(request).map_err(|refusal| refused(run, refusal));
        if checked.is_err() && !state.comes_late(request) {
            return checked.map(|()| Delivery::Recorded);
        }
        let (_, redactor) = (BTreeMap::<String, Secret>::new(), Arc::new(Redactor::default()));
        let mut recorder: Recorder<()> = Recorder::new(
            self.0.journal.clone(),
            lease.clone(),
            self.0.clock.clone(),
            self.0.hub.clone(),
            redactor,
            entries.len() as u64 + 1,
        );
        for event in state.events_for(request) {
            recorder.record(&mut state, event)?;
        }
        recorder.flush();
        while let Some(mut pending) = recorder.pending.pop_front() {
            (&mut pending.ack).await.unwrap_or_else(|_| Err(writer_gone()))?;
            recorder.durable(pending);
        }
        self.0.journal.release(&lease)?;
        drop(lock);
        checked.map(|()| Delivery::Recorded)
    }

    fn look(&self, run: &RunId) -> Result<(Arc<Plan>, RunState), Error> {
        let (plan, mut state, _) = self.load(run)?;
        state.tick(self.0.clock.now());
        Ok((plan, state))
    }
}
