//! A driver whose every step is somebody else's choice: what becomes durable, which task goes on, when time passes, when it dies.

use std::rc::Rc;

use formula_steps::contract::Class;

use super::formula::{Errand, Formula};
use super::laws;
use super::world::{self, Cell, Fault, Point, Sight};
use crate::engine::mutation::Mutation;
use crate::engine::{Command, Mode, RunState, StepState, mutation};
use crate::model::{Envelope, Event, Gate, Outcome, Payload, ProbeReason, Request, RunId, StepIx, Timestamp};
use formula_steps::contract::Undo;

/// A broken promise, in words.
pub(super) type Broken = String;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Waits for its intent, the event of that number, to be durable, and for a slot.
    Announced(u64),
    Begun,
    /// Waits for its checkpoint, the event of that number, to be durable.
    Saved(u64),
    Half,
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Probe(ProbeReason),
    Attempt(u32),
    Undo,
}

/// Something in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) step: StepIx,
    pub(super) work: Work,
    pub(super) phase: Phase,
    fault: Option<Fault>,
    sabotaged: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Move {
    /// Everything recorded so far becomes durable.
    Commit,
    /// A task goes on by one piece.
    Advance(usize),
    /// A wait is over.
    Tick(Timestamp),
    /// A person does that errand.
    Errand(usize),
    /// The driver lets go.
    Finish(Outcome),
    /// The driver dies; whoever takes up the run rolls it back, or not.
    Crash { roll_back: bool },
    /// The driver dies; whoever takes up the run mends its formula.
    Mend,
    /// The driver dies; whoever takes up the run has a step done again.
    Redo,
}

/// What is remembered of a step's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Past {
    /// Attempts announced since a driver took up the run.
    pub(super) tries: u32,
    /// Attempts announced and not withdrawn, ever.
    pub(super) attempts: u32,
    /// Times an output was recorded since there was none.
    pub(super) outputs: u32,
}

/// What the log says, in short.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pub(super) past: Vec<Past>,
    /// Gates that were approved, or waited out.
    pub(super) passed: Vec<bool>,
    /// Errands that are left, by bits.
    pub(super) errands: u32,
    /// Somebody asked for a rollback of everything.
    pub(super) rolled: bool,
    /// A step was asked to be done again.
    pub(super) redone: bool,
}

/// A run in the hands of a driver.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) formula: Rc<Formula>,
    /// As it was before anybody mended it.
    base: Rc<Formula>,
    pub(super) world: Vec<Cell>,
    pub(super) durable: Vec<Rc<Envelope>>,
    pub(super) pending: Vec<Rc<Envelope>>,
    pub(super) state: RunState,
    /// The state as of the last commit.
    pub(super) durable_state: RunState,
    pub(super) tasks: Vec<Task>,
    pub(super) now: Timestamp,
    pub(super) memory: Memory,
    /// The memory as of the last commit.
    pub(super) durable_memory: Memory,
    /// A person asked to stop at once.
    stopping: bool,
    /// A step failed for good since a driver took up the run.
    pub(super) failed: bool,
    pub(super) over: Option<Outcome>,
    pub(super) kills: u8,
    pub(super) drives: u8,
    pub(super) path: Vec<Move>,
}

impl Sim {
    pub(super) fn new(formula: Rc<Formula>) -> Result<Self, Broken> {
        let count = formula.natures.len();
        let state = RunState::new(formula.plan.clone());
        let errands = (1 << formula.errands.len()) - 1;
        let memory = Memory { past: vec![Past::default(); count], passed: vec![false; count], errands, rolled: false, redone: false };
        let mut sim = Self {
            world: formula.natures.iter().map(|nature| Cell::new(*nature)).collect(),
            durable: Vec::new(),
            pending: Vec::new(),
            durable_state: state.clone(),
            state,
            tasks: Vec::new(),
            now: Timestamp(0),
            durable_memory: memory.clone(),
            memory,
            stopping: false,
            failed: false,
            over: None,
            kills: 0,
            drives: 1,
            path: Vec::new(),
            base: formula.clone(),
            formula,
        };
        let plan = Payload::Value(serde_json::Value::Null);
        sim.record(Event::RunStarted { formula: "test".into(), fingerprint: String::new(), plan, tool: String::new(), by: String::new() })?;
        sim.commit()?;
        sim.state.tick(sim.now);
        sim.commission()?;
        Ok(sim)
    }

    pub(super) fn seq(&self) -> u64 {
        (self.durable.len() + self.pending.len()) as u64
    }

    pub(super) fn record(&mut self, event: Event) -> Result<(), Broken> {
        let envelope = Envelope { v: 1, run: RunId("R".into()), seq: self.seq() + 1, at: self.now, event };
        self.state.take(&envelope).map_err(|corrupt| corrupt.to_string())?;
        laws::recorded(self, &envelope.event)?;
        self.pending.push(Rc::new(envelope));
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), Broken> {
        self.durable.append(&mut self.pending);
        self.durable_memory = self.memory.clone();
        self.durable_state = self.replay()?;
        laws::same(&self.durable_state, &self.state)
    }

    fn replay(&self) -> Result<RunState, Broken> {
        let mut state =
            RunState::replay(self.base.plan.clone(), self.durable.iter().map(|event| &**event)).map_err(|corrupt| corrupt.to_string())?;
        state.tick(self.now);
        Ok(state)
    }

    /// Begins what the core asks for, as far as that takes no time.
    fn commission(&mut self) -> Result<(), Broken> {
        for _ in 0..100 {
            if !self.commission_one()? {
                return Ok(());
            }
        }
        Err("the core never stops asking for something new".into())
    }

    fn commission_one(&mut self) -> Result<bool, Broken> {
        if self.over.is_some() || matches!(self.state.mode(), Mode::Finished(_)) {
            return Ok(false);
        }
        if !matches!(self.state.mode(), Mode::Forward | Mode::Finally) && self.withdraw()? {
            return Ok(true);
        }
        if self.state.turned_unsaid() {
            self.record(Event::RollbackRequested { by: "formula".into(), to: None })?;
            return Ok(true);
        }
        let commands = self.state.decide();
        laws::decided(self, &commands)?;
        for command in commands {
            let event = match command {
                // Gates of these plans have no probes: for the core the answer is one more decision.
                Command::Finish(_) | Command::WaitUntil(_) | Command::AskGate(_) => continue,
                Command::Probe { step, reason } => {
                    let probes = |task: &Task| task.step == step && matches!(task.work, Work::Probe(_));
                    if !self.tasks.iter().any(probes) {
                        self.push(step, Work::Probe(reason));
                    }
                    continue;
                }
                Command::Attempt { step, .. } | Command::Undo(step) if self.works(step) => continue,
                Command::Attempt { step, attempt } => {
                    self.record(Event::AttemptStarted { step: self.formula.id(step), attempt })?;
                    self.push(step, Work::Attempt(attempt));
                    return Ok(true);
                }
                Command::Undo(step) => {
                    self.record(Event::UndoStarted { step: self.formula.id(step) })?;
                    self.push(step, Work::Undo);
                    return Ok(true);
                }
                Command::ScheduleRetry { step, attempt } => {
                    Event::RetryScheduled { step: self.formula.id(step), attempt, at: self.now.plus_millis(10) }
                }
                Command::OpenGate(step) => {
                    let until = self.formula.until.map(|millis| self.now.plus_millis(millis));
                    Event::GateOpened {
                        step: self.formula.id(step),
                        prompt: String::new(),
                        digest: "digest".into(),
                        until,
                        approvers: Vec::new(),
                        proof: None,
                        proof_file: None,
                        proof_url: None,
                        proof_token: None,
                    }
                }
                Command::DecideGate { step, approved } => {
                    Event::GateDecided { step: self.formula.id(step), approved, by: "timer".into(), reason: None }
                }
            };
            self.record(event)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn works(&self, step: StepIx) -> bool {
        self.tasks.iter().any(|task| task.step == step && !matches!(task.work, Work::Probe(_)))
    }

    fn push(&mut self, step: StepIx, work: Work) {
        self.tasks.push(Task { step, work, phase: Phase::Announced(self.seq()), fault: None, sabotaged: false });
        self.tasks.sort_by_key(|task| (task.step, matches!(task.work, Work::Probe(_))));
    }

    fn withdraw(&mut self) -> Result<bool, Broken> {
        let unbegun = |task: &Task| {
            matches!((task.work, task.phase), (Work::Attempt(_), Phase::Announced(_))) && !self.state.goes_on_beside(task.step)
        };
        let Some(place) = self.tasks.iter().position(unbegun) else { return Ok(false) };
        let task = self.tasks.remove(place);
        if let Work::Attempt(attempt) = task.work {
            self.record(Event::AttemptWithdrawn { step: self.formula.id(task.step), attempt })?;
        }
        Ok(true)
    }

    /// Everything that may happen next, but for deaths.
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if !self.pending.is_empty() {
            moves.push(Move::Commit);
        }
        if self.over.is_some() {
            return moves;
        }
        moves.extend((0..self.tasks.len()).filter(|task| self.can_advance(&self.tasks[*task])).map(Move::Advance));
        for command in self.state.decide() {
            match command {
                Command::WaitUntil(at) => moves.push(Move::Tick(at)),
                Command::Finish(outcome) if self.tasks.is_empty() => moves.push(Move::Finish(outcome)),
                _ => {}
            }
        }
        let errands = (0..self.formula.errands.len()).filter(|errand| self.memory.errands & (1 << errand) != 0);
        let fits = |errand: &usize| self.state.check_request(&self.request(self.formula.errands[*errand])).is_ok();
        moves.extend(errands.filter(fits).map(Move::Errand));
        moves
    }

    fn can_advance(&self, task: &Task) -> bool {
        let durable = self.durable.len() as u64;
        match task.phase {
            _ if matches!(task.work, Work::Probe(_)) => true,
            Phase::Announced(intent) => {
                let sabotage = if task.work == Work::Undo { Mutation::UndoFirst } else { Mutation::EffectFirst };
                let begun = |other: &&Task| !matches!(other.phase, Phase::Announced(_));
                let free = self.tasks.iter().filter(begun).count() < self.formula.plan.max_parallel as usize;
                (intent <= durable || mutation::active(sabotage)) && (free || mutation::active(Mutation::IgnoreSlots))
            }
            Phase::Saved(checkpoint) => checkpoint <= durable,
            _ => true,
        }
    }

    pub(super) fn make(&mut self, next: Move) -> Result<(), Broken> {
        self.path.push(next);
        match next {
            Move::Commit => self.commit()?,
            Move::Advance(task) => self.advance(task)?,
            Move::Tick(at) => {
                self.now = at;
                self.state.tick(at);
                self.durable_state.tick(at);
            }
            Move::Errand(errand) => {
                self.memory.errands &= !(1 << errand);
                let errand = self.formula.errands[errand];
                self.stopping |= matches!(errand, Errand::Cancel { now: true, .. });
                self.ask(&self.request(errand))?;
            }
            Move::Finish(outcome) => {
                let changed = self.state.changed();
                self.record(Event::RunFinished { outcome, changed })?;
                self.over = Some(outcome);
            }
            Move::Crash { roll_back } => {
                self.kills += 1;
                self.pending.clear();
                self.memory = self.durable_memory.clone();
                self.take_up(roll_back)?;
            }
            Move::Mend | Move::Redo => {
                self.kills += 1;
                self.pending.clear();
                self.memory = self.durable_memory.clone();
                self.take_up(false)?;
                if next == Move::Mend {
                    self.mend()?
                } else {
                    self.redo()?
                };
            }
        }
        self.commission()
    }

    /// Another driver takes up what is durable, and asks for a rollback if somebody wants one and there is a way back.
    pub(super) fn take_up(&mut self, roll_back: bool) -> Result<(), Broken> {
        self.drives += 1;
        if self.drives > 24 {
            return Err("the run never ends".into());
        }
        self.tasks.clear();
        (self.over, self.stopping, self.failed) = (None, false, false);
        self.memory.past.iter_mut().for_each(|past| past.tries = 0);
        self.state = self.replay()?;
        let mended = self.durable.iter().any(|entry| matches!(entry.event, Event::PlanReplaced { .. }));
        self.formula = self.base.mended.clone().filter(|_| mended).unwrap_or_else(|| self.base.clone());
        self.record(Event::RunResumed { tool: String::new(), by: String::new() })?;
        if roll_back {
            let request = Request::Rollback { by: "me".into(), to: None };
            match self.state.check_request(&request) {
                Ok(()) => self.ask(&request)?,
                Err(refusal) => laws::refused(self, &refusal)?,
            }
        }
        Ok(())
    }
}

/// The pieces of the work.
impl Sim {
    fn advance(&mut self, place: usize) -> Result<(), Broken> {
        let task = self.tasks[place];
        match task.work {
            Work::Probe(reason) => {
                self.tasks.remove(place);
                let probe = self.world[task.step.index()].probe(self.formula.nature(task.step));
                self.record(Event::StepProbed { step: self.formula.id(task.step), reason, probe, params: None, one_way: false })
            }
            Work::Attempt(attempt) => self.advance_attempt(place, attempt),
            Work::Undo => self.advance_undo(place),
        }
    }

    fn advance_attempt(&mut self, place: usize, attempt: u32) -> Result<(), Broken> {
        let Task { step, phase, fault, .. } = self.tasks[place];
        let nature = self.formula.nature(step);
        let id = self.formula.id(step);
        let fails = |point| fault.filter(|fault| fault.point == point);
        let failed = match phase {
            Phase::Announced(_) => None,
            _ if self.stopping => Some(Class::Interrupted),
            Phase::Begun | Phase::Saved(_) => fails(Point::Before).map(|fault| fault.class),
            Phase::Half => fails(Point::Half).map(|fault| fault.class),
            Phase::Whole => fails(Point::After).map(|fault| fault.class),
        };
        if let Some(class) = failed {
            self.tasks.remove(place);
            self.world[step.index()].late += u8::from(phase == Phase::Whole);
            return self.record(Event::AttemptFailed { step: id, attempt, class, message: "it broke".into(), hint: None });
        }
        let cell = &mut self.world[step.index()];
        let needs_checkpoint = nature.undo == Undo::Restore && nature.sight != Sight::Tells && self.state.before(step).is_none();
        self.tasks[place].phase = match phase {
            Phase::Announced(intent) => {
                laws::begins(self, step, intent)?;
                self.tasks[place].fault = self.world[step.index()].begin(nature);
                Phase::Begun
            }
            Phase::Begun if needs_checkpoint => {
                let before = world::checkpoint(cell.content);
                self.record(Event::CheckpointSaved { step: id, before })?;
                Phase::Saved(self.seq())
            }
            Phase::Begun | Phase::Saved(_) if nature.looks() => Phase::Whole,
            Phase::Begun | Phase::Saved(_) if nature.halves => {
                cell.half(nature);
                Phase::Half
            }
            Phase::Begun | Phase::Saved(_) | Phase::Half => {
                cell.whole(nature);
                Phase::Whole
            }
            Phase::Whole => {
                self.tasks.remove(place);
                return self.record(Event::AttemptSucceeded { step: id, attempt, output: world::output(), one_way: false });
            }
        };
        laws::effects(self, step)
    }

    fn advance_undo(&mut self, place: usize) -> Result<(), Broken> {
        let Task { step, phase, sabotaged, .. } = self.tasks[place];
        let nature = self.formula.nature(step);
        let id = self.formula.id(step);
        if sabotaged {
            self.tasks.remove(place);
            return self.record(Event::UndoFailed { step: id, class: Class::Permanent, message: "it is stuck".into(), hint: None });
        }
        let before = self.state.before(step).cloned();
        self.tasks[place].phase = match phase {
            Phase::Announced(intent) => {
                laws::begins_undo(self, step, intent)?;
                self.tasks[place].sabotaged = self.world[step.index()].begin_undo(nature);
                Phase::Begun
            }
            Phase::Begun if nature.halves => {
                self.world[step.index()].half_undone(nature);
                Phase::Half
            }
            Phase::Whole => {
                self.tasks.remove(place);
                return self.record(Event::UndoSucceeded { step: id });
            }
            _ => {
                self.world[step.index()].undone(nature, before.as_ref());
                Phase::Whole
            }
        };
        Ok(())
    }

    /// Whether another item of the same `foreach` step is what failed.
    pub(super) fn beside_a_failed_item(&self, step: StepIx) -> bool {
        let group = |step: StepIx| self.formula.plan.step(step).id.split_once('[').map(|(group, _)| group.to_owned());
        let failed = |other: &StepIx| matches!(self.state.step(*other), StepState::Failed(_) | StepState::Held { .. });
        let others = (0..self.world.len() as u32).map(StepIx).filter(failed);
        group(step).is_some_and(|name| others.into_iter().any(|other| group(other).as_ref() == Some(&name)))
    }

    pub(super) fn is_gate(&self, step: StepIx) -> Option<Gate> {
        self.formula.plan.step(step).gate
    }
}
