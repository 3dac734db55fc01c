//! A step that a person must settle after a crash, since nothing can tell whether it did its work.

use formula_steps::contract::{Effect, Repeat};

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

/// One warning per step whose probe tells nothing and that must not be repeated.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let steps = subject.steps.iter().filter(|step| {
        step.behaviour
            .is_some_and(|behaviour| behaviour.effect != Effect::ReadOnly && behaviour.repeat == Repeat::Never && !behaviour.probes)
    });
    steps
        .map(|step| {
            let message = format!("step `{}` will hold after a crash", step.def.id);
            let problem = Diagnostic::warning(codes::HOLDS_AFTER_CRASH, message).at(step.place.clone(), "nothing can tell whether it ran");
            problem.help(match step.kind() {
                "shell" => "add `probe`, `idempotent = true`, or `read_only = true` where it changes nothing",
                _ => "add `probe` to its `with`",
            })
        })
        .collect()
}
