//! The Docker engine of the machine, if there is one.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Whether an engine answers. If not, says which test is skipped; panics where an engine is required.
pub fn engine_answers(test: &str) -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    let answers = *ANSWERS.get_or_init(|| !docker_quietly(&["info", "--format", "{{.ServerVersion}}"]).is_empty());
    judge(test, answers, "Docker engine")
}

/// Whether a program answers `args`; otherwise like [`engine_answers`].
pub fn program_answers(test: &str, program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    judge(test, command.status().is_ok_and(|status| status.success()), &format!("`{program} {}`", args.join(" ")))
}

fn judge(test: &str, answers: bool, what: &str) -> bool {
    if !answers {
        #[expect(clippy::disallowed_methods, reason = "the tester says through the environment what must be there")]
        let required = std::env::var("FORMULA_TEST_REQUIRE_DOCKER").is_ok_and(|value| value == "1");
        assert!(!required, "`{test}` needs a {what} and none answers; `tests/provision.sh` makes this machine ready");
        // Straight to the stream: the test runner keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no {what}");
    }
    answers
}

/// Runs the docker program, which must succeed, and answers what it prints, trimmed.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output().expect("`docker` starts");
    assert!(output.status.success(), "$ docker {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The same where failure is no news; empty then.
pub fn docker_quietly(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
