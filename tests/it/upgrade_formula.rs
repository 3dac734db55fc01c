//! A box that is upgraded by a migration that is a formula.

use std::fs;

use serde_json::Value;

use crate::support::{BoxFacts, BoxFixture, Ran, Sandbox, docker, engine_or_skip, formula};
use crate::upgrade::upgrade;

/// Names the queue in the env file, then writes down that it ran.
const MIGRATION: &str = r#"
name        = "v0.3.0"
description = "Names the queue"
version     = 1

[vars.migration]
type        = "version"
description = "Which one"
required    = true

[vars.env_file]
type        = "path"
description = "The env file"
required    = true

[[steps]]
id    = "name"
title = "The queue gets its name"
uses  = "env-set"
with  = { file = "{{ vars.env_file }}", set = { QUEUE = "mill" } }

[[steps]]
id   = "log"
uses = "shell"
env  = { VERSION = "{{ vars.migration }}" }

[steps.with]
script = 'test "$(cat ../fail-migration 2>/dev/null)" != "$VERSION"; echo "$VERSION" >>../migrations.log; while test -e ../slow; do :; done'
probe  = 'grep -qxF "$VERSION" ../migrations.log'
undo   = 'grep -vxF "$VERSION" ../migrations.log >../kept || :; mv ../kept ../migrations.log'
"#;

fn a_box(sandbox: &Sandbox) -> BoxFixture<'_> {
    let on = BoxFixture::build(sandbox);
    on.release_with("v0.3.0", "migrations/v0.3.0.toml", MIGRATION, "migrations/v0.3.0.sh");
    on.baseline();
    on.ready();
    on
}

#[track_caller]
fn assert_upgraded(on: &BoxFixture<'_>) {
    let after = on.facts();
    assert_eq!((after.release.as_str(), after.answers.as_deref()), ("v0.3.0", Some("v0.3.0")));
    assert_eq!(after.migrated, ["v0.2.1", "v0.2.2", "v0.3.0"], "each once, in the order of their versions");
    let env = after.env.clone().expect("an env file");
    assert!(env.contains("QUEUE=mill\n") && env.contains("DISINTO_LAST_MIGRATION=v0.3.0\n"), "{env}");
    let wanted = docker(&["image", "inspect", "--format", "{{.Id}}", &on.image("agents", "v0.3.0")]);
    assert_eq!(after.containers["agents"].image_id, wanted);
}

fn status(sandbox: &Sandbox) -> Ran {
    formula(sandbox).args(["migrate", "status", "--key", "DISINTO_LAST_MIGRATION"]).run()
}

#[test]
fn u12_a_formula_that_fails_in_its_second_step_is_taken_back_and_is_the_next_to_run() {
    engine_or_skip!("u12_a_formula_that_fails_in_its_second_step_is_taken_back_and_is_the_next_to_run");
    let sandbox = Sandbox::new();
    let on = a_box(&sandbox);
    let before = on.facts();
    // The version is not checked out yet, and its formula is read from the tag.
    let planned = formula(&sandbox).args(["plan", "upgrade", "--version", "v0.3.0"]).run();
    planned
        .exits(0)
        .stdout_has("run migration v0.3.0 (pre, `migrations/v0.3.0.toml`): Names the queue")
        .stdout_has("its step `name` (env-set)");
    on.fail_migration(Some("v0.3.0"));
    let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    assert_eq!(ran.exits(22).verdict()["failed_step"], "migrate-pre");
    let left = BoxFacts { migrated: vec!["v0.2.1".into(), "v0.2.2".into()], ..before.clone() };
    assert_eq!(on.facts(), left, "no container was touched, and the queue has no name");

    on.fail_migration(None);
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    assert_upgraded(&on);
    status(&sandbox).exits(0).stdout_has("Names the queue").stderr_has("the box stands at v0.3.0 by its ledger; nothing is pending");
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    let after = on.facts();
    assert_eq!((after.env, after.migrated, after.release), (left.env, left.migrated, left.release));
}

#[test]
fn u7_an_upgrade_killed_in_a_formula_ends_like_one_that_was_not() {
    engine_or_skip!("u7_an_upgrade_killed_in_a_formula_ends_like_one_that_was_not");
    let sandbox = Sandbox::new();
    let on = a_box(&sandbox);
    fs::write(sandbox.root().join("slow"), "").expect("the sandbox is writable");
    let mut running = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).start();
    let log = sandbox.root().join("migrations.log");
    while !fs::read_to_string(&log).unwrap_or_default().contains("v0.3.0") {
        std::thread::yield_now();
    }
    running.kill();
    let killed = running.finish();
    killed.was_killed();
    // The driver is dead, and its child ends by itself.
    fs::remove_file(sandbox.root().join("slow")).expect("it was just written");
    while !sandbox.survivors().is_empty() {
        std::thread::yield_now();
    }
    let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    assert_eq!(ran.exits(0).run_id(), killed.run_id());
    assert_eq!(ran.verdict()["changed"], Value::Bool(true));
    assert_upgraded(&on);
}
