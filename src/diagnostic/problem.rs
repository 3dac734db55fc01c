//! One problem.

use std::ops::Range;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The formula cannot run.
    Error,
    /// It can, but probably not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// A marked place with a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Byte range in the source text.
    pub range: Range<usize>,
    /// What is there; may be empty.
    pub text: String,
}

/// One problem: found, placed, and with the fix where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `F0203`: F01 TOML, F02 names, F03 types and params, F04 graph, F05 lint, F06 test files.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop, names in backticks.
    pub message: String,
    /// The main place; None for a problem of the whole file.
    pub primary: Option<Label>,
    /// Other places that explain it (both lines of a duplicate).
    pub secondary: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: cut(message.into()), primary: None, secondary: Vec::new(), help: None }
    }
    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }
    /// Sets the main place.
    #[must_use]
    pub fn at(mut self, range: impl Into<Range<usize>>, text: impl Into<String>) -> Self {
        self.primary = Some(Label { range: range.into(), text: cut(text.into()) });
        self
    }
    /// Adds another place.
    #[must_use]
    pub fn also(mut self, range: impl Into<Range<usize>>, text: impl Into<String>) -> Self {
        self.secondary.push(Label { range: range.into(), text: cut(text.into()) });
        self
    }
    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(cut(help.into()));
        self
    }
}

/// Characters of a name or a value that are quoted; as many as of a line.
const QUOTED: usize = 120;
/// Characters of a text in all; what is quoted may hold backticks itself.
const MOST: usize = 4_000;

/// A text in which nothing that stands in backticks is longer than what a person reads.
fn cut(text: String) -> String {
    if text.len() <= QUOTED {
        return text;
    }
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        if at > 0 {
            out.push('`');
        }
        match part.char_indices().nth(QUOTED).filter(|_| at % 2 == 1) {
            Some((end, _)) => out.extend([&part[..end], "…"]),
            None => out.push_str(part),
        }
        if let Some((end, _)) = out.char_indices().nth(MOST) {
            out.truncate(end);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_cut_and_words_are_not() {
        assert_eq!(cut("unknown key `a`".into()), "unknown key `a`");
        let words = "many words ".repeat(30);
        assert_eq!(cut(words.clone()), words);
        assert_eq!(cut(format!("no `{}` here", "ü".repeat(1_000))), format!("no `{}…` here", "ü".repeat(QUOTED)));
        assert!(cut(format!("no `{}", "`x".repeat(10_000))).chars().count() <= MOST + 1);
        let problem = Diagnostic::error("F0201", format!("`{}`", "m".repeat(999))).at(0..1, format!("`{}`", "l".repeat(999)));
        let problem = problem.help(format!("`{}`", "h".repeat(999)));
        let label = problem.primary.as_ref().map(|label| label.text.len());
        assert!(problem.message.len() < 200 && label < Some(200) && problem.help.is_some_and(|help| help.len() < 200));
    }
}
