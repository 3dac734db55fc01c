//! What a person may ask of a run as it stands, and the events that it makes.

use formula_steps::contract::Undo;

use super::{Mode, Origin, RunState, StepState};
use crate::model::{Event, Outcome, Payload, Request, SettleAnswer, StepIx};

/// Who decides a gate whose time is up.
pub const TIMER: &str = "timer";
/// Why it is denied then.
pub const NOBODY: &str = "nobody answered in time";

/// A request that does not fit the run as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is in the way; lower case, no full stop.
    pub message: String,
    /// What can be done instead.
    pub hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl RunState {
    /// The answers that are valid for a step now, each with the state it leads to.
    pub fn valid_answers(&self, step: StepIx) -> Vec<(SettleAnswer, &'static str)> {
        match self.finished {
            Some(outcome) if outcome.is_final() => Vec::new(),
            _ => self.answers(step),
        }
    }

    pub(super) fn answers(&self, step: StepIx) -> Vec<(SettleAnswer, &'static str)> {
        let retry = (SettleAnswer::Retry, if self.slot(step).trace { "asked again, then tried again" } else { "asked again" });
        let adopt = (SettleAnswer::Adopt, "done (adopted)");
        let skip = (SettleAnswer::Skip, "skipped");
        if self.rollback.is_some() {
            return match self.step(step) {
                StepState::UndoFailed(_) if self.is_stuck_for_good(step) => vec![(SettleAnswer::Skip, "undone")],
                StepState::UndoFailed(_) => vec![(SettleAnswer::Retry, "undone by the step"), (SettleAnswer::Skip, "undone")],
                _ => Vec::new(),
            };
        }
        match self.step(step) {
            StepState::Held { .. } => vec![retry, adopt, skip],
            StepState::Failed(_) => vec![retry, skip],
            _ => Vec::new(),
        }
    }

    /// Whether a request fits the run as it stands.
    ///
    /// # Errors
    /// What is in the way, and what can be done instead.
    pub fn check_request(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Cancel { rollback, .. } => {
                if let Mode::Finished(outcome) = self.mode() {
                    let instead = if outcome.is_final() {
                        "nothing is left to stop"
                    } else {
                        "nobody is driving it; `formula rollback RUN` takes it back, `formula cancel RUN --for-good` gives it up"
                    };
                    return Err(Refusal::new(format!("the run is not under way: {}", told(outcome))).hint(instead));
                }
                if *rollback { self.check_rollback(None) } else { Ok(()) }
            }
            Request::GiveUp { .. } => self.check_give_up(),
            Request::Rollback { to, .. } => self.check_rollback(to.as_deref()),
            Request::Redo { steps, .. } => self.redoing(steps).map(drop),
            Request::Settle { step, answer, .. } => self.check_settle(step, *answer),
            Request::Decide { by, step, approved, digest, .. } => self.check_decision(step, by, *approved, digest),
        }
    }

    fn check_give_up(&self) -> Result<(), Refusal> {
        match self.finished {
            Some(outcome) if outcome.is_final() => Err(Refusal::new(format!("there is nothing to give up: the run {}", told(outcome)))),
            Some(_) if self.given_up => {
                Err(Refusal::new("the run was given up already").hint("`formula resume RUN` takes it up all the same"))
            }
            _ => Ok(()),
        }
    }

    fn check_rollback(&self, to: Option<&str>) -> Result<(), Refusal> {
        if let Some(outcome @ (Outcome::RolledBack | Outcome::Refused)) = self.finished {
            return Err(Refusal::new(format!("there is nothing to take back: the run {}", told(outcome))));
        }
        let to = to.map(|id| self.known(id)).transpose()?;
        if let Some(to) = to
            && self.traits(to).finally
        {
            let id = &self.plan.step(to).id;
            return Err(
                Refusal::new(format!("`{id}` is a step of `[[finally]]`, which a rollback leaves alone")).hint("name a step before it")
            );
        }
        let kept = to.map(|to| self.with_needs(to)).unwrap_or_default();
        let passed: Vec<_> = self.one_way.iter().copied().filter(|step| kept.get(step.index()) != Some(&true)).collect();
        if passed.is_empty() || bent!(PassOneWay) {
            return Ok(());
        }
        let last = *passed.last().expect("not empty");
        let names = self.names(passed.into_iter());
        let hint = format!("go on with `formula resume`, or take back only what came after it with `--to {}`", self.plan.step(last).id);
        Err(Refusal::new(format!("the run is past the point of no return: {names} cannot be taken back")).hint(hint))
    }

    /// Steps that were made and cannot be taken back, in the order of the plan.
    pub fn past_return(&self) -> Vec<StepIx> {
        self.one_way.iter().copied().collect()
    }

    /// The steps that a rollback down to `to` would take back, last one first. For showing: the rollback itself asks the world.
    pub fn to_undo(&self, to: Option<&str>) -> Vec<StepIx> {
        let kept = to.and_then(|id| self.find(id)).map(|to| self.with_needs(to)).unwrap_or_default();
        let undone = |step: &StepIx| {
            let planned = self.plan.step(*step);
            let made = match self.step(*step) {
                StepState::Done { origin } => *origin == Origin::Created,
                StepState::Undoing | StepState::UndoFailed(_) => true,
                StepState::Skipped | StepState::Undone => false,
                _ => self.slot(*step).trace,
            };
            made && !planned.finally
                && matches!(planned.behaviour.undo, Undo::Restore | Undo::Reverse)
                && kept.get(step.index()) != Some(&true)
        };
        (0..self.plan.steps.len() as u32).rev().map(StepIx).filter(undone).collect()
    }

    /// Marks a step and all that it needs.
    pub(super) fn with_needs(&self, step: StepIx) -> Vec<bool> {
        let mut marked = vec![false; self.slots.len()];
        marked[step.index()] = true;
        for index in (0..=step.index()).rev() {
            if marked[index] {
                self.plan.steps[index].needs.iter().for_each(|need| marked[need.index()] = true);
            }
        }
        marked
    }

    fn check_settle(&self, id: &str, answer: SettleAnswer) -> Result<(), Refusal> {
        let step = self.known(id)?;
        let valid = self.valid_answers(step);
        if valid.iter().any(|(valid, _)| *valid == answer) {
            return Ok(());
        }
        let asked = answer_flag(answer);
        let state = self.step(step).name();
        let refusal = Refusal::new(format!("step `{id}` is {state}: `{asked}` is no answer to that"));
        if valid.is_empty() {
            return Err(refusal.hint("only steps that are held or failed are settled; `formula show` lists them"));
        }
        let valid = valid.iter().map(|(answer, leads)| format!("`{}` ({leads})", answer_flag(*answer))).collect::<Vec<_>>().join(", ");
        Err(refusal.hint(format!("valid now: {valid}")))
    }

    fn check_decision(&self, id: &str, by: &str, approved: bool, shown: &str) -> Result<(), Refusal> {
        let step = self.known(id)?;
        match self.step(step) {
            _ if self.finished.is_some_and(Outcome::is_final) => Err(Refusal::new("the run is over")),
            StepState::Waiting { rules, .. } if !(if approved { rules.admits(by) } else { rules.lets_deny(by) }) => {
                Err(Refusal::new(format!("`{by}` may not answer gate `{id}`")).hint(format!("these may: {}", rules.names())))
            }
            _ if self.has_expired(step) && !bent!(AnswerLate) => {
                Err(Refusal::new(format!("gate `{id}` has expired: nobody approved it in time")).hint("`formula resume RUN` asks it anew"))
            }
            StepState::Waiting { digest, .. } if **digest == *shown => Ok(()),
            StepState::Waiting { .. } => Err(Refusal::new(format!("what gate `{id}` asks has changed since it was shown"))
                .hint("look at it again with `formula show`, then approve it")),
            state => Err(Refusal::new(format!("gate `{id}` does not wait for an answer: it is {}", state.name()))),
        }
    }

    /// Whether the time of an open gate that waits for a person is over, and nobody has recorded that yet.
    pub fn has_expired(&self, step: StepIx) -> bool {
        self.queues.asking.contains(&step) && self.queues.due.contains(&step)
    }

    /// Whether that answers a gate whose time is over. What is recorded then is the denial that its time brings.
    pub fn comes_late(&self, request: &Request) -> bool {
        matches!(request, Request::Decide { step, .. } if !bent!(AnswerLate) && self.find(step).is_some_and(|step| self.has_expired(step)))
    }

    fn known(&self, id: &str) -> Result<StepIx, Refusal> {
        self.find(id).ok_or_else(|| Refusal::new(format!("the run has no step `{id}`")).hint("`formula show` lists its steps"))
    }

    /// The events that a request makes. It must have passed [`RunState::check_request`], unless it [comes late](RunState::comes_late).
    pub fn events_for(&self, request: &Request) -> Vec<Event> {
        if let Request::Decide { step, .. } = request
            && self.comes_late(request)
        {
            let reason = Some(NOBODY.to_owned());
            return vec![Event::GateDecided { step: step.clone(), approved: false, by: TIMER.into(), reason }];
        }
        match request.clone() {
            Request::Cancel { by, now, rollback } => {
                let cancel = Event::CancelRequested { by: by.clone(), now };
                if rollback { vec![cancel, Event::RollbackRequested { by, to: None }] } else { vec![cancel] }
            }
            Request::GiveUp { by } => {
                let finished = |outcome| Event::RunFinished { outcome, changed: self.changed() };
                // Where its driver could not let go of it any more, that is made up for.
                let first = self.finished.is_none().then(|| finished(Outcome::Interrupted));
                first.into_iter().chain([Event::CancelRequested { by, now: false }, finished(Outcome::Stopped)]).collect()
            }
            Request::Rollback { by, to } => vec![Event::RollbackRequested { by, to }],
            Request::Redo { by, steps } => vec![Event::RedoRequested { by, steps }],
            Request::Settle { by, step, answer, reason, output } => {
                vec![Event::StepSettled { step, answer, by, reason, output: output.map(Payload::Value) }]
            }
            Request::Decide { by, step, approved, reason, .. } => vec![Event::GateDecided { step, approved, by, reason }],
        }
    }
}

/// The answer as it is typed.
pub(super) fn answer_flag(answer: SettleAnswer) -> &'static str {
    match answer {
        SettleAnswer::Retry => "--retry",
        SettleAnswer::Adopt => "--adopt",
        SettleAnswer::Skip => "--skip",
    }
}

fn told(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "is done",
        Outcome::Refused => "was refused before anything was changed",
        Outcome::Held => "is held",
        Outcome::Stopped => "was stopped",
        Outcome::RolledBack => "is rolled back already",
        Outcome::RollbackIncomplete => "is rolled back in part",
        Outcome::Interrupted => "was interrupted",
        Outcome::Terminated => "was terminated",
    }
}
