//! The Docker engine of the machine, if there is one.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::environment::tester_variable;

/// Whether an engine answers. If not, says which test is skipped; panics where an engine is required.
///
/// Use through [`super::engine_or_skip`].
pub fn engine_answers(test: &str) -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    let answers = *ANSWERS.get_or_init(|| {
        let mut info = Command::new("docker");
        info.args(["info", "--format", "{{.ServerVersion}}"]).stdin(Stdio::null()).stderr(Stdio::null());
        info.output().is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
    });
    if !answers {
        let required = tester_variable("FORMULA_TEST_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        assert!(!required, "`{test}` needs a Docker engine and none answers; `tests/provision.sh` starts one");
        // Straight to the stream: the test runner keeps what a passing test prints to itself. `tests/run.sh` counts these lines.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no Docker engine");
    }
    answers
}

/// Runs the Docker program with the tester's own settings, which must succeed, and answers what it prints, trimmed.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).env("DOCKER_BUILDKIT", "0").stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("`docker` does not start: {error}"));
    assert!(output.status.success(), "$ docker {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The same where failure is no news: for taking things away.
pub(super) fn docker_quietly(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
