//! How much of a file is looked at, and how much is said of it: bounds on the work that any bytes can cause.
//!
//! The parser takes some hundred bytes of memory for each word and sign, whatever they say, so that a file of a few megabytes could take
//! gigabytes. What a file may hold therefore grows with its steps, which are counted before anything is parsed.

use std::collections::HashMap;

use super::lexical::Lexical;
use crate::diagnostic::{Diagnostic, Severity, codes};

/// Problems of one code that are kept.
const ERRORS: usize = 100;
const WARNINGS: usize = 10;

/// Errors past which nothing more is looked for.
pub(super) const HOPELESS: usize = 1_000;

/// Weight of what any file may hold, see [`Lexical::weight`].
pub(super) const WEIGHT: usize = 300_000;
/// What it may hold more for each of its steps. Those that people write weigh 60 to 110.
const WEIGHT_OF_STEP: usize = 200;

/// Templates that any file may hold, and more for each step; each is compiled.
const TEMPLATES: usize = 30_000;
const TEMPLATES_OF_STEP: usize = 10;

/// Escapes that TOML does not know, past which a file is not read even if they are let through.
pub(super) const ESCAPES: usize = 1_000;

/// What is too much about a file, before it is parsed.
pub(super) fn too_much(text: &str, tokens: &Lexical, most_steps: usize) -> Option<Diagnostic> {
    let steps = tokens.steps.len();
    if let Some(&at) = tokens.steps.get(most_steps) {
        let problem = Diagnostic::error(codes::TOO_MANY_STEPS, format!("more than {most_steps} steps"));
        return Some(problem.at(at..at + "[[steps]]".len(), "one too many").help("split the formula, or let one step work on many things"));
    }
    let refuse = |count: usize, what: &str, most: usize| {
        let steps = if steps == 1 { "one step".to_owned() } else { format!("{steps} steps") };
        let problem = Diagnostic::error(codes::TOO_LARGE, format!("the file holds {count} {what}, and one of {steps} may hold {most}"));
        Some(problem.help("is this the right file? what a step works on belongs into files of its own"))
    };
    if tokens.heaviest > WEIGHT {
        let help = "is this the right file? what a step works on belongs into files of its own";
        let message = format!("one part of the file holds {} words and signs, more than {WEIGHT}", tokens.heaviest);
        return Some(Diagnostic::error(codes::TOO_LARGE, message).help(help));
    }
    let most = WEIGHT + WEIGHT_OF_STEP * steps;
    if tokens.weight > most {
        return refuse(tokens.weight, "words and signs", most);
    }
    let (templates, most) = (text.matches("{{").count(), TEMPLATES + TEMPLATES_OF_STEP * steps);
    if templates > most {
        return refuse(templates, "templates", most);
    }
    None
}

/// The first of each code, and one note per code that had more.
pub(super) fn limited(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let hopeless = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count() >= HOPELESS;
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
        let least = if hopeless { "at least " } else { "" };
        let message = format!("and {least}{rest} more {what}{} of this kind", if rest == 1 { "" } else { "s" });
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

    #[test]
    fn what_was_not_counted_to_the_end_says_so() {
        let found = limited((0..HOPELESS).map(|_| Diagnostic::error("F0201", "x")).collect());
        assert_eq!(found.last().map(|note| note.message.as_str()), Some("and at least 900 more problems of this kind"));
    }
}
