//! The laws every built-in kind obeys, tried on the fake world with all that can go wrong there.
//!
//! A kind that has no case fails. To add one, see `law/cases.rs`.

mod law;

use formula_steps::BUILTIN;

use formula_steps::laws::{Tally, judge};
use law::cases;

#[test]
fn kinds_are_sorted_and_found_by_name() {
    let kinds: Vec<_> = BUILTIN.iter().map(|step| step.meta().kind).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    for kind in &kinds {
        assert_eq!(formula_steps::find(kind).expect("it is listed").meta().kind, *kind);
    }
}

#[test]
fn every_kind_has_a_case_and_every_case_a_kind() {
    let cases = cases::all();
    let cased = |kind: &str| cases.iter().any(|case| case.kind == kind);
    let missing: Vec<_> = BUILTIN.iter().map(|step| step.meta().kind).filter(|kind| !cased(kind)).collect();
    assert!(missing.is_empty(), "kinds without a case in tests/law: {missing:?}");
    let unknown: Vec<_> = cases.iter().filter(|case| formula_steps::find(case.kind).is_none()).map(|case| case.kind).collect();
    assert!(unknown.is_empty(), "cases of kinds that do not exist: {unknown:?}");
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the counts are for the person who runs the test with `--nocapture`")]
async fn every_kind_obeys_every_law() {
    let mut tally = Tally::default();
    for case in cases::all() {
        let step = formula_steps::find(case.kind).expect("checked by another test");
        tally.add(judge(step, &case).await);
    }
    println!("{tally}");
    assert!(tally.broken.is_empty(), "{tally}");
}
