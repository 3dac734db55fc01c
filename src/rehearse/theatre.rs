//! One run of a case in one fake world, driven by the local backend: started, taken up again by a new driver, answered.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use formula_steps::contract::{Class, StepError, StepType};
use formula_steps::world::fake::{FakeProgram, FakeWorld, State};
use formula_steps::world::{Cancel, Command, Exit, Output, PortResult, Process, Secret, World};
use serde_json::Value;

use super::case::{Case, WORK};
use super::control::{Control, Known, is_of};
use super::file::Answer;
use super::stubs::{self, Act};
use super::time::Time;
use crate::backend::local::{Config, LocalBackend, Stage};
use crate::backend::{Backend as _, Drive, Error};
use crate::engine::{Hold, RunState, StepState};
use crate::journal::{self, Ack, Batch, Holder, Journal, Lease, MemoryJournal, RunRecord};
use crate::model::{Envelope, Outcome, Plan, Request, RunId, SettleAnswer, StepIx, Timestamp, Verdict};
use crate::report::Hub;
use crate::syntax::Reader;

/// Where the program keeps its own things.
pub(super) const STATE: &str = "/formula";
/// Where the fake world keeps what was only for a while.
pub(super) const SCRATCH: &str = "/scratch";
/// What runs formulas there: a row of the table of programs plays it.
const PROGRAM: &str = "formula";
/// Drives of one run; one that needs more of them never ends.
const MOST: usize = 40;

/// How a drive ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The driver let go.
    Over(Verdict),
    /// It could not be driven at all.
    Broken(String),
}

/// What is left where the machine died: the world, what the journal had acknowledged, and what is known beside it.
pub(super) struct Cut {
    pub fake: FakeWorld,
    pub journal: MemoryJournal,
    pub known: Known,
}

/// The journal of a rehearsal: in memory, and it tells when something became durable.
struct Ledger {
    memory: MemoryJournal,
    control: Arc<Control>,
}

impl Journal for Ledger {
    fn create(&self, record: &RunRecord, holder: &Holder, first: Batch) -> journal::Result<Lease> {
        self.memory.create(record, holder, first)
    }
    fn acquire(&self, run: &RunId, holder: &Holder) -> journal::Result<Lease> {
        self.memory.acquire(run, holder)
    }
    fn release(&self, lease: &Lease) -> journal::Result<()> {
        self.memory.release(lease)
    }
    fn holder(&self, run: &RunId) -> journal::Result<Option<Holder>> {
        self.memory.holder(run)
    }
    fn append(&self, lease: &Lease, batch: Batch) -> Ack {
        let (entries, before) = (batch.entries.clone(), self.memory.length());
        let ack = self.memory.append(lease, batch);
        self.control.saw(&entries, before);
        ack
    }
    fn read(&self, run: &RunId, since: u64) -> journal::Result<Vec<Envelope>> {
        self.memory.read(run, since)
    }
    fn blob(&self, digest: &str) -> journal::Result<Vec<u8>> {
        self.memory.blob(digest)
    }
    fn runs(&self) -> journal::Result<Vec<RunRecord>> {
        self.memory.runs()
    }
    fn post(&self, run: &RunId, request: &Request) -> journal::Result<u64> {
        self.memory.post(run, request)
    }
    fn requests(&self, run: &RunId, after: u64) -> journal::Result<Vec<(u64, Request)>> {
        self.memory.requests(run, after)
    }
    fn remove(&self, run: &RunId) -> journal::Result<()> {
        self.memory.remove(run)
    }
}

/// Between the driver and the steps.
struct Props {
    kinds: Vec<&'static dyn StepType>,
    control: Arc<Control>,
}

impl Stage for Props {
    fn kind(&self, name: &str) -> Option<&'static dyn StepType> {
        self.kinds.iter().copied().find(|kind| kind.meta().kind == name)
    }
    fn begins(&self, step: &str) -> Option<StepError> {
        let error = self.control.fault(step, false);
        if error.is_none() {
            self.control.begin_calls(step);
        }
        error
    }
    fn ended(&self, step: &str, result: &Result<Value, StepError>) -> Option<StepError> {
        self.control.end_calls(step);
        let output = result.as_ref().ok()?;
        self.control.note_end(step, output);
        self.control.fault(step, true)
    }
}

/// The programs of `shell` steps and of gates, as the test file has them; the rest is the fake world's.
struct Actors {
    fake: FakeWorld,
    control: Arc<Control>,
    acts: Arc<BTreeMap<String, Act>>,
}

impl Actors {
    fn program(&self, command: &Command) -> Option<FakeProgram> {
        let step = command.env.get("FORMULA_STEP")?;
        let act = self.acts.get(step).or_else(|| self.acts.iter().find(|(id, _)| is_of(step, id)).map(|(_, act)| act))?;
        if command.env.get("FORMULA_ATTEMPT").is_some_and(|attempt| attempt != "0") {
            return Some(act.run(step));
        }
        if self.control.is_undoing(step) {
            return Some(act.undo(step));
        }
        let done = self.fake.edit(|state| state.files.contains_key(Path::new(&stubs::marker(step))));
        Some(act.probe(done))
    }
}

impl Actors {
    /// Whether it is a formula run by a step, and the test file says nothing of such.
    fn is_left_out(&self, command: &Command) -> bool {
        let is_it = |word: Option<&String>| word.is_some_and(|word| word == PROGRAM);
        is_it(command.argv.first()) && !self.fake.edit(|state| state.programs.iter().any(|program| is_it(program.argv.first())))
    }
}

#[async_trait]
impl Process for Actors {
    async fn run(&self, command: &Command, output: &dyn Output, cancel: &Cancel) -> PortResult<Exit> {
        match self.program(command) {
            Some(program) => self.fake.perform(Some(&program), command, output, cancel).await,
            None if self.is_left_out(command) => {
                // Of a run that nobody describes there is nothing to show.
                let exit = if command.argv.get(1).is_some_and(|word| word == "show") { 2 } else { 0 };
                self.fake.perform(Some(&FakeProgram::default().exit(exit)), command, output, cancel).await
            }
            None => self.fake.run(command, output, cancel).await,
        }
    }
}

/// A run in a fake world.
pub(super) struct Theatre<'c> {
    case: &'c Case,
    pub(super) fake: FakeWorld,
    pub(super) control: Arc<Control>,
    /// Steps about which a person was asked, in order.
    pub(super) asked: Vec<String>,
    /// What steps gave in the run that nothing interrupted.
    pub(super) outputs: Option<&'c BTreeMap<String, Value>>,
    time: Arc<Time>,
    ledger: Arc<Ledger>,
    world: Arc<World>,
    props: Arc<Props>,
}

impl<'c> Theatre<'c> {
    /// A world in that state, in which nothing goes on and the faults of the case strike.
    pub(super) fn new(case: &'c Case, start: State) -> Self {
        let known = Known::new(case.faults.clone());
        Self::at(case, Cut { fake: FakeWorld::from_state(start), journal: MemoryJournal::new(), known })
    }

    /// The same, and nothing goes wrong.
    pub(super) fn without_faults(case: &'c Case, start: State) -> Self {
        let known = Known::new(Vec::new());
        Self::at(case, Cut { fake: FakeWorld::from_state(start), journal: MemoryJournal::new(), known })
    }

    /// What is left where the machine died; it is up again.
    pub(super) fn at(case: &'c Case, cut: Cut) -> Self {
        let Cut { fake, journal, known } = cut;
        let control = Arc::new(Control::new(fake.clone(), known));
        let time = Arc::new(Time::new(fake.clone()));
        let actors = Actors { fake: fake.clone(), control: control.clone(), acts: case.acts.clone() };
        let world = World { clock: time.clone(), process: Arc::new(actors), ..fake.world() };
        Self {
            case,
            control: control.clone(),
            asked: Vec::new(),
            outputs: None,
            time,
            ledger: Arc::new(Ledger { memory: journal, control: control.clone() }),
            world: Arc::new(world),
            props: Arc::new(Props { kinds: case.kinds.clone(), control }),
            fake,
        }
    }

    /// A new driver.
    pub(super) fn backend(&self) -> LocalBackend {
        let secrets = self.case.secrets.clone();
        LocalBackend::new(Config {
            state_dir: STATE.into(),
            shared_locks: STATE.into(),
            world: self.world.clone(),
            clock: self.time.clone(),
            journal: self.ledger.clone(),
            hub: Hub::new(),
            tool: env!("CARGO_PKG_VERSION").into(),
            holder: Holder { host: "rehearsal".into(), pid: 1, user: "rehearsal".into(), since: Timestamp(0) },
            base_env: self.case.env.clone(),
            secrets: Box::new(move |plan: &Plan| {
                let named = plan.secrets.keys().filter_map(|name| Some((name.clone(), Secret::new(secrets.get(name)?))));
                Ok(named.collect())
            }),
            handle_signals: false,
            random: || [0; 10],
            formulas: Arc::new(Reader::new(Some(PROGRAM.into()))),
            stage: Some(self.props.clone()),
        })
    }

    /// Runs until it ends or hangs.
    pub(super) fn drive<T>(&self, work: impl AsyncFnOnce(&LocalBackend) -> Result<T, Error>) -> Result<T, String> {
        let time = self.time.clone();
        time.begin();
        let idle = time.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || idle.at_rest())
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        let backend = self.backend();
        let mut work = pin!(work(&backend));
        runtime.block_on(poll_fn(|cx| {
            if time.is_stuck(cx.waker()) {
                return Poll::Ready(Err("it hangs: nothing goes on any more".to_owned()));
            }
            work.as_mut().poll(cx).map_err(|error| error.to_string())
        }))
    }

    fn how(&self) -> Drive {
        let expires = self.case.gates.values().any(|answer| *answer == Answer::Expire);
        Drive { by: "rehearsal".into(), wait_for_gates: expires, ..Drive::default() }
    }

    /// Starts the run.
    pub(super) fn start(&self) -> Ended {
        let plan = self.case.plan.clone();
        ended(self.drive(async |backend| backend.start(plan, None, &self.how()).await.map(|(_, verdict)| verdict)))
    }

    /// Takes up the run.
    pub(super) fn resume(&self, first: &[Request]) -> Ended {
        let Some(run) = self.run() else { return Ended::Broken("there is no run to take up".into()) };
        ended(self.drive(async |backend| backend.resume(&run, first, &self.how()).await))
    }

    /// Answers all that is asked, until nothing follows by itself.
    pub(super) fn finish(&mut self, mut ended: Ended) -> Ended {
        for _ in 0..MOST {
            let Ended::Over(verdict) = &ended else { return ended };
            if verdict.outcome.is_final() {
                return ended;
            }
            // A rollback down to a step ends with the run stopped: gates that are open then ask about going on, which nobody wants.
            let answers = self.answers(verdict.outcome != Outcome::Stopped);
            if answers.is_empty() {
                return ended;
            }
            ended = self.resume(&answers);
        }
        Ended::Broken("it never comes to an end".into())
    }

    pub(super) fn run(&self) -> Option<RunId> {
        self.ledger.runs().ok()?.first().map(|record| record.run.clone())
    }

    /// How all stands when the journal had that many entries and the world was that.
    pub(super) fn cut(&self, fake: FakeWorld, entries: usize, known: Known) -> Cut {
        Cut { fake, journal: self.ledger.memory.fork(entries), known }
    }

    /// Entries of the journal.
    pub(super) fn entries(&self) -> usize {
        self.ledger.memory.length()
    }

    /// The run as its journal has it.
    pub(super) fn look(&self) -> Option<(Arc<Plan>, RunState)> {
        self.backend().look(&self.run()?).ok()
    }

    /// What steps gave.
    pub(super) fn recorded(&self) -> BTreeMap<String, Value> {
        let Some((plan, state)) = self.look() else { return BTreeMap::new() };
        let value = |ix: StepIx| match state.output(ix)? {
            crate::model::Payload::Value(value) => Some(value.clone()),
            crate::model::Payload::Blob { digest, .. } => serde_json::from_slice(&self.ledger.blob(digest).ok()?).ok(),
        };
        let all = (0..plan.steps.len() as u32).map(StepIx);
        all.filter_map(|ix| Some((plan.step(ix).id.clone(), value(ix)?))).collect()
    }

    /// What a person says to all that waits for one, with or without what gates ask.
    fn answers(&mut self, gates: bool) -> Vec<Request> {
        let Some((plan, state)) = self.look() else { return Vec::new() };
        let mut answers = Vec::new();
        for ix in (0..plan.steps.len() as u32).map(StepIx) {
            let step = plan.step(ix).id.clone();
            if let StepState::Waiting { digest, rules, .. } = state.step(ix) {
                let answer = self.case.gate(&step);
                if gates && answer != Answer::Expire {
                    let approved = answer == Answer::Approve;
                    let by = rules.approvers.first().cloned().unwrap_or_else(|| "rehearsal".into());
                    answers.push(Request::Decide { by, step, approved, reason: None, digest: digest.to_string() });
                }
                continue;
            }
            let Some((answer, output)) = self.settles(&state, ix, &step) else { continue };
            if state.valid_answers(ix).iter().any(|(valid, _)| *valid == answer) {
                self.asked.push(step.clone());
                answers.push(Request::Settle { by: "rehearsal".into(), step, answer, reason: "it is so".into(), output });
            }
        }
        answers
    }

    /// What is so with a step of which nobody but a person can tell.
    fn settles(&self, state: &RunState, ix: StepIx, step: &str) -> Option<(SettleAnswer, Option<Value>)> {
        let there = self.truth(step);
        match state.step(ix) {
            StepState::Held { why: Hold::InDoubt, .. } => {
                Some(there.map_or((SettleAnswer::Retry, None), |output| (SettleAnswer::Adopt, output)))
            }
            StepState::UndoFailed(trouble) if trouble.class == Class::Conflict => {
                Some((if there.is_some() { SettleAnswer::Retry } else { SettleAnswer::Skip }, None))
            }
            _ => None,
        }
    }

    /// What a step gave, if its effect is there.
    #[expect(clippy::option_option, reason = "the effect may be there without an output that anybody knows")]
    fn truth(&self, step: &str) -> Option<Option<Value>> {
        if let Some(output) = self.control.ended(step) {
            return Some(Some(output));
        }
        let there = self.fake.edit(|state| state.files.contains_key(Path::new(&stubs::marker(step))));
        there.then(|| self.outputs.and_then(|outputs| outputs.get(step).cloned()))
    }

    /// The world as it is compared.
    pub(super) fn snapshot(&self) -> Value {
        comparable(self.fake.snapshot())
    }
}

/// Without what belongs to the run alone.
pub(super) fn comparable(world: Value) -> Value {
    let scratch = Path::new(SCRATCH);
    debug_assert!(!Path::new(WORK).starts_with(scratch), "the working directory is compared");
    super::compare::comparable(world, &[Path::new(STATE), scratch])
}

fn ended(driven: Result<Verdict, String>) -> Ended {
    match driven {
        Ok(verdict) => Ended::Over(verdict),
        Err(message) => Ended::Broken(message),
    }
}
