//! Small plans for tests.

use std::sync::Arc;

use formula_steps::contract::{Behaviour, Effect, Repeat, Undo};
use serde_json::json;

use crate::model::{Gate, OnFailure, Plan, PlanStep, StepIx};

/// A step that creates something safe to repeat, can be asked, and restores.
pub(super) fn step(id: &str, needs: &[u32]) -> PlanStep {
    let behaviour = Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true };
    let needs: Vec<_> = needs.iter().copied().map(StepIx).collect();
    // By way of JSON, so that a field with a default more does not concern anybody here.
    let step = json!({ "id": id, "kind": "test", "kind_version": 1, "with": null, "needs": needs, "behaviour": behaviour });
    serde_json::from_value(step).expect("a step")
}

/// The same step, behaving otherwise.
pub(super) fn behaving(mut step: PlanStep, effect: Effect, repeat: Repeat, undo: Undo, probes: bool) -> PlanStep {
    step.behaviour = Behaviour { effect, repeat, undo, probes };
    step
}

/// A step that is safe to repeat and cannot be asked.
pub(super) fn blind(id: &str, needs: &[u32]) -> PlanStep {
    behaving(step(id, needs), Effect::Reversible, Repeat::Safe, Undo::Restore, false)
}

/// A gate.
pub(super) fn gate(id: &str, needs: &[u32], gate: Gate) -> PlanStep {
    let mut step = behaving(step(id, needs), Effect::ReadOnly, Repeat::Safe, Undo::Nothing, false);
    step.gate = Some(gate);
    step
}

/// The same step, part of `[[finally]]`.
pub(super) fn finally(mut step: PlanStep) -> PlanStep {
    step.finally = true;
    step
}

/// The same step with that many attempts.
pub(super) fn attempts(mut step: PlanStep, attempts: u32) -> PlanStep {
    step.retry.attempts = attempts;
    step
}

/// A plan of those steps.
pub(super) fn plan(max_parallel: u32, on_failure: OnFailure, steps: Vec<PlanStep>) -> Arc<Plan> {
    let plan = json!({
        "v": 1,
        "formula": "test",
        "formula_version": 1,
        "formula_digest": "",
        "formula_source": "",
        "formula_path": "test.toml",
        "workdir": "/test",
        "on_failure": on_failure,
        "max_parallel": max_parallel,
        "lock": "workdir",
        "scopes": [{ "vars": {} }],
        "secrets": {},
        "steps": [],
        "fingerprint": "",
    });
    let mut plan: Plan = serde_json::from_value(plan).expect("a plan");
    plan.steps = steps;
    Arc::new(plan)
}
