//! Where a runbook speaks of a step: the verdict of a run names it, the page that `formula docs NAME` writes has it.

use super::Plan;

/// Where the runbooks of the formulas that come with the program lie in its source.
pub const RUNBOOKS: &str = "docs/reference/runbooks";

/// The first part of the path of such a formula, see [`Plan::formula_path`].
const SHIPPED: &str = "<shipped>";

/// The anchor of a step on the page: that of the step as written, without the item of a `foreach` and what it inlines.
pub fn anchor(step: &str) -> String {
    let written = step.split(['[', '/']).next().unwrap_or(step);
    let kept = written.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter));
    format!("step-{}", kept.collect::<String>().to_lowercase())
}

impl Plan {
    /// Where it stands what a step does, how it fails and what to type then: a place in the program's source for formulas that come with
    /// it, and for others the command that writes the page.
    pub fn runbook(&self, step: &str) -> String {
        if self.formula_path.starts_with(SHIPPED) {
            return format!("{RUNBOOKS}/{}.md#{}", self.formula, anchor(step));
        }
        format!("formula docs {}", self.formula)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_inlined_steps_are_told_where_they_are_written() {
        assert_eq!(anchor("push"), "step-push");
        assert_eq!(anchor("mirror[codeberg]"), "step-mirror");
        assert_eq!(anchor("notify/send[a/b]"), "step-notify");
        assert_eq!(anchor("Verify_fetch"), "step-verify_fetch");
    }
}
