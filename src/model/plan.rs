//! What can be run: every step expanded and ordered, every input settled. Plain data, stored with the run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use formula_steps::contract::{Behaviour, Effect, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{OnFailure, Retry, SecretSource, StepIx};

/// Names that a template of a step may see, one scope per formula instance (the root, each inlined one, each item).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The scope whose steps and vars the values in `vars` refer to; None for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// What stands before the ids of its steps: empty, or `notify/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Values of its vars. In the root final; elsewhere a text with `{{` is a template over the parent scope.
    pub vars: Map<String, Value>,
    /// The item that templates in `vars` see, for an inlined formula under `foreach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Value>,
    /// What the `if` of the `formula` step says, a template over the parent scope and `item`; all steps of this scope are skipped where it
    /// does not hold. None where there is none or it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Values of the declared environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ids of `foreach` steps of this scope with the ids they expanded to, so that `steps.mirror.outputs` can be answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
}

/// A gate of the engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Waits for a person.
    Approve,
    /// Waits for time or a probe.
    Wait,
}

/// One step, ready to be run once its templates over other steps' outputs are rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Full id: `mirror[codeberg]`, `notify/send`.
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The kind.
    pub kind: String,
    /// Revision of the kind's meaning.
    pub kind_version: u32,
    /// Set for `approve` and `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Params; templates that see only vars, item and env are rendered, the others are not.
    pub with: Value,
    /// Environment, templates as in `with`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether `with`, `env`, `condition` or the condition of a scope still hold a template. Where this is false they are final, braces
    /// and all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub templated: bool,
    /// Rendered where possible; None runs always, `false` never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Steps that come before, ascending.
    pub needs: Vec<StepIx>,
    /// Index of the scope its templates see.
    #[serde(default)]
    pub scope: u32,
    /// The item, under `foreach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Value>,
    /// Retry.
    #[serde(default)]
    pub retry: Retry,
    /// Hard limit of one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Secrets handed to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Effect, repeat, undo.
    pub behaviour: Behaviour,
    /// Part of `[[finally]]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
}

impl PlanStep {
    /// Whether a rollback passes it by: it asks, looks, or leaves what is no trouble.
    pub fn leaves_nothing(&self) -> bool {
        let Behaviour { effect, undo, .. } = self.behaviour;
        self.gate.is_some() || effect == Effect::ReadOnly || undo == Undo::Nothing
    }
}

/// A whole run, before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format of this structure.
    pub v: u32,
    /// Name of the formula.
    pub formula: String,
    /// Its revision.
    pub formula_version: u32,
    /// `sha256:…` of its text.
    pub formula_digest: String,
    /// The text, so that a resume does not depend on the file.
    pub formula_source: String,
    /// Where it was read from.
    pub formula_path: PathBuf,
    /// The working directory, absolute.
    pub workdir: PathBuf,
    /// What happens on failure.
    pub on_failure: OnFailure,
    /// Steps that may run at once.
    pub max_parallel: u32,
    /// Name of the exclusive lock.
    pub lock: String,
    /// Scopes; the first is the root.
    pub scopes: Vec<Scope>,
    /// Sources of the secrets that steps name.
    pub secrets: BTreeMap<String, Vec<SecretSource>>,
    /// Secrets without which a run may start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional_secrets: Vec<String>,
    /// Steps in an order in which each comes after all it needs; those of `[[finally]]` last.
    pub steps: Vec<PlanStep>,
    /// `sha256:…` over formula name and inputs: what "the same command" means.
    pub fingerprint: String,
    /// What to type for the same run again, with its vars as they were given; None where nobody typed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Plan {
    /// The step of that full id.
    pub fn find(&self, id: &str) -> Option<StepIx> {
        self.steps.iter().position(|step| step.id == id).map(|index| StepIx(index as u32))
    }

    /// The step at that place.
    pub fn step(&self, step: StepIx) -> &PlanStep {
        &self.steps[step.index()]
    }

    /// Values of the inputs.
    pub fn inputs(&self) -> &Map<String, Value> {
        &self.scopes[0].vars
    }
}
