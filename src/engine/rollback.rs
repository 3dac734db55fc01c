//! Taking back what a run made: core rules 2, 3 and 5.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use formula_steps::contract::{Class, Probe, Undo};

use super::queues::effort;
use super::step_state::{Slot, Trouble};
use super::{Corrupt, Origin, RunState, StepState};
use crate::model::{Event, Payload, SettleAnswer, StepIx};

/// A rollback under way.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rollback {
    /// The step that stays, with all it needs.
    pub(super) to: Option<StepIx>,
    /// The formula asks for it, not a person.
    pub(super) by_formula: bool,
    /// It was settled that the run really is to be rolled back.
    certain: bool,
    /// The log has an event of its own for it. Logs of older programs have none where the formula asks.
    pub(super) said: bool,
    /// Nothing runs any more, and it is settled what is to be undone.
    pub(super) begun: bool,
    /// Steps that stay.
    keep: Vec<bool>,
    /// Per step, how many of those that need it are not dealt with.
    above: Vec<u32>,
    /// Steps that are not dealt with.
    left: usize,
    /// Steps to be undone (or asked first) whose dependents are dealt with. The last of the plan goes first.
    pub(super) queue: BTreeSet<Reverse<StepIx>>,
    /// Steps that could not be undone.
    pub(super) failed: BTreeSet<StepIx>,
}

impl Rollback {
    /// Whether everything is taken back, for good.
    pub(super) fn is_complete(&self) -> bool {
        self.begun && self.left == 0 && self.to.is_none()
    }

    /// Whether nothing can go on.
    pub(super) fn is_spent(&self) -> bool {
        self.begun && self.queue.is_empty()
    }
}

/// What a rollback has to do about a step.
enum Need {
    Nothing,
    /// It was made, and nothing has to be done to take it back.
    Forget,
    Ask,
    Undo,
    Stuck(Arc<Trouble>),
}

impl RunState {
    pub(super) fn request_rollback(&mut self, event: &Event, by_formula: bool, to: Option<&str>) -> Result<(), Corrupt> {
        let to = match to {
            None => None,
            Some(id) => Some(self.find(id).ok_or_else(|| self.corrupt(event, format!("the plan has no step `{id}`")))?),
        };
        if by_formula && let Some(rollback) = &mut self.rollback {
            rollback.said = true;
        } else {
            self.finished = None;
            self.nobody_stops();
            self.roll_back(by_formula, to);
            if let Some(rollback) = &mut self.rollback {
                rollback.said = true;
            }
        }
        Ok(())
    }

    /// Whether the run was turned round by `on_failure` and the log does not say so yet: record `rollback_requested` by `formula`, which
    /// changes nothing else.
    pub fn turned_unsaid(&self) -> bool {
        self.rollback.as_ref().is_some_and(|rollback| rollback.by_formula && rollback.begun && !rollback.said)
    }

    /// Turns the run round. What runs may end first.
    pub(super) fn roll_back(&mut self, by_formula: bool, to: Option<StepIx>) {
        self.rollback = Some(Rollback { to, by_formula, ..Rollback::default() });
        self.released = false;
    }

    /// Begins a rollback once nothing is running.
    pub(super) fn begin_rollback_if_due(&mut self) {
        let waits = self.rollback.as_ref().is_some_and(|rollback| !rollback.begun);
        let busy = !self.queues.running.is_empty() && !bent!(UndoWhileRunning) || !self.queues.undoing.is_empty();
        if !waits || busy {
            return;
        }
        if self.rollback.as_ref().is_some_and(|rollback| rollback.by_formula && !rollback.certain) {
            self.barred = self.one_way_crossed() && !bent!(PassOneWay);
            if self.barred || self.is_refusal() {
                self.rollback = None;
                self.rebuild();
                return;
            }
        }
        self.begin_rollback();
    }

    fn begin_rollback(&mut self) {
        let count = self.slots.len();
        let mut keep = vec![false; count];
        let mut above = vec![0; count];
        let mut left = 0;
        if let Some(to) = self.rollback.as_ref().and_then(|rollback| rollback.to) {
            keep[to.index()] = true;
        }
        let plan = self.plan.clone();
        for (index, planned) in plan.steps.iter().enumerate().rev() {
            if planned.finally {
                continue;
            }
            left += 1;
            for need in &planned.needs {
                effort::spend();
                above[need.index()] += 1;
                keep[need.index()] |= keep[index];
            }
        }
        if let Some(rollback) = &mut self.rollback {
            (rollback.certain, rollback.begun) = (true, true);
            (rollback.keep, rollback.above, rollback.left) = (keep, above, left);
            rollback.queue.clear();
            rollback.failed.clear();
        }
        self.rebuild();
        let above = self.rollback.as_ref().map(|rollback| rollback.above.clone()).unwrap_or_default();
        let lasts = (0..count).rev().filter(|index| !plan.steps[*index].finally && (above[*index] == 0 || bent!(UndoForward)));
        for index in lasts {
            self.visit(StepIx(index as u32));
        }
    }

    /// Deals with a step whose dependents are dealt with, and with those that this makes free.
    fn visit(&mut self, step: StepIx) {
        if self.rollback.as_ref().is_none_or(|rollback| !rollback.begun) {
            return;
        }
        let mut free = vec![step];
        while let Some(step) = free.pop() {
            effort::spend();
            match self.need(step) {
                Need::Nothing => {}
                Need::Forget => self.forget(step),
                Need::Ask | Need::Undo => {
                    if let Some(rollback) = &mut self.rollback {
                        rollback.queue.insert(Reverse(step));
                    }
                    continue;
                }
                Need::Stuck(trouble) => {
                    self.stick(step, trouble);
                    continue;
                }
            }
            let Some(rollback) = &mut self.rollback else { return };
            rollback.queue.remove(&Reverse(step));
            rollback.left = rollback.left.saturating_sub(1);
            for need in &self.plan.steps[step.index()].needs {
                effort::spend();
                let above = &mut rollback.above[need.index()];
                *above = above.saturating_sub(1);
                if *above == 0 && !bent!(UndoForward) {
                    free.push(*need);
                }
            }
        }
        if self.rollback.as_ref().is_some_and(Rollback::is_complete) {
            self.release();
        }
    }

    fn need(&self, step: StepIx) -> Need {
        let Slot { state, made, sealed, trace, definite, undo_sure, undo_began, granted, undo_granted, .. } = self.slot(step);
        let word = if bent!(UndoOnWordToRetry) { granted } else { undo_granted };
        let traits = self.traits(step);
        let kept = self.rollback.as_ref().is_some_and(|rollback| rollback.keep.get(step.index()) == Some(&true));
        match state {
            // What was taken back in part cannot stay, whoever wants it to by now.
            _ if kept && (!undo_began || bent!(KeepHalfUndone)) => Need::Nothing,
            _ if bent!(UndoPending) && *state == StepState::Pending => Need::Undo,
            _ if bent!(UndoAdopted) && *state == (StepState::Done { origin: Origin::Adopted }) => Need::Undo,
            StepState::Done { origin: Origin::Adopted } | StepState::Skipped | StepState::Undone => Need::Nothing,
            _ if *made && (traits.one_way || *sealed) && !bent!(PassOneWay) => {
                Need::Stuck(Trouble::new(Class::Conflict, "it was done, and cannot be taken back", Some(self.stuck_hint(step))))
            }
            _ if *made && traits.undo == Undo::Nothing => Need::Forget,
            _ if *made || *undo_sure => Need::Undo,
            StepState::Done { .. } => Need::Forget,
            _ if !trace || traits.undo == Undo::Nothing => Need::Nothing,
            _ if traits.probes => Need::Ask,
            _ => match traits.undo {
                Undo::Restore => Need::Undo,
                Undo::Reverse if *word || bent!(GuessReverse) => Need::Undo,
                Undo::Impossible if *definite => Need::Nothing,
                _ => Need::Stuck(self.unknown(step, "it cannot be asked")),
            },
        }
    }

    /// A step that leaves nothing to take back.
    fn forget(&mut self, step: StepIx) {
        let slot = self.slot_mut(step);
        (slot.trace, slot.made, slot.sealed, slot.granted) = (false, false, false, false);
        (slot.undo_sure, slot.undo_began, slot.undo_granted) = (false, false, false);
        self.put(step, StepState::Undone);
    }

    /// A step that was tried in vain, and leaves nothing that would have to be taken back and cannot.
    fn nothing_happened(&mut self, step: StepIx) {
        self.slot_mut(step).trace = false;
        if matches!(self.step(step), StepState::InDoubt { .. }) {
            self.put(step, StepState::Pending);
        }
    }

    fn stick(&mut self, step: StepIx, trouble: Arc<Trouble>) {
        self.put(step, StepState::UndoFailed(trouble));
        if let Some(rollback) = &mut self.rollback {
            rollback.queue.remove(&Reverse(step));
            rollback.failed.insert(step);
        }
        if bent!(PassFailedUndo) {
            let needs = self.plan.step(step).needs.clone();
            for need in needs {
                self.visit(need);
            }
        }
    }

    /// Whether a step is to be asked before it is undone.
    pub(super) fn asks_before_undo(&self, step: StepIx) -> bool {
        self.waits_for_undo(step) && matches!(self.need(step), Need::Ask)
    }

    fn waits_for_undo(&self, step: StepIx) -> bool {
        self.rollback.as_ref().is_some_and(|rollback| rollback.queue.contains(&Reverse(step)))
    }

    /// The answer about a failed or doubtful step.
    pub(super) fn answered_before_undo(&mut self, step: StepIx, probe: &Probe<Payload, Payload>) {
        let undo = self.traits(step).undo;
        let Slot { undo_granted, definite, .. } = *self.slot(step);
        match probe {
            Probe::Present { output } => self.made(step, Some(output.clone())),
            // Half of an effect may look like none; both undos take back what is there and no more.
            Probe::Absent { .. } if undo == Undo::Impossible => self.nothing_happened(step),
            Probe::Absent { .. } => self.slot_mut(step).undo_sure = true,
            Probe::Unknown { .. } if undo == Undo::Impossible && definite => self.nothing_happened(step),
            Probe::Unknown { .. } if undo == Undo::Restore || undo == Undo::Reverse && (undo_granted || bent!(GuessReverse)) => {
                self.slot_mut(step).undo_sure = true;
            }
            Probe::Unknown { reason } => return self.stick(step, self.unknown(step, reason)),
            Probe::Diverged { expected, found } => {
                let message = format!("what is there is not what this run made: expected {expected}, found {found}");
                return self.stick(step, Trouble::new(Class::Conflict, message, Some(self.stuck_hint(step))));
            }
        }
        self.visit(step);
    }

    /// After another answer about a step that waits to be undone.
    pub(super) fn revisit(&mut self, step: StepIx) {
        if self.waits_for_undo(step) {
            self.visit(step);
        }
    }

    pub(super) fn undo_started(&mut self, step: StepIx, event: &Event) -> Result<(), Corrupt> {
        let fits = self.waits_for_undo(step) && matches!(self.need(step), Need::Undo);
        self.expect_state(step, event, fits)?;
        if let Some(rollback) = &mut self.rollback {
            rollback.queue.remove(&Reverse(step));
        }
        let slot = self.slot_mut(step);
        (slot.undo_sure, slot.undo_began) = (true, true);
        self.put(step, StepState::Undoing);
        Ok(())
    }

    pub(super) fn undone(&mut self, step: StepIx) {
        self.forget(step);
        self.visit(step);
    }

    /// An undo failed; or, where none is under way, the step could not even be asked or rendered.
    pub(super) fn undo_failed(&mut self, step: StepIx, event: &Event, trouble: Arc<Trouble>) -> Result<(), Corrupt> {
        let under_way = *self.step(step) == StepState::Undoing;
        self.expect_state(step, event, under_way || self.slot(step).attempt > 0)?;
        if !under_way && !self.asks_before_undo(step) && !matches!(self.need(step), Need::Undo) {
            // Another rollback was asked for meanwhile, and it leaves the step alone.
            return Ok(());
        }
        if matches!(trouble.class, Class::Interrupted | Class::Cancelled) {
            self.cut = true;
            if under_way {
                let state = self.slot(step).before_undo();
                self.put(step, state);
                self.visit(step);
            }
            return Ok(());
        }
        self.stick(step, trouble);
        Ok(())
    }

    /// A person's answer about a step that could not be undone.
    pub(super) fn settle_undo(&mut self, step: StepIx, answer: SettleAnswer) {
        if let Some(rollback) = &mut self.rollback {
            rollback.failed.remove(&step);
        }
        if answer == SettleAnswer::Skip {
            self.one_way.remove(&step);
            self.forget(step);
        } else {
            self.slot_mut(step).undo_granted = true;
            let state = self.slot(step).before_undo();
            self.put(step, state);
        }
        self.visit(step);
    }

    /// Whether a rollback can only end with a step that a person has to take back, as far as is known without asking the world.
    pub(super) fn would_stick(&self, kept: &[bool]) -> bool {
        let steps = (0..self.slots.len()).filter(|index| kept.get(*index) != Some(&true)).map(|index| StepIx(index as u32));
        steps.filter(|step| !self.traits(*step).finally).any(|step| matches!(self.need(step), Need::Stuck(_)))
    }

    /// Whether a step that could not be undone cannot be undone by itself either, whatever a person says.
    pub(super) fn is_stuck_for_good(&self, step: StepIx) -> bool {
        let (traits, slot) = (self.traits(step), self.slot(step));
        traits.undo == Undo::Impossible || slot.made && (traits.one_way || slot.sealed)
    }

    fn stuck_hint(&self, step: StepIx) -> String {
        let by_hand = "take it back by hand and settle it with `--skip`";
        if self.is_stuck_for_good(step) { by_hand.into() } else { format!("{by_hand}, or `--retry` to have it undone all the same") }
    }

    fn unknown(&self, step: StepIx, reason: &str) -> Arc<Trouble> {
        let message = format!("nobody can tell whether it took effect ({reason}), so it is not taken back");
        Trouble::new(Class::Conflict, message, Some(self.stuck_hint(step)))
    }
}
