//! What follows from an answer or a failure: core rules 1 and 4.

use std::sync::Arc;

use formula_steps::contract::{Class, Probe};

use super::step_state::Trouble;
use super::{Corrupt, Failure, Hold, Origin, RunState, StepState};
use crate::model::{Event, OnFailure, Payload, ProbeReason, StepIx};

impl RunState {
    pub(super) fn probed(
        &mut self,
        step: StepIx,
        event: &Event,
        reason: ProbeReason,
        probe: &Probe<Payload, Payload>,
    ) -> Result<(), Corrupt> {
        match reason {
            ProbeReason::Ready => {
                let waits = matches!(self.step(step), StepState::Pending | StepState::WaitingRetry { .. });
                self.expect_state(step, event, waits && !self.slot(step).trace && self.traits(step).gate.is_none())?;
                self.expect_needs(step, event)?;
                self.ready(step, probe);
            }
            // The question is from before the run was turned round: what this run made is taken back without it.
            ProbeReason::InDoubt if self.is_being_undone(step) => {}
            ProbeReason::InDoubt => {
                let waits = matches!(self.step(step), StepState::InDoubt { .. } | StepState::WaitingRetry { .. });
                self.expect_state(step, event, waits && self.slot(step).trace)?;
                self.resolved(step, probe);
                self.revisit(step);
            }
            ProbeReason::Rollback => {
                self.expect_state(step, event, self.slot(step).attempt > 0)?;
                // The question may be of yesterday: another rollback was asked for meanwhile, and it leaves the step alone.
                if self.asks_before_undo(step) {
                    self.answered_before_undo(step, probe);
                }
            }
        }
        Ok(())
    }

    fn is_being_undone(&self, step: StepIx) -> bool {
        self.rollback.is_some() && matches!(self.step(step), StepState::Undoing | StepState::Undone | StepState::UndoFailed(_))
    }

    /// The answer before a first attempt.
    fn ready(&mut self, step: StepIx, probe: &Probe<Payload, Payload>) {
        match probe {
            Probe::Absent { before, .. } => {
                self.slot_mut(step).before = Some(before.clone());
                self.put(step, StepState::Ready);
            }
            Probe::Unknown { .. } => {
                self.slot_mut(step).before = None;
                self.put(step, StepState::Ready);
            }
            Probe::Present { output } if bent!(CreateWhatWasThere) => self.made(step, Some(output.clone())),
            Probe::Present { output } => {
                self.slot_mut(step).output = Some(output.clone());
                self.put(step, StepState::Done { origin: Origin::Adopted });
            }
            Probe::Diverged { .. } if bent!(OverwriteDiverged) => self.put(step, StepState::Ready),
            // Nothing was tried, so this is a failure like any other.
            Probe::Diverged { expected, found } => self.fail(step, diverged(expected, found), true),
        }
    }

    /// The answer about an attempt whose end is unknown, or that failed and may be tried again.
    fn resolved(&mut self, step: StepIx, probe: &Probe<Payload, Payload>) {
        match probe {
            Probe::Present { output } => self.made(step, Some(output.clone())),
            Probe::Absent { before, .. } => {
                let slot = self.slot_mut(step);
                // The first checkpoint is from before anything was tried; this one may hold half of the effect.
                if slot.before.is_none() || bent!(ReplaceCheckpoint) {
                    slot.before = Some(before.clone());
                }
                self.put(step, StepState::Ready);
            }
            Probe::Diverged { expected, found } => self.fail(step, diverged(expected, found), false),
            Probe::Unknown { reason } => {
                if self.may_repeat(step) {
                    self.put(step, StepState::Ready);
                } else {
                    let held = self.in_doubt(step, Class::Interrupted, Some(reason));
                    self.fail(step, held, false);
                }
            }
        }
    }

    /// Whether an attempt of unknown outcome may be made again.
    pub(super) fn may_repeat(&self, step: StepIx) -> bool {
        self.traits(step).repeatable || self.slot(step).granted || bent!(RepeatNever)
    }

    /// Held because nobody can tell whether the last attempt took effect.
    pub(super) fn in_doubt(&self, step: StepIx, class: Class, reason: Option<&str>) -> StepState {
        let attempt = self.slot(step).attempt;
        let mut message = format!("attempt {attempt} began, its end is unknown, and the step must not be repeated blindly");
        if let Some(reason) = reason {
            message.push_str(" (");
            message.push_str(reason);
            message.push(')');
        }
        let hint = "look whether it took effect, then settle it: `--adopt` if so, `--retry` if not, `--skip` to go on without it";
        StepState::Held { why: Hold::InDoubt, trouble: Trouble::new(class, message, Some(hint.into())) }
    }

    /// An attempt failed; or, where none is running, the step could not even be asked or rendered.
    pub(super) fn attempt_failed(&mut self, step: StepIx, event: &Event, attempt: u32, trouble: Arc<Trouble>) -> Result<(), Corrupt> {
        let began = *self.step(step) == StepState::Running { attempt };
        if !began {
            let waits = self.step(step).is_startable() || matches!(self.step(step), StepState::WaitingRetry { .. });
            self.expect_state(step, event, waits && attempt == self.slot(step).attempt + 1)?;
            self.expect_needs(step, event)?;
        }
        let class = trouble.class;
        let traits = self.traits(step);
        if began {
            let prior = self.slot(step).prior;
            let slot = self.slot_mut(step);
            slot.granted = false;
            slot.definite = match class {
                Class::Refused => prior.definite,
                Class::Permanent | Class::Conflict => !prior.trace || prior.definite,
                _ => false,
            };
            // Refused says that this attempt changed nothing.
            if class == Class::Refused {
                self.set_trace(step, prior.trace);
            }
        }
        let slot = self.slot(step);
        let trace = slot.trace;
        if matches!(class, Class::Interrupted | Class::Cancelled) {
            let state = match (began, trace) {
                (false, _) => slot.state.clone(),
                (true, true) => StepState::InDoubt { attempt },
                (true, false) => StepState::Pending,
            };
            // Before a rollback that is natural: somebody stopped what was running.
            self.cut |= self.rollback.is_none() || traits.finally;
            self.put(step, state);
            return Ok(());
        }
        if class == Class::Waits && began && self.rollback.is_none() {
            // No failure in the sense of `on_failure`: the work goes on once the person has answered.
            self.fail(step, StepState::Held { why: Hold::Waits, trouble }, false);
            return Ok(());
        }
        let slot = self.slot_mut(step);
        if !bent!(ForgetTries) {
            slot.tries += 1;
        }
        let tries = slot.tries;
        let coming = slot.attempt + 1;
        let may_ask = !trace || traits.probes || traits.repeatable || bent!(RepeatNever);
        if class.retryable() && tries < traits.attempts && may_ask {
            self.put(step, StepState::WaitingRetry { attempt: coming, at: None });
        } else if trace && (!began || !may_ask && !matches!(class, Class::Permanent | Class::Conflict | Class::Refused)) {
            let held = self.in_doubt(step, class, Some(&trouble.message));
            self.fail(step, held, began);
        } else {
            self.fail(step, StepState::Failed(trouble), true);
        }
        Ok(())
    }

    /// A step will not go on by itself. `final_` where that is a failure in the sense of `on_failure`; a doubt is none, it holds.
    pub(super) fn fail(&mut self, step: StepIx, state: StepState, final_: bool) {
        if bent!(ForgetFailure) {
            self.put(step, StepState::Skipped);
            return;
        }
        let trouble = state.trouble().cloned();
        self.put(step, state);
        if self.first.is_none()
            && let Some(Trouble { class, message, hint }) = trouble
        {
            self.first = Some(Failure { step, class, message, hint });
        }
        let asked = self.plan.on_failure == OnFailure::Rollback && final_ && !self.traits(step).finally;
        if asked && self.rollback.is_none() {
            self.roll_back(true, None);
        }
    }

    /// The first of what is wrong now; in a rollback what led to it stays.
    pub(super) fn refresh_failure(&mut self) {
        if self.rollback.is_some() {
            return;
        }
        self.first = self.queues.blocked.first().and_then(|&(_, step)| {
            let Trouble { class, message, hint } = self.step(step).trouble()?.clone();
            Some(Failure { step, class, message, hint })
        });
    }
}

fn diverged(expected: &str, found: &str) -> StepState {
    let message = format!("something is there that is not ours to overwrite: expected {expected}, found {found}");
    let hint = "put it right and resume, or settle it: `--adopt` to take what is there, `--skip` to go on without it";
    StepState::Held { why: Hold::Diverged, trouble: Trouble::new(Class::Conflict, message, Some(hint.into())) }
}
