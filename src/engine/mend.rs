//! Going on with a mended formula: what of the new plan is as it was, what begins anew, and what is refused.
//!
//! A step that is finished stays as it was written, or the change is refused. So is the change of a step that may have left something to be
//! taken back: undo must find the params that it was tried with. What is left can neither be missed nor be done twice, so no step ever needs
//! the plan that was replaced.

use std::sync::Arc;

use formula_steps::contract::Undo;

use super::links::Links;
use super::step_state::Slot;
use super::{Corrupt, Mode, RunState, StepState};
use crate::model::{Event, Gate, Payload, Plan, PlanStep, StepIx};

/// What a mended formula means for a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mending {
    /// Steps that are as they were, each with its state.
    pub kept: Vec<(String, &'static str)>,
    /// Steps that are asked or tried anew, each with the reason.
    pub again: Vec<(String, &'static str)>,
    /// Steps that were not there.
    pub added: Vec<String>,
    /// Steps that are there no more, and left nothing.
    pub gone: Vec<String>,
    /// What stands in the way, each with what can be done.
    pub refused: Vec<(String, String)>,
}

/// Where a step of the new plan comes from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// As it was.
    Kept(StepIx),
    /// A gate that has to be opened anew, or a step that was edited: nothing of it stays but the number of its attempts.
    Again(StepIx),
    New,
}

impl RunState {
    /// What would become of a run that was just taken up, were its plan replaced by that one.
    pub fn mending(&self, new: &Plan) -> Mending {
        self.compare(new).0
    }

    /// Replaces the plan. Follows `run_resumed`.
    pub(super) fn mend(&mut self, event: &Event, plan: &Payload) -> Result<(), Corrupt> {
        let Payload::Value(value) = plan else {
            return Err(self.corrupt(event, "the plan was not read"));
        };
        let new: Plan = serde_json::from_value(value.clone()).map_err(|error| self.corrupt(event, format!("no plan: {error}")))?;
        let (mending, from) = self.compare(&new);
        if let Some((what, _)) = mending.refused.first() {
            return Err(self.corrupt(event, what.clone()));
        }
        let slot = |from: &From| match from {
            From::Kept(old) => self.slot(*old).clone(),
            From::Again(old) => Slot { attempt: self.slot(*old).attempt, ..Slot::new() },
            From::New => Slot::new(),
        };
        self.slots = from.iter().map(slot).collect();
        // All of them are kept: the change of any other would have been refused.
        self.one_way = self.one_way.iter().filter_map(|step| new_place(&from, *step)).collect();
        self.missing = vec![0; new.steps.len()];
        self.links = Arc::new(Links::new(&new));
        self.plan = Arc::new(new);
        self.first = None;
        self.rebuild();
        self.refresh_failure();
        Ok(())
    }

    fn compare(&self, new: &Plan) -> (Mending, Vec<From>) {
        let mut mending = Mending::default();
        let mut from = Vec::with_capacity(new.steps.len());
        self.compare_runs(new, &mut mending.refused);
        for (index, step) in new.steps.iter().enumerate() {
            from.push(match self.find(&step.id) {
                None => From::New,
                Some(old) if !self.is_same(old, new, StepIx(index as u32)) => {
                    self.edited(old, &mut mending.refused);
                    From::Again(old)
                }
                // It was opened for another plan.
                Some(old) if matches!(self.step(old), StepState::Waiting { .. }) => From::Again(old),
                Some(old) => From::Kept(old),
            });
        }
        self.ask_again(new, &mut from);
        let mut stays = vec![false; self.plan.steps.len()];
        for (step, from) in new.steps.iter().zip(&from) {
            if let From::Kept(old) | From::Again(old) = from {
                stays[old.index()] = true;
            }
            match from {
                From::Kept(old) => mending.kept.push((step.id.clone(), self.step(*old).name())),
                From::Again(old) if step.gate.is_some() && self.is_written_alike(*old, new, step) => {
                    mending.again.push((step.id.clone(), "what it asks about has changed"));
                }
                From::Again(_) => mending.again.push((step.id.clone(), "edited")),
                From::New => mending.added.push(step.id.clone()),
            }
        }
        for (index, step) in self.plan.steps.iter().enumerate().filter(|(index, _)| !stays[*index]) {
            self.removed(StepIx(index as u32), &mut mending.refused);
            mending.gone.push(step.id.clone());
        }
        (mending, from)
    }

    /// What concerns the run as a whole.
    fn compare_runs(&self, new: &Plan, refused: &mut Vec<(String, String)>) {
        let old = &self.plan;
        let mut refuse = |what: String, now: &str| refused.push((what, now.to_owned()));
        if let Mode::Finished(outcome) = self.mode() {
            refuse(format!("the run is not open: it is {}", outcome.as_str().replace('_', " ")), "`formula run` starts a new one");
        }
        if self.rollback.is_some() {
            refuse("the run is being taken back".into(), "let `formula rollback` end first, then run the mended formula");
        }
        if !self.queues.running.is_empty() || !self.queues.undoing.is_empty() {
            refuse("steps are under way".into(), "stop the run first: `formula cancel`");
        }
        if new.formula != old.formula {
            refuse(
                format!("this is the formula `{}`, and the run is one of `{}`", new.formula, old.formula),
                "name the file that was mended",
            );
        }
        if new.lock != old.lock || new.workdir != old.workdir {
            refuse("the lock of the formula was edited, and the run holds the old one".into(), "leave `lock` as it was");
        }
    }

    /// An edited step: whether it may begin anew.
    fn edited(&self, old: StepIx, refused: &mut Vec<(String, String)>) {
        let id = &self.plan.step(old).id;
        match self.step(old) {
            StepState::Done { .. } | StepState::Skipped => {
                let how = if *self.step(old) == StepState::Skipped { "left out already" } else { "finished" };
                let now = "write it as it was; what has to be otherwise goes into a step of its own, or into a new run";
                refused.push((format!("step `{id}` is {how}, and was edited"), now.into()));
            }
            _ if self.owes(old) => {
                let what = format!(
                    "step `{id}` was edited, but was tried before and may have left something that the new one could not take back"
                );
                refused.push((what, self.take_it_back(old)));
            }
            _ => {}
        }
    }

    /// A step that is there no more.
    fn removed(&self, old: StepIx, refused: &mut Vec<(String, String)>) {
        let id = &self.plan.step(old).id;
        let traits = self.traits(old);
        let slot = self.slot(old);
        if slot.made && traits.effectful && (traits.undo != Undo::Nothing || traits.one_way || slot.sealed) {
            let what = format!("step `{id}` is gone, and what it did could not be taken back any more");
            refused.push((what, "leave it in the file: it is not done again".into()));
        } else if self.owes(old) {
            let what = format!("step `{id}` is gone, but was tried before and may have left something");
            refused.push((what, self.take_it_back(old)));
        }
    }

    /// Whether an attempt may have left something that a rollback would have to see to, or that nobody knows of.
    fn owes(&self, step: StepIx) -> bool {
        let slot = self.slot(step);
        let undo = self.traits(step).undo;
        let nothing = undo == Undo::Nothing && !self.traits(step).one_way || undo == Undo::Impossible && slot.definite && !slot.sealed;
        if bent!(MendWhatIsOwed) {
            return false;
        }
        slot.undo_began || slot.made || slot.trace && !nothing
    }

    /// The command that takes back what an unfinished step may have left, and nothing before it.
    fn take_it_back(&self, step: StepIx) -> String {
        let planned = self.plan.step(step);
        let before = planned.needs.iter().rev().find(|need| self.step(**need).is_over());
        match before {
            Some(before) => format!("take that back first: `formula rollback RUN --to {}`, then mend it", self.plan.step(*before).id),
            None => "take the run back with `formula rollback RUN`, then run the mended formula".to_owned(),
        }
    }

    /// Approvals that were given for what is otherwise now are asked for again.
    fn ask_again(&self, new: &Plan, from: &mut [From]) {
        // Steps that come before something that begins anew, or is not done yet and was not there.
        let mut before = vec![false; new.steps.len()];
        for index in (0..new.steps.len()).rev() {
            if before[index] || !matches!(from[index], From::Kept(_)) {
                new.steps[index].needs.iter().for_each(|need| before[need.index()] = true);
            }
        }
        for (index, step) in new.steps.iter().enumerate() {
            if let From::Kept(old) = from[index]
                && before[index]
                && step.gate == Some(Gate::Approve)
                && !bent!(KeepApprovals)
                && matches!(self.step(old), StepState::Done { .. })
            {
                from[index] = From::Again(old);
            }
        }
    }

    /// Whether a step is what it was, in its place.
    fn is_same(&self, old: StepIx, new: &Plan, step: StepIx) -> bool {
        let (was, is) = (self.plan.step(old), new.step(step));
        let ids = |plan: &Plan, step: &PlanStep| step.needs.iter().map(|need| plan.step(*need).id.clone()).collect::<Vec<_>>();
        self.is_written_alike(old, new, is) && ids(&self.plan, was) == ids(new, is)
    }

    /// Whether a step does what it did. Titles, tries and time limits may change at any time.
    fn is_written_alike(&self, old: StepIx, new: &Plan, is: &PlanStep) -> bool {
        let was = self.plan.step(old);
        (&was.kind, was.kind_version, was.gate, was.behaviour, was.finally)
            == (&is.kind, is.kind_version, is.gate, is.behaviour, is.finally)
            && (&was.with, &was.env, &was.condition, &was.item, &was.secrets) == (&is.with, &is.env, &is.condition, &is.item, &is.secrets)
            && was.templated == is.templated
            && (!was.templated || {
                let text = format!("{} {:?} {:?}", was.with, was.env, was.condition);
                agree(&self.plan, was.scope, new, is.scope, &text)
            })
    }
}

/// Where an old step that is kept stands in the new plan.
fn new_place(from: &[From], old: StepIx) -> Option<StepIx> {
    from.iter().position(|from| matches!(from, From::Kept(kept) if *kept == old)).map(|index| StepIx(index as u32))
}

/// Whether a template over the one scope says the same over the other, which may know more names. `text` has the templates: of the items of a
/// `foreach` step only those who name it see a change.
fn agree(old: &Plan, was: u32, new: &Plan, is: u32, text: &str) -> bool {
    let (Some(was), Some(is)) = (old.scopes.get(was as usize), new.scopes.get(is as usize)) else { return false };
    let within = (&was.prefix, &was.item, &was.condition) == (&is.prefix, &is.item, &is.condition)
        && was.vars.iter().all(|(name, value)| is.vars.get(name) == Some(value))
        && was.env.iter().all(|(name, value)| is.env.get(name) == Some(value))
        && was.groups.iter().all(|(name, ids)| is.groups.get(name) == Some(ids) || !text.contains(name.as_str()));
    within
        && match (was.parent, is.parent) {
            (None, None) => true,
            // What stands in the vars of an inlined formula may name anything of the one that inlines it.
            (Some(outer), Some(is)) => agree(old, outer, new, is, &format!("{:?} {:?}", was.vars, was.condition)),
            _ => false,
        }
}
