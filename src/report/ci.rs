//! GitHub, Forgejo and Gitea Actions: groups, annotations, step summary. All three speak the same commands.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::style::clean;
use crate::model::{Outcome, RunId, Verdict};

/// A CI system that reads commands from our output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ci;

impl Ci {
    /// From the environment.
    pub fn detect(env: &BTreeMap<String, String>) -> Option<Self> {
        ["GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITEA_ACTIONS"]
            .iter()
            .any(|name| env.get(*name).is_some_and(|value| value == "true"))
            .then_some(Self)
    }

    /// Foreign text that the CI system takes for no command.
    pub fn neutral(self, text: String) -> String {
        if text.trim_start().starts_with("::") || text.contains("##[") {
            return text.replace("::", ":\u{200b}:").replace("##[", "#\u{200b}#[");
        }
        text
    }

    /// What is behind this line, up to [`Ci::END`], is folded under a title.
    pub fn group(self, title: &str) -> String {
        format!("::group::{}", escape(title))
    }

    /// The end of a group.
    pub const END: &'static str = "::endgroup::";

    /// An error at the top of the job's page.
    pub fn annotation(self, step: &str, message: &str) -> String {
        format!("::error title=formula {}::{}", escape(step).replace(',', "%2C").replace(':', "%3A"), cleaned(message))
    }

    /// Appends what became of the run to the page that `GITHUB_STEP_SUMMARY` names, in Markdown. Best effort.
    pub fn summarise(self, env: &BTreeMap<String, String>, formula: &str, run: &RunId, verdict: &Verdict) {
        let Some(path) = env.get("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
        let text = summary(formula, run, verdict);
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

fn summary(formula: &str, run: &RunId, verdict: &Verdict) -> String {
    let step = verdict.failed_step.as_deref().filter(|_| verdict.outcome != Outcome::Done);
    let at = step.map_or_else(String::new, |step| format!(" at `{step}`"));
    let changed = if verdict.changed { "" } else { " · nothing was changed" };
    let mut text = format!("**{formula}** {}{at} · run `{run}` · exit {}{changed}\n", verdict.outcome.as_str(), verdict.exit);
    if let Some(message) = verdict.message.as_deref().filter(|_| step.is_some()) {
        // Indented, it is shown as it is, whatever is in it.
        text.push('\n');
        text.extend(message.lines().map(|line| format!("    {}\n", clean(line))));
    }
    if !verdict.next.is_empty() {
        text.push_str("\nNext:\n\n");
        text.extend(verdict.next.iter().map(|next| format!("    {}\n", clean(next))));
    }
    text + "\n"
}

/// Foreign text of several lines, which no terminal in front of the job's page obeys.
fn cleaned(text: &str) -> String {
    escape(&text.lines().map(clean).collect::<Vec<_>>().join("\n"))
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
