//! How a run stands, for a bot and for the last lines of a screen: with the commands that make sense now.

use formula_steps::contract::Class;

use super::fold::{ASK_AGAIN, IN_TIME};
use super::request::answer_flag;
use super::{Command, Failure, Hold, RunState, StepState};
use crate::model::{Outcome, Request, RunId, StepIx, Verdict};

/// Steps of which commands are listed; more would bury them.
const MOST: usize = 3;

impl RunState {
    /// How the run stands: as its driver let go of it, else as it would have to be let go of now; interrupted where something is in flight.
    pub fn verdict(&self, run: &RunId) -> Verdict {
        let outcome = self.outcome();
        let failure = self.failure().or_else(|| self.undo_failure());
        let failure = failure.or_else(|| self.expired_gate()).filter(|_| outcome != Outcome::Done);
        let asking = || self.queues.asking.first().copied().filter(|_| outcome == Outcome::Held);
        let told = failure.as_ref().map(|failure| failure.step).or_else(asking);
        let runbook = told.map(|step| self.plan.runbook(&self.plan.step(step).id));
        Verdict {
            run: Some(run.clone()),
            outcome,
            exit: outcome.exit_code(),
            changed: self.changed(),
            failed_step: failure.as_ref().map(|failure| self.plan.step(failure.step).id.clone()),
            class: failure.as_ref().map(|failure| failure.class),
            message: failure.as_ref().map(|failure| failure.message.clone()),
            hint: failure.and_then(|failure| failure.hint),
            retry_safe: self.retry_safe(outcome),
            one_way_crossed: self.one_way_crossed(),
            next: self.next(run, outcome),
            runbook,
        }
    }

    fn outcome(&self) -> Outcome {
        let finish = |command| if let Command::Finish(outcome) = command { Some(outcome) } else { None };
        self.finished.or_else(|| self.decide().into_iter().find_map(finish)).unwrap_or(Outcome::Interrupted)
    }

    /// The first step that could not be undone.
    fn undo_failure(&self) -> Option<Failure> {
        let step = *self.rollback.as_ref()?.failed.first()?;
        let trouble = self.step(step).trouble()?.clone();
        Some(Failure { step, class: trouble.class, message: trouble.message, hint: trouble.hint })
    }

    /// An open gate whose time is over, and which nobody has denied yet.
    fn expired_gate(&self) -> Option<Failure> {
        let step = self.queues.asking.iter().copied().find(|step| self.has_expired(*step))?;
        Some(Failure { step, class: Class::Refused, message: IN_TIME.into(), hint: Some(ASK_AGAIN.into()) })
    }

    /// Whether the same command may be given again without asking a person.
    fn retry_safe(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Done | Outcome::Refused | Outcome::RolledBack | Outcome::Interrupted | Outcome::Terminated => true,
            // Anew, and not on: what cannot be taken back would happen a second time.
            Outcome::Stopped => !(self.starts_anew() && self.may_be_past_return()),
            Outcome::Held => {
                let safe = |step| matches!(self.step(step), StepState::Failed(_)) && self.traits(step).gate.is_none();
                self.queues.asking.is_empty() && self.queues.blocked.iter().all(|(_, step)| safe(*step))
            }
            Outcome::RollbackIncomplete => {
                let failed = self.rollback.iter().flat_map(|rollback| &rollback.failed);
                failed.filter_map(|step| self.step(*step).trouble()).all(|trouble| trouble.class != Class::Conflict)
            }
        }
    }

    fn next(&self, run: &RunId, outcome: Outcome) -> Vec<String> {
        let mut next = Vec::new();
        match outcome {
            Outcome::Done => {}
            Outcome::Refused => next.push(self.again()),
            Outcome::RolledBack => next.push(format!("formula show {run}")),
            Outcome::RollbackIncomplete => {
                let to = self.rollback.as_ref().and_then(|rollback| rollback.to).map(|to| self.plan.step(to).id.as_str());
                next.push(rollback(run, to));
                let failed = self.rollback.iter().flat_map(|rollback| &rollback.failed).copied();
                failed.take(MOST).for_each(|step| self.settle_commands(run, step, &mut next));
            }
            Outcome::Held => {
                for step in self.queues.asking.iter().filter(|step| !self.has_expired(**step)).take(MOST) {
                    next.push(format!("formula approve {run} {}", word(&self.plan.step(*step).id)));
                }
                let blocked = || self.queues.blocked.iter().map(|(_, step)| *step);
                let doubtful = |step: &StepIx| matches!(self.step(*step), StepState::Held { why: Hold::InDoubt, .. });
                blocked().filter(doubtful).take(MOST).for_each(|step| self.settle_commands(run, step, &mut next));
                let rest = blocked().filter(|step| !doubtful(step));
                if next.is_empty() || rest.clone().next().is_some() {
                    next.push(format!("formula resume {run}"));
                }
                rest.take(MOST).for_each(|step| self.settle_commands(run, step, &mut next));
            }
            Outcome::Stopped | Outcome::Interrupted | Outcome::Terminated => next.push(format!("formula resume {run}")),
        }
        let open = !outcome.is_final() && outcome != Outcome::RollbackIncomplete;
        if open && self.rollback.is_none() {
            next.extend(self.way_back(run));
        }
        next
    }

    /// The same run once more.
    fn again(&self) -> String {
        self.plan.command.clone().unwrap_or_else(|| format!("formula run {}", word(&self.plan.formula)))
    }

    /// The rollback that makes sense: of everything, or down to the last step that has to stay.
    fn way_back(&self, run: &RunId) -> Option<String> {
        let last = self.one_way.last().map(|step| self.plan.step(*step).id.clone());
        let kept = self.one_way.last().map(|step| self.with_needs(*step)).unwrap_or_default();
        let fits = self.touched > 0 && self.check_request(&Request::Rollback { by: String::new(), to: last.clone() }).is_ok();
        let any = last.is_none() || !self.to_undo(last.as_deref()).is_empty();
        // What can only end with a step that a person has to take back is no way.
        (fits && any && !self.would_stick(&kept)).then(|| rollback(run, last.as_deref()))
    }

    fn settle_commands(&self, run: &RunId, step: StepIx, next: &mut Vec<String>) {
        let id = word(&self.plan.step(step).id);
        // Without another try: that is what `formula resume` and `formula rollback` are for, where it is safe.
        let resumes = match self.step(step) {
            StepState::UndoFailed(trouble) => trouble.class != Class::Conflict,
            state => !matches!(state, StepState::Held { why: Hold::InDoubt, .. }),
        };
        for (answer, _) in self.answers(step) {
            if !(resumes && answer == crate::model::SettleAnswer::Retry) {
                next.push(format!("formula settle {run} {id} {} --reason TEXT", answer_flag(answer)));
            }
        }
    }
}

/// The command that takes back all, or what came after a step.
fn rollback(run: &RunId, to: Option<&str>) -> String {
    let to = to.map(|to| format!(" --to {}", word(to))).unwrap_or_default();
    format!("formula rollback {run}{to}")
}

/// An argument as a shell takes it.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
