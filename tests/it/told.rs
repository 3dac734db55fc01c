//! What is told of a run that was refused or turned round: the command to type again, the event in the log, the summary.

use serde_json::{Value, json};

use crate::support::{Sandbox, formula};

const LOOK: &str = r#"
name        = "look"
description = "Looks, and finds what must not be"
version     = 1

[vars.version]
type        = "version"
description = "Which"
required    = true

[vars.mirrors]
type        = "list"
description = "Where"
default     = []

[vars.gate]
type        = "bool"
description = "Ask"
default     = true

[vars.timeout]
type        = "duration"
description = "Called like an option"
default     = "1s"

[vars.token]
type        = "secret-name"
description = "Which secret"
default     = "TOKEN"

[secrets.TOKEN]
from     = ["env:TOKEN"]
required = false

[secrets.OTHER]
from     = ["env:OTHER"]
required = false

[[steps]]
id      = "look"
uses    = "shell"
with    = { command = ["false"], read_only = true }
secrets = ["{{ vars.token }}"]
"#;

#[test]
fn a_refused_run_tells_the_command_as_it_was_typed() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/look.toml", LOOK);
    let mut words = vec!["run", "look", "--version", "v0.3.0", "--mirrors", "a", "--mirrors", "b c", "--no-gate", "--set", "timeout=2s"];
    words.extend(["--token", "OTHER", "--key", "k", "--json"]);
    let ran = formula(&sandbox).args(words).env("OTHER", "s3cret-enough").run();
    let next = ran.exits(11).never_says("s3cret-enough").verdict()["next"][0].as_str().expect("a command").to_owned();
    let told = "formula run look --version v0.3.0 --mirrors a --mirrors 'b c' --no-gate --set ";
    assert!(next.starts_with(told) && next.ends_with(" --token OTHER --key k"), "{next}");
    // It is that command: it finds the run of before.
    let again: Vec<String> = shlex::split(&next).expect("words").into_iter().skip(1).collect();
    let started = |ran: &crate::support::Ran| ran.events("run_started")[0]["fingerprint"].clone();
    let other = formula(&sandbox).args(again).args(["--json"]).run();
    assert_eq!(started(other.exits(11)), started(&ran));
    formula(&sandbox).args(["show"]).run().stdout_has(told);
    formula(&sandbox).args(["run", "look", "--version", "v0.4.0"]).run().exits(11).stderr_has("next: formula run look --version v0.4.0\n");
}

const BACK: &str = r#"
name        = "back"
description = "Makes a file, and fails unless it is told not to"
version     = 1
on_failure  = "rollback"
max_parallel = 1

[[steps]]
id   = "make"
uses = "write-file"
with = { path = "made", content = "x" }

[[steps]]
id   = "fail"
uses = "shell"
with = { command = ["test", "-e", "well"], read_only = true }

[[finally]]
id   = "first"
uses = "shell"
with = { command = ["test", "!", "-e", "worse"], read_only = true }

[[finally]]
id    = "told"
uses  = "write-file"
needs = []
with  = { path = "told.json", content = "{{ json run.summary }}" }
"#;

fn summary(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&sandbox.read("told.json")).expect("a summary")
}

#[test]
fn a_run_that_turns_round_says_so_in_its_log_and_its_summary_says_why() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/back.toml", BACK);
    let ran = formula(&sandbox).args(["run", "back", "--json"]).run();
    ran.exits(22);
    let kinds: Vec<String> = ran.json().iter().filter_map(|line| Some(line["event"]["type"].as_str()?.to_owned())).collect();
    let turned = kinds.iter().position(|kind| kind == "rollback_requested").expect("an event of its own");
    assert_eq!((kinds[turned - 1].as_str(), kinds[turned + 1].as_str()), ("attempt_failed", "undo_started"), "{kinds:?}");
    assert_eq!(ran.events("rollback_requested")[0], json!({ "type": "rollback_requested", "by": "formula" }));
    formula(&sandbox).args(["log"]).run().stdout_has("rolling back as the formula says: on_failure = \"rollback\"");
    let told = summary(&sandbox);
    assert_eq!((&told["outcome"], &told["failed_step"], &told["class"]), (&json!("rolled_back"), &json!("fail"), &json!("permanent")));

    // That a step of `[[finally]]` fails makes no rollback of a run that went well, and keeps no other from its turn.
    sandbox.write("well", "");
    sandbox.write("worse", "");
    formula(&sandbox).args(["run", "back", "--json"]).run().exits(20);
    let told = summary(&sandbox);
    assert_eq!((&told["outcome"], &told["failed_step"], &told["changed"]), (&json!("done"), &Value::Null, &json!(true)));
}
