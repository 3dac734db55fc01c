//! GitHub, Forgejo and Gitea Actions: groups, annotations, step summary. All three speak the same commands.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::model::{RunId, Verdict};

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

    /// An error at the top of the job's page.
    pub fn annotation(self, step: &str, message: &str) -> String {
        format!("::error title=formula {}::{}", escape(step).replace(',', "%2C").replace(':', "%3A"), escape(message))
    }

    /// Appends a line on the run to the page that `GITHUB_STEP_SUMMARY` names. Best effort.
    pub fn summarise(self, env: &BTreeMap<String, String>, formula: &str, run: &RunId, verdict: &Verdict) {
        let Some(path) = env.get("GITHUB_STEP_SUMMARY") else { return };
        let step = verdict.failed_step.as_deref().map_or_else(String::new, |step| format!(" at `{step}`"));
        let text = format!("**{formula}** {}{step} · run `{run}` · exit {}\n", verdict.outcome.as_str(), verdict.exit);
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
