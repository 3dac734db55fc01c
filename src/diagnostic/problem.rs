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
    /// `F0203`: F01 TOML, F02 names, F03 types and params, F04 graph, F05 lint.
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
        Self { code, severity: Severity::Error, message: message.into(), primary: None, secondary: Vec::new(), help: None }
    }
    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }
    /// Sets the main place.
    #[must_use]
    pub fn at(mut self, range: impl Into<Range<usize>>, text: impl Into<String>) -> Self {
        self.primary = Some(Label { range: range.into(), text: text.into() });
        self
    }
    /// Adds another place.
    #[must_use]
    pub fn also(mut self, range: impl Into<Range<usize>>, text: impl Into<String>) -> Self {
        self.secondary.push(Label { range: range.into(), text: text.into() });
        self
    }
    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
