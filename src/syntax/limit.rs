//! Keeps a file with the same problem a thousand times readable: the first ones, and how many more there are.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Severity};

/// Problems of one code that are kept.
const ERRORS: usize = 100;
const WARNINGS: usize = 10;

/// The first of each code, and one note per code that had more.
pub(super) fn limited(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut counts: HashMap<&'static str, usize> = HashMap::new();
    let mut kept = Vec::with_capacity(diagnostics.len().min(1_000));
    let mut more: Vec<(&'static str, Severity)> = Vec::new();
    for diagnostic in diagnostics {
        let count = counts.entry(diagnostic.code).or_default();
        *count += 1;
        // Lints are counted by their code, also where `--strict` makes errors of them.
        let limit = if diagnostic.code.starts_with("F05") { WARNINGS } else { ERRORS };
        if *count <= limit {
            kept.push(diagnostic);
        } else if *count == limit + 1 {
            more.push((diagnostic.code, diagnostic.severity));
        }
    }
    for (code, severity) in more {
        let limit = if code.starts_with("F05") { WARNINGS } else { ERRORS };
        let rest = counts[code] - limit;
        let what = if severity == Severity::Error { "problem" } else { "warning" };
        let message = format!("and {rest} more {what}{} of this kind", if rest == 1 { "" } else { "s" });
        kept.push(Diagnostic { severity: Severity::Note, ..Diagnostic::error(code, message) });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        let many = |code, count| (0..count).map(move |_| Diagnostic::warning(code, "x"));
        let found = limited(many("F0508", 1_000).chain(many("F0102", 11)).collect());
        assert_eq!(found.len(), 10 + 11 + 1);
        let last = found.last().unwrap();
        assert_eq!((last.code, last.severity, last.message.as_str()), ("F0508", Severity::Note, "and 990 more warnings of this kind"));
    }
}
