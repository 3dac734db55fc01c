//! A step tied to nothing, in a formula whose other steps are: probably a `needs` was forgotten.

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

/// One warning per step. A formula without any order is meant so.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let tied = |step: usize| subject.graph.before(step).next().is_some() || subject.graph.after(step).next().is_some();
    let main = || subject.steps.iter().enumerate().filter(|(_, step)| !step.finally);
    if !main().any(|(at, _)| tied(at)) {
        return Vec::new();
    }
    main()
        .filter(|(at, step)| step.def.uses.is_some() && step.wrote_needs && step.uses.is_empty() && !tied(*at))
        .map(|(_, step)| {
            let message = format!("step `{}` is tied to nothing", step.def.id);
            let problem = Diagnostic::warning(codes::ISOLATED_STEP, message).at(step.place.clone(), "needs nothing, and nothing needs it");
            problem.help("name it in the `needs` of a later step, or give it a `needs` of its own")
        })
        .collect()
}
