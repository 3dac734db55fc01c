//! A one-way step before a later check: when the check fails, nothing can be taken back.

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

/// One warning per one-way step, naming the last check after it.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    // A survey only looks, it decides nothing.
    let decides = |step: &super::Step<'_>| matches!(step.kind(), "health-check" | "preflight") && step.def.with["survey"] != true;
    let checks = subject.last_after(decides);
    let steps = subject.steps.iter().zip(checks).filter(|(step, _)| step.is_one_way());
    steps
        .filter_map(|(step, check)| {
            let check = &subject.steps[check?];
            let message = format!("one-way step `{}` runs before check `{}`", step.def.id, check.def.id);
            let problem = Diagnostic::warning(codes::CHECK_TOO_LATE, message).at(step.place.clone(), "cannot be taken back");
            Some(problem.also(check.place.clone(), "may fail afterwards").help("move the check before it, or give the step an undo"))
        })
        .collect()
}
