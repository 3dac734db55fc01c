//! Why a template cannot be read or rendered.

use std::fmt;
use std::ops::Range;

/// A template that cannot be read or rendered: what, where in its text, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Lower case, no full stop, names in backticks.
    pub message: String,
    /// The path that could not be resolved, where that is the reason.
    pub path: Option<Vec<String>>,
    /// Where it stands, in bytes of the template's text.
    pub range: Option<Range<usize>>,
    /// What to do.
    pub help: Option<String>,
}

impl TemplateError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: None, range: None, help: None }
    }

    pub(super) fn at(mut self, range: Range<usize>) -> Self {
        self.range.get_or_insert(range);
        self
    }

    pub(super) fn path(mut self, path: &[String]) -> Self {
        self.path.get_or_insert_with(|| path.to_vec());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.get_or_insert_with(|| help.into());
        self
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}
