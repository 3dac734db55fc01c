//! Where a run is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::links::{Links, Traits};
use super::queues::{Queues, effort};
use super::rollback::Rollback;
use super::step_state::{Failure, Slot, StepState};
use super::{Corrupt, Origin};
use crate::model::{Envelope, Event, Gate, Outcome, Payload, Plan, StepIx, Timestamp};

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Starting what can be started.
    Forward,
    /// Nothing new starts: somebody asked for it, or a step failed. What is in flight ends; attempts that were announced and not begun are
    /// withdrawn.
    Stopping,
    /// What this run made is taken back, once nothing is running.
    RollingBack,
    /// The rest is over; the steps of `[[finally]]` are left.
    Finally,
    /// A driver let go of it.
    Finished(Outcome),
}

/// The state of a run: a function of its plan, its events, and the time it was last told.
#[derive(Debug, Clone)]
pub struct RunState {
    pub(super) plan: Arc<Plan>,
    pub(super) links: Arc<Links>,
    pub(super) slots: Vec<Slot>,
    /// Per step, how many of its needs are not over.
    pub(super) missing: Vec<u32>,
    pub(super) queues: Queues,
    /// Events folded so far.
    pub(super) seq: u64,
    pub(super) now: Timestamp,
    /// When what is being folded happened.
    pub(super) at: Option<Timestamp>,
    pub(super) finished: Option<Outcome>,
    /// Somebody asked to stop.
    pub(super) cancel: bool,
    /// The newest who asked to stop is a person, and not a time limit.
    pub(super) by_person: bool,
    /// A person gave it up after its driver had let go of it.
    pub(super) given_up: bool,
    /// An attempt or undo was cut off without anybody having asked this core.
    pub(super) cut: bool,
    pub(super) rollback: Option<Rollback>,
    /// A rollback that the formula asks for was not begun, because there is no way back.
    pub(super) barred: bool,
    /// The first failure; later ones are fallout.
    pub(super) first: Option<Failure>,
    pub(super) changed: bool,
    /// Steps that do more than look and of which an attempt began.
    pub(super) touched: usize,
    /// Steps this run made and that cannot be taken back.
    pub(super) one_way: BTreeSet<StepIx>,
    /// Steps that are not over, without those of `[[finally]]`.
    pub(super) remaining: usize,
    /// Steps of `[[finally]]` that are not over.
    pub(super) closing: usize,
    /// Whether steps of `[[finally]]` may start.
    pub(super) released: bool,
}

impl RunState {
    /// The state before the first event.
    pub fn new(plan: Arc<Plan>) -> Self {
        let links = Arc::new(Links::new(&plan));
        let count = plan.steps.len();
        let mut state = Self {
            links,
            slots: vec![Slot::new(); count],
            missing: vec![0; count],
            queues: Queues::default(),
            seq: 0,
            now: Timestamp(i64::MIN),
            at: None,
            finished: None,
            cancel: false,
            by_person: false,
            given_up: false,
            cut: false,
            rollback: None,
            barred: false,
            first: None,
            changed: false,
            touched: 0,
            one_way: BTreeSet::new(),
            remaining: 0,
            closing: 0,
            released: false,
            plan,
        };
        state.rebuild();
        state
    }

    /// The state after a stored run's events. Call [`RunState::tick`] before deciding.
    ///
    /// # Errors
    /// There are none, they have gaps, belong to several runs, or do not follow from one another.
    pub fn replay<'a>(plan: Arc<Plan>, events: impl IntoIterator<Item = &'a Envelope>) -> Result<Self, Corrupt> {
        let mut state = Self::new(plan);
        let mut run = None;
        for envelope in events {
            let corrupt = |what: String| Corrupt { seq: envelope.seq, event: envelope.event.name(), what };
            if envelope.seq != state.seq + 1 {
                return Err(corrupt(format!("event {} was expected here", state.seq + 1)));
            }
            if run.get_or_insert(&envelope.run) != &&envelope.run {
                return Err(corrupt(format!("it belongs to run {}", envelope.run)));
            }
            state.take(envelope)?;
        }
        if state.seq == 0 {
            return Err(Corrupt { seq: 1, event: "run_started", what: "the run has no events at all".into() });
        }
        Ok(state)
    }

    /// Lets waits fall due. The only clock of the core; time never goes back.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(&(at, step)) = self.queues.retries.first()
            && at <= self.now
        {
            effort::spend();
            self.queues.retries.pop_first();
            self.queues.open.insert((self.slot(step).key, step));
        }
        while let Some(&(at, step)) = self.queues.deadlines.first()
            && at <= self.now
        {
            effort::spend();
            self.queues.deadlines.pop_first();
            self.queues.due.insert(step);
        }
    }

    /// What the run is about now.
    pub fn mode(&self) -> Mode {
        if let Some(outcome) = self.finished {
            return Mode::Finished(outcome);
        }
        if self.cancel || self.cut {
            return Mode::Stopping;
        }
        if self.rollback.is_some() {
            return if self.released && self.closing > 0 { Mode::Finally } else { Mode::RollingBack };
        }
        // The rest is over, so what is blocked is among those that end the run: they do not stop one another.
        if self.remaining == 0 && self.closing > 0 {
            return Mode::Finally;
        }
        if self.queues.blocked.is_empty() { Mode::Forward } else { Mode::Stopping }
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Number of events folded so far: the `seq` of the last one.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Where a step is.
    pub fn step(&self, step: StepIx) -> &StepState {
        &self.slot(step).state
    }

    /// What a step gave.
    pub fn output(&self, step: StepIx) -> Option<&Payload> {
        self.slot(step).output.as_ref()
    }

    /// A step's checkpoint.
    pub fn before(&self, step: StepIx) -> Option<&Payload> {
        self.slot(step).before.as_ref()
    }

    /// The number that the next attempt of a step has.
    pub fn next_attempt(&self, step: StepIx) -> u32 {
        self.slot(step).attempt + 1
    }

    /// The step of that id.
    pub fn find(&self, id: &str) -> Option<StepIx> {
        self.links.find(&self.plan, id)
    }

    /// How many steps are done or left out.
    pub fn over_in_all(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state.is_over()).count()
    }

    /// Whether this run made anything that does more than look, also if it was taken back since.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Whether this run made something that cannot be taken back.
    pub fn one_way_crossed(&self) -> bool {
        !self.one_way.is_empty()
    }

    /// How all but the steps of `[[finally]]` ended, for those steps.
    pub fn ended(&self) -> Outcome {
        match &self.rollback {
            Some(rollback) if !rollback.failed.is_empty() => Outcome::RollbackIncomplete,
            Some(rollback) if rollback.to.is_some() => Outcome::Stopped,
            Some(_) => Outcome::RolledBack,
            None if self.remaining == 0 => Outcome::Done,
            None if self.is_refusal() => Outcome::Refused,
            None if self.cancel => Outcome::Stopped,
            None if self.cut => Outcome::Interrupted,
            None => Outcome::Held,
        }
    }

    /// The first failure; those after it are fallout.
    pub fn failure(&self) -> Option<Failure> {
        let mut failure = self.first.clone()?;
        if self.barred {
            let names = self.names(self.one_way.iter().copied());
            let barred = format!("nothing was rolled back: {names} cannot be taken back");
            failure.hint = Some(failure.hint.map_or(barred.clone(), |hint| format!("{hint}; {barred}")));
        }
        Some(failure)
    }

    /// Whether all that is left to happen is a person's answer to an open gate.
    pub fn waits_for_gate(&self) -> bool {
        matches!(self.mode(), Mode::Forward | Mode::Finally) && !self.queues.asking.is_empty()
    }

    pub(super) fn slot(&self, step: StepIx) -> &Slot {
        &self.slots[step.index()]
    }

    pub(super) fn slot_mut(&mut self, step: StepIx) -> &mut Slot {
        &mut self.slots[step.index()]
    }

    pub(super) fn traits(&self, step: StepIx) -> Traits {
        self.links.traits(step)
    }

    /// Ids in backticks, at most five of them.
    pub(super) fn names(&self, steps: impl ExactSizeIterator<Item = StepIx>) -> String {
        let more = steps.len().saturating_sub(5);
        let mut text = steps.take(5).map(|step| format!("`{}`", self.plan.step(step).id)).collect::<Vec<_>>().join(", ");
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text
    }
}

/// The moves of steps between the queues.
impl RunState {
    /// Moves a step to another state.
    pub(super) fn put(&mut self, step: StepIx, state: StepState) {
        self.leave(step);
        let seq = self.seq;
        let slot = self.slot_mut(step);
        let was_over = slot.state.is_over();
        if !(slot.state.is_startable() && state.is_startable()) {
            slot.key = seq;
        }
        slot.state = state;
        let over = slot.state.is_over();
        self.enter(step);
        if over && !was_over {
            self.over(step);
        }
    }

    /// Whether a step may be started as far as the others are concerned.
    pub(super) fn eligible(&self, step: StepIx) -> bool {
        let finally = self.traits(step).finally;
        (self.missing[step.index()] == 0 || bent!(IgnoreNeeds)) && if finally { self.released } else { self.rollback.is_none() }
    }

    fn leave(&mut self, step: StepIx) {
        effort::spend();
        let Slot { key, ref state, .. } = self.slots[step.index()];
        let queues = &mut self.queues;
        match state {
            StepState::Pending | StepState::Ready | StepState::InDoubt { .. } => {
                queues.open.remove(&(key, step));
                queues.closed.remove(&step);
            }
            StepState::WaitingRetry { at, .. } => {
                queues.unscheduled.remove(&step);
                queues.open.remove(&(key, step));
                if let Some(at) = at {
                    queues.retries.remove(&(*at, step));
                }
            }
            StepState::Waiting { until, .. } => {
                queues.asking.remove(&step);
                queues.lasting.remove(&step);
                queues.due.remove(&step);
                if let Some(until) = until {
                    queues.deadlines.remove(&(*until, step));
                }
            }
            StepState::Running { .. } => _ = queues.running.remove(&step),
            StepState::Undoing => _ = queues.undoing.remove(&step),
            StepState::Failed(_) | StepState::Held { .. } => _ = queues.blocked.remove(&(key, step)),
            StepState::Done { .. } | StepState::Skipped | StepState::Undone | StepState::UndoFailed(_) => {}
        }
    }

    fn enter(&mut self, step: StepIx) {
        effort::spend();
        let eligible = self.eligible(step);
        let gate = self.traits(step).gate;
        let Slot { key, ref state, .. } = self.slots[step.index()];
        let queues = &mut self.queues;
        match state {
            StepState::Running { .. } => _ = queues.running.insert(step),
            StepState::Undoing => _ = queues.undoing.insert(step),
            StepState::Failed(_) | StepState::Held { .. } => _ = queues.blocked.insert((key, step)),
            _ if !eligible => {}
            StepState::Pending | StepState::Ready | StepState::InDoubt { .. } if gate.is_some() => _ = queues.closed.insert(step),
            StepState::Pending | StepState::Ready | StepState::InDoubt { .. } => _ = queues.open.insert((key, step)),
            StepState::WaitingRetry { at: None, .. } => _ = queues.unscheduled.insert(step),
            StepState::WaitingRetry { at: Some(at), .. } if *at <= self.now => _ = queues.open.insert((key, step)),
            StepState::WaitingRetry { at: Some(at), .. } => _ = queues.retries.insert((*at, step)),
            StepState::Waiting { until, .. } => {
                let open = if gate == Some(Gate::Approve) { &mut queues.asking } else { &mut queues.lasting };
                open.insert(step);
                match until {
                    Some(until) if *until <= self.now => _ = queues.due.insert(step),
                    Some(until) => _ = queues.deadlines.insert((*until, step)),
                    None => {}
                }
            }
            StepState::Done { .. } | StepState::Skipped | StepState::Undone | StepState::UndoFailed(_) => {}
        }
    }

    /// A step is over: what needs it may be next.
    fn over(&mut self, step: StepIx) {
        let finally = self.traits(step).finally;
        if self.rollback.is_some() && !finally {
            return;
        }
        let links = self.links.clone();
        for &dependent in links.dependents(step) {
            effort::spend();
            let missing = &mut self.missing[dependent.index()];
            *missing -= 1;
            if *missing == 0 {
                self.awaken(dependent);
            }
        }
        if finally {
            self.closing -= 1;
        } else {
            self.remaining -= 1;
            if self.remaining == 0 {
                self.release();
            }
        }
    }

    fn awaken(&mut self, step: StepIx) {
        let seq = self.seq;
        let state = &self.slot(step).state;
        // What waits for another try may have to wait for what it rests on as well, where that is done again.
        if state.is_startable() || matches!(state, StepState::WaitingRetry { .. }) {
            self.slot_mut(step).key = seq;
            self.enter(step);
        }
    }

    /// The rest is over: steps of `[[finally]]` may start.
    pub(super) fn release(&mut self) {
        if self.released {
            return;
        }
        self.released = true;
        let links = self.links.clone();
        for &step in &links.finally {
            self.awaken(step);
        }
    }

    /// Makes counters and queues anew from the slots. Costs what exists: for the rare events that change everything.
    pub(super) fn rebuild(&mut self) {
        self.queues = Queues::default();
        let rolling_back = self.rollback.is_some();
        (self.remaining, self.closing) = (0, 0);
        let plan = self.plan.clone();
        for (index, planned) in plan.steps.iter().enumerate() {
            let counts = |need: &&StepIx| {
                effort::spend();
                // After a rollback the steps of `[[finally]]` wait for one another only.
                !(self.slot(**need).state.is_over() || rolling_back && planned.finally && !self.traits(**need).finally)
            };
            self.missing[index] = planned.needs.iter().filter(counts).count() as u32;
            if !self.slots[index].state.is_over() {
                *(if planned.finally { &mut self.closing } else { &mut self.remaining }) += 1;
            }
        }
        self.released = match &self.rollback {
            Some(rollback) => rollback.is_complete(),
            None => self.remaining == 0 || bent!(FinallyEarly),
        };
        for index in 0..plan.steps.len() {
            self.enter(StepIx(index as u32));
        }
    }

    /// Notes that this run made a step.
    pub(super) fn made(&mut self, step: StepIx, output: Option<Payload>) {
        let traits = self.traits(step);
        let slot = self.slot_mut(step);
        slot.made = true;
        slot.output = output;
        let sealed = slot.sealed;
        self.changed |= traits.effectful;
        if traits.one_way || sealed {
            self.one_way.insert(step);
        }
        self.put(step, StepState::Done { origin: Origin::Created });
    }

    /// Notes whether an attempt of a step may have left something.
    pub(super) fn set_trace(&mut self, step: StepIx, trace: bool) {
        let effectful = self.traits(step).effectful;
        let was = std::mem::replace(&mut self.slot_mut(step).trace, trace);
        match (was, trace) {
            (false, true) if effectful => self.touched += 1,
            (true, false) if effectful => self.touched -= 1,
            _ => {}
        }
    }

    /// Says why an event cannot follow.
    pub(super) fn corrupt(&self, event: &Event, what: impl Into<String>) -> Corrupt {
        Corrupt { seq: self.seq, event: event.name(), what: what.into() }
    }
}
