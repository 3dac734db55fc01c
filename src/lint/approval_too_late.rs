//! An approval after the point of no return.

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

/// One warning per gate, naming the first one-way step before it.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let is_one_way = |step: &super::Step<'_>| step.behaviour.is_some() && step.is_one_way();
    let one_way = subject.first_before(is_one_way);
    let gates = subject.steps.iter().zip(one_way).filter(|(step, _)| step.kind() == "approve");
    gates
        .filter_map(|(gate, step)| {
            let step = &subject.steps[step?];
            let message = format!("`{}` asks for approval after the point of no return", gate.def.id);
            let problem =
                Diagnostic::warning(codes::APPROVAL_TOO_LATE, message).at(gate.place.clone(), "denying leaves the work half done");
            let help = format!("move it before `{}`", step.def.id);
            Some(problem.also(step.place.clone(), "cannot be taken back").help(help))
        })
        .collect()
}
