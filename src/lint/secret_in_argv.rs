//! A secret in an argument list or an address: every user of the machine can read it there.

use std::sync::LazyLock;

use regex::Regex;

use super::{Subject, subject};
use crate::diagnostic::{Diagnostic, codes};

static CREDENTIALS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s]+@").expect("the pattern is a constant"));
static FLAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)^--?[a-z-]*(password|passwd|token|secret|api-?key)(=(.+))?$").expect("the pattern is a constant"));

/// One warning per place: a variable of a secret in an argv, a value behind a flag such as `--password`, a password in an address.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, step) in subject.steps.iter().enumerate() {
        let mut warn = |pointer: &str, message: String| {
            let problem = Diagnostic::warning(codes::SECRET_IN_ARGV, message).at(subject.place(at, pointer), "readable by every user");
            found.push(problem.help("declare a secret and name it in `secrets`; the program finds it in its environment"));
        };
        subject::texts(&step.def.with, &mut |pointer, text| {
            if CREDENTIALS.is_match(text) {
                warn(pointer, format!("step `{}` has a password in an address", step.def.id));
            }
        });
        for key in ["command", "probe", "undo"] {
            let argv: Vec<&str> = step.def.with[key].as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
            for (place, word) in argv.iter().enumerate() {
                let pointer = format!("/{key}/{place}");
                if let Some(name) = subject.formula.secrets.keys().find(|name| is_variable(word, name)) {
                    warn(&pointer, format!("secret `{name}` is an argument of step `{}`", step.def.id));
                } else if let Some(flag) = FLAG.captures(word) {
                    let value = flag.get(3).map_or_else(|| argv.get(place + 1).copied().unwrap_or_default(), |value| value.as_str());
                    // A name of a file is no secret, nor is the next flag.
                    let is_value = !value.is_empty() && !value.starts_with(['-', '/', '.', '$', '@']);
                    if is_value {
                        warn(
                            &pointer,
                            format!("step `{}` hands a value to `{}` as an argument", step.def.id, word.split('=').next().unwrap_or(word)),
                        );
                    }
                }
            }
        }
    }
    found
}

fn is_variable(word: &str, name: &str) -> bool {
    let after = |rest: &str| !rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    word.contains(&format!("${{{name}}}")) || word.match_indices(&format!("${name}")).any(|(at, found)| after(&word[at + found.len()..]))
}
