//! Taking a run up again.

use formula_steps::contract::Class;

use super::{Hold, RunState, StepState};
use crate::model::{Outcome, StepIx, TIMEOUT};

impl RunState {
    /// Whether the same command starts a new run instead of carrying this one on. One that was stopped is carried on unless a person stopped it,
    /// and nothing that cannot be taken back may happen a second time by that; or a person gave it up.
    pub fn starts_anew(&self) -> bool {
        match self.finished {
            Some(Outcome::Stopped) => self.given_up || self.by_person && self.rollback.is_none() && !self.may_be_past_return(),
            Some(outcome) => outcome.is_final(),
            None => false,
        }
    }

    /// Whether a person gave the run up: it is stopped for good.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Whether something was done that cannot be taken back, or was tried, must not be repeated, and nobody knows.
    pub(super) fn may_be_past_return(&self) -> bool {
        let doubtful = |step: StepIx| self.slot(step).trace && self.traits(step).one_way && !self.traits(step).repeatable;
        self.one_way_crossed() || (0..self.slots.len()).any(|index| doubtful(StepIx(index as u32)))
    }

    /// Somebody asked to stop. Asked of a run that nobody drives, it gives that up.
    pub(super) fn cancel_requested(&mut self, by: &str) {
        self.cancel = !bent!(IgnoreCancel);
        self.by_person = by != TIMEOUT;
        self.given_up = self.finished.take().is_some();
    }

    /// Whoever asked to stop did so before somebody asked to go on.
    pub(super) fn nobody_stops(&mut self) {
        (self.cancel, self.cut, self.barred) = (false, false, false);
        (self.by_person, self.given_up) = (false, false);
    }

    /// A driver took up the run: nothing is in flight any more, whatever the log says.
    pub(super) fn resume(&mut self) {
        let outcome = self.finished.take();
        self.nobody_stops();
        let partial =
            self.rollback.as_ref().is_some_and(|rollback| rollback.to.is_some() && rollback.is_spent() && rollback.failed.is_empty());
        if bent!(ForgetRollback) || partial && outcome == Some(Outcome::Stopped) && self.queues.undoing.is_empty() {
            self.rollback = None;
            self.start_over();
        }
        for index in 0..self.slots.len() {
            let step = StepIx(index as u32);
            if let Some(state) = self.resumed(step) {
                let seq = self.seq;
                let slot = self.slot_mut(step);
                slot.state = state;
                slot.key = seq;
            }
        }
        if let Some(rollback) = &mut self.rollback {
            rollback.begun = false;
        }
        self.rebuild();
        self.refresh_failure();
    }

    /// What a rollback down to a step took back is to be done again.
    fn start_over(&mut self) {
        for index in 0..self.slots.len() {
            let step = StepIx(index as u32);
            if *self.step(step) == StepState::Undone {
                let slot = self.slot_mut(step);
                (slot.before, slot.output, slot.tries, slot.definite) = (None, None, 0, false);
                slot.vouched = false;
                slot.state = StepState::Pending;
            }
        }
    }

    /// Where a step goes; None where it stays.
    fn resumed(&mut self, step: StepIx) -> Option<StepState> {
        let traits = self.traits(step);
        let forward = self.rollback.is_none() || traits.finally;
        let blind = !traits.probes;
        let slot = self.slot_mut(step);
        let attempt = slot.attempt;
        let in_doubt = StepState::InDoubt { attempt };
        let asked_again = if slot.trace { in_doubt.clone() } else { StepState::Pending };
        match &slot.state {
            StepState::Running { .. } => {
                slot.granted = false;
                Some(if forward { self.doubtful(step) } else { in_doubt })
            }
            StepState::Undoing if bent!(TrustUndo) => Some(StepState::Undone),
            StepState::Undoing | StepState::UndoFailed(_) => Some(slot.before_undo()),
            // What was found out before the undo began is old by now.
            _ if !forward => {
                slot.undo_sure &= slot.undo_began || blind;
                None
            }
            StepState::Done { .. } if bent!(RunDoneAgain) => Some(in_doubt),
            StepState::InDoubt { .. } => Some(self.doubtful(step)),
            StepState::Failed(_) => {
                slot.tries = 0;
                match (slot.trace, blind, slot.definite) {
                    (true, true, true) => Some(StepState::Ready),
                    (true, true, false) => Some(self.doubtful(step)),
                    _ => Some(asked_again),
                }
            }
            StepState::Held { why: Hold::Diverged | Hold::Waits, .. } => Some(asked_again),
            StepState::Ready | StepState::Held { why: Hold::InDoubt, .. } if traits.probes => Some(asked_again),
            _ => None,
        }
    }

    /// A step whose last attempt is in doubt: to be asked, to be tried again, or held.
    fn doubtful(&self, step: StepIx) -> StepState {
        let attempt = self.slot(step).attempt;
        if self.traits(step).probes || self.may_repeat(step) {
            return StepState::InDoubt { attempt };
        }
        self.in_doubt(step, Class::Interrupted, None)
    }
}
