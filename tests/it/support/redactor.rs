//! Makes output comparable: what differs from run to run is replaced by what it is.

use regex::{Captures, Regex};

/// What to replace by what, in order.
#[derive(Debug, Clone)]
pub struct Redactor {
    literals: Vec<(String, String)>,
    patterns: Vec<(Regex, &'static str)>,
}

/// Times come before durations: a time of day ends in digits.
const PATTERNS: [(&str, &str); 4] = [
    (r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "[RUN]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "[TIME]"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "[TIME]"),
    (r"\b(\d+h ?)?(\d+m ?)?\d+(\.\d+)? ?(ms|s)\b", "[DURATION]"),
];

impl Redactor {
    /// Run ids, points in time and durations.
    pub fn new() -> Self {
        let compiled = PATTERNS.map(|(pattern, name)| (Regex::new(pattern).expect("patterns above are well-formed"), name));
        Self { literals: Vec::new(), patterns: compiled.into() }
    }

    /// Replaces a text too, before everything that was named later.
    pub fn literal(&mut self, text: &str, name: &str) {
        self.literals.push((text.to_owned(), name.to_owned()));
    }

    /// The text with everything replaced.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (literal, name) in &self.literals {
            text = text.replace(literal, name);
        }
        for (pattern, name) in &self.patterns {
            text = pattern.replace_all(&text, |_: &Captures<'_>| *name).into_owned();
        }
        text
    }
}
