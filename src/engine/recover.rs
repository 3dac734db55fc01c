//! What a driver knows of the ends of steps and the journal could not take any more.

use super::{Origin, RunState, StepState};
use crate::model::{Event, StepIx};

impl RunState {
    /// The ends of attempts and undos that are under way as far as `durable`, an earlier state of the same run, knows. They can be taken up by it
    /// in any order: whatever else happened since was never begun, for its intent is not durable.
    pub fn ends_beyond(&self, durable: &Self) -> Vec<Event> {
        let id = |step: StepIx| self.plan.step(step).id.clone();
        let attempt = |&step: &StepIx| {
            let attempt = durable.slot(step).attempt;
            let slot = self.slot(step);
            match &slot.state {
                _ if slot.attempt != attempt => None,
                StepState::Done { origin: Origin::Created } => {
                    let output = slot.output.clone()?;
                    Some(Event::AttemptSucceeded { step: id(step), attempt, output, one_way: slot.sealed && !durable.slot(step).sealed })
                }
                // What can be asked, or tried again, is: it may have failed for the reason for which the journal did.
                StepState::Failed(trouble) if !self.traits(step).probes && !self.traits(step).repeatable => {
                    let (class, message, hint) = (trouble.class, trouble.message.clone(), trouble.hint.clone());
                    Some(Event::AttemptFailed { step: id(step), attempt, class, message, hint })
                }
                _ => None,
            }
        };
        let undo = |&step: &StepIx| match self.step(step) {
            StepState::Undone => Some(Event::UndoSucceeded { step: id(step) }),
            StepState::UndoFailed(trouble) => {
                let (class, message, hint) = (trouble.class, trouble.message.clone(), trouble.hint.clone());
                Some(Event::UndoFailed { step: id(step), class, message, hint })
            }
            _ => None,
        };
        let ends = durable.queues.running.iter().filter_map(attempt);
        ends.chain(durable.queues.undoing.iter().filter_map(undo)).collect()
    }
}
