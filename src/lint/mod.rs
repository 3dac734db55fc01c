//! What runs, but probably not as meant. One file per rule, one line in the table.
//!
//! A rule looks at a checked formula and at nothing else: no inputs, no world. It warns only where a person would agree.

mod approval_too_late;
mod check_cannot_fail;
mod check_too_late;
mod floating_tag;
mod holds_after_crash;
mod isolated_step;
mod secret_in_argv;
mod subject;
mod tag_too_early;
mod template_in_script;
mod undo_missing;

pub use subject::{Step, Subject};

use crate::diagnostic::Diagnostic;

/// A rule: what it finds in a formula.
type Rule = fn(&Subject<'_>) -> Vec<Diagnostic>;

/// Every rule, in the order of codes.
static RULES: [Rule; 10] = [
    check_too_late::look,
    undo_missing::look,
    tag_too_early::look,
    secret_in_argv::look,
    template_in_script::look,
    floating_tag::look,
    holds_after_crash::look,
    isolated_step::look,
    check_cannot_fail::look,
    approval_too_late::look,
];

/// Everything that any rule finds.
pub fn run(subject: &Subject<'_>) -> Vec<Diagnostic> {
    RULES.iter().flat_map(|rule| rule(subject)).collect()
}
