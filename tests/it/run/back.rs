//! A person's answers, and going back.

use serde_json::json;

use super::{run, write_formula};
use crate::support::{Ran, Sandbox, formula};

/// Which of the steps' files are there.
fn made(sandbox: &Sandbox) -> Vec<String> {
    sandbox.files().into_keys().filter(|name| !name.starts_with("formulas/")).collect()
}

fn writes(id: &str) -> String {
    format!("[[steps]]\nid = \"{id}\"\nuses = \"write-file\"\nwith = {{ path = \"{id}\", content = \"\" }}\n\n")
}

fn shell(id: &str, with: &str) -> String {
    format!("[[steps]]\nid = \"{id}\"\nuses = \"shell\"\nwith = {{ {with} }}\n\n")
}

fn settle(sandbox: &Sandbox, run: &str, words: &[&str]) -> Ran {
    formula(sandbox).args([&["settle", run], words].concat()).run()
}

#[test]
fn a_step_in_doubt_waits_for_one_of_the_answers_that_make_sense() {
    let sandbox = Sandbox::new();
    let body = [writes("first"), shell("doubtful", r#"script = "touch effect; sleep 600""#), writes("last")].concat();
    write_formula(&sandbox, "doubt", &body);
    let mut running = run(&sandbox, "doubt").args(["--json"]).start();
    // Killed together with its child, once the effect is there.
    assert!(running.wait_for_line(|line| line.contains("attempt_started") && line.contains("doubtful")));
    while !sandbox.work().join("effect").exists() {
        std::thread::yield_now();
    }
    running.kill();
    let id = running.finish().run_id();
    for orphan in sandbox.survivors() {
        rustix::process::kill_process(rustix::process::Pid::from_raw(orphan.cast_signed()).expect("a pid"), rustix::process::Signal::KILL)
            .ok();
    }

    let held = run(&sandbox, "doubt").run();
    held.exits(20).stderr_has("doubtful");
    for answer in ["--retry", "--adopt", "--skip"] {
        held.stderr_has(&format!("formula settle [RUN] doubtful {answer} --reason TEXT"));
    }
    settle(&sandbox, &id, &["doubtful"]).exits(2).stderr_has("which answer").stderr_has("--adopt").stderr_has("→ done (adopted)");
    settle(&sandbox, &id, &["doubtful", "--adopt"]).exits(2).stderr_has("--reason");
    settle(&sandbox, &id, &["doubtfull", "--adopt", "--reason", "x"]).exits(2).stderr_has("did you mean `doubtful`?");
    settle(&sandbox, &id, &["first", "--retry", "--reason", "x"]).exits(2).stderr_has("there is nothing to answer");
    settle(&sandbox, &id, &["doubtful", "--adopt", "--skip", "--reason", "x"]).exits(2);
    run(&sandbox, "doubt").run().exits(20);

    settle(&sandbox, &id, &["doubtful", "--adopt", "--reason", "the effect is there"]).exits(0);
    settle(&sandbox, &id, &["doubtful", "--adopt", "--reason", "again"]).exits(2);
    let ran = run(&sandbox, "doubt").args(["--json"]).run();
    ran.exits(0);
    assert_eq!((ran.run_id(), ran.steps("attempt_started")), (id, vec!["last".to_owned()]));
}

#[test]
fn a_failed_step_is_tried_again_or_left_out_but_never_taken_for_done() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "fails", &[shell("no", r#"script = "exit 4", idempotent = true"#), writes("last")].concat());
    let held = run(&sandbox, "fails").args(["--json"]).run();
    held.exits(20);
    assert_eq!((&held.verdict()["retry_safe"], &held.verdict()["class"]), (&json!(true), &json!("permanent")));
    let id = held.run_id();
    settle(&sandbox, &id, &["no", "--adopt", "--reason", "x"]).exits(2).stderr_has("is no answer to that").stderr_has("--retry");
    settle(&sandbox, &id, &["no", "--retry", "--reason", "mended"]).exits(0);
    let again = run(&sandbox, "fails").args(["--json"]).run();
    again.exits(20);
    assert_eq!(again.steps("attempt_started"), ["no"]);
    settle(&sandbox, &id[..12], &["no", "--skip", "--reason", "not needed"]).exits(0);
    run(&sandbox, "fails").run().exits(0);
    assert_eq!(made(&sandbox), ["last"]);
}

#[test]
fn a_rollback_goes_back_to_a_step_or_all_the_way_and_asks_first() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "three", &["a", "b", "c"].map(writes).concat());
    run(&sandbox, "three").run().exits(0);
    let back = |words: &[&str]| formula(&sandbox).args([&["rollback"], words].concat()).run();
    back(&[]).exits(2).stderr_has("must be confirmed").stderr_has("it would take back: c, b, a").stderr_has("--yes");
    back(&["--to", "nothing", "--yes"]).exits(2).stderr_has("no step `nothing`");
    assert_eq!(made(&sandbox), ["a", "b", "c"]);
    back(&["--to", "a", "--yes"]).exits(0).stderr_has("✓ taken back, down to the step that stays");
    assert_eq!(made(&sandbox), ["a"]);
    let asked = back(&["--json"]);
    let next = asked.exits(2).verdict()["next"][0].as_str().unwrap_or_default().to_owned();
    assert!(next.starts_with("formula rollback ") && next.ends_with(" --yes"), "{next}");
    assert_eq!(made(&sandbox), ["a"], "data is no word of a person");
    let undone = back(&["--yes", "--json"]);
    let verdict = undone.exits(0).verdict();
    assert_eq!((&verdict["outcome"], &verdict["exit"]), (&json!("rolled_back"), &json!(0)));
    assert_eq!(made(&sandbox), [""; 0]);
    back(&["--yes"]).exits(2).stderr_has("is rolled back already");
    // Rolled back means failed: the same command begins anew.
    run(&sandbox, "three").run().exits(0);
    assert_eq!(made(&sandbox), ["a", "b", "c"]);
}

#[test]
fn what_was_changed_since_is_not_taken_back() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "three", &["a", "b", "c"].map(writes).concat());
    sandbox.write("a", "");
    run(&sandbox, "three").run().exits(0).stderr_has("= a  already so");
    sandbox.write("b", "by hand");
    let back = || formula(&sandbox).args(["rollback", "--yes"]).run();
    back().exits(23).stderr_has("`b` was changed after this step wrote it");
    assert_eq!((made(&sandbox), sandbox.read("b")), (vec!["a".to_owned(), "b".to_owned()], "by hand".to_owned()));
    sandbox.write("b", "");
    back().exits(0);
    assert_eq!(made(&sandbox), ["a"], "it was there before");
}

#[test]
fn a_formula_may_ask_for_its_own_rollback() {
    let sandbox = Sandbox::new();
    let body = ["on_failure = \"rollback\"\n", &writes("a"), &shell("no", r#"script = "echo why; exit 1", read_only = true"#)].concat();
    write_formula(&sandbox, "returns", &body);
    for _ in 0..2 {
        let ran = run(&sandbox, "returns").args(["--json"]).run();
        ran.exits(22);
        let verdict = ran.verdict();
        assert_eq!((&verdict["outcome"], &verdict["failed_step"]), (&json!("rolled_back"), &json!("no")));
        assert!(verdict["message"].as_str().is_some_and(|message| message.contains("why")), "{verdict}");
        assert_eq!((ran.steps("undo_succeeded"), made(&sandbox)), (vec!["a".to_owned()], Vec::new()), "and the same command begins anew");
    }
}

#[test]
fn an_undo_that_fails_holds_back_what_it_rests_on_and_can_be_continued() {
    let sandbox = Sandbox::new();
    let stubborn = r#"script = "touch b", probe = ["test", "-e", "b"], undo = "test -e may-go || { echo not yet; exit 1; }; rm -f b""#;
    let other = "[[steps]]\nid = \"other\"\nuses = \"write-file\"\nneeds = [\"a\"]\nwith = { path = \"other\", content = \"\" }\n\n";
    let no = "[[steps]]\nid = \"no\"\nuses = \"shell\"\nneeds = [\"c\", \"other\"]\nwith = { script = \"exit 1\", read_only = true }\n";
    let body = ["on_failure = \"rollback\"\n", &writes("a"), &shell("b", stubborn), &writes("c"), other, no].concat();
    write_formula(&sandbox, "returns", &body);
    let ran = run(&sandbox, "returns").args(["--json"]).run();
    ran.exits(23);
    assert_eq!(ran.steps("undo_failed"), ["b"]);
    let mut undone = ran.steps("undo_succeeded");
    undone.sort();
    assert_eq!((undone, made(&sandbox)), (vec!["c".to_owned(), "other".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
    let verdict = ran.verdict();
    assert_eq!(verdict["outcome"], "rollback_incomplete");
    assert!(verdict["next"][0].as_str().is_some_and(|next| next.starts_with("formula rollback ")), "{verdict}");

    formula(&sandbox).args(["rollback", "--yes"]).run().exits(23).stderr_has("not yet");
    sandbox.write("may-go", "");
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    assert_eq!(made(&sandbox), ["may-go"]);
}

#[test]
fn what_cannot_be_taken_back_is_not_passed() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "one-way", &[writes("a"), shell("sent", r#"script = "touch sent""#), writes("c")].concat());
    formula(&sandbox).args(["plan", "one-way"]).run().exits(0).stdout_has("past this line there is no way back");
    run(&sandbox, "one-way").run().exits(0);
    let ran = formula(&sandbox).args(["rollback", "--yes"]).run();
    ran.stderr_has("sent");
    assert_ne!(ran.code, Some(0));
    assert_eq!(made(&sandbox), ["a", "c", "sent"], "nothing was begun that could not be ended");
    formula(&sandbox).args(["rollback", "--to", "sent", "--yes"]).run().exits(0);
    assert_eq!(made(&sandbox), ["a", "sent"]);
}
