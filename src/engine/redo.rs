//! Doing finished steps again because a person names them.
//!
//! What is done stays done, whatever happens; a person may know better, because what was made has been lost since, or because it is to be looked
//! at once more. The step that is named is asked again, and done again unless it is so already; so is all that rests on it, for what it rested on
//! may be otherwise now. Nothing is forgotten meanwhile: what this run made it still has to take back, down to what was there before the first
//! attempt.

use std::collections::BTreeSet;

use formula_steps::contract::Undo;

use super::{Corrupt, Hold, Refusal, RunState, StepState};
use crate::model::{Event, Outcome, Request, StepIx};

/// What doing steps again means for the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redoing {
    /// Steps that are asked or tried again, in the order of the plan.
    pub again: BTreeSet<StepIx>,
    /// Steps that rest on those and stay as they are: a person vouched for them, or they cannot be asked and must not be repeated unless they
    /// are named.
    pub kept: BTreeSet<StepIx>,
}

impl RunState {
    /// What doing those steps again would mean, once the run is taken up for it. Ids may be of `foreach` steps.
    ///
    /// # Errors
    /// What is in the way, and what can be done instead; `RUN` stands for the run.
    pub fn redoing(&self, ids: &[String]) -> Result<Redoing, Refusal> {
        if let Some(outcome @ (Outcome::RolledBack | Outcome::Refused)) = self.finished {
            let over = format!("nothing of it can be done again: the run is over ({})", outcome.as_str().replace('_', " "));
            return Err(Refusal::new(over).hint("`formula run` starts a new one"));
        }
        let mut taken_up = self.clone();
        taken_up.resume();
        taken_up.judge(ids)
    }

    /// The same, of a run that was just taken up.
    fn judge(&self, ids: &[String]) -> Result<Redoing, Refusal> {
        if self.rollback.is_some() {
            return Err(Refusal::new("the run is being taken back").hint("let `formula rollback RUN` end first"));
        }
        if !self.queues.running.is_empty() || !self.queues.undoing.is_empty() {
            return Err(Refusal::new("steps are under way").hint("stop the run first: `formula cancel RUN`"));
        }
        let mut named = BTreeSet::new();
        for id in ids {
            let items = || (0..self.slots.len() as u32).map(StepIx).filter(|step| self.is_item_of(*step, id));
            let found: Vec<_> = self.find(id).map_or_else(|| items().collect(), |step| vec![step]);
            if found.is_empty() {
                return Err(Refusal::new(format!("the run has no step `{id}`")).hint("`formula show RUN` lists its steps"));
            }
            found.iter().try_for_each(|step| self.is_over_for_redo(*step))?;
            named.extend(found);
        }
        let (redoing, unfinished) = self.with_what_rests_on(&named);
        let loses = |step: &&StepIx| !named.contains(step) && self.would_lose(**step, &redoing.again);
        match redoing.again.iter().chain(&unfinished).find(loses) {
            Some(step) => Err(self.take_back_instead(*step, &named)),
            None => Ok(redoing),
        }
    }

    fn is_item_of(&self, step: StepIx, id: &str) -> bool {
        let planned = self.plan.step(step);
        planned.item.is_some() && planned.id.strip_prefix(id).is_some_and(|rest| rest.starts_with('['))
    }

    fn is_over_for_redo(&self, step: StepIx) -> Result<(), Refusal> {
        let state = self.step(step);
        if state.is_over() {
            return Ok(());
        }
        let hint = match state {
            StepState::Held { why: Hold::InDoubt, .. } => {
                format!("`formula settle RUN {} --retry --reason TEXT` has it tried again", self.plan.step(step).id)
            }
            StepState::Waiting { .. } => "answer it with `formula approve RUN`".to_owned(),
            _ => "`formula resume RUN` does what is left to do".to_owned(),
        };
        Err(Refusal::new(format!("step `{}` is not done yet", self.plan.step(step).id)).hint(hint))
    }

    /// The named steps and all that rests on them, as far as it is over, and what of the rest has been tried. The steps of `[[finally]]` rest on
    /// everything else.
    fn with_what_rests_on(&self, named: &BTreeSet<StepIx>) -> (Redoing, Vec<StepIx>) {
        let mut unfinished = Vec::new();
        let mut redoing = Redoing::default();
        let mut reached = vec![false; self.slots.len()];
        let mut rest = false;
        for index in 0..self.slots.len() {
            let step = StepIx(index as u32);
            let planned = self.plan.step(step);
            let rests = planned.needs.iter().any(|need| reached[need.index()]) || planned.finally && rest;
            reached[index] = named.contains(&step) || rests && !bent!(RedoAlone);
            rest |= reached[index] && !planned.finally;
            if !reached[index] {
                continue;
            }
            if !self.step(step).is_over() && !matches!(self.step(step), StepState::Waiting { .. }) {
                unfinished.push(step);
                continue;
            }
            let traits = self.traits(step);
            let slot = self.slot(step);
            let blindly = slot.trace && !traits.probes && !traits.repeatable && !bent!(RedoBlindly);
            let stays = !named.contains(&step) && (slot.vouched || blindly);
            (if stays { &mut redoing.kept } else { &mut redoing.again }).insert(step);
        }
        (redoing, unfinished)
    }

    /// Whether a step has something to take back, or to find out, and might find other params when it comes to that.
    fn would_lose(&self, step: StepIx, again: &BTreeSet<StepIx>) -> bool {
        let traits = self.traits(step);
        let slot = self.slot(step);
        let owes = match traits.undo {
            Undo::Restore | Undo::Reverse => slot.trace,
            Undo::Nothing | Undo::Impossible => slot.trace && traits.one_way && !slot.made,
        };
        owes && !traits.finally && self.may_read(step, again)
    }

    /// Whether a template that a step sees names one of those steps. May say so of one that does not.
    fn may_read(&self, step: StepIx, steps: &BTreeSet<StepIx>) -> bool {
        let planned = self.plan.step(step);
        if !planned.templated {
            return false;
        }
        let mut text = format!("{} {:?} {:?}", planned.with, planned.env, planned.condition);
        let mut scope = self.plan.scopes.get(planned.scope as usize);
        while let Some(names) = scope {
            let local = |step: &StepIx| self.plan.step(*step).id.strip_prefix(&*names.prefix)?.split(['[', '/']).next();
            if steps.iter().filter_map(local).any(|name| text.contains(name)) {
                return true;
            }
            text = format!("{text} {:?} {:?}", names.vars, names.condition);
            scope = names.parent.and_then(|parent| self.plan.scopes.get(parent as usize));
        }
        false
    }

    /// The way for what cannot be done again over what is there.
    fn take_back_instead(&self, step: StepIx, named: &BTreeSet<StepIx>) -> Refusal {
        let id = &self.plan.step(step).id;
        let message = format!("step `{id}` was made from what is to be done again, and could not be taken back any more");
        let first = named.first().map(|first| self.plan.step(*first));
        let before = first.and_then(|first| first.needs.iter().rev().find(|need| self.step(**need).is_over()));
        let before = before.map(|before| self.plan.step(*before).id.clone());
        let back = Request::Rollback { by: String::new(), to: before.clone() };
        Refusal::new(message).hint(match before {
            _ if self.check_request(&back).is_err() => {
                "there is no way back either: `formula run` with `--fresh` starts a new run, which asks every step".to_owned()
            }
            Some(before) => {
                format!("take it back first: `formula rollback RUN --to {before}`; `formula resume RUN` then does all of it again")
            }
            None => "take the run back with `formula rollback RUN`, then give the same command again".to_owned(),
        })
    }

    /// Does steps again. Follows `run_resumed`.
    pub(super) fn redo(&mut self, event: &Event, ids: &[String]) -> Result<(), Corrupt> {
        let redoing = self.judge(ids).map_err(|refusal| self.corrupt(event, refusal.to_string()))?;
        let seq = self.seq;
        for step in redoing.again {
            let traits = self.traits(step);
            let is_named = self.find_named(step, ids);
            let slot = self.slot_mut(step);
            (slot.tries, slot.definite, slot.vouched, slot.key) = (0, false, false, seq);
            if slot.trace && !bent!(RedoForgets) {
                // As after a cut: what is there is found out, and the checkpoint and whose it is stay what they are.
                slot.state = StepState::InDoubt { attempt: slot.attempt };
                slot.granted = is_named;
            } else {
                (slot.before, slot.output, slot.made) = (None, None, false);
                slot.state = StepState::Pending;
                self.set_trace(step, false);
            }
            debug_assert!(traits.gate.is_none() || *self.step(step) == StepState::Pending, "gates leave no trace");
        }
        self.rebuild();
        self.refresh_failure();
        Ok(())
    }

    fn find_named(&self, step: StepIx, ids: &[String]) -> bool {
        ids.iter().any(|id| *id == self.plan.step(step).id || self.is_item_of(step, id))
    }
}
