//! What is run in the crash tests: a plan, the nature of its steps, what a person does meanwhile, and how it has to end.

use std::rc::Rc;
use std::sync::Arc;

use super::world::{Content, Nature};
use crate::engine::plans;
use crate::model::{Gate, OnFailure, Outcome, Plan, PlanStep, StepIx};

/// What a person may do, once, at any moment at which it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Errand {
    /// Stop; also what is running.
    Cancel { now: bool, rollback: bool },
    /// Roll back down to a step.
    RollBack { to: Option<u32> },
    /// Answer a gate.
    Answer { gate: u32, approved: bool },
}

/// A run to be cut off everywhere.
#[derive(Clone)]
pub(super) struct Formula {
    pub(super) name: String,
    pub(super) plan: Arc<Plan>,
    pub(super) natures: Vec<Nature>,
    pub(super) errands: Vec<Errand>,
    /// When gates are decided by themselves.
    pub(super) until: Option<u64>,
    /// How it ends if nobody rolls it back; None where that is not known beforehand.
    pub(super) ends: Option<Outcome>,
    /// What is in the world then.
    pub(super) leaves: Vec<Option<Content>>,
    /// How often it is cut off.
    pub(super) kills: u8,
    /// What a person may mend it into.
    pub(super) mended: Option<Rc<Formula>>,
    /// What a person may have done again, once.
    pub(super) redone: Option<Redone>,
}

/// A step that a person has done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redone {
    pub(super) step: u32,
    /// Because somebody has taken away what it made.
    pub(super) lost: bool,
}

/// Builds a formula step by step.
pub(super) struct Builder {
    steps: Vec<PlanStep>,
    natures: Vec<Nature>,
    on_failure: OnFailure,
    max_parallel: u32,
}

impl Builder {
    pub(super) fn new(max_parallel: u32) -> Self {
        Self { steps: Vec::new(), natures: Vec::new(), on_failure: OnFailure::Hold, max_parallel }
    }

    pub(super) fn rolling_back(mut self) -> Self {
        self.on_failure = OnFailure::Rollback;
        self
    }

    pub(super) fn step(mut self, needs: &[u32], nature: Nature) -> Self {
        let mut step = plans::step(&format!("s{}", self.steps.len()), needs);
        step.behaviour = nature.behaviour();
        self.steps.push(step);
        self.natures.push(nature);
        self
    }

    pub(super) fn gate(mut self, needs: &[u32], gate: Gate) -> Self {
        self.steps.push(plans::gate(&format!("s{}", self.steps.len()), needs, gate));
        self.natures.push(Nature::look());
        self
    }

    /// The last step is part of `[[finally]]`.
    pub(super) fn finally(mut self) -> Self {
        self.steps.last_mut().expect("a step").finally = true;
        self
    }

    /// The last step is an item of the `foreach` step of that name.
    pub(super) fn item_of(mut self, group: &str) -> Self {
        let step = self.steps.last_mut().expect("a step");
        step.id = format!("{group}[{}]", step.id);
        step.item = Some(step.id.clone().into());
        self
    }

    /// The last step reads what that one gave.
    pub(super) fn reading(mut self, step: u32) -> Self {
        let last = self.steps.last_mut().expect("a step");
        (last.with, last.templated) = (serde_json::json!(format!("{{{{ steps.s{step}.outputs.x }}}}")), true);
        self
    }

    /// The last step has so many attempts.
    pub(super) fn attempts(mut self, attempts: u32) -> Self {
        self.steps.last_mut().expect("a step").retry.attempts = attempts;
        self
    }

    /// How it ends, and what it leaves then, step by step: `o` ours, `-` what was there before, `h` half of an effect,
    /// `?` whatever it came to.
    pub(super) fn ends(self, name: impl Into<String>, kills: u8, ends: Outcome, leaves: &str) -> Formula {
        let content = |(sign, nature): (char, &Nature)| match sign {
            'o' => Some(Content::Ours),
            'h' => Some(Content::Half),
            '?' => None,
            _ => Some(nature.start),
        };
        let leaves = leaves.chars().zip(&self.natures).map(content).collect();
        Formula {
            name: name.into(),
            plan: plans::plan(self.max_parallel, self.on_failure, self.steps),
            natures: self.natures,
            errands: Vec::new(),
            until: None,
            ends: Some(ends),
            leaves,
            kills,
            mended: None,
            redone: None,
        }
    }
}

impl Formula {
    pub(super) fn with(mut self, errands: &[Errand]) -> Self {
        self.errands = errands.to_vec();
        self
    }

    /// Gates are decided by themselves after so many milliseconds.
    pub(super) fn until(mut self, millis: u64) -> Self {
        self.until = Some(millis);
        self
    }

    /// A person has that step done again, once.
    pub(super) fn redone(mut self, step: u32, lost: bool) -> Self {
        self.redone = Some(Redone { step, lost });
        self
    }

    pub(super) fn nature(&self, step: StepIx) -> Nature {
        self.natures[step.index()]
    }

    pub(super) fn id(&self, step: StepIx) -> String {
        self.plan.step(step).id.clone()
    }

    /// All that a step rests on, however far.
    pub(super) fn below(&self, step: StepIx) -> Vec<bool> {
        let mut below = vec![false; self.natures.len()];
        for index in (0..=step.index()).rev() {
            if below[index] || index == step.index() {
                self.plan.steps[index].needs.iter().for_each(|need| below[need.index()] = true);
            }
        }
        below
    }

    /// All that rests on a step, however far, without the steps of `[[finally]]`.
    pub(super) fn above(&self, step: StepIx) -> Vec<StepIx> {
        let later = (step.0 + 1..self.natures.len() as u32).map(StepIx);
        later.filter(|later| !self.plan.step(*later).finally && self.below(*later)[step.index()]).collect()
    }
}

impl std::fmt::Debug for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Plan { on_failure, max_parallel, .. } = &*self.plan;
        writeln!(f, "{}: {on_failure:?}, {max_parallel} slots, {:?}", self.name, self.errands)?;
        for (planned, nature) in self.plan.steps.iter().zip(&self.natures) {
            let needs: Vec<_> = planned.needs.iter().map(|need| need.0).collect();
            let finally = if planned.finally { " finally" } else { "" };
            writeln!(f, "  {}{finally} {needs:?} attempts {}: {nature:?}", planned.id, planned.retry.attempts)?;
        }
        Ok(())
    }
}
