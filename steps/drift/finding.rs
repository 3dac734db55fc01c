//! What a check found, and how bad it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Should be mended.
    Warn,
    /// Nothing may be changed before it is mended.
    Blocker,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Blocker => "blocker",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Drift,
    /// It could not be looked at; the evidence says why.
    Skipped,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Id of the check: `d1` to `d18`.
    pub id: String,
    /// What is looked at.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// How bad it is; `info` where it is as it should be.
    pub severity: Severity,
    /// What was seen.
    pub evidence: String,
    /// What to type or do; empty where there is nothing to mend.
    pub remedy: String,
    /// The place in the runbook.
    pub runbook: Option<String>,
    /// Whether a person accepts it as it is: it does not block.
    pub accepted: bool,
    /// Nothing is known where something must be: one of the signs of a stale box.
    #[serde(skip)]
    pub unknown: bool,
}

impl Finding {
    /// Whether it stands in the way.
    pub fn blocks(&self) -> bool {
        self.status == Status::Drift && self.severity == Severity::Blocker && !self.accepted
    }

    /// Whether there is something to mend: more than a hint.
    pub fn drifts(&self) -> bool {
        self.status == Status::Drift && self.severity > Severity::Info
    }
}

/// A check at work: collects what it sees.
#[derive(Debug)]
pub(super) struct Look {
    id: &'static str,
    title: &'static str,
    seen: Vec<(Severity, String)>,
    remedies: Vec<String>,
    unknown: bool,
}

impl Look {
    pub(super) fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, seen: Vec::new(), remedies: Vec::new(), unknown: false }
    }

    /// Notes drift. An empty remedy, and one that was named already, is left out.
    pub(super) fn found(&mut self, severity: Severity, evidence: impl Into<String>, remedy: impl Into<String>) {
        self.seen.push((severity, evidence.into()));
        let remedy = remedy.into();
        if !remedy.is_empty() && !self.remedies.contains(&remedy) {
            self.remedies.push(remedy);
        }
    }

    pub(super) fn blocker(&mut self, evidence: impl Into<String>, remedy: impl Into<String>) {
        self.found(Severity::Blocker, evidence, remedy);
    }

    pub(super) fn warn(&mut self, evidence: impl Into<String>, remedy: impl Into<String>) {
        self.found(Severity::Warn, evidence, remedy);
    }

    /// Whether nothing was noted yet.
    pub(super) fn is_clean(&self) -> bool {
        self.seen.is_empty()
    }

    /// Notes that nothing is known where something must be.
    pub(super) fn unknown(&mut self) {
        self.unknown = true;
    }

    /// The finding; `well` is the evidence where nothing was noted.
    pub(super) fn end(self, well: impl Into<String>) -> Finding {
        let status = if self.seen.is_empty() { Status::Ok } else { Status::Drift };
        let severity = self.seen.iter().map(|(severity, _)| *severity).max().unwrap_or(Severity::Info);
        let mut seen = self.seen;
        // The worst first.
        seen.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
        let told: Vec<String> = seen.into_iter().map(|(_, evidence)| evidence).collect();
        Finding {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            status,
            severity,
            evidence: if told.is_empty() { well.into() } else { told.join("; ") },
            remedy: self.remedies.join("\n"),
            runbook: None,
            accepted: false,
            unknown: self.unknown,
        }
    }

    /// The finding of a check that could not look.
    pub(super) fn skipped(self, why: impl std::fmt::Display) -> Finding {
        let unknown = self.unknown;
        let finding = Self { seen: Vec::new(), remedies: Vec::new(), ..self }.end(format!("not looked at: {why}"));
        Finding { status: Status::Skipped, unknown, ..finding }
    }
}
