//! A step without the undo that its kind could have: a rollback would pass over it, or stop at it.

use formula_steps::contract::{Effect, Undo};

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::OnFailure;

/// One warning per step. Kinds whose effect needs no undo, such as images that are content, are left alone; and a step that is declared
/// by its author is asked for an undo only where the formula says that failures are rolled back.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let without = |undo| matches!(undo, Undo::Nothing | Undo::Impossible);
    let steps = subject.steps.iter().filter(|step| {
        let (Some(behaviour), Some(usual)) = (step.behaviour, step.usual) else { return false };
        let by_design = usual.effect == Effect::Reversible && without(usual.undo);
        let rolls_back = subject.formula.on_failure == OnFailure::Rollback && !step.finally;
        let declared = matches!(step.kind(), "shell" | "http-request") && step.is_one_way() && rolls_back;
        declared || behaviour.effect == Effect::Reversible && without(behaviour.undo) && !by_design
    });
    steps
        .map(|step| {
            let message = format!("step `{}` does not say how it is taken back", step.def.id);
            let label = if step.is_one_way() { "a rollback stops here" } else { "a rollback passes over it" };
            let problem = Diagnostic::warning(codes::UNDO_MISSING, message).at(step.place.clone(), label);
            problem.help("add `undo` to its `with`")
        })
        .collect()
}
