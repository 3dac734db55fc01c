//! Runs of small formulas with real processes: order, retries, limits, output, plans, history.

mod back;
mod gates;
mod questions;
mod secrets;
mod stop;
mod vars;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Image, Program, Ran, Sandbox, docker, engine_answers, formula};

/// `formula run NAME`.
fn run<'a>(sandbox: &'a Sandbox, name: &str) -> Program<'a> {
    formula(sandbox).args(["run", name])
}

/// A formula of that name whose body is this.
fn write_formula(sandbox: &Sandbox, name: &str, body: &str) {
    sandbox.write(&format!("formulas/{name}.toml"), format!("name = \"{name}\"\n{body}"));
}

/// A pipe that a step can wait at until the test lets it go on, or the other way round.
fn pipe(sandbox: &Sandbox, name: &str) {
    Program::new(sandbox, "mkfifo").args([name]).run().exits(0);
}

/// Ids of the runs that have logs.
fn logged_runs(state: &Path) -> Vec<String> {
    let entries = fs::read_dir(state.join("runs")).expect("a folder of logs").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn hello_says_what_it_does_step_by_step() {
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, "hello").args(["--name", "Ada"]).run();
    let steps = [("compose", ""), ("say", "  Hello, Ada!"), ("done", "  That was run [RUN]. Look at it again with: formula show")]
        .map(|(step, last)| format!("[TIME] ▸ {step}\n[TIME] ✓ {step}  [DURATION]{last}\n"));
    let steps = steps.concat();
    ran.exits(0).stdout_is("").stderr_is(&format!("[TIME] run hello [RUN]\n{steps}✓ done: nothing was changed run [RUN]\n"));
    let told = run(&sandbox, "hello").args(["--name", "Ada", "--fresh", "-v"]).run();
    told.exits(0).stdout_is("").stderr_has("say | Hello, Ada!");
    run(&sandbox, "hello").args(["--name", "Ada", "--fresh", "--quiet"]).run().exits(0).stdout_is("").stderr_is("");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(sandbox.work().join(".formula")).expect("a state directory").permissions());
    assert_eq!((mode & 0o777, sandbox.read(".formula/.gitignore")), (0o700, "*\n".to_owned()));
}

/// Each of the two waits for the other.
const MEET: &str = r#"
[[steps]]
id = "here"
uses = "shell"
needs = []
timeout = "LIMIT"
with = { script = "echo met >pipe", idempotent = true }

[[steps]]
id = "there"
uses = "shell"
needs = []
timeout = "LIMIT"
with = { script = "cat pipe", idempotent = true }
"#;

#[test]
fn branches_run_at_the_same_time_unless_there_is_one_slot() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "pipe");
    write_formula(&sandbox, "meet", &MEET.replace("LIMIT", "1m"));
    run(&sandbox, "meet").run().exits(0);

    write_formula(&sandbox, "alone", &format!("max_parallel = 1\n{}", MEET.replace("LIMIT", "500ms")));
    let held = run(&sandbox, "alone").args(["--json"]).run();
    held.exits(20);
    let verdict = held.verdict();
    assert_eq!((&verdict["failed_step"], &verdict["class"]), (&json!("here"), &json!("timeout")));
    assert_eq!(verdict["message"], "took longer than its limit of 500 ms");
    assert_eq!(held.steps("attempt_succeeded"), [""; 0]);
    assert_eq!(sandbox.survivors(), [0; 0]);
}

#[test]
fn what_may_go_away_is_tried_again_with_longer_waits() {
    let sandbox = Sandbox::new();
    let step = r#"
[[steps]]
id = "flaky"
uses = "shell"
retry = { attempts = 3, wait = "100ms..10s" }
with = { script = "echo x >>tries; [ $(wc -l <tries) -gt TIMES ] || exit 75", idempotent = true }
"#;
    write_formula(&sandbox, "flaky", &step.replace("TIMES", "2"));
    let ran = run(&sandbox, "flaky").args(["--json"]).run();
    ran.exits(0);
    assert_eq!(ran.steps("attempt_started"), ["flaky"; 3]);
    assert!(ran.events("attempt_failed").iter().all(|event| event["class"] == "transient"));
    assert_eq!(sandbox.read("tries"), "x\n".repeat(3));
    let lines = ran.json();
    let millis = |at: &Value| -> i64 {
        let at: formula::model::Timestamp = at.as_str().expect("a time").parse().expect("a time");
        at.0
    };
    let waits: Vec<i64> = lines
        .iter()
        .filter(|line| line["event"]["type"] == "retry_scheduled")
        .map(|line| millis(&line["event"]["at"]) - millis(&line["at"]))
        .collect();
    assert_eq!(waits.len(), 2);
    assert!((50..=200).contains(&waits[0]) && waits[1] > waits[0] / 2 && waits[1] <= 400, "{waits:?}");

    fs::remove_file(sandbox.work().join("tries")).expect("it was tried");
    write_formula(&sandbox, "flaky", &step.replace("TIMES", "3"));
    let held = run(&sandbox, "flaky").args(["--fresh", "--json"]).run();
    held.exits(20);
    assert_eq!((&held.verdict()["class"], sandbox.read("tries")), (&json!("transient"), "x\n".repeat(3)));
    // A person's next command is one more try.
    run(&sandbox, "flaky").run().exits(0);
}

/// Thirty branches behind one step.
const WIDE: &str = r#"
max_parallel = 8

[vars.names]
type = "list"
default = []

[[steps]]
id = "root"
uses = "write-file"
with = { path = "root", content = "" }

[[steps]]
id = "leaf"
uses = "write-file"
foreach = "{{ vars.names }}"
with = { path = "leaves/{{ item }}", content = "{{ item }}" }
"#;

fn names() -> Vec<String> {
    (0..30).flat_map(|number| ["--names".to_owned(), format!("n{number}")]).collect()
}

#[test]
fn json_lines_are_ordered_and_the_verdict_comes_last() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "wide", WIDE);
    let ran = run(&sandbox, "wide").args(names()).arg("--json").run();
    ran.exits(0).stderr_is("");
    let mut lines = ran.json();
    let verdict = lines.pop().expect("a verdict");
    assert_eq!((&verdict["v"], &verdict["verdict"]["outcome"], &verdict["verdict"]["exit"]), (&json!(1), &json!("done"), &json!(0)));
    for (index, line) in lines.iter().enumerate() {
        assert_eq!((&line["v"], &line["seq"], &line["run"]), (&json!(1), &json!(index + 1), &verdict["run"]));
        assert!(index == 0 || line["at"].as_str() >= lines[index - 1]["at"].as_str(), "{line}");
    }
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["event"]["type"].as_str()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("run_started", "run_finished"));
    assert_eq!(ran.steps("attempt_succeeded").len(), 31);
}

#[test]
fn a_closed_stream_stops_nobody() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "wide", WIDE);
    let program = env!("CARGO_BIN_EXE_formula");
    let flags = names().join(" ");
    for (number, ends) in ["--json | head -1", "--json >&-", "2>&-", ">/dev/full", "--json >/dev/full"].iter().enumerate() {
        let script = format!("{program} run wide {flags} --fresh {ends}; echo ${{PIPESTATUS[0]}}");
        let ran = Program::new(&sandbox, "bash").args(["-c", &script]).run();
        ran.exits(0).never_says("panic");
        assert!(ran.stdout.ends_with("0\n"), "{ends}: {ran:?}");
        assert_eq!(sandbox.files().keys().filter(|name| name.starts_with("leaves/")).count(), 30, "{ends}");
        assert_eq!(logged_runs(&sandbox.work().join(".formula")).len(), number + 1);
        fs::remove_dir_all(sandbox.work().join("leaves")).expect("they were made");
    }
}

#[test]
fn the_last_steps_run_however_it_ended() {
    let sandbox = Sandbox::new();
    let body = r#"
on_failure = "rollback"

[[steps]]
id = "made"
uses = "write-file"
with = { path = "made", content = "" }

[[steps]]
id = "may-fail"
uses = "shell"
with = { script = "exit $CODE", read_only = true }
env = { CODE = "{{ vars.code }}" }

[[finally]]
id = "last"
uses = "write-file"
with = { path = "summary-{{ vars.code }}", content = "{{ run.summary }}" }

[vars.code]
required = true
"#;
    write_formula(&sandbox, "ends", body);
    run(&sandbox, "ends").args(["--code", "0"]).run().exits(0);
    let summary: Value = serde_json::from_str(&sandbox.read("summary-0")).expect("JSON");
    assert_eq!((&summary["outcome"], &summary["steps"]["made"]["state"]), (&json!("done"), &json!("done")));
    assert_eq!(summary["vars"], json!({ "code": "0" }));
    fs::remove_file(sandbox.work().join("made")).expect("it was made");

    run(&sandbox, "ends").args(["--code", "3"]).run().exits(22);
    let summary: Value = serde_json::from_str(&sandbox.read("summary-3")).expect("JSON");
    assert_eq!((&summary["outcome"], &summary["steps"]["may-fail"]["state"]), (&json!("rolled_back"), &json!("failed")));
    assert!(!sandbox.work().join("made").exists());
}

const WRITES: &str = r#"
[[steps]]
id = "one"
uses = "write-file"
with = { path = "one", content = "new\n" }
"#;

#[test]
fn a_saved_plan_is_applied_or_refused_with_what_moved() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "writes", WRITES);
    sandbox.write("one", "old\n");
    let plan = || formula(&sandbox).args(["plan", "writes", "-o", "saved.json"]).run();
    plan().exits(0).stdout_has("-old").stdout_has("+new");
    assert_eq!(sandbox.read("one"), "old\n");

    let apply = || run(&sandbox, "writes").args(["--plan", "saved.json"]).run();
    sandbox.write("one", "other\n");
    apply().exits(11).stderr_has("with other content").stderr_has("hint: -other").stderr_has("`formula plan writes -o saved.json`");
    std::fs::remove_file(sandbox.work().join("one")).expect("it is there");
    apply().exits(11).stderr_has("it was `change `one`").stderr_has("and is `create `one`");
    sandbox.write("one", "other\n");
    write_formula(&sandbox, "writes", &WRITES.replace("new", "newer"));
    apply().exits(11).stderr_has("the formula was edited since");
    sandbox.write("saved.json", "{}");
    apply().exits(11).stderr_has("it is no plan");
    assert_eq!(sandbox.read("one"), "other\n");
    plan().exits(0);
    apply().exits(0);
    assert_eq!(sandbox.read("one"), "newer\n");
}

#[test]
fn old_runs_are_pruned_and_open_ones_stay() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "fails", "[[steps]]\nid = \"no\"\nuses = \"shell\"\nwith = { script = \"exit 1\", idempotent = true }\n");
    let held = run(&sandbox, "fails").args(["--json"]).run();
    held.exits(20);
    let done: Vec<String> = (0..3).map(|_| run(&sandbox, "hello").args(["--fresh", "--json"]).run().run_id()).collect();
    let prune = |more: &[&str]| -> Ran { formula(&sandbox).args([&["prune"], more].concat()).run() };
    prune(&[]).exits(0).stdout_is("");
    let old = ["--older-than", "0s", "--keep", "1"];
    let said = "[RUN] hello [TIME]\n".repeat(2);
    // What two of them kept for a way back: where there is no engine there is nothing to keep either.
    let kept = engine_answers("old_runs_are_pruned_and_open_ones_stay").then(|| {
        let name = |run: &str| format!("formula/keep:{}.{run}.1", sandbox.name());
        let (old, new) = (name(&done[0]), name(&done[2]));
        (Image::build(&sandbox, &old, "old"), Image::build(&sandbox, &new, "new"))
    });
    prune(&[&old[..], &["--dry-run"]].concat()).exits(0).stdout_is(&said);
    prune(&old).exits(0).stdout_is(&said);
    if let Some((old, new)) = &kept {
        let is_there = |image: &Image| !docker(&["image", "ls", "--quiet", &image.reference]).is_empty();
        assert_eq!((is_there(old), is_there(new)), (false, true));
    }
    let mut left = vec![held.run_id(), done[2].clone()];
    left.sort();
    assert_eq!(logged_runs(&sandbox.work().join(".formula")), left);
    formula(&sandbox).args(["resume", &done[0]]).run().exits(2).stderr_has("there is no run");
    formula(&sandbox).args(["resume", &held.run_id()]).run().exits(20);
    // One that nobody wants any more goes too, once somebody says so.
    formula(&sandbox).args(["cancel", &held.run_id(), "--for-good"]).run().exits(0).stderr_has("is given up");
    prune(&old).exits(0).stdout_is("[RUN] fails [TIME]\n");
}
