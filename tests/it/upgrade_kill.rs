//! An upgrade whose driver is killed at every step: the same command ends where an uninterrupted one ends, a rollback where it began, and the
//! box has a compose file all the time.

use serde_json::Value;

use crate::release_kill::assert_nothing_was_done_twice;
use crate::support::{BoxFixture, Program, Ran, Sandbox, engine_or_skip, formula, journaled, may_mount};
use crate::upgrade::{assert_as_before, assert_upgraded, upgrade};

/// Steps of the upgrade that change something, with the event at which the driver is killed.
const MOMENTS: [(&str, &str); 9] = [
    ("checkout", "attempt_started"),
    ("checkout", "attempt_succeeded"),
    ("version", "attempt_started"),
    ("regenerate", "attempt_started"),
    ("regenerate", "attempt_succeeded"),
    ("migrate-pre", "attempt_started"),
    ("up", "attempt_started"),
    ("up", "attempt_succeeded"),
    ("record", "attempt_started"),
];

fn cut_off(sandbox: &Sandbox, on: &BoxFixture<'_>, step: &str, event: &str) -> Ran {
    let killed = upgrade(sandbox, on, "v0.3.0").args(["--json"]).run_and_kill_at(|line| {
        let said: Value = serde_json::from_str(line).unwrap_or_default();
        said["event"]["type"] == event && said["event"]["step"] == step
    });
    assert!(sandbox.work().join("docker-compose.yml").exists(), "{step} {event}: there is always a compose file");
    if killed.code.is_some() {
        killed.exits(0);
    }
    killed
}

#[test]
fn u7_an_upgrade_that_was_killed_ends_like_one_that_was_not() {
    engine_or_skip!("u7_an_upgrade_that_was_killed_ends_like_one_that_was_not");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    let mut cut = 0;
    for (step, event) in MOMENTS {
        let killed = cut_off(&sandbox, &on, step, event);
        cut += usize::from(killed.code.is_none());
        let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
        ran.exits(0);
        assert_eq!(ran.run_id(), killed.run_id(), "{step} {event}");
        assert_nothing_was_done_twice(&journaled(&sandbox), &format!("{step} {event}"));
        assert_upgraded(&on, &before, &on.facts());
        formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
        assert_as_before(&before, &on.facts());
        on.forget_migrations();
    }
    assert!(cut + 3 >= MOMENTS.len(), "only {cut} of {} kills came in time", MOMENTS.len());
}

#[test]
fn u8_an_upgrade_that_was_killed_can_be_taken_back() {
    engine_or_skip!("u8_an_upgrade_that_was_killed_can_be_taken_back");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    for (step, event) in MOMENTS {
        let killed = cut_off(&sandbox, &on, step, event);
        let back = formula(&sandbox).args(["rollback", "--yes", "--json"]).run();
        back.exits(0);
        assert_eq!((back.run_id(), &back.verdict()["outcome"]), (killed.run_id(), &Value::from("rolled_back")), "{step} {event}");
        assert_as_before(&before, &on.facts());
    }
}

#[test]
fn a_rollback_that_was_killed_goes_on() {
    engine_or_skip!("a_rollback_that_was_killed_goes_on");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    for step in ["up", "regenerate", "checkout"] {
        let killed = upgrade(&sandbox, &on, "v0.3.2").args(["--json"]).run_and_kill_at(|line| {
            let said: Value = serde_json::from_str(line).unwrap_or_default();
            said["event"]["type"] == "undo_started" && said["event"]["step"] == step
        });
        let ended = upgrade(&sandbox, &on, "v0.3.2").args(["--json"]).run();
        ended.exits(22);
        assert_eq!(ended.run_id(), killed.run_id(), "{step}");
        assert_as_before(&before, &on.facts());
    }
}

#[test]
fn the_second_of_two_upgrades_is_told_who_holds_the_box() {
    engine_or_skip!("the_second_of_two_upgrades_is_told_who_holds_the_box");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let mut first = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).start();
    assert!(first.wait_for_line(|line| line.contains("run_started")));
    upgrade(&sandbox, &on, "v0.3.2").run().exits(12).stderr_has("held by run").stderr_has(", since ");
    let first = first.finish();
    first.exits(0);
}

#[test]
fn a_full_disk_stops_the_upgrade_before_any_container_and_room_lets_it_go_on() {
    const NAME: &str = "a_full_disk_stops_the_upgrade_before_any_container_and_room_lets_it_go_on";
    engine_or_skip!(NAME);
    if !may_mount(NAME) {
        return;
    }
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    std::fs::create_dir(sandbox.work().join(".formula")).expect("the sandbox is writable");
    std::fs::write(sandbox.root().join("fill-the-disk"), "").expect("the sandbox is writable");
    let program = env!("CARGO_BIN_EXE_formula");
    // The first migration fills the disk that the journal is on.
    let script = format!(
        "mount -t tmpfs -o size=2m,mode=700 tmpfs .formula
         run() {{ {program} run upgrade --version v0.3.0; }}
         run 2>../full || echo full $?
         docker ps --no-trunc --quiet --filter label=com.docker.compose.project={} | sort >../running
         rm .formula/filler
         run 2>../room; echo room $?",
        on.project.name
    );
    let ran = Program::new(&sandbox, "unshare").args(["--mount", "sh", "-c", &script]).run();
    ran.stdout_is("full 74\nroom 0\n");
    let said = std::fs::read_to_string(sandbox.root().join("full")).expect("it was just written");
    assert!(said.contains("make room"), "{said}");
    let running = std::fs::read_to_string(sandbox.root().join("running")).expect("it was just written");
    let mut ids: Vec<&str> = before.ids().into_values().collect();
    ids.sort_unstable();
    assert_eq!(running.lines().collect::<Vec<_>>(), ids, "no container was touched");
    let after = on.facts();
    assert_eq!((after.release.as_str(), after.answers.as_deref()), ("v0.3.0", Some("v0.3.0")));
}
