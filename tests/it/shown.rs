//! What a person, a pipe and a CI system are shown of a run while it goes.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::{Program, Sandbox, Terminal, formula};

/// A sandbox with a formula `f` of that body.
fn sandbox(body: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/f.toml", format!("name = \"f\"\ndescription = \"Shows\"\nversion = 1\nmax_parallel = 40\n{body}"));
    sandbox
}

fn step(id: &str, script: &str) -> String {
    format!("\n[[steps]]\nid = \"{id}\"\nuses = \"shell\"\nneeds = []\nwith = {{ script = '{script}', idempotent = true }}\n")
}

/// Shows a line and waits until the test lets it go on.
const WAITS: &str = "echo here; cat pipe >/dev/null";

fn pipe(sandbox: &Sandbox) {
    Program::new(sandbox, "mkfifo").args(["pipe"]).run().exits(0);
}

#[test]
fn a_tab_takes_as_many_columns_as_the_live_lines_count() {
    let sandbox = sandbox(&step("a", r#"printf "one\ttwo\n""#));
    for args in [&["run", "f"][..], &["run", "f", "--fresh", "-v"]] {
        let mut terminal = Terminal::start(&sandbox, args);
        terminal.wait_for("one     two");
        assert_eq!(terminal.end(), Some(0));
        assert!(!terminal.screen.contains('\t'), "{:?}", terminal.screen);
    }
}

#[test]
fn live_lines_have_colour_where_it_is_wanted_only() {
    let sandbox = sandbox(&step("a", WAITS));
    pipe(&sandbox);
    let color = |args: &[&str]| {
        let mut terminal = Terminal::start(&sandbox, args);
        terminal.wait_for("here");
        sandbox.write("pipe", "on\n");
        assert_eq!(terminal.end(), Some(0));
        terminal.screen.contains("\u{1b}[36m") || terminal.screen.contains("\u{1b}[2m")
    };
    assert!(!color(&["run", "f", "--color", "never"]));
    assert!(color(&["run", "f", "--fresh", "--color", "always"]));
}

#[test]
fn running_steps_that_have_no_row_are_counted() {
    let sandbox = sandbox(&(0..40).fold(String::new(), |mut body, number| {
        let _ = write!(body, "{}", step(&format!("s{number}"), "while [ ! -e go ]; do sleep 0.1; done"));
        body
    }));
    let mut terminal = Terminal::start(&sandbox, &["run", "f"]);
    // 24 rows: the count of all, the count of these, and one for what scrolls.
    terminal.wait_for("… and 19 more").wait_for("/40 steps");
    sandbox.write("go", "");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_run_that_is_stopped_says_what_it_waits_for() {
    let sandbox = sandbox(&step("a", "exec 3<>pipe; echo here; read line <&3"));
    pipe(&sandbox);
    let mut running = formula(&sandbox).args(["run", "f", "-v"]).start();
    assert!(running.wait_for_line(|line| line.ends_with("a | here")));
    running.signal(Signal::INT);
    running.finish().exits(130).stderr_has("stopping by SIGINT: up to [DURATION] for `a` to end; Ctrl-C again does not wait\n");
}

#[test]
fn a_pipe_gets_the_last_line_of_a_step_and_a_failure_once() {
    let sandbox = sandbox(&(step("a", r#"echo first; printf "::error::last""#) + &step("b", "echo why >&2; exit 1")));
    let ran = formula(&sandbox).args(["run", "f"]).run();
    ran.exits(20).stderr_has("✓ a  [DURATION]  ::error::last\n").never_says("\u{200b}").never_says("::group::");
    let ran = formula(&sandbox).args(["run", "f", "--fresh", "-v"]).run();
    ran.exits(20).stderr_has("b | why\n");
    assert_eq!(ran.stderr.matches("why").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_ci_system_gets_groups_annotations_and_a_summary() {
    let sandbox = sandbox(&(step("a", "echo first; echo ::error::no") + &step("b", "echo why >&2; exit 1")));
    let summary = sandbox.work().join("summary.md").display().to_string();
    let ran = formula(&sandbox).args(["run", "f"]).env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).run();
    ran.exits(20)
        .stderr_has("\n::group::a: output\nfirst\n:\u{200b}:error:\u{200b}:no\n::endgroup::\n")
        .stderr_has("\n::group::b: output\nwhy\n::endgroup::\n")
        .stderr_has("\n::error title=formula b::the script ended with exit code 1%0Awhy\n");
    let summary = sandbox.read("summary.md");
    assert!(summary.starts_with("**f** held at `b` · run `") && summary.contains("\n    formula resume "), "{summary}");
}
