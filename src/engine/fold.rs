//! Events to state: what each of them changes, and when it cannot have happened.
//!
//! Every check stands before the first change, so that an event which does not follow leaves the state as it was.

use super::request::{NOBODY, TIMER};
use super::step_state::{Prior, Trouble};
use super::{Corrupt, Origin, RunState, StepState};
use crate::model::{Envelope, Event, Gate, GateRules, Outcome, Payload, ProbeReason, SettleAnswer, StepIx, Timestamp};
use formula_steps::contract::Class;

/// Why a gate is denied when its time is over.
pub(super) const IN_TIME: &str = "nobody approved it in time";
/// What helps against a denial.
pub(super) const ASK_AGAIN: &str = "resume the run to be asked again";

impl RunState {
    /// Takes up the next event, with the time at which it happened.
    ///
    /// # Errors
    /// As [`RunState::fold`].
    pub fn take(&mut self, envelope: &Envelope) -> Result<(), Corrupt> {
        self.at = Some(envelope.at);
        self.fold(&envelope.event)
    }

    /// Takes up the next event.
    ///
    /// # Errors
    /// It does not follow from those before it; the state is unchanged then.
    pub fn fold(&mut self, event: &Event) -> Result<(), Corrupt> {
        self.seq += 1;
        let folded = self.apply(event);
        if folded.is_err() {
            self.seq -= 1;
        } else {
            self.begin_rollback_if_due();
            if bent!(RebuildAlways) {
                self.rebuild();
            }
        }
        folded
    }

    fn apply(&mut self, event: &Event) -> Result<(), Corrupt> {
        if (self.seq == 1) != matches!(event, Event::RunStarted { .. }) {
            return Err(self.corrupt(event, "a run begins with `run_started`, and only once"));
        }
        self.check_open(event)?;
        if let Some(id) = event.step() {
            let step = self.find(id).ok_or_else(|| self.corrupt(event, format!("the plan has no step `{id}`")))?;
            return self.apply_to_step(step, event);
        }
        match event {
            Event::RunResumed { .. } => self.resume(),
            Event::PlanReplaced { plan, .. } => self.mend(event, plan)?,
            Event::CancelRequested { by, .. } => self.cancel_requested(by),
            Event::RollbackRequested { by, to } => self.request_rollback(event, by == "formula", to.as_deref())?,
            Event::RedoRequested { steps, .. } => self.redo(event, steps)?,
            Event::RunFinished { outcome, .. } => self.finished = Some(*outcome),
            _ => {}
        }
        Ok(())
    }

    /// After a run was let go of, only a person's answers and those who take it up again may follow.
    fn check_open(&self, event: &Event) -> Result<(), Corrupt> {
        let Some(outcome) = self.finished else { return Ok(()) };
        let follows = match event {
            Event::RunResumed { .. } => true,
            Event::RollbackRequested { .. } => !matches!(outcome, Outcome::RolledBack | Outcome::Refused),
            Event::StepSettled { .. } | Event::GateDecided { .. } | Event::CancelRequested { .. } => !outcome.is_final(),
            _ => false,
        };
        if follows { Ok(()) } else { Err(self.corrupt(event, format!("the run is over: {}", outcome.as_str()))) }
    }

    fn apply_to_step(&mut self, step: StepIx, event: &Event) -> Result<(), Corrupt> {
        match event {
            Event::StepProbed { reason, probe, one_way, .. } => {
                let was = self.slot(step).sealed;
                // First: that it was made may free others at once.
                self.slot_mut(step).sealed |= *one_way && *reason != ProbeReason::Ready;
                let probed = self.probed(step, event, *reason, probe);
                if probed.is_err() {
                    self.slot_mut(step).sealed = was;
                }
                probed
            }
            Event::AttemptStarted { attempt, .. } => self.attempt_started(step, event, *attempt),
            Event::CheckpointSaved { before, .. } => {
                self.expect_state(step, event, matches!(self.step(step), StepState::Running { .. }))?;
                self.slot_mut(step).before = Some(before.clone());
                Ok(())
            }
            Event::AttemptSucceeded { attempt, output, one_way, .. } => {
                self.expect_state(step, event, *self.step(step) == StepState::Running { attempt: *attempt })?;
                let slot = self.slot_mut(step);
                slot.granted = false;
                slot.sealed |= *one_way;
                self.made(step, Some(output.clone()));
                Ok(())
            }
            Event::AttemptFailed { attempt, class, message, hint, .. } => {
                let trouble = Trouble::new(*class, message.clone(), hint.clone());
                self.attempt_failed(step, event, *attempt, trouble)
            }
            Event::AttemptWithdrawn { attempt, .. } => self.attempt_withdrawn(step, event, *attempt),
            Event::RetryScheduled { attempt, at, .. } => self.retry_scheduled(step, event, *attempt, *at),
            Event::StepSkipped { .. } => {
                let fits = matches!(self.step(step), StepState::Pending | StepState::Ready) && !self.slot(step).trace;
                self.expect_state(step, event, fits)?;
                self.expect_needs(step, event)?;
                self.put(step, StepState::Skipped);
                Ok(())
            }
            Event::StepSettled { answer, output, .. } => {
                let valid = self.answers(step).iter().any(|(valid, _)| valid == answer);
                self.expect_state(step, event, valid)?;
                self.settle(step, *answer, output.clone());
                Ok(())
            }
            Event::GateOpened { digest, until, approvers, proof, proof_file, proof_url, proof_token, .. } => {
                let gate = self.traits(step).gate.is_some();
                self.expect_state(step, event, gate && *self.step(step) == StepState::Pending)?;
                self.expect_needs(step, event)?;
                let written = serde_json::json!({
                    "approvers": approvers, "proof": proof, "proof_file": proof_file, "proof_url": proof_url, "proof_token": proof_token,
                });
                let rules = GateRules::of(&written).map_err(|why| self.corrupt(event, why))?;
                self.put(step, StepState::Waiting { digest: digest.as_str().into(), until: *until, rules: rules.into() });
                Ok(())
            }
            Event::GateDecided { approved, by, reason, .. } => {
                self.expect_state(step, event, matches!(self.step(step), StepState::Waiting { .. }))?;
                self.gate_decided(step, *approved, by, reason.as_deref());
                Ok(())
            }
            Event::UndoStarted { .. } => self.undo_started(step, event),
            Event::UndoSucceeded { .. } => {
                self.expect_state(step, event, *self.step(step) == StepState::Undoing)?;
                self.undone(step);
                Ok(())
            }
            Event::UndoFailed { class, message, hint, .. } => {
                let trouble = Trouble::new(*class, message.clone(), hint.clone());
                self.undo_failed(step, event, trouble)
            }
            _ => Ok(()),
        }
    }

    fn attempt_started(&mut self, step: StepIx, event: &Event, attempt: u32) -> Result<(), Corrupt> {
        let traits = self.traits(step);
        let slot = self.slot(step);
        let blind = !traits.probes || bent!(SkipProbe);
        let fits = traits.gate.is_none()
            && match slot.state {
                StepState::Ready => true,
                StepState::Pending => blind,
                // A wait may be over for the driver and not yet for a core that was told no time.
                StepState::InDoubt { .. } | StepState::WaitingRetry { at: Some(_), .. } => {
                    blind && (!slot.trace || self.may_repeat(step) || bent!(SkipProbe))
                }
                _ => false,
            };
        self.expect_state(step, event, fits && attempt == slot.attempt + 1)?;
        self.expect_needs(step, event)?;
        if self.rollback.is_some() && !traits.finally {
            return Err(self.corrupt(event, format!("step `{}` starts although the run is rolling back", self.plan.step(step).id)));
        }
        let slot = self.slot_mut(step);
        slot.prior = Prior { ready: slot.state == StepState::Ready, trace: slot.trace, definite: slot.definite };
        slot.attempt = attempt;
        slot.definite = false;
        self.set_trace(step, true);
        self.put(step, StepState::Running { attempt });
        Ok(())
    }

    fn attempt_withdrawn(&mut self, step: StepIx, event: &Event, attempt: u32) -> Result<(), Corrupt> {
        self.expect_state(step, event, *self.step(step) == StepState::Running { attempt })?;
        let slot = self.slot_mut(step);
        slot.attempt -= 1;
        let attempt = slot.attempt;
        let Prior { ready, trace, definite } = slot.prior;
        slot.definite = definite;
        self.set_trace(step, trace);
        let state = match (ready, trace) {
            (true, _) => StepState::Ready,
            (false, true) => StepState::InDoubt { attempt },
            (false, false) => StepState::Pending,
        };
        self.put(step, state);
        Ok(())
    }

    fn retry_scheduled(&mut self, step: StepIx, event: &Event, attempt: u32, at: Timestamp) -> Result<(), Corrupt> {
        let fits = matches!(self.step(step), StepState::WaitingRetry { attempt: coming, .. } if *coming == attempt);
        self.expect_state(step, event, fits)?;
        self.put(step, StepState::WaitingRetry { attempt, at: Some(at) });
        Ok(())
    }

    fn gate_decided(&mut self, step: StepIx, approved: bool, by: &str, reason: Option<&str>) {
        // Whoever wrote it down may have looked at the clock a moment before it struck.
        let late = approved && self.is_late(step);
        let (by, reason) = if late { (TIMER, None) } else { (by, reason) };
        if approved && !late {
            let at = self.at.map(|at| at.to_string()).unwrap_or_default();
            self.slot_mut(step).output = Some(Payload::Value(serde_json::json!({ "at": at, "by": by })));
            self.put(step, StepState::Done { origin: Origin::Created });
            return;
        }
        let mut message = if by == TIMER { IN_TIME.to_owned() } else { format!("denied by {by}") };
        if let Some(reason) = reason.filter(|reason| *reason != NOBODY) {
            message.push_str(": ");
            message.push_str(reason);
        }
        let trouble = Trouble::new(Class::Refused, message, Some(ASK_AGAIN.into()));
        self.fail(step, StepState::Failed(trouble), true);
    }

    /// Whether a person's answer for an open gate, given when the event that is folded happened, came after its time.
    fn is_late(&self, step: StepIx) -> bool {
        if [bent!(ApproveLate), bent!(AnswerLate)].contains(&true) {
            return false;
        }
        let StepState::Waiting { until: Some(until), .. } = self.step(step) else { return false };
        self.traits(step).gate == Some(Gate::Approve) && self.at.is_some_and(|at| at >= *until)
    }

    fn settle(&mut self, step: StepIx, answer: SettleAnswer, output: Option<crate::model::Payload>) {
        if matches!(self.step(step), StepState::UndoFailed(_)) {
            self.settle_undo(step, answer);
            return;
        }
        match answer {
            SettleAnswer::Adopt => {
                let slot = self.slot_mut(step);
                slot.output = output;
                slot.vouched = true;
                self.put(step, StepState::Done { origin: Origin::Adopted });
            }
            SettleAnswer::Skip => {
                self.slot_mut(step).vouched = true;
                self.put(step, StepState::Skipped);
            }
            SettleAnswer::Retry => {
                let probes = self.traits(step).probes;
                let slot = self.slot_mut(step);
                slot.tries = 0;
                slot.granted = true;
                let attempt = slot.attempt;
                let state = match (slot.trace, probes) {
                    (false, _) => StepState::Pending,
                    (true, true) => StepState::InDoubt { attempt },
                    (true, false) => StepState::Ready,
                };
                self.put(step, state);
            }
        }
        self.refresh_failure();
    }

    /// Errs unless a condition on the step's state holds.
    pub(super) fn expect_state(&self, step: StepIx, event: &Event, fits: bool) -> Result<(), Corrupt> {
        if fits {
            return Ok(());
        }
        let slot = self.slot(step);
        let attempts = match slot.attempt {
            0 => "no attempt yet".to_owned(),
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        Err(self.corrupt(event, format!("step `{}` is {}, with {attempts}", self.plan.step(step).id, slot.state.name())))
    }

    /// Errs where a step comes before its turn.
    pub(super) fn expect_needs(&self, step: StepIx, event: &Event) -> Result<(), Corrupt> {
        // In a rollback the counters are about other things, and answers that were on their way may still come.
        if self.rollback.is_some() || self.eligible(step) {
            return Ok(());
        }
        let waits = self.plan.step(step).needs.iter().filter(|need| !self.step(**need).is_over()).copied();
        let waits = self.names(waits.collect::<Vec<_>>().into_iter());
        let rest = if waits.is_empty() { "the rest of the run".to_owned() } else { waits };
        Err(self.corrupt(event, format!("step `{}` comes before {rest} is over", self.plan.step(step).id)))
    }
}
