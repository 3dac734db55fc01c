//! How the survey of a box is shown: as a table, as plain lines, as data.
//!
//! Looks at nothing itself and prints nothing: what is looked at is `formula_steps::drift`, streams belong to the command line.

use formula_steps::drift::{Finding, Report, Severity, Status};
use serde_json::{Value, json};

use crate::report::{Style, clean};

/// The report as data, one object.
pub fn to_json(report: &Report) -> Value {
    json!({
        "v": 1,
        "project": report.readings.project,
        "described_by": report.described_by,
        "checks": report.checks,
        "stale": report.stale,
        "reset": report.reset,
    })
}

/// The word for how a check ended.
fn word(finding: &Finding) -> &'static str {
    match finding.status {
        Status::Ok => "ok",
        Status::Skipped => "skipped",
        Status::Drift if finding.accepted => "accepted",
        Status::Drift => finding.severity.as_str(),
    }
}

/// Counts in words: `2 blockers, 1 warning`.
pub fn summary(report: &Report) -> String {
    let count = |word_of: &str| report.checks.iter().filter(|finding| word(finding) == word_of).count();
    let told =
        [("blocker", "blocker"), ("warn", "warning"), ("info", "hint"), ("accepted", "accepted finding"), ("skipped", "skipped check")];
    let told = told.iter().filter_map(|(word, name)| match count(word) {
        0 => None,
        1 => Some(format!("1 {name}")),
        many => Some(format!("{many} {name}s")),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "nothing has drifted".to_owned() } else { told.join(", ") }
}

/// The report for people: a table for a terminal, else a line for each check. Remedies stand below what they mend; the reset comes last, where
/// the box is stale.
pub fn lines(report: &Report, style: Style, table: bool) -> Vec<String> {
    let width = report.checks.iter().map(|finding| finding.title.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for finding in &report.checks {
        let (word, evidence) = (word(finding), clean(&finding.evidence.replace('\n', " ")));
        if table {
            lines.push(format!(
                "{:<3}  {}  {:<width$}  {evidence}",
                finding.id,
                paint(style, finding, &format!("{word:<8}")),
                finding.title
            ));
        } else {
            lines.push(format!("{} {word}: {}: {evidence}", finding.id, finding.title));
        }
        if finding.status != Status::Drift || finding.accepted {
            continue;
        }
        let indent = if table { 15 } else { 4 };
        let runbook = finding.runbook.iter().map(|place| style.dim(&format!("see {place}")));
        let remedies = finding.remedy.lines().map(|line| format!("→ {}", clean(line)));
        lines.extend(remedies.chain(runbook).map(|line| format!("{:indent$}{line}", "")));
    }
    if report.stale {
        lines.push(String::new());
        lines.push(style.bad("The box is stale. Bring it back to a known state first:"));
        lines.extend(report.reset_lines());
    }
    lines
}

fn paint(style: Style, finding: &Finding, word: &str) -> String {
    match (finding.status, finding.severity) {
        (Status::Ok, _) => style.good(word),
        (Status::Skipped, _) | (Status::Drift, Severity::Info) => style.dim(word),
        (Status::Drift, _) if finding.accepted => style.dim(word),
        (Status::Drift, Severity::Warn) => style.warn(word),
        (Status::Drift, Severity::Blocker) => style.bad(word),
    }
}

#[cfg(test)]
mod tests {
    use formula_steps::drift::{Readings, ResetStep};

    use super::*;

    fn report() -> Report {
        let finding = |id: &str, status, severity, evidence: &str, remedy: &str| Finding {
            id: id.into(),
            title: format!("title {id}"),
            status,
            severity,
            evidence: evidence.into(),
            remedy: remedy.into(),
            runbook: (!remedy.is_empty()).then(|| "book.md#x".to_owned()),
            accepted: false,
            unknown: false,
        };
        Report {
            checks: vec![
                finding("d1", Status::Ok, Severity::Info, "fine", ""),
                finding("d2", Status::Drift, Severity::Blocker, "bad \u{1b}[31mthing", "do this\nthen that"),
                finding("d3", Status::Skipped, Severity::Info, "not looked at", ""),
            ],
            stale: true,
            reset: vec![ResetStep { step: "x".into(), title: "Do it".into(), done: false, runbook: Some("book.md#x".into()) }],
            readings: Readings::default(),
            described_by: "box.toml".into(),
        }
    }

    #[test]
    fn plain_lines_are_complete_without_colour() {
        assert_eq!(
            lines(&report(), Style::default(), false),
            [
                "d1 ok: title d1: fine",
                "d2 blocker: title d2: bad thing",
                "    → do this",
                "    → then that",
                "    see book.md#x",
                "d3 skipped: title d3: not looked at",
                "",
                "The box is stale. Bring it back to a known state first:",
                "  1. [to do] Do it  (book.md#x)",
            ]
        );
        assert_eq!(summary(&report()), "1 blocker, 1 skipped check");
    }

    #[test]
    fn the_table_stands_in_columns_and_bears_colour() {
        let style = Style { color: true, ..Style::default() };
        let lines = lines(&report(), style, true);
        assert_eq!(lines[0], "d1   \u{1b}[32mok      \u{1b}[0m  title d1  fine");
        assert_eq!(lines[1], "d2   \u{1b}[1;31mblocker \u{1b}[0m  title d2  bad thing");
    }
}
