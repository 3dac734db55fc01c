//! Every code a problem of a formula can have, with the long text that `formula explain CODE` prints.
//!
//! F01 TOML, F02 names, F03 types and params, F04 graph, F05 lint, F06 test files. A code is never reused for something else.

mod graph;
mod lint;
mod names;
mod test_files;
mod toml;
mod types;

/// The long text of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `F0203`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it means, an example of it, and the way out; Markdown.
    pub text: &'static str,
}

pub use graph::{CYCLE, DEFAULT_CYCLE, INLINE, INLINE_CYCLE, NEEDS_ACROSS, PROSE_STEP, TOO_MANY_STEPS};
pub use lint::{
    APPROVAL_TOO_LATE, CHECK_CANNOT_FAIL, CHECK_TOO_LATE, FLOATING_TAG, HOLDS_AFTER_CRASH, ISOLATED_STEP, SECRET_IN_ARGV, TAG_TOO_EARLY,
    TEMPLATE_IN_SCRIPT, UNDO_MISSING,
};
pub use names::{
    BAD_NAME, DUPLICATE_ID, MISSING_KEY, NAME_NOT_STEM, OUT_OF_PLACE, SECRET_IN_TEMPLATE, UNKNOWN_HELPER, UNKNOWN_KEY, UNKNOWN_KIND,
    UNKNOWN_NAME, UNKNOWN_OUTPUT, UNKNOWN_SECRET, UNKNOWN_STEP, UNKNOWN_STEP_IN_TEMPLATE,
};
pub use test_files::{TEST_FILE, TEST_NAME, TEST_STUB, TEST_VARS};
pub use toml::{DUPLICATE_KEY, ESCAPE, NOT_UTF8, SYNTAX, TOO_DEEP, TOO_LARGE};
pub use types::{
    BAD_DEFAULT, BAD_DURATION, BAD_PATTERN, BAD_SOURCE, BAD_TEMPLATE, BAD_VALUE, BAD_VERSION, FOREACH, MISSING_PARAM, PARAM_REFUSED,
    PARAM_TYPE, PARAMS_WITHOUT_KIND, REQUIRED_XOR_DEFAULT, SHELL_TEMPLATE, UNKNOWN_PARAM, WRONG_TYPE,
};

/// Every code, in order.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [toml::TABLE, names::TABLE, types::TABLE, graph::TABLE, lint::TABLE, test_files::TABLE].into_iter().flatten()
}

/// The long text of a code; case does not matter.
pub fn explain(code: &str) -> Option<&'static Code> {
    all().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_say_what_to_do() {
        let codes: Vec<&str> = all().map(|entry| entry.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        for entry in all() {
            assert!(entry.code.len() == 5 && entry.code.starts_with("F0"), "{}", entry.code);
            assert!(!entry.title.ends_with('.') && entry.title.len() <= 80, "{}: {}", entry.code, entry.title);
            assert!(entry.text.lines().count() >= 3 && !entry.text.ends_with('\n'), "{} needs a text", entry.code);
        }
        assert_eq!(explain("f0203").map(|entry| entry.code), Some("F0203"));
        assert_eq!(explain("F9999"), None);
    }
}
