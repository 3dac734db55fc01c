//! Migrations that are formulas, through the whole program: planned, run, cut off, mended, held, and taken back by their own steps.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Ran, Running, Sandbox, formula};

const ENV: &str = "A=1\nLAST=v0.2.0\n";

const UP: &str = r#"
name        = "up"
description = "Bring the box to a version"
version     = 1
on_failure  = "rollback"

[vars.version]
type        = "version"
description = "Where to go"
required    = true

[secrets.QUEUE_TOKEN]
from     = ["env:QUEUE_TOKEN"]
required = false

[[steps]]
id      = "migrate"
uses    = "migrate"
with    = { to = "{{ vars.version }}", phase = "pre", key = "LAST" }
secrets = ["QUEUE_TOKEN"]

[[steps]]
id   = "after"
uses = "shell"
with = { command = ["test", "!", "-e", "broken"], read_only = true }
"#;

/// Sets a key, writes down who it is, and adds a word.
const QUEUE: &str = r#"
name        = "v0.3.0"
description = "Gives the queue its name"
version     = 1

[vars.migration]
type        = "version"
description = "Which migration this is"
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
id   = "note"
uses = "write-file"
with = { path = "notes/{{ vars.migration }}", content = "queue\n" }

[[steps]]
id   = "word"
uses = "shell"
env  = { WORD = "{{ vars.migration }}" }

[steps.with]
script = 'test ! -e bad; echo "$WORD $FORMULA_PHASE $FORMULA_FROM $FORMULA_TO" >>words; if test -e slow; then echo >up; sleep 600; fi'
probe  = 'test -s words'
undo   = 'rm -f words'
"#;

fn a_box() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/up.toml", UP);
    sandbox.write(".env", ENV);
    sandbox.write("migrations/v0.2.1.sh", "echo \"$FORMULA_MIGRATION\" >>ran\n");
    sandbox.write("migrations/v0.3.0.toml", QUEUE);
    sandbox
}

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

fn up(sandbox: &Sandbox) -> Ran {
    ask(sandbox, "run up --version v0.3.0")
}

fn text(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(sandbox.work().join(path)).unwrap_or_default()
}

fn remove(sandbox: &Sandbox, path: &str) {
    fs::remove_file(sandbox.work().join(path)).expect("it was put there");
}

/// Every migration, as `formula migrate status` has it.
fn states(sandbox: &Sandbox) -> Vec<String> {
    let data = &ask(sandbox, "migrate status --json").json()[0];
    let word = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = data["entries"].as_array().expect("a list").iter();
    entries.map(|entry| format!("{} {}", word(entry, "version"), word(entry, "state"))).collect()
}

#[track_caller]
fn assert_migrated(sandbox: &Sandbox, from: &str) {
    assert_eq!(text(sandbox, ".env"), "A=1\nLAST=v0.3.0\nQUEUE=mill\n");
    assert_eq!(text(sandbox, "words"), format!("v0.3.0 pre {from} v0.3.0\n"));
    assert_eq!((text(sandbox, "notes/v0.3.0"), text(sandbox, "ran")), ("queue\n".into(), "v0.2.1\n".into()));
    assert_eq!(states(sandbox), ["v0.2.1 applied", "v0.3.0 applied"]);
}

/// The formula left nothing; what is neutral stays.
#[track_caller]
fn assert_taken_back(sandbox: &Sandbox) {
    assert_eq!(text(sandbox, ".env"), ENV, "byte for byte");
    assert_eq!((text(sandbox, "words"), text(sandbox, "notes/v0.3.0")), (String::new(), String::new()));
    assert_eq!(text(sandbox, "ran"), "v0.2.1\n");
    assert_eq!(states(sandbox), ["v0.2.1 applied", "v0.3.0 pending"]);
}

/// Kills what a killed driver left, as its machine going down would.
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

#[test]
fn a_plan_names_the_steps_of_a_migration_and_the_run_makes_them() {
    let sandbox = a_box();
    let told = "run migration v0.3.0 (pre, `migrations/v0.3.0.toml`): Gives the queue its name; going back takes its steps back";
    ask(&sandbox, "plan up --version v0.3.0")
        .exits(0)
        .stdout_has(told)
        .stdout_has("its step `name` (env-set): The queue gets its name")
        .stdout_has("its step `word` (shell)");
    assert!(!sandbox.work().join(".formula").exists(), "looking leaves nothing");
    let run = ask(&sandbox, "run up --version v0.3.0 --json").exits(0).run_id();
    assert_migrated(&sandbox, "v0.2.0");
    let status = ask(&sandbox, "migrate status");
    status.exits(0).stdout_has("Gives the queue its name").stderr_has("the box stands at v0.3.0 by its ledger");
    // What its steps said is in the log of the step around them.
    ask(&sandbox, &format!("log {run} migrate")).stdout_has("✓ word");
    ask(&sandbox, "runs --formula v0.3.0").stderr_has("there is no run of `v0.3.0` here yet");
    ask(&sandbox, "run up --version v0.3.0 --fresh").exits(0);
    assert_migrated(&sandbox, "v0.2.0");
    // An applied one that was changed is told like a script.
    sandbox.write("migrations/v0.3.0.toml", QUEUE.replace("mill", "hill"));
    ask(&sandbox, "migrate status").exits(30).stderr_has("`migrations/v0.3.0.toml` was changed after it was applied");
}

#[test]
fn one_that_fails_is_taken_back_step_by_step_and_is_the_next_to_run() {
    let sandbox = a_box();
    sandbox.write("bad", "");
    let ran = ask(&sandbox, "run up --version v0.3.0 --json");
    let verdict = ran.exits(22).verdict();
    let message = verdict["message"].as_str().expect("a message");
    assert!(message.starts_with("migration v0.3.0 (pre, `migrations/v0.3.0.toml`) failed: step `word`"), "{message}");
    assert_taken_back(&sandbox);
    remove(&sandbox, "bad");
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.1");
}

#[test]
fn a_later_failure_takes_it_back_and_a_person_can() {
    let sandbox = a_box();
    sandbox.write("broken", "");
    up(&sandbox).exits(22);
    assert_taken_back(&sandbox);
    remove(&sandbox, "broken");
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.1");
    // Only what it made: somebody else's word stays.
    sandbox.write("notes/v0.3.0", "mine\n");
    ask(&sandbox, "rollback --yes").exits(23).stderr_has("migration v0.3.0 (pre) could not be taken back by its own steps");
    assert_eq!(text(&sandbox, "notes/v0.3.0"), "mine\n");
    sandbox.write("notes/v0.3.0", "queue\n");
    ask(&sandbox, "rollback --yes").exits(0);
    assert_taken_back(&sandbox);
}

/// A run whose formula is in its last step.
fn slow(sandbox: &Sandbox) -> Running {
    sandbox.write("slow", "");
    let running = formula(sandbox).args(["run", "up", "--version", "v0.3.0", "--json"]).start();
    while !sandbox.work().join("up").exists() {
        std::thread::yield_now();
    }
    running
}

fn killed_in_the_middle(sandbox: &Sandbox) -> Ran {
    let mut running = slow(sandbox);
    running.kill();
    let killed = running.finish();
    killed.was_killed();
    end_orphans(sandbox);
    killed
}

#[test]
fn a_second_signal_ends_what_its_steps_started_as_well() {
    let sandbox = a_box();
    // Deaf to the first word, as is what it starts.
    sandbox.write("deaf", "trap '' INT TERM\n");
    sandbox.write("migrations/v0.3.0.toml", QUEUE.replace("echo >up;", ". ./deaf; echo >up;"));
    let mut running = slow(&sandbox);
    let asked = Instant::now();
    running.signal(Signal::INT);
    assert!(running.wait_for_line(|line| line.contains("cancel_requested")));
    running.signal(Signal::INT);
    running.finish().exits(130);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert_eq!(sandbox.survivors(), [0; 0], "nothing goes on");
    remove(&sandbox, "slow");
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.0");
}

#[test]
fn killed_in_the_middle_the_same_command_goes_on_at_the_step_where_it_was() {
    let sandbox = a_box();
    let killed = killed_in_the_middle(&sandbox);
    assert_eq!(states(&sandbox), ["v0.2.1 applied", "v0.3.0 unknown"]);
    remove(&sandbox, "slow");
    let ran = ask(&sandbox, "run up --version v0.3.0 --json");
    assert_eq!(ran.exits(0).run_id(), killed.run_id());
    // The word is there once: its step was asked first.
    assert_migrated(&sandbox, "v0.2.0");
    ask(&sandbox, "rollback --yes").exits(0);
    assert_taken_back(&sandbox);
}

#[test]
fn killed_in_the_middle_a_rollback_takes_back_what_was_done() {
    let sandbox = a_box();
    killed_in_the_middle(&sandbox).was_killed();
    ask(&sandbox, "rollback --yes").exits(0);
    assert_taken_back(&sandbox);
}

#[test]
fn one_that_was_mended_goes_on_where_it_failed() {
    let sandbox = a_box();
    sandbox.write("formulas/up.toml", UP.replace("\"rollback\"", "\"hold\""));
    sandbox.write("bad", "");
    up(&sandbox).exits(20).stderr_has("mend `migrations/v0.3.0.toml` and give the same command again");
    // The step that failed may have left something: what was done is taken back, and all of it begins anew.
    sandbox.write("migrations/v0.3.0.toml", QUEUE.replace("test ! -e bad; ", ""));
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.0");
}

#[test]
fn one_that_waits_for_a_person_holds_the_run_with_the_command_to_type() {
    let sandbox = a_box();
    let gate = "[[steps]]\nid = \"sure\"\nuses = \"approve\"\nwith = { prompt = \"Sure?\" }\n\n[[steps]]\nid   = \"note\"";
    sandbox.write("migrations/v0.3.0.toml", QUEUE.replace("[[steps]]\nid   = \"note\"", gate));
    let ran = ask(&sandbox, "run up --version v0.3.0 --json");
    let verdict = ran.exits(20).verdict();
    assert_eq!(text(&sandbox, ".env"), "A=1\nLAST=v0.2.1\nQUEUE=mill\n", "held, and not taken back");
    let hint = verdict["hint"].as_str().expect("a hint");
    let command = hint.lines().find(|line| line.starts_with("formula --state-dir ")).expect("a command");
    assert!(command.contains(" approve ") && hint.ends_with("then give the same command again"), "{hint}");
    up(&sandbox).exits(20);
    formula(&sandbox).args(command.split(' ').skip(1)).run().exits(0);
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.0");
}

#[test]
fn one_that_cannot_be_run_is_refused_with_its_places_before_anything_runs() {
    let sandbox = a_box();
    sandbox.write("migrations/v0.3.0.toml", QUEUE.replace("\"write-file\"", "\"write-fil\""));
    let at = "migrations/v0.3.0.toml:24:8";
    ask(&sandbox, "check").exits(10).stderr_has("unknown kind `write-fil`").stderr_has(at);
    ask(&sandbox, "plan up --version v0.3.0").exits(11).stdout_has("unknown kind `write-fil`").stdout_has(at);
    up(&sandbox).exits(11).stderr_has("unknown kind `write-fil`").stderr_has("formula check migrations/v0.3.0.toml");
    assert_eq!(text(&sandbox, "ran"), "", "nothing ran");
}

#[test]
fn it_sees_the_secrets_of_the_step_and_prints_none() {
    let sandbox = a_box();
    let secret = "[secrets.QUEUE_TOKEN]\nfrom = [\"env:QUEUE_TOKEN\"]\n\n[[steps]]\nid    = \"name\"";
    let with =
        QUEUE.replace("[[steps]]\nid    = \"name\"", secret).replace("id   = \"word\"\n", "id   = \"word\"\nsecrets = [\"QUEUE_TOKEN\"]\n");
    let says = with.replace("test ! -e bad;", "test ${#QUEUE_TOKEN} -eq 13; echo \"it is $QUEUE_TOKEN\";");
    sandbox.write("migrations/v0.3.0.toml", says);
    let ran = formula(&sandbox).args(["run", "up", "--version", "v0.3.0", "-v"]).env("QUEUE_TOKEN", "s3cret-enough").run();
    ran.exits(0).never_says("s3cret-enough");
    assert_migrated(&sandbox, "v0.2.0");
    for (path, content) in sandbox.files() {
        assert!(!content.contains("s3cret-enough"), "the secret is in {path}");
    }
}

#[test]
fn a_later_run_goes_back_by_its_down_or_leaves_it() {
    let sandbox = a_box();
    remove(&sandbox, "migrations/v0.3.0.toml");
    sandbox.write("migrations/v0.3.0/pre.toml", QUEUE.replace("\"v0.3.0\"", "\"pre\""));
    let down = "name = \"down\"\ndescription = \"Forgets the queue\"\nversion = 1\n\n[[steps]]\nid = \"name\"\nuses = \"env-set\"\nwith = { unset = [\"QUEUE\"] }\n\n[[steps]]\nid = \"words\"\nuses = \"shell\"\nwith = { command = [\"rm\", \"-f\", \"words\"], idempotent = true }\n";
    sandbox.write("migrations/v0.3.0/down.toml", down);
    ask(&sandbox, "check").exits(0);
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.0");
    ask(&sandbox, "migrate status").stdout_has("down.toml");
    sandbox.write(
        "formulas/back.toml",
        UP.replace("name        = \"up\"", "name        = \"back\"").replace("phase = \"pre\"", "phase = \"down\""),
    );
    ask(&sandbox, "plan back --version v0.2.1")
        .exits(0)
        .stdout_has("take back migration v0.3.0 (pre, `migrations/v0.3.0/down.toml`)")
        .stdout_has("its step `words` (shell)");
    ask(&sandbox, "run back --version v0.2.1").exits(0);
    assert_eq!((text(&sandbox, ".env"), text(&sandbox, "words")), ("A=1\nLAST=v0.2.1\n".into(), String::new()));
    assert_eq!(states(&sandbox), ["v0.2.1 applied", "v0.3.0 pending"]);
}

#[test]
fn a_step_without_a_way_back_bars_the_way_back() {
    let sandbox = a_box();
    let one_way = QUEUE.replace("probe  = 'test -s words'\n", "").replace("undo   = 'rm -f words'\n", "");
    sandbox.write("migrations/v0.3.0.toml", one_way);
    ask(&sandbox, "plan up --version v0.3.0")
        .exits(0)
        .stdout_has("──── past this line there is no way back ────")
        .stdout_has("its step `word` (shell); ONE-WAY");
    sandbox.write("broken", "");
    let ran = ask(&sandbox, "run up --version v0.3.0 --json");
    assert_eq!(ran.exits(20).verdict()["one_way_crossed"], Value::Bool(true));
    remove(&sandbox, "broken");
    up(&sandbox).exits(0);
    assert_migrated(&sandbox, "v0.2.0");
    ask(&sandbox, "migrate status").stdout_has("one-way");
}
