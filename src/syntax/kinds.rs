//! What `uses` may name: the built-in kinds, the engine's gates and inlined formulas, all behind one trait.

use std::sync::OnceLock;

use formula_steps::contract::{Behaviour, Effect, Repeat, StepType, Undo};
use serde_json::Value;

use super::gates::{self, Own};

/// What the reader asks of kinds. All schemas are JSON Schema.
pub trait Kinds: Sync {
    /// Names of all kinds, in the order of lists.
    fn names(&self) -> Vec<&'static str>;
    /// Revision of the kind's meaning; None for a kind that does not exist.
    fn version(&self, kind: &str) -> Option<u32>;
    /// Schema of the `with` table.
    fn params_schema(&self, kind: &str) -> Option<&Value>;
    /// Schema of the outputs, given the authored `with` table; None where they are not known before the run is planned.
    fn output_schema(&self, kind: &str, with: &Value) -> Option<Value>;
    /// How a step of this kind behaves, given the authored `with` table; None for gates and inlined formulas.
    fn behaviour(&self, kind: &str, with: &Value) -> Option<Behaviour>;
    /// How a step of this kind behaves unless its `with` table says otherwise.
    fn usual_behaviour(&self, kind: &str) -> Option<Behaviour>;
    /// Problems of params whose values are all known, one message each.
    fn check(&self, kind: &str, params: &Value) -> Vec<String>;
}

/// How a gate behaves: it looks and waits.
pub const GATE_BEHAVIOUR: Behaviour = Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: false };

/// The kinds of `formula-steps` with the engine's own. Schemas are made when first asked for.
pub struct Builtin {
    steps: Vec<&'static dyn StepType>,
    /// One per entry of `steps`, then one per own kind.
    schemas: Vec<OnceLock<Value>>,
}

impl Default for Builtin {
    fn default() -> Self {
        Self::new(formula_steps::all())
    }
}

impl Builtin {
    /// These kinds with the engine's own.
    pub fn new(steps: impl IntoIterator<Item = &'static dyn StepType>) -> Self {
        let steps: Vec<_> = steps.into_iter().collect();
        let schemas = (0..steps.len() + gates::OWN.len()).map(|_| OnceLock::new()).collect();
        Self { steps, schemas }
    }

    fn find(&self, kind: &str) -> Option<(usize, Which)> {
        if let Some(at) = self.steps.iter().position(|step| step.meta().kind == kind) {
            return Some((at, Which::Step(self.steps[at])));
        }
        let at = gates::OWN.iter().position(|own| own.kind == kind)?;
        Some((self.steps.len() + at, Which::Own(&gates::OWN[at])))
    }
}

enum Which {
    Step(&'static dyn StepType),
    Own(&'static Own),
}

impl Kinds for Builtin {
    fn names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|step| step.meta().kind).chain(gates::OWN.iter().map(|own| own.kind)).collect()
    }

    fn version(&self, kind: &str) -> Option<u32> {
        self.find(kind).map(|(_, which)| match which {
            Which::Step(step) => step.meta().version,
            Which::Own(_) => 1,
        })
    }

    fn params_schema(&self, kind: &str) -> Option<&Value> {
        let (at, which) = self.find(kind)?;
        Some(self.schemas[at].get_or_init(|| match which {
            Which::Step(step) => step.params_schema(),
            Which::Own(own) => (own.params)(),
        }))
    }

    fn output_schema(&self, kind: &str, with: &Value) -> Option<Value> {
        match self.find(kind)?.1 {
            Which::Step(step) => Some(step.output_schema(with)),
            Which::Own(own) => (own.outputs)(),
        }
    }

    fn behaviour(&self, kind: &str, with: &Value) -> Option<Behaviour> {
        match self.find(kind)?.1 {
            Which::Step(step) => Some(step.behaviour(with)),
            Which::Own(_) => None,
        }
    }

    fn usual_behaviour(&self, kind: &str) -> Option<Behaviour> {
        match self.find(kind)?.1 {
            Which::Step(step) => Some(step.meta().behaviour),
            Which::Own(_) => None,
        }
    }

    fn check(&self, kind: &str, params: &Value) -> Vec<String> {
        match self.find(kind).map(|(_, which)| which) {
            Some(Which::Step(step)) => step.check(params),
            Some(Which::Own(own)) => (own.check)(params),
            None => Vec::new(),
        }
    }
}
