//! Rehearsals of the shipped formulas, of small ones, and of kinds that lie.

mod cases;
mod files;
mod sabotage;
mod shipped;

use formula_steps::contract::StepType;

use super::{CaseReport, Error, Options, Report, Subject, rehearse};
use crate::diagnostic::{Diagnostic, SourceFile};

/// Rehearses these texts.
fn try_with(kinds: &'static [&'static dyn StepType], formula: &str, test: Option<&str>, options: &Options) -> Result<Report, Error> {
    let formula = SourceFile::new("formulas/sample.toml", formula);
    let test = test.map(|text| SourceFile::new("formulas/tests/sample.test.toml", text));
    rehearse(&Subject { formula: &formula, test: test.as_ref(), kinds: kinds.to_vec() }, options, &mut |_| Err(Vec::new()))
}

fn try_both(formula: &str, test: &str) -> Result<Report, Error> {
    try_with(formula_steps::BUILTIN, formula, Some(test), &Options::default())
}

/// The report on a file without cases.
#[track_caller]
fn only(report: Result<Report, Error>) -> CaseReport {
    let mut report = report.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(report.cases.len(), 1);
    report.cases.remove(0)
}

fn told(error: &Error) -> String {
    match error {
        Error::Formula(problems) => all(problems),
        Error::Test(misfit) => all(&misfit.problems),
        Error::Unknown(message) | Error::Broken { message, .. } => message.clone(),
    }
}

fn all(problems: &[Diagnostic]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("{} {} {:?}", problem.code, problem.message, problem.help)).collect();
    lines.join("\n")
}

/// Schedules that are not as they should be, with what came of them.
fn bad(case: &CaseReport) -> Vec<(String, &'static str)> {
    let bad = case.schedules.iter().filter(|played| !played.judgement.is_sound());
    bad.map(|played| (played.schedule.to_string(), played.judgement.word())).collect()
}
