//! What a plan says about its steps, in the form in which the core asks for it: dependents, ids, traits.

use std::collections::BTreeMap;

use formula_steps::contract::{Effect, Repeat, Undo};

use crate::model::{Gate, Plan, PlanStep, StepIx};

/// What the rules need to know of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits {
    pub(super) gate: Option<Gate>,
    pub(super) finally: bool,
    /// Whether it does more than look.
    pub(super) effectful: bool,
    /// Whether an attempt of unknown outcome may be made again.
    pub(super) repeatable: bool,
    /// Whether a second attempt is just like the first, so that its intent may be durable long before it begins.
    pub(super) harmless: bool,
    pub(super) probes: bool,
    /// A `wait` that ends when its probe says so; its time is the longest it may take.
    pub(super) asks: bool,
    pub(super) undo: Undo,
    /// Whether there is no way back once it is done.
    pub(super) one_way: bool,
    /// Attempts in all.
    pub(super) attempts: u32,
    /// The first of the items of one `foreach` step to which it belongs.
    pub(super) group: Option<StepIx>,
}

impl Traits {
    fn of(plan: &Plan, step: StepIx) -> Self {
        let planned = plan.step(step);
        let behaviour = planned.behaviour;
        let gate = planned.gate;
        let effectful = gate.is_none() && behaviour.effect != Effect::ReadOnly;
        let undo = if effectful { behaviour.undo } else { Undo::Nothing };
        // Nothing to take back and yet one-way: what was done stays, so a rollback must not pass it in silence.
        let one_way = undo == Undo::Impossible || (effectful && undo == Undo::Nothing && behaviour.effect == Effect::OneWay);
        Self {
            gate,
            finally: planned.finally,
            effectful,
            repeatable: !effectful || behaviour.repeat != Repeat::Never,
            harmless: !effectful || behaviour.repeat == Repeat::Safe,
            probes: gate.is_none() && behaviour.probes,
            asks: gate == Some(Gate::Wait) && planned.with.get("probe").is_some(),
            undo,
            one_way,
            attempts: planned.retry.attempts.max(1),
            group: None,
        }
    }
}

/// What the items of one `foreach` step have in common, and nothing else has.
fn group(planned: &PlanStep) -> Option<(u32, &str)> {
    planned.item.as_ref()?;
    Some((planned.scope, planned.id.split_once('[')?.0))
}

/// The plan's edges the other way round, its ids sorted, and its steps' traits.
#[derive(Debug)]
pub(super) struct Links {
    traits: Vec<Traits>,
    /// Where the dependents of each step begin in `dependents`; one longer than the steps.
    starts: Vec<u32>,
    dependents: Vec<StepIx>,
    by_id: Vec<StepIx>,
    /// Items of one `foreach` step, by the first of them.
    groups: BTreeMap<StepIx, Vec<StepIx>>,
    /// Steps of `[[finally]]`.
    pub(super) finally: Vec<StepIx>,
}

impl Links {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.steps.len();
        let steps = || (0..count).map(|index| StepIx(index as u32));
        let mut starts = vec![0_u32; count + 1];
        for planned in &plan.steps {
            for need in &planned.needs {
                starts[need.index() + 1] += 1;
            }
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut dependents = vec![StepIx(0); starts[count] as usize];
        let mut next = starts.clone();
        for step in steps() {
            for need in &plan.step(step).needs {
                let place = &mut next[need.index()];
                dependents[*place as usize] = step;
                *place += 1;
            }
        }
        let mut by_id: Vec<_> = steps().collect();
        by_id.sort_unstable_by(|left, right| plan.step(*left).id.cmp(&plan.step(*right).id));
        let mut traits: Vec<_> = steps().map(|step| Traits::of(plan, step)).collect();
        let mut groups = BTreeMap::<StepIx, Vec<StepIx>>::new();
        let mut firsts = BTreeMap::new();
        for step in steps() {
            let Some(group) = group(plan.step(step)) else { continue };
            let first = *firsts.entry(group).or_insert(step);
            traits[step.index()].group = Some(first);
            groups.entry(first).or_default().push(step);
        }
        let finally = steps().filter(|step| plan.step(*step).finally).collect();
        Self { traits, starts, dependents, by_id, groups, finally }
    }

    pub(super) fn traits(&self, step: StepIx) -> Traits {
        self.traits[step.index()]
    }

    /// The items of the `foreach` step to which a step belongs, itself among them; none for another step.
    pub(super) fn items(&self, step: StepIx) -> &[StepIx] {
        let first = self.traits(step).group;
        first.and_then(|first| self.groups.get(&first)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn dependents(&self, step: StepIx) -> &[StepIx] {
        &self.dependents[self.starts[step.index()] as usize..self.starts[step.index() + 1] as usize]
    }

    pub(super) fn find(&self, plan: &Plan, id: &str) -> Option<StepIx> {
        let place = self.by_id.binary_search_by(|step| plan.step(*step).id.as_str().cmp(id)).ok()?;
        Some(self.by_id[place])
    }
}
