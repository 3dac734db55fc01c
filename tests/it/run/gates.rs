//! Gates that wait for the world, and what people say about a step.

use serde_json::json;

use super::{run, write_formula};
use crate::support::{Sandbox, formula, me};

/// A gate that waits for a file, and a step after it.
fn until_there(more: &str) -> String {
    format!(
        r#"
[[steps]]
id = "settled"
uses = "wait"
with = {{ probe = ["test", "-e", "there"], every = "20ms"{more} }}

[[steps]]
id = "after"
uses = "write-file"
with = {{ path = "after", content = "{{{{ steps.settled.outputs.at }}}}" }}
"#
    )
}

#[test]
fn a_wait_with_a_probe_lasts_until_it_says_yes_and_takes_no_slot() {
    let sandbox = Sandbox::new();
    let other = "\n[[steps]]\nid = \"makes\"\nuses = \"shell\"\nneeds = []\nwith = { script = \"touch there\", idempotent = true }\n";
    write_formula(&sandbox, "waits", &format!("max_parallel = 1\n{}{other}", until_there("")));
    let ran = run(&sandbox, "waits").args(["--json"]).run();
    ran.exits(0);
    let decided = ran.json().into_iter().find(|line| line["event"]["type"] == "gate_decided").expect("it was decided");
    assert_eq!((&decided["event"]["by"], &decided["event"]["approved"]), (&json!("probe"), &json!(true)));
    assert_eq!(sandbox.read("after"), decided["at"].as_str().expect("a time"));
}

#[test]
fn a_wait_whose_probe_never_says_yes_ends_with_its_time_and_can_be_asked_again() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "waits", &until_there(r#", for = "100ms""#));
    let held = run(&sandbox, "waits").args(["--json"]).run();
    held.exits(11);
    assert_eq!((&held.verdict()["failed_step"], &held.verdict()["class"]), (&json!("settled"), &json!("refused")));
    assert!(held.verdict()["message"].as_str().is_some_and(|text| text.contains("it did not say yes in time")), "{}", held.verdict());
    sandbox.write("there", "");
    run(&sandbox, "waits").run().exits(0);
    assert!(sandbox.work().join("after").exists());
}

#[test]
fn a_probe_that_cannot_be_started_fails_its_gate_at_once() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "waits", &until_there("").replace("\"test\"", "\"no-such-program\""));
    run(&sandbox, "waits").run().exits(11).stderr_has("no-such-program");
}

#[test]
fn what_a_person_took_for_done_gives_the_outputs_that_they_name() {
    let sandbox = Sandbox::new();
    let body = r#"
[[steps]]
id = "ships"
uses = "shell"
timeout = "50ms"
with = { script = "sleep 600", outputs = ["digest"] }

[[steps]]
id = "tells"
uses = "write-file"
with = { path = "told", content = "{{ steps.ships.outputs.digest }}" }
"#;
    write_formula(&sandbox, "ships", body);
    let held = run(&sandbox, "ships").args(["--json"]).run();
    held.exits(20);
    let id = held.run_id();
    let settle = |words: &[&str]| {
        let all = [&["settle", &id, "ships", "--adopt", "--reason", "it is shipped"], words].concat();
        formula(&sandbox).args(all).run()
    };
    settle(&["--output", "digest"]).exits(2).stderr_has("there is no `=`");
    settle(&["--output", &format!("digest={}", "x".repeat(600))]).exits(2).stderr_has("at most 512");
    settle(&["--output", "digest=abc"]).exits(0);
    run(&sandbox, "ships").run().exits(0);
    assert_eq!(sandbox.read("told"), "abc");
}

#[test]
fn a_line_says_which_attempt_it_is_of_how_many_and_whom_a_gate_waits_for() {
    let sandbox = Sandbox::new();
    // Large enough that the plan is kept apart from the event that names it.
    let one = |n: u32| format!("\n[[steps]]\nid = \"s{n}\"\nuses = \"shell\"\nwith = {{ command = [\"true\"] }}\n");
    let rest: Vec<String> = (0..40).map(one).collect();
    let body = r#"
[[steps]]
id = "flaky"
uses = "shell"
retry = { attempts = 3, wait = "10ms..20ms" }
with = { script = "test -e tried || { touch tried; exit 75; }", idempotent = true }
"#;
    let asks = "\n[[steps]]\nid = \"asks\"\nuses = \"approve\"\nwith = { prompt = \"Go on?\" }\n";
    write_formula(&sandbox, "lines", &format!("{body}{}{asks}{rest}", until_there(""), rest = rest.concat()));
    sandbox.write("there", "");
    let held = run(&sandbox, "lines").run();
    held.exits(20).stderr_has("↻ flaky  attempt 2 of 3 in").stderr_has("answer it with `formula approve [RUN] asks`");
    assert!(!held.stderr.contains(" settled`"), "nobody can answer what waits for the world:\n{}", held.stderr);
}

/// A step, a gate with these params, and a step after it.
fn asking(more: &str) -> String {
    format!(
        r#"
[[steps]]
id = "first"
uses = "write-file"
with = {{ path = "first", content = "" }}

[[steps]]
id = "sure"
uses = "approve"
with = {{ prompt = "Sure?"{more} }}

[[steps]]
id = "go"
uses = "write-file"
with = {{ path = "gone", content = "" }}
"#
    )
}

#[test]
fn a_gate_that_has_expired_is_approved_by_nobody_and_offered_to_nobody() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "asks", &asking(r#", expires = "2s""#));
    run(&sandbox, "asks").run().exits(20);
    let shown = || formula(&sandbox).args(["show", "--json"]).run().json().remove(0);
    assert_eq!(shown()["verdict"]["failed_step"], json!(null));
    let begun = std::time::Instant::now();
    while shown()["steps"][1]["gate"]["expired"] != json!(true) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{}", shown());
    }
    let told = formula(&sandbox).args(["show"]).run();
    told.stdout_has("expired: nobody approved it until [TIME]");
    assert!(!told.stdout.contains("formula approve"), "{}", told.stdout);
    assert_eq!(shown()["verdict"]["message"], json!("nobody approved it in time"));
    formula(&sandbox).args(["approve"]).run().exits(2).stderr_has("gate `sure` has expired: nobody approved it in time");
    let log = formula(&sandbox).args(["log", "--json"]).run();
    let decided = &log.events("gate_decided")[0];
    assert_eq!((&decided["approved"], &decided["by"]), (&json!(false), &json!("timer")));
    formula(&sandbox).args(["approve"]).run().exits(2);
    run(&sandbox, "asks").run().exits(20).stderr_has("gate `sure` is asked again: nobody approved it in time");
    assert!(!sandbox.work().join("gone").exists());
}

#[test]
fn a_denial_is_told_when_the_gate_is_asked_again() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "asks", &asking(""));
    run(&sandbox, "asks").run().exits(20);
    for command in [&["run", "asks"] as &[&str], &["resume"]] {
        formula(&sandbox).args(["approve", "--deny", "--reason", "not today"]).run().exits(0);
        let again = formula(&sandbox).args(command.iter().copied()).run();
        again.exits(20).stderr_has(&format!("gate `sure` is asked again: denied by {}: not today", me()));
    }
    let answered = run(&sandbox, "asks").args(["--yes"]).run();
    answered.exits(0);
    assert!(!answered.stderr.contains("is asked again"), "{}", answered.stderr);
}
