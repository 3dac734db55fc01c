//! The loop that carries out what the core decides.
//!
//! One turn: ask the core, commission what is new (recording intents), hand all of it to the journal as one batch, then wait for whatever comes
//! first: a batch that became durable, a task that ended, a timer, a request, a signal. An effect starts only once its intent is durable; an end
//! and the next start share a commit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use formula_steps::contract::{Class, Probe, StepError, StepType};
use formula_steps::world::Cancel;
use tokio::task::JoinSet;

use super::recorder::{Pending, Recorder};
use super::shared::Shared;
use super::signals::{Caught, Signals};
use super::task::{self, Ended, Key, Launch, Report, Work};
use super::values;
use crate::backend::{Drive, Error};
use crate::engine::{Command, Mode, RunState};
use crate::journal::Journal;
use crate::model::{Event, Outcome, ProbeReason, StepIx, Timestamp};
use crate::plan::Rendered;

mod gates;
mod stops;

/// Something that the loop waits for.
enum Happened {
    Durable(Result<(), crate::journal::Error>),
    Report(Report),
    Signal(Caught),
    Timer,
    Poll,
}

/// One drive of one run.
pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) state: RunState,
    pub(super) recorder: Recorder<Launch>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) how: Drive,
    tasks: JoinSet<Report>,
    /// Everything commissioned and not yet ended, with the way to stop it.
    active: HashMap<Key, Cancel>,
    /// Durable intents that wait for a slot.
    ready: VecDeque<Launch>,
    /// Tasks that hold a slot.
    running: usize,
    rendered: HashMap<StepIx, Arc<Rendered>>,
    kinds: HashMap<String, &'static dyn StepType>,
    retry_after: HashMap<StepIx, Duration>,
    timer: Option<Timestamp>,
    deadline: Option<Duration>,
    signal: Option<Caught>,
    /// Somebody asked to stop: nothing that was announced begins any more.
    cancelled: bool,
    last_request: u64,
    /// When requests are looked for next, on the monotonic clock of the steps, which stands still while Ctrl-Z has us stopped.
    next_poll: Duration,
    /// An open gate is all that is left, and it is to be waited for.
    waits_for_answer: bool,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        state: RunState,
        recorder: Recorder<Launch>,
        journal: Arc<dyn Journal>,
        how: Drive,
        last_request: u64,
    ) -> Self {
        let now = shared.world.clock.monotonic();
        let (deadline, next_poll) = (how.deadline.map(|limit| now + limit), now + shared.poll());
        Self {
            shared,
            state,
            recorder,
            journal,
            how,
            tasks: JoinSet::new(),
            active: HashMap::new(),
            ready: VecDeque::new(),
            running: 0,
            rendered: HashMap::new(),
            kinds: HashMap::new(),
            retry_after: HashMap::new(),
            timer: None,
            deadline,
            signal: None,
            cancelled: false,
            last_request,
            next_poll,
            waits_for_answer: false,
        }
    }

    /// Drives until the core says that the run is over, for now or for good.
    pub(super) async fn run(&mut self, mut signals: Option<Signals>) -> Result<Outcome, Error> {
        loop {
            let finish = self.commission_all()?;
            if self.cancelled {
                self.withdraw()?;
            }
            // After a failure what was announced and finds a slot still runs: one mirror that is down must not keep the tag from the other.
            self.fill_slots();
            self.withdraw()?;
            self.recorder.flush();
            if finish.is_some() {
                self.stop_asking();
            }
            if let Some(outcome) = finish
                && self.tasks.is_empty()
                && self.ready.is_empty()
                && self.recorder.is_idle()
            {
                return self.finish(outcome).await;
            }
            let happened = self.wait(signals.as_mut()).await?;
            self.take(happened)?;
            while let Some(Ok(report)) = self.tasks.try_join_next() {
                self.ended(report)?;
            }
            self.poll()?;
        }
    }

    /// Asks the core until it has nothing new. Returns the outcome it wants to finish with, if it does.
    fn commission_all(&mut self) -> Result<Option<Outcome>, Error> {
        loop {
            self.state.tick(self.shared.clock.now());
            if self.state.turned_unsaid() {
                self.recorder.record(&mut self.state, Event::RollbackRequested { by: "formula".into(), to: None })?;
            }
            self.timer = None;
            let mut finish = None;
            let mut news = false;
            let mode = self.state.mode();
            for command in self.state.decide() {
                if self.state.mode() != mode {
                    // What was recorded a moment ago turned the run: the rest of this answer is out of date.
                    news = true;
                    break;
                }
                match command {
                    Command::Finish(outcome) => finish = Some(outcome),
                    Command::WaitUntil(at) => self.timer = Some(self.timer.map_or(at, |timer| timer.min(at))),
                    command => news |= self.commission(command)?,
                }
            }
            if !news {
                self.waits_for_answer = self.how.wait_for_gates && finish == Some(Outcome::Held) && self.state.waits_for_gate();
                return Ok(finish.filter(|_| !self.waits_for_answer));
            }
        }
    }

    /// Starts what a command asks for, unless it is under way. Returns whether something was started or recorded.
    fn commission(&mut self, command: Command) -> Result<bool, Error> {
        match command {
            Command::Probe { step, reason } => {
                if self.active.contains_key(&Key::Probe(step)) {
                    return Ok(false);
                }
                if let Some(rendered) = self.render(step, reason != ProbeReason::Rollback)? {
                    self.spawn(Launch { key: Key::Probe(step), step, work: Work::Probe(reason), rendered });
                }
                Ok(true)
            }
            Command::Attempt { step, attempt } => self.commission_attempt(step, attempt),
            Command::Undo(step) => self.commission_undo(step),
            Command::ScheduleRetry { step, attempt } => {
                let wait = self.shared.plan.step(step).retry.wait(attempt.saturating_sub(1).max(1), self.retry_after.remove(&step));
                let at = self.shared.clock.now().plus_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                let id = self.id(step);
                self.recorder.record(&mut self.state, Event::RetryScheduled { step: id, attempt, at })?;
                Ok(true)
            }
            Command::OpenGate(step) => self.open_gate(step),
            Command::AskGate(step) => self.ask_gate(step),
            Command::DecideGate { step, approved } => self.gate_is_due(step, approved),
            Command::Finish(_) | Command::WaitUntil(_) => Ok(false),
        }
    }

    fn commission_attempt(&mut self, step: StepIx, attempt: u32) -> Result<bool, Error> {
        let key = Key::Attempt(step, attempt);
        if self.active.contains_key(&key) {
            return Ok(false);
        }
        let Some(rendered) = self.render(step, true)? else { return Ok(true) };
        let before = self.state.before(step).cloned().map(|before| self.recorder.value(&before)).transpose()?;
        self.active.insert(key, Cancel::new());
        let event = Event::AttemptStarted { step: self.id(step), attempt };
        self.recorder.record(&mut self.state, event)?;
        self.recorder.launch_after(Launch { key, step, work: Work::Attempt { attempt, before }, rendered });
        Ok(true)
    }

    fn commission_undo(&mut self, step: StepIx) -> Result<bool, Error> {
        let key = Key::Undo(step);
        if self.active.contains_key(&key) {
            return Ok(false);
        }
        let Some(rendered) = self.render(step, false)? else { return Ok(true) };
        let before = self.state.before(step).cloned().map(|before| self.recorder.value(&before)).transpose()?;
        let output = self.state.output(step).cloned().map(|output| self.recorder.value(&output)).transpose()?;
        self.active.insert(key, Cancel::new());
        let event = Event::UndoStarted { step: self.id(step) };
        self.recorder.record(&mut self.state, event)?;
        self.recorder.launch_after(Launch { key, step, work: Work::Undo { before, output }, rendered });
        Ok(true)
    }

    /// Renders a step. None: it was skipped, or failed because it cannot be rendered; both are recorded.
    fn render(&mut self, step: StepIx, conditional: bool) -> Result<Option<Arc<Rendered>>, Error> {
        if let Some(rendered) = self.rendered.get(&step) {
            return Ok(Some(rendered.clone()));
        }
        let rendered = match values::render(&self.shared, &self.state, &mut self.recorder, step) {
            Ok(rendered) => Arc::new(rendered),
            Err(values::RenderError::Journal(error)) => return Err(error),
            Err(values::RenderError::Template(message)) => {
                let error = StepError::permanent(message).hint("`formula show` has the outputs of the steps before");
                if conditional {
                    self.fail_before_start(step, &error)?;
                } else {
                    self.undo_failed(step, error)?;
                }
                return Ok(None);
            }
        };
        if conditional && !rendered.condition {
            let event = Event::StepSkipped { step: self.id(step), reason: "its condition is false".into() };
            self.recorder.record(&mut self.state, event)?;
            return Ok(None);
        }
        self.rendered.insert(step, rendered.clone());
        Ok(Some(rendered))
    }

    /// Records the failure of a step of which nothing was started.
    fn fail_before_start(&mut self, step: StepIx, error: &StepError) -> Result<(), Error> {
        let attempt = self.state.next_attempt(step);
        self.failed(step, attempt, error.clone())
    }

    /// Takes back intents that no slot was found for, once the core does not want them any more.
    fn withdraw(&mut self) -> Result<(), Error> {
        if matches!(self.state.mode(), Mode::Forward | Mode::Finally) {
            return Ok(());
        }
        for launch in std::mem::take(&mut self.ready) {
            let attempt = match launch.work {
                Work::Attempt { attempt, .. } if !self.state.goes_on_beside(launch.step) => attempt,
                _ => {
                    self.ready.push_back(launch);
                    continue;
                }
            };
            self.active.remove(&launch.key);
            let event = Event::AttemptWithdrawn { step: self.id(launch.step), attempt };
            self.recorder.record(&mut self.state, event)?;
        }
        Ok(())
    }

    fn fill_slots(&mut self) {
        while self.running < self.shared.plan.max_parallel as usize
            && let Some(launch) = self.ready.pop_front()
        {
            self.running += 1;
            self.spawn(launch);
        }
    }

    fn spawn(&mut self, launch: Launch) {
        let cancel = self.active.entry(launch.key).or_default().clone();
        let kind = self.kind(launch.step);
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            match kind {
                Some(kind) => task::carry_out(shared, kind, launch, cancel).await,
                None => task::without_kind(&shared, &launch),
            }
        });
    }

    fn kind(&mut self, step: StepIx) -> Option<&'static dyn StepType> {
        let name = &self.shared.plan.step(step).kind;
        if let Some(kind) = self.kinds.get(name) {
            return Some(*kind);
        }
        let kind = self.shared.kind(step)?;
        self.kinds.insert(name.clone(), kind);
        Some(kind)
    }

    async fn wait(&mut self, signals: Option<&mut Signals>) -> Result<Happened, Error> {
        let poll = self.next_poll.saturating_sub(self.shared.world.clock.monotonic());
        let Self { tasks, recorder, timer, shared, .. } = self;
        if tasks.is_empty() && recorder.pending.is_empty() && timer.is_none() && !self.waits_for_answer {
            return Err(Error::Internal("the core asks for nothing and nothing is under way".into()));
        }
        let front = recorder.pending.front_mut();
        let due = timer.map(|at| Duration::from_millis(at.since(shared.clock.now())));
        Ok(tokio::select! {
            biased;
            caught = async { match signals { Some(signals) => signals.next().await, None => std::future::pending().await } } => Happened::Signal(caught),
            durable = async { match front { Some(Pending { ack, .. }) => ack.await, None => std::future::pending().await } } =>
                Happened::Durable(durable.unwrap_or_else(|_| Err(super::writer_gone()))),
            Some(report) = tasks.join_next(), if !tasks.is_empty() => match report {
                Ok(report) => Happened::Report(report),
                Err(error) => return Err(Error::Internal(format!("a task was lost: {error}"))),
            },
            () = async { match due { Some(due) => shared.world.clock.sleep(due).await, None => std::future::pending().await } } => Happened::Timer,
            () = shared.world.clock.sleep(poll) => Happened::Poll,
        })
    }

    fn take(&mut self, happened: Happened) -> Result<(), Error> {
        match happened {
            Happened::Durable(Ok(())) => {
                if let Some(pending) = self.recorder.pending.pop_front() {
                    let launches = self.recorder.durable(pending);
                    self.ready.extend(launches);
                }
                Ok(())
            }
            Happened::Durable(Err(error)) => Err(error.into()),
            Happened::Report(report) => self.ended(report),
            Happened::Signal(caught) => self.signalled(caught),
            Happened::Timer | Happened::Poll => Ok(()),
        }
    }

    fn ended(&mut self, report: Report) -> Result<(), Error> {
        let Report { key, step, ended } = report;
        self.active.remove(&key);
        match ended {
            Ended::Probed(reason, Ok(probe)) => {
                if matches!(probe, Probe::Present { .. }) {
                    self.rendered.remove(&step);
                }
                let id = self.id(step);
                let event = values::probed(&mut self.recorder, id, reason, probe, &self.shared.redactor, self.shared.kind(step));
                self.recorder.record(&mut self.state, event)
            }
            Ended::Probed(reason, Err(error)) => self.probe_failed(step, reason, error),
            Ended::Attempted(attempt, result) => {
                self.running -= 1;
                match result {
                    Ok(output) => {
                        self.rendered.remove(&step);
                        let one_way = self.shared.kind(step).is_some_and(|kind| kind.one_way(&output));
                        let output = self.recorder.payload(output);
                        let event = Event::AttemptSucceeded { step: self.id(step), attempt, output, one_way };
                        self.recorder.record(&mut self.state, event)
                    }
                    Err(error) => self.failed(step, attempt, error),
                }
            }
            Ended::Asked(answer) => self.asked(step, answer),
            Ended::Undone(result) => {
                self.running -= 1;
                match result {
                    Ok(()) => {
                        let event = Event::UndoSucceeded { step: self.id(step) };
                        self.recorder.record(&mut self.state, event)
                    }
                    Err(error) => self.undo_failed(step, error),
                }
            }
        }
    }

    /// A look that failed: nothing was announced, so nothing is in doubt that was not before.
    fn probe_failed(&mut self, step: StepIx, reason: ProbeReason, error: StepError) -> Result<(), Error> {
        if reason == ProbeReason::Rollback {
            return self.undo_failed(step, error);
        }
        let attempt = self.state.next_attempt(step);
        self.failed(step, attempt, error)
    }

    fn undo_failed(&mut self, step: StepIx, error: StepError) -> Result<(), Error> {
        let text = |text: String| self.shared.redactor.text(&text);
        let event = Event::UndoFailed { step: self.id(step), class: error.class, message: text(error.message), hint: error.hint.map(text) };
        self.recorder.record(&mut self.state, event)
    }

    fn failed(&mut self, step: StepIx, attempt: u32, error: StepError) -> Result<(), Error> {
        let class = if error.class == Class::Cancelled { Class::Interrupted } else { error.class };
        if let Some(wait) = error.retry_after {
            self.retry_after.insert(step, wait);
        }
        let text = |text: String| self.shared.redactor.text(&text);
        let event = Event::AttemptFailed { step: self.id(step), attempt, class, message: text(error.message), hint: error.hint.map(text) };
        self.recorder.record(&mut self.state, event)
    }

    async fn finish(&mut self, outcome: Outcome) -> Result<Outcome, Error> {
        let outcome = match (outcome, self.signal) {
            (Outcome::Stopped, Some(Caught { number: 2, .. })) => Outcome::Interrupted,
            (Outcome::Stopped, Some(_)) => Outcome::Terminated,
            (outcome, _) => outcome,
        };
        let event = Event::RunFinished { outcome, changed: self.state.changed() };
        self.recorder.record(&mut self.state, event)?;
        self.recorder.flush();
        while let Some(mut pending) = self.recorder.pending.pop_front() {
            (&mut pending.ack).await.unwrap_or_else(|_| Err(super::writer_gone()))?;
            self.recorder.durable(pending);
        }
        Ok(outcome)
    }

    /// After the journal failed: nothing starts any more, and what is under way is let end, so that its result can at least be kept beside the
    /// journal.
    pub(super) async fn let_end(&mut self) {
        self.ready.clear();
        while let Some(report) = self.tasks.join_next().await {
            if let Ok(report) = report {
                // An event that does not fit is no worse than the failure that led here.
                let _ = self.ended(report);
            }
        }
    }

    fn id(&self, step: StepIx) -> String {
        self.shared.plan.step(step).id.clone()
    }
}
