//! The matrix of every shipped formula: each boundary, both ways, all of them converge.

use super::super::{Error, Options, Report, Subject, rehearse};
use super::{bad, told};
use crate::catalog::{SHIPPED, SHIPPED_TESTS};
use crate::diagnostic::SourceFile;

fn shipped(name: &str, options: &Options) -> Result<Report, Error> {
    let text = |all: &[(&str, &'static str)]| all.iter().find(|(one, _)| *one == name).map(|(_, text)| *text);
    let formula = SourceFile::new(format!("<shipped>/{name}.toml"), text(SHIPPED).unwrap());
    let test = SourceFile::new(format!("<shipped>/tests/{name}.test.toml"), text(SHIPPED_TESTS).unwrap());
    rehearse(&Subject { formula: &formula, test: Some(&test), kinds: formula_steps::BUILTIN.to_vec() }, options, &mut |_| Err(Vec::new()))
}

#[track_caller]
fn converges(name: &str, least: usize) {
    let report = shipped(name, &Options::default()).unwrap_or_else(|error| panic!("{}", told(&error)));
    for case in &report.cases {
        assert_eq!(bad(case), [], "{name} {}", case.name);
        assert_eq!(case.unmet, Vec::<String>::new(), "{name} {}", case.name);
        assert!(case.again.as_ref().is_none_or(super::super::Again::is_sound), "{name} {}: {:?}", case.name, case.again);
    }
    assert!(report.sound && report.schedules >= least, "{name}: {} schedules", report.schedules);
}

#[test]
fn every_shipped_formula_has_a_test_file() {
    let names = |all: &[(&'static str, &str)]| all.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names(SHIPPED_TESTS), names(SHIPPED));
}

#[test]
fn hello_converges() {
    converges("hello", 18);
}

#[test]
fn release_converges() {
    converges("release", 180);
}

#[test]
fn agents_converges() {
    converges("agents", 50);
}

#[test]
fn bootstrap_converges() {
    converges("bootstrap", 200);
}

#[test]
fn rollback_to_converges() {
    converges("rollback-to", 140);
}

#[test]
fn upgrade_converges() {
    converges("upgrade", 300);
}

#[test]
fn a_release_whose_tag_fails_is_held_and_can_be_taken_back() {
    let fail = Options { fail: Some("tag".into()), case: Some("an image, a mirror and a service".into()), ..Options::default() };
    let report = shipped("release", &fail).unwrap_or_else(|error| panic!("{}", told(&error)));
    let case = &report.cases[0];
    assert!(report.sound, "{:?}", bad(case));
    assert_eq!((case.outcome.as_str(), case.exit), ("held", 20));
    let state = |id: &str| case.steps.iter().find(|step| step.id == id).map(|step| step.state.clone());
    assert_eq!((state("push"), state("tag"), state("record")), (Some("done".into()), Some("failed".into()), Some("pending".into())));
    assert!(case.schedules.len() > 20);
}
