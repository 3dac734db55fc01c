//! What planning asks of the kinds of steps.

use formula_steps::contract::Behaviour;
use serde_json::Value;

use crate::model::Gate;
use crate::syntax::{self, Builtin};

/// The kinds that steps may use, `formula` and the gates aside.
pub trait Kinds {
    /// Revision of the kind's meaning; None for a kind that does not exist.
    fn version(&self, kind: &str) -> Option<u32>;
    /// How a step of this kind behaves; templates in `with` may be unrendered.
    fn behaviour(&self, kind: &str, with: &Value) -> Option<Behaviour>;
    /// Problems of params whose values are all known, one message each. Asked for gates as well.
    fn check(&self, kind: &str, params: &Value) -> Vec<String>;
}

impl Kinds for Builtin {
    fn version(&self, kind: &str) -> Option<u32> {
        syntax::Kinds::version(self, kind)
    }
    fn behaviour(&self, kind: &str, with: &Value) -> Option<Behaviour> {
        syntax::Kinds::behaviour(self, kind, with)
    }
    fn check(&self, kind: &str, params: &Value) -> Vec<String> {
        syntax::Kinds::check(self, kind, params)
    }
}

/// The kind that stands for another formula.
pub(super) const FORMULA: &str = "formula";

/// The gate that a kind is.
pub(super) fn gate(kind: &str) -> Option<Gate> {
    match kind {
        "approve" => Some(Gate::Approve),
        "wait" => Some(Gate::Wait),
        _ => None,
    }
}
