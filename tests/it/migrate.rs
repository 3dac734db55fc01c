//! Migrations of a box through the whole program: the ledger's commands, a kill in the middle, and going back.

use std::fs;

use serde_json::{Value, json};

use crate::support::{GitFixture, Ran, Sandbox, formula};

const ENV: &str = "A=1\nLAST=v0.2.0\nB='x y'\n";

const UP: &str = r#"
name        = "up"
description = "Bring the box to a version"
version     = 1
on_failure  = "rollback"

[vars.version]
type        = "version"
description = "Where to go"
required    = true

[[steps]]
id   = "before"
uses = "env-set"
with = { set = { VERSION = "{{ vars.version }}" } }

[[steps]]
id   = "migrate"
uses = "migrate"
with = { to = "{{ vars.version }}", phase = "pre", key = "LAST" }

[[steps]]
id   = "after"
uses = "shell"
with = { command = ["test", "!", "-e", "broken"], read_only = true }
"#;

/// A box at v0.2.0 with migrations that add their version to `ran`.
fn a_box(migrations: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/up.toml", UP);
    sandbox.write(".env", ENV);
    for path in migrations {
        sandbox.write(&format!("migrations/{path}"), "echo \"$FORMULA_MIGRATION\" >>ran\n");
    }
    sandbox
}

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

fn text(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(sandbox.work().join(path)).unwrap_or_default()
}

/// Ends what a killed run left behind, as its machine going down would.
fn end_orphans(sandbox: &Sandbox) {
    loop {
        let orphans = sandbox.survivors();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let pid = rustix::process::Pid::from_raw(orphan.cast_signed()).expect("a pid");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
        std::thread::yield_now();
    }
}

fn states(sandbox: &Sandbox) -> Vec<(String, String)> {
    let ran = ask(sandbox, "migrate status --json");
    let data = &ran.json()[0];
    let entries = data["entries"].as_array().expect("a list").iter();
    let word = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    entries.map(|entry| (word(entry, "version"), word(entry, "state"))).collect()
}

#[test]
fn status_tells_where_a_box_stands_and_what_is_pending() {
    let sandbox = a_box(&["v0.2.0.sh", "v0.10.0.sh", "v0.3.0.sh"]);
    ask(&sandbox, "migrate status").exits(0).stderr_has("nobody knows where the box stands; `formula migrate baseline VERSION`");
    ask(&sandbox, "migrate status --key LAST")
        .exits(0)
        .stderr_is("the box stands at v0.2.0 by the key in its env file; 2 scripts are pending\n");
    assert!(!sandbox.work().join(".formula").exists(), "looking leaves nothing");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
    let ran = ask(&sandbox, "migrate status");
    ran.exits(0).stderr_is("the box stands at v0.3.0 by its ledger; 1 script is pending\n");
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["VERSION", "PHASE", "STATE", "BACK", "ENDED", "DIGEST", "WHAT"]);
    assert_eq!(lines[1][..4], ["v0.2.0", "pre", "baseline", "stays"]);
    assert_eq!((&lines[2][..4], lines[2][6]), (&["v0.3.0", "pre", "applied", "stays"][..], "migrations/v0.3.0.sh"));
    assert_eq!(lines[3][..3], ["v0.10.0", "pre", "pending"]);
    let data = &ask(&sandbox, "migrate status --json").exits(0).json()[0];
    assert_eq!(data["level"], json!({ "version": "v0.3.0", "source": "ledger" }));
    assert_eq!((&data["v"], &data["pending"], &data["problems"]), (&json!(1), &json!(1), &json!([])));
    assert!(data["entries"][1]["who"].as_str().is_some_and(|who| who.starts_with("run ") && who.ends_with(" step migrate")));
}

#[test]
fn a_baseline_is_recorded_once_a_person_says_it() {
    let sandbox = a_box(&["v0.2.1.sh", "v0.3.0.sh"]);
    sandbox.write(".env", "A=1\n");
    ask(&sandbox, "run up --version v0.3.0").exits(22).stderr_has("formula migrate baseline VERSION");
    assert_eq!(text(&sandbox, ".env"), "A=1\n", "nothing stays changed");
    ask(&sandbox, "migrate baseline 0.3").exits(2).stderr_has("`0.3` is not a version");
    ask(&sandbox, "migrate baseline v0.2.1").exits(0).stderr_is("the box stands at v0.2.1 by its ledger; 1 script is pending\n");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
    assert_eq!((text(&sandbox, "ran"), text(&sandbox, ".env")), ("v0.3.0\n".into(), "A=1\nVERSION=v0.3.0\nLAST=v0.3.0\n".into()));
    // One that would have something run again says so first.
    ask(&sandbox, "migrate baseline v0.2.0").exits(11).stderr_has("it would run again: v0.3.0 (pre)").stderr_has("--force");
    ask(&sandbox, "migrate baseline v0.2.0 --force").exits(0).stderr_has("2 scripts are pending");
}

#[test]
fn repair_accepts_a_changed_digest_by_name() {
    let sandbox = a_box(&["v0.2.1.sh", "v0.3.0.sh"]);
    ask(&sandbox, "migrate repair v0.2.1 --applied").exits(11).stderr_has("there is no ledger yet");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
    sandbox.write("migrations/v0.2.1.sh", "echo changed >>ran\n");
    ask(&sandbox, "migrate status")
        .exits(30)
        .stderr_has("was changed after it was applied")
        .stderr_has("formula migrate repair v0.2.1 --phase pre --applied");
    sandbox.write("migrations/v0.4.0.sh", "echo \"$FORMULA_MIGRATION\" >>ran\n");
    ask(&sandbox, "run up --version v0.4.0 --quiet").exits(22);
    ask(&sandbox, "migrate repair v0.2.1").exits(2);
    ask(&sandbox, "migrate repair v0.9.0 --applied").exits(2).stderr_has("neither folder nor ledger have a migration v0.9.0");
    ask(&sandbox, "migrate repair v0.2.1 --applied --reason reviewed").exits(0);
    ask(&sandbox, "migrate repair v0.2.1 --applied").exits(0).stderr_has("stands so already");
    ask(&sandbox, "run up --version v0.4.0 --quiet").exits(0);
    assert_eq!(text(&sandbox, "ran"), "v0.2.1\nv0.3.0\nv0.4.0\n");
    ask(&sandbox, "migrate repair v0.2.1 --pending").exits(0).stderr_has("1 script is pending");
}

#[test]
fn m3_killed_in_the_second_of_three_the_same_command_goes_on_there() {
    let sandbox = a_box(&["v0.2.1.sh", "v0.3.0.sh"]);
    sandbox.write("migrations/v0.2.2.sh", "echo began >>ran\ntest -e go || { touch up; sleep 600; }\necho ended >>ran\n");
    let mut running = formula(&sandbox).args(["run", "up", "--version", "v0.3.0", "--json"]).start();
    while !sandbox.work().join("up").exists() {
        std::thread::yield_now();
    }
    ask(&sandbox, "migrate baseline v0.2.1").exits(12).stderr_has("a run of this directory is under way");
    running.kill();
    running.finish().was_killed();
    sandbox.write("go", "");
    end_orphans(&sandbox);
    let states_then = states(&sandbox);
    assert_eq!(states_then[1], ("v0.2.2".to_owned(), "unknown".to_owned()));
    ask(&sandbox, "run up --version v0.3.0").exits(0);
    assert_eq!(text(&sandbox, "ran"), "v0.2.1\nbegan\nbegan\nended\nv0.3.0\n");
    assert_eq!(text(&sandbox, ".env"), ENV.replace("v0.2.0", "v0.3.0") + "VERSION=v0.3.0\n");
}

#[test]
fn u12_a_migration_that_fails_leaves_the_box_as_it_was() {
    let sandbox = a_box(&["v0.2.1.sh", "v0.2.2.sh", "v0.3.0.sh"]);
    sandbox.write("migrations/v0.2.2.sh", "echo the disk is full >&2\ntest -e mended\n");
    let ran = ask(&sandbox, "run up --version v0.3.0");
    ran.exits(22).stderr_has("migration v0.2.2 (pre, `migrations/v0.2.2.sh`) ended with exit code 1").stderr_has("the disk is full");
    assert_eq!(text(&sandbox, ".env"), ENV, "byte for byte");
    // What has no way back and needs none stays applied, and does not run again.
    assert_eq!(states(&sandbox).iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), ["applied", "failed", "pending"]);
    sandbox.write("mended", "");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
    assert_eq!(text(&sandbox, "ran"), "v0.2.1\nv0.3.0\n");
}

#[test]
fn a_later_failure_takes_back_what_can_be_and_not_past_what_cannot() {
    let sandbox = a_box(&["v0.2.1/pre.sh"]);
    sandbox.write("migrations/v0.2.1/down.sh", "rm ran\n");
    sandbox.write("broken", "");
    ask(&sandbox, "run up --version v0.3.0").exits(22);
    assert_eq!((text(&sandbox, "ran"), text(&sandbox, ".env")), (String::new(), ENV.to_owned()));

    sandbox.write("migrations/v0.3.0/pre.sh", "echo \"$FORMULA_MIGRATION\" >>ran\n");
    sandbox.write("migrations/v0.3.0/migration.toml", "summary = \"drops a table\"\nreversible = false\n");
    ask(&sandbox, "plan up --version v0.3.0")
        .exits(0)
        .stdout_has("drops a table; ONE-WAY: there is no way back past it")
        .stdout_has("──── past this line there is no way back ────\n+ migrate  migrate");
    let ran = ask(&sandbox, "run up --version v0.3.0 --json");
    let verdict = ran.exits(20).verdict();
    assert_eq!(verdict["one_way_crossed"], Value::Bool(true));
    assert_eq!(text(&sandbox, "ran"), "v0.2.1\nv0.3.0\n", "nothing was taken back");
    assert_eq!(text(&sandbox, ".env"), ENV.replace("v0.2.0", "v0.3.0") + "VERSION=v0.3.0\n");
    let run = ran.run_id();
    ask(&sandbox, &format!("rollback {run} --yes")).exits(2).stderr_has("past the point of no return: `migrate` cannot be taken back");
    fs::remove_file(sandbox.work().join("broken")).expect("it was put there");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
}

#[test]
fn a_box_on_a_release_tag_needs_no_word() {
    let sandbox = a_box(&["v0.2.1.sh", "v0.3.0.sh"]);
    sandbox.write(".env", "A=1\n");
    let git = GitFixture::new(&sandbox);
    git.git(&["tag", "v0.2.1"]);
    ask(&sandbox, "migrate status").exits(0).stderr_is("the box stands at v0.2.1 by the release tag of HEAD; 1 script is pending\n");
    ask(&sandbox, "run up --version v0.3.0 --quiet").exits(0);
    assert_eq!(text(&sandbox, "ran"), "v0.3.0\n");
}
