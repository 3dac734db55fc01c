//! What the same command does with a run that is there, and what programs are told of one that is not.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, formula};

/// Sends a mail, which nobody takes back, and does not end before it may.
const MAIL: &str = r#"
name = "mail"

[[steps]]
id = "send"
uses = "shell"
with = { script = "echo sent >>mails" }

[[steps]]
id = "slow"
uses = "shell"
with = { script = "test -e go || { echo ready; exec sleep 600; }", idempotent = true }
"#;

/// Files on both sides of what cannot be taken back.
const SIDES: &str = r#"
name = "sides"

[[steps]]
id = "mail"
uses = "shell"
with = { script = "echo sent >>mails" }

[[steps]]
id = "b"
uses = "write-file"
with = { path = "b", content = "b" }

[[steps]]
id = "c"
uses = "write-file"
with = { path = "c", content = "c" }
"#;

/// Asks before it writes.
const GATE: &str = r#"
name = "gate"

[[steps]]
id = "before"
uses = "write-file"
with = { path = "before", content = "" }

[[steps]]
id = "ship"
uses = "approve"
with = { prompt = "Ship it?" }

[[steps]]
id = "after"
uses = "write-file"
with = { path = "after", content = "" }
"#;

fn words(sandbox: &Sandbox, words: &[&str]) -> Ran {
    formula(sandbox).args(words.iter().copied()).run()
}

/// The first command that a verdict names, without the program's name.
fn next(verdict: &Value) -> Vec<String> {
    let next = verdict["next"][0].as_str().unwrap_or_else(|| panic!("it names no command: {verdict}"));
    shlex::split(next).expect("words").into_iter().skip(1).collect()
}

#[test]
fn a_time_limit_stops_a_run_that_the_same_command_carries_on() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/mail.toml", MAIL);
    let stopped = words(&sandbox, &["run", "mail", "--timeout", "300ms", "--json"]);
    let verdict = stopped.exits(21).verdict();
    assert_eq!((&verdict["retry_safe"], &verdict["one_way_crossed"]), (&json!(true), &json!(true)));
    sandbox.write("go", "");
    let again = words(&sandbox, &["run", "mail", "--json"]);
    again.exits(0);
    assert_eq!((again.run_id(), sandbox.read("mails")), (stopped.run_id(), "sent\n".to_owned()));
}

#[test]
fn what_a_person_cancels_starts_anew_unless_something_would_happen_twice() {
    let sandbox = Sandbox::new();
    let harmless = MAIL.replace("name = \"mail\"", "name = \"harmless\"").replace(">>mails\" }", ">>mails\", undo = \"rm mails\" }");
    sandbox.write("formulas/harmless.toml", harmless);
    sandbox.write("formulas/mail.toml", MAIL);
    for (name, anew, mails) in [("harmless", true, 2), ("mail", false, 1)] {
        let mut running = formula(&sandbox).args(["run", name, "--json"]).start();
        assert!(running.wait_for_line(|line| line.contains("attempt_started") && line.contains("slow")), "{:?}", running.finish());
        words(&sandbox, &["cancel", "--now"]).exits(0);
        let stopped = running.finish();
        assert_eq!(stopped.exits(21).verdict()["retry_safe"], true);
        sandbox.write("go", "");
        let again = words(&sandbox, &["run", name, "--json"]);
        again.exits(0);
        assert_eq!((again.run_id() != stopped.run_id(), sandbox.read("mails").lines().count()), (anew, mails), "{name}");
        for file in ["go", "mails"] {
            fs::remove_file(sandbox.work().join(file)).expect("it is there");
        }
    }
}

#[test]
fn what_was_taken_back_down_to_a_step_is_done_again_without_that_step() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/sides.toml", SIDES);
    let first = words(&sandbox, &["run", "sides", "--json"]);
    first.exits(0);
    let back = words(&sandbox, &["rollback", "--to", "mail", "--yes", "--json"]);
    assert_eq!(back.exits(0).verdict()["exit"], 0);
    assert!(!sandbox.work().join("b").exists());
    let again = words(&sandbox, &["run", "sides", "--json"]);
    again.exits(0);
    assert_eq!((again.run_id(), sandbox.read("mails"), sandbox.read("c")), (first.run_id(), "sent\n".to_owned(), "c".to_owned()));

    // What could not be taken back: the command that is named goes on with the same rollback.
    sandbox.write("b", "by hand");
    let stuck = words(&sandbox, &["rollback", "--to", "mail", "--yes", "--json"]);
    let verdict = stuck.exits(23).verdict();
    assert!(verdict["next"][0].as_str().is_some_and(|next| next.ends_with("--to mail --yes")), "{verdict}");
    sandbox.write("b", "b");
    formula(&sandbox).args(next(&verdict)).run().exits(0);
    assert!(!sandbox.work().join("b").exists());
}

#[test]
fn a_run_that_nobody_wants_any_more_can_be_given_up() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/sides.toml", SIDES.replace("content = \"c\"", "content = \"c\", if_exists = \"refuse\""));
    sandbox.write("formulas/fails.toml", MAIL.replace("\"mail\"", "\"fails\"").replace("exec sleep 600", "exit 1"));
    let held = words(&sandbox, &["run", "fails", "--json"]);
    held.exits(20);
    words(&sandbox, &["cancel"]).exits(2).stderr_has("formula cancel [RUN] --for-good");
    words(&sandbox, &["cancel", "--for-good"]).exits(0).stderr_has("would be done again: `send`");
    words(&sandbox, &["cancel", "--for-good"]).exits(2).stderr_has("given up already");
    let told = words(&sandbox, &["show", "--json"]);
    assert_eq!((&told.json()[0]["verdict"]["outcome"], &told.json()[0]["verdict"]["retry_safe"]), (&json!("stopped"), &json!(false)));
    let anew = words(&sandbox, &["run", "fails", "--json"]);
    anew.exits(20);
    assert_ne!(anew.run_id(), held.run_id());
    // Whoever comes to think better of it takes it up all the same.
    sandbox.write("go", "");
    words(&sandbox, &["resume", &held.run_id()]).exits(0);
    words(&sandbox, &["cancel", &held.run_id(), "--for-good"]).exits(2).stderr_has("there is nothing to give up: the run is done");
    assert_eq!(sandbox.read("mails"), "sent\nsent\n");
}

#[test]
fn a_command_that_fails_before_a_run_ends_with_a_verdict_too() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/bad.toml", "name = \"bad\"\nnonsense = 1\n");
    for (line, exit) in [
        (&["run", "nosuch", "--json"][..], 10),
        (&["run", "bad", "--json"], 10),
        (&["run", "hello", "--nonsense", "--json"], 2),
        (&["check", "nosuch", "--json"], 10),
        (&["resume", "--json"], 2),
        (&["resume", "--json", "--nonsense"], 2),
        (&["run", "hello", "--plan", "none", "--json"], 11),
    ] {
        let ran = words(&sandbox, line);
        let verdict = ran.exits(exit).verdict();
        assert_eq!((&verdict["exit"], &verdict["outcome"]), (&json!(exit), &json!("refused")), "{line:?}");
        assert_eq!((ran.json().len(), &ran.json()[0]["run"]), (1, &Value::Null), "{line:?}");
        assert!(!ran.stderr.is_empty(), "what a person reads stays as it was: {line:?}");
    }
    assert_eq!(words(&sandbox, &["run", "nosuch", "--json"]).verdict()["next"], json!(["formula list"]));
}

#[test]
fn gates_that_are_answered_on_the_spot_make_no_verdict_of_their_own() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/gate.toml", GATE);
    let ran = words(&sandbox, &["run", "gate", "--yes", "--json"]);
    let verdicts = ran.exits(0).json().into_iter().filter(|line| line["verdict"].is_object()).count();
    assert_eq!((verdicts, &ran.verdict()["outcome"]), (1, &json!("done")));
    let ran = words(&sandbox, &["run", "gate", "--fresh", "--yes"]);
    assert!(!ran.exits(0).stderr.contains("held: needs a person"), "{}", ran.stderr);
}

#[test]
fn a_log_is_the_stream_that_there_was() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/gate.toml", GATE);
    let held = words(&sandbox, &["run", "gate", "--json"]);
    held.exits(20);
    for more in [&[][..], &["--follow"]] {
        let told = words(&sandbox, &[&["log", "--json"], more].concat());
        assert_eq!(told.exits(0).stdout, held.stdout);
    }
    let part = words(&sandbox, &["log", "--json", "--since", "3"]);
    assert!(held.stdout.ends_with(&part.stdout) && part.json().len() < held.json().len());
}

#[test]
fn a_formula_that_was_edited_meanwhile_is_told_with_the_command_that_takes_it() {
    let sandbox = Sandbox::new();
    let write = r#"
name = "p"

[[steps]]
id = "z"
uses = "write-file"
with = { path = "z", content = "" }

[[steps]]
id = "a"
uses = "shell"
with = { script = "exit 1", read_only = true }
"#;
    sandbox.write("formulas/p.toml", write);
    let held = words(&sandbox, &["run", "p", "--json"]);
    held.exits(20);
    words(&sandbox, &["plan", "p", "-o", "old.json"]).exits(0);
    sandbox.write("formulas/p.toml", write.replace("exit 1", "exit 0"));
    words(&sandbox, &["plan", "p", "-o", "new.json"]).exits(0);
    let with = format!("formula resume {} --with formulas/p.toml", held.run_id());
    for line in [&["run", "p", "--json"][..], &["resume", "--json"]] {
        let again = words(&sandbox, line);
        again.exits(20).stderr_has("the formula was edited since");
        let verdict = again.verdict();
        assert!(verdict["next"].as_array().is_some_and(|next| next.contains(&json!(with))), "{verdict}");
    }
    // Neither plan is what that run carries out now.
    words(&sandbox, &["run", "p", "--plan", "none.json"]).exits(11).stderr_has("No such file");
    words(&sandbox, &["run", "p", "--plan", "old.json"]).exits(11).stderr_has("the formula was edited since");
    words(&sandbox, &["run", "p", "--plan", "new.json"]).exits(11).stderr_has("was started before the formula was edited");
    formula(&sandbox).args(shlex::split(&with).expect("words").into_iter().skip(1)).run().exits(0);
}

#[test]
fn what_is_named_works_where_the_first_command_did() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/gate.toml", GATE);
    fs::create_dir(sandbox.work().join("else where")).expect("a folder");
    let held = formula(&sandbox).folder("else where").args(["-C", "..", "--state-dir", "my state", "run", "gate", "--json"]).run();
    let verdict = held.exits(20).verdict();
    formula(&sandbox).folder("else where").args(next(&verdict)).run().exits(0);
    formula(&sandbox).folder("else where").args(["run", "gate", "-C", "..", "--state-dir", "my state"]).run().exits(0);
    let none = formula(&sandbox).folder("else where").args(["-C", "..", "resume", "--json"]).run();
    none.exits(2).stderr_has("`formula -C .. list`");
}

#[test]
fn a_full_disk_is_a_failure_for_data_and_none_for_a_run() {
    let sandbox = Sandbox::new();
    for (line, exit) in [("schema", 1), ("log --json", 1), ("run hello --fresh --json", 0), ("steps", 1)] {
        let shell = format!("{} {line} >/dev/full", env!("CARGO_BIN_EXE_formula"));
        let before = words(&sandbox, &["run", "hello"]);
        before.exits(0);
        let ran = crate::support::Program::new(&sandbox, "sh").args(["-c", &shell]).run();
        ran.exits(exit);
        assert_eq!(ran.stderr.contains("could be written to stdout"), exit == 1, "{}", ran.stderr);
    }
    // Nobody who reads no more has lost anything.
    let shell = format!("{} schema | true; {} schema | head -c 1", env!("CARGO_BIN_EXE_formula"), env!("CARGO_BIN_EXE_formula"));
    crate::support::Program::new(&sandbox, "sh").args(["-c", &shell]).run().exits(0).stderr_is("");
}

#[test]
fn whoever_meets_a_lock_can_wait_for_it_and_is_told_whose_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/gate.toml", GATE);
    sandbox.write("formulas/mail.toml", MAIL);
    let held = words(&sandbox, &["run", "gate", "--json"]).run_id();
    let mut running = formula(&sandbox).args(["run", "mail", "--json"]).start();
    assert!(running.wait_for_line(|line| line.contains("attempt_started") && line.contains("slow")), "{:?}", running.finish());
    let show = |run: &str| format!("`formula show {run}` tells how it stands");
    for line in [&["resume", &held][..], &["rollback", &held, "--yes"]] {
        let refused = words(&sandbox, line);
        refused.exits(12).stderr_has("--wait-lock 10m");
        assert!(!refused.stderr.contains(&show(&held)) && refused.stderr.contains("` tells how it stands"), "{}", refused.stderr);
    }
    let settled = words(&sandbox, &["approve", &held]);
    assert!(!settled.exits(12).stderr.contains("--wait-lock"), "{}", settled.stderr);
    words(&sandbox, &["rollback", &held, "--yes", "--wait-lock", "100ms"]).exits(12);
    let waits = formula(&sandbox).args(["resume", &held, "--yes", "--wait-lock", "2m"]).start();
    running.signal(rustix::process::Signal::INT);
    running.finish().exits(130);
    waits.finish().exits(0);
}

#[test]
fn a_plan_tells_whether_an_undo_is_possible_now() {
    let sandbox = Sandbox::new();
    let step = |id: &str, undo: &str| {
        format!(
            "[[steps]]\nid = \"{id}\"\nuses = \"shell\"\nwith = {{ command = [\"touch\", \"{id}\"], probe = [\"test\", \"-e\", \"{id}\"]{undo} }}\n\n"
        )
    };
    let undo = |program: &str| format!(", undo = [\"{program}\", \"-f\", \"x\"]");
    let steps = [step("good", &undo("rm")), step("bad", &undo("./takes-back")), step("never", "")].concat();
    sandbox.write("formulas/undo.toml", format!("name = \"undo\"\n\n{steps}"));
    let text = words(&sandbox, &["plan", "undo"]);
    text.exits(0).stdout_has("undo: takes it away, but not as things are now: there is no program `./takes-back`");
    assert_eq!(text.stdout.matches("as things are now").count(), 1, "{}", text.stdout);
    let preview = |ran: &Ran| ran.json()[0]["preview"]["steps"].clone();
    let possible =
        |steps: &Value| -> Vec<bool> { steps.as_array().expect("steps").iter().map(|step| step["undo_possible"] == true).collect() };
    let steps = preview(words(&sandbox, &["plan", "undo", "--json"]).exits(0));
    assert_eq!((possible(&steps), &steps[0]["undo_obstacle"]), (vec![true, false, false], &Value::Null));

    // It is a fact like any other: a plan that counted on it is stale.
    let program = sandbox.work().join("takes-back");
    fs::write(&program, "#!/bin/sh\n").expect("a program");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let steps = preview(words(&sandbox, &["plan", "undo", "-o", "saved.json", "--json"]).exits(0));
    assert_eq!(possible(&steps), [true, true, false]);
    fs::remove_file(&program).expect("it is there");
    let stale = words(&sandbox, &["run", "undo", "--plan", "saved.json"]);
    stale.exits(11).stderr_has("step `bad` could not be taken back any more: there is no program `./takes-back`");
}
