//! A template spliced into shell code that stands in an argument list: `["sh", "-c", "… {{ vars.x }} …"]`.

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// One warning per argument list.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, step) in subject.steps.iter().enumerate() {
        for key in ["command", "probe", "undo"] {
            let argv: Vec<&str> = step.def.with[key].as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
            if let Some(place) = code(&argv).filter(|place| argv[*place].contains("{{")) {
                let message = format!("a template is spliced into shell code of step `{}`", step.def.id);
                let problem = Diagnostic::warning(codes::TEMPLATE_IN_SCRIPT, message);
                let problem = problem.at(subject.place(at, &format!("/{key}/{place}")), "the shell reads the value as code");
                found.push(problem.help("hand the value over in `env`, and write \"$NAME\" in the code"));
            }
        }
    }
    found
}

/// Which argument is shell code.
fn code(argv: &[&str]) -> Option<usize> {
    let shell = argv.iter().position(|word| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word)))?;
    // Before the shell only what runs another program, such as `env` or `sudo -u x`.
    let flag = argv[shell..].iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('c'))? + shell;
    (flag + 1 < argv.len()).then_some(flag + 1)
}
