//! A release whose driver is killed at every step, just before it acts and just after: the same command ends where an uninterrupted run ends,
//! and a rollback ends where it began.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::release::assert_released;
use crate::support::{Outside, Ran, Sandbox, Shop, engine_or_skip, formula, journaled};

const FLAGS: [&str; 3] = ["--floating", "latest", "--json"];

/// The steps of the release, with the event at which the driver is killed. Preflight only looks, so it is never attempted.
const MOMENTS: [(&str, &str); 13] = [
    ("preflight", "step_probed"),
    ("build", "attempt_started"),
    ("build", "attempt_succeeded"),
    ("push", "attempt_started"),
    ("push", "attempt_succeeded"),
    ("tag", "attempt_started"),
    ("tag", "attempt_succeeded"),
    ("mirror[codeberg]", "attempt_started"),
    ("mirror[codeberg]", "attempt_succeeded"),
    ("floating", "attempt_started"),
    ("floating", "attempt_succeeded"),
    ("record", "attempt_started"),
    ("record", "attempt_succeeded"),
];

/// Runs the release up to that moment. The build is real only where it is what is cut off.
fn cut_off(shop: &Shop<'_>, step: &str, event: &str) -> Ran {
    if step == "build" {
        shop.forget_image();
    }
    let killed = shop.release().args(FLAGS).run_and_kill_at(|line| {
        let said: Value = serde_json::from_str(line).unwrap_or_default();
        said["event"]["type"] == event && said["event"]["step"] == step
    });
    // The driver may outrun the kill where little is left to do; then it has ended well, and all that follows must hold as well.
    if killed.code.is_some() {
        killed.exits(0);
    }
    killed
}

/// Most moments must really have cut the driver off.
fn assert_was_cut(cut: usize) {
    assert!(cut + 4 >= MOMENTS.len(), "only {cut} of {} kills came in time", MOMENTS.len());
}

/// No step was attempted a second time before it had been asked and had answered that its work is not there.
pub fn assert_nothing_was_done_twice(events: &[Value], moment: &str) {
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events {
        let Some(step) = event["step"].as_str() else { continue };
        match event["type"].as_str() {
            Some("attempt_started") => {
                assert_ne!(open.get(step), Some(&true), "{moment}: `{step}` was attempted twice without being asked");
                open.insert(step, true);
            }
            Some("step_probed") if event["reason"] == "in_doubt" && event["probe"]["verdict"] == "absent" => {
                open.insert(step, false);
            }
            _ => {}
        }
    }
}

#[test]
fn a_release_that_was_killed_ends_like_one_that_was_not() {
    engine_or_skip!("a_release_that_was_killed_ends_like_one_that_was_not");
    let sandbox = Sandbox::in_memory();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    let mut cut = 0;
    for (step, event) in MOMENTS {
        let moment = format!("{step} {event}");
        let killed = cut_off(&shop, step, event);
        cut += usize::from(killed.code.is_none());
        let ran = shop.release().args(FLAGS).run();
        ran.exits(0);
        assert_eq!(ran.run_id(), killed.run_id(), "{moment}");
        assert_released(&shop, &before, &ran.run_id(), &["codeberg", "github"], &["latest"]);
        assert_nothing_was_done_twice(&journaled(&sandbox), &moment);
        let again = shop.release().args(FLAGS).run();
        again.exits(0);
        assert_eq!(again.verdict()["changed"], false, "{moment}");
        formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
        assert_eq!(shop.outside(), before, "{moment}");
    }
    assert_was_cut(cut);
}

#[test]
fn a_release_that_was_killed_can_be_taken_back() {
    engine_or_skip!("a_release_that_was_killed_can_be_taken_back");
    let sandbox = Sandbox::in_memory();
    let shop = Shop::new(&sandbox);
    let before: Outside = shop.outside();
    let mut cut = 0;
    for (step, event) in MOMENTS {
        let killed = cut_off(&shop, step, event);
        cut += usize::from(killed.code.is_none());
        let back = formula(&sandbox).args(["rollback", "--yes", "--json"]).run();
        back.exits(0);
        assert_eq!((back.run_id(), &back.verdict()["outcome"]), (killed.run_id(), &Value::from("rolled_back")), "{step} {event}");
        assert_eq!(shop.outside(), before, "{step} {event}");
    }
    assert_was_cut(cut);
    // It is over: what comes next is a new run.
    let ran = shop.release().args(FLAGS).run();
    ran.exits(0);
    assert_released(&shop, &before, &ran.run_id(), &["codeberg", "github"], &["latest"]);
}
