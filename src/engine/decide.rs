//! State to commands: all that should be in flight now. Costs what is in flight and what may start, not what exists.

use std::collections::BTreeSet;

use formula_steps::contract::Class;

use super::queues::effort;
use super::{Command, Mode, RunState, StepState};
use crate::model::{Outcome, ProbeReason, StepIx};

impl RunState {
    /// All that should be in flight now, what already is included: a driver that lost its memory asks again and gets the same answer.
    ///
    /// Empty after a driver let go of the run. `Finish(Held)` may come together with `WaitUntil`, where only open approvals are left: a driver
    /// that waits for answers goes on with those.
    pub fn decide(&self) -> BTreeSet<Command> {
        let mut commands = BTreeSet::new();
        if self.finished.is_some() {
            return commands;
        }
        for &step in &self.queues.running {
            effort::spend();
            commands.insert(Command::Attempt { step, attempt: self.slot(step).attempt });
        }
        commands.extend(self.queues.undoing.iter().map(|step| Command::Undo(*step)));
        let moves = match self.mode() {
            Mode::Forward | Mode::Finally => self.go_on(&mut commands),
            Mode::RollingBack => self.go_back(&mut commands),
            Mode::Stopping if bent!(StartAnyway) => self.go_on(&mut commands),
            Mode::Stopping if !self.cancel && !self.cut => self.go_on_beside(&mut commands),
            Mode::Stopping | Mode::Finished(_) => false,
        };
        if !moves && commands.iter().all(|command| matches!(command, Command::WaitUntil(_))) {
            commands.insert(Command::Finish(self.ending()));
        }
        commands
    }

    fn slots_in_all(&self) -> usize {
        if bent!(IgnoreSlots) { usize::MAX } else { self.plan.max_parallel.max(1) as usize }
    }

    /// Starts what can be started. Returns whether time alone moves the run on.
    fn go_on(&self, commands: &mut BTreeSet<Command>) -> bool {
        let queues = &self.queues;
        for &step in &queues.due {
            let approved = (queues.lasting.contains(&step) && !self.traits(step).asks) || bent!(ApproveLate);
            commands.insert(Command::DecideGate { step, approved });
        }
        let asked = queues.lasting.iter().filter(|step| self.traits(**step).asks && !queues.due.contains(step));
        commands.extend(asked.map(|step| Command::AskGate(*step)));
        commands.extend(queues.closed.iter().map(|step| Command::OpenGate(*step)));
        for &step in &queues.unscheduled {
            commands.insert(Command::ScheduleRetry { step, attempt: self.slot(step).attempt + 1 });
        }
        let slots = self.slots_in_all();
        let mut taken = queues.running.len();
        for &(_, step) in &queues.open {
            effort::spend();
            let Some(command) = self.next_of(step) else { continue };
            // One round ahead, so that a free slot never waits for the disk. Nobody overtakes a step that may not be announced ahead.
            let ahead = matches!(command, Command::Attempt { .. }) && self.traits(step).harmless && !self.traits(step).probes;
            if taken >= slots && !(ahead && taken < slots.saturating_mul(2)) {
                break;
            }
            taken += 1;
            commands.insert(command);
        }
        let first = queues.retries.first().into_iter().chain(queues.deadlines.first()).map(|(at, _)| *at).min();
        commands.extend(first.map(Command::WaitUntil));
        !queues.retries.is_empty() || !queues.lasting.is_empty()
    }

    /// After a failure: the other items of the `foreach` step that failed go on, as far as their turn has come. They are one effect in
    /// several places, and what one of them lacks says nothing about the next. Returns whether time alone moves the run on.
    fn go_on_beside(&self, commands: &mut BTreeSet<Command>) -> bool {
        let queues = &self.queues;
        let beside = |step: &StepIx| self.goes_on_beside(*step);
        for &step in queues.unscheduled.iter().filter(|step| beside(step)) {
            commands.insert(Command::ScheduleRetry { step, attempt: self.slot(step).attempt + 1 });
        }
        let items: BTreeSet<_> = queues.blocked.iter().flat_map(|(_, step)| self.links.items(*step)).copied().collect();
        let free = self.slots_in_all().saturating_sub(queues.running.len());
        let open = items.iter().filter(|step| queues.open.contains(&(self.slot(**step).key, **step)) && beside(step));
        commands.extend(open.filter_map(|step| self.next_of(*step)).take(free));
        let first = queues.retries.iter().find(|(_, step)| beside(step)).map(|(at, _)| *at);
        commands.extend(first.map(Command::WaitUntil));
        first.is_some()
    }

    /// Whether the answer of a gate's probe is waited for.
    pub fn asks_gate(&self, step: StepIx) -> bool {
        self.traits(step).asks && self.queues.lasting.contains(&step)
    }

    /// Whether a step may start although another one failed: its turn has come, and what failed is another item of the same `foreach` step.
    pub fn goes_on_beside(&self, step: StepIx) -> bool {
        let (stopped, group) = (self.cancel || self.cut || self.rollback.is_some(), self.traits(step).group);
        let failed = |&(_, blocked): &(u64, StepIx)| self.traits(blocked).group == group;
        !stopped && group.is_some() && !bent!(ForgetItems) && self.queues.blocked.iter().any(failed)
    }

    /// The next thing to do about a step whose turn it is.
    fn next_of(&self, step: StepIx) -> Option<Command> {
        let slot = self.slot(step);
        let traits = self.traits(step);
        let attempt = Command::Attempt { step, attempt: slot.attempt + 1 };
        let doubt = matches!(slot.state, StepState::InDoubt { .. } | StepState::WaitingRetry { .. }) && slot.trace;
        Some(match slot.state {
            StepState::Running { .. } => return None,
            _ if traits.gate.is_some() => Command::OpenGate(step),
            StepState::Ready => attempt,
            _ if !traits.probes => attempt,
            _ if doubt && bent!(SkipProbe) => attempt,
            _ if doubt => Command::Probe { step, reason: ProbeReason::InDoubt },
            _ => Command::Probe { step, reason: ProbeReason::Ready },
        })
    }

    /// Takes back what can be taken back. Time alone never moves a rollback on.
    fn go_back(&self, commands: &mut BTreeSet<Command>) -> bool {
        let Some(rollback) = &self.rollback else { return false };
        if rollback.begun {
            let free = self.slots_in_all().saturating_sub(self.queues.undoing.len());
            let turns: Vec<StepIx> = if bent!(UndoForward) {
                rollback.queue.iter().rev().map(|step| step.0).take(free).collect()
            } else {
                rollback.queue.iter().map(|step| step.0).take(free).collect()
            };
            for step in turns {
                let asks = self.asks_before_undo(step);
                commands.insert(if asks { Command::Probe { step, reason: ProbeReason::Rollback } } else { Command::Undo(step) });
            }
        }
        false
    }

    /// How the run stands once nothing is in flight and nothing can start.
    fn ending(&self) -> Outcome {
        let stopping = self.cancel || self.cut;
        match &self.rollback {
            Some(rollback) if rollback.is_spent() => {
                if !rollback.failed.is_empty() {
                    return Outcome::RollbackIncomplete;
                }
                if rollback.to.is_some() {
                    return Outcome::Stopped;
                }
                let left = !self.queues.open.is_empty() || !self.queues.unscheduled.is_empty() || !self.queues.retries.is_empty();
                let gates = !self.queues.closed.is_empty() || !self.queues.asking.is_empty() || !self.queues.lasting.is_empty();
                if !left && !gates {
                    return Outcome::RolledBack;
                }
            }
            None if self.remaining == 0 && self.closing == 0 => return Outcome::Done,
            None if self.is_refusal() => return Outcome::Refused,
            None if !self.queues.blocked.is_empty() => return Outcome::Held,
            _ => {}
        }
        match (self.cancel, stopping) {
            (true, _) => Outcome::Stopped,
            (false, true) => Outcome::Interrupted,
            (false, false) => Outcome::Held,
        }
    }

    /// Whether a look failed before anything was changed.
    pub(super) fn is_refusal(&self) -> bool {
        let refused = |&(_, step): &(u64, StepIx)| {
            let class = self.step(step).trouble().map(|trouble| trouble.class);
            let traits = self.traits(step);
            matches!(self.step(step), StepState::Failed(_)) && !traits.finally && (class == Some(Class::Refused) || !traits.effectful)
        };
        self.touched == 0 && self.queues.blocked.first().is_some_and(refused)
    }
}
