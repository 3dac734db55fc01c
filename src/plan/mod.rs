//! From a checked formula and its inputs to a plan: every step expanded, inlined and ordered, every value that is known filled in.
//!
//! | Written | Planned |
//! |---|---|
//! | `foreach` | one step per item, `mirror[codeberg]`; no items, no steps: whoever needs it needs what it needs |
//! | `uses = "formula"` | the steps of that formula as `notify/…`, between what the step needs and what needs the step |
//! | `[[finally]]` of an inlined formula | after the `[[finally]]` steps of the root, with the prefix |
//! | `if` that is settled and false | a step whose condition is `false`; an inlined formula is one such step and not read |
//! | a template over vars, item and env | its value |
//! | a template over outputs or the run | stays; [`Resolver`] renders it when the step comes to run |
//!
//! `needs` of `[[finally]]` steps on other steps are dropped: they come after all of them anyway. Reads no files: the one who calls hands in
//! a function that loads formulas.

mod expand;
mod inline;
mod inputs;
mod items;
mod kinds;
mod problems;
mod resolver;
mod settle;
mod values;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::model::{Formula, Plan, PlanStep, Scope, StepIx, digest_of};

pub use inputs::{Given, GivenValue, InputError, Origin, env_name, inputs};
pub use kinds::Kinds;
pub use resolver::{Outputs, Rendered, Resolver};

use expand::{Expander, Expansion};

/// Format of plans that this program writes.
pub const PLAN_VERSION: u32 = 1;

/// What a formula is planned with.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Final values of the vars, from [`inputs`].
    pub vars: Map<String, Value>,
    /// The environment; only what the formula declares in `[env]` is taken.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub workdir: PathBuf,
    /// What makes two runs with equal inputs different ones.
    pub key: Option<String>,
}

/// Loads a formula by name or path for an inlining step.
pub type Load<'a> = dyn FnMut(&str) -> Result<Formula, Vec<Diagnostic>> + 'a;

/// Makes the plan.
///
/// # Errors
/// Every problem found, placed in the text of `formula`; one of an inlined formula stands at the step that inlines it.
pub fn plan(formula: &Formula, inputs: &Inputs, kinds: &dyn Kinds, load: &mut Load<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let expansion = Expander::new(kinds, inputs, load).expand(formula)?;
    let Expansion { mut scopes, mut steps, secrets, optional_secrets } = expansion;
    order(&mut steps);
    sort_keys(&mut scopes, &mut steps);
    Ok(Plan {
        v: PLAN_VERSION,
        formula: formula.name.clone(),
        formula_version: formula.version,
        formula_digest: formula.digest.clone(),
        formula_source: formula.source.clone(),
        formula_path: formula.path.clone(),
        workdir: inputs.workdir.clone(),
        on_failure: formula.on_failure,
        max_parallel: formula.max_parallel,
        lock: formula.lock.clone(),
        scopes,
        secrets,
        optional_secrets,
        steps,
        fingerprint: fingerprint(formula, inputs),
        command: None,
    })
}

/// What "the same command" means: the formula's name, its inputs, and the key if there is one.
fn fingerprint(formula: &Formula, inputs: &Inputs) -> String {
    digest_of(&json!({ "formula": formula.name, "inputs": inputs.vars, "key": inputs.key }))
}

/// Keys stand as the journal keeps them, so that a step is rendered alike from the plan that was made and from the one that was read back.
fn sort_keys(scopes: &mut [Scope], steps: &mut [PlanStep]) {
    for scope in scopes {
        scope.vars.sort_keys();
        scope.vars.values_mut().chain(&mut scope.item).for_each(Value::sort_all_objects);
    }
    for step in steps {
        std::iter::once(&mut step.with).chain(&mut step.item).for_each(Value::sort_all_objects);
    }
}

/// Puts steps in an order in which each comes after all it needs; of those that could come next, the one written first does.
fn order(steps: &mut Vec<PlanStep>) {
    let order = wire::order(steps.len(), |step| &steps[step].needs).expect("the order of every formula was found while wiring it");
    if order.iter().enumerate().any(|(place, step)| place != *step) {
        let mut place = vec![StepIx(0); steps.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = StepIx(new as u32);
        }
        let mut taken: Vec<_> = std::mem::take(steps).into_iter().map(Some).collect();
        *steps = order.iter().map(|old| taken[*old].take().expect("an order names each step once")).collect();
        for step in steps.iter_mut() {
            step.needs.iter_mut().for_each(|need| *need = place[need.index()]);
        }
    }
    for step in steps {
        step.needs.sort_unstable();
    }
}

#[cfg(test)]
mod tests;
