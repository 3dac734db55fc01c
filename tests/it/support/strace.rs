//! `strace`: sees every file operation of the real program, and makes any of them fail.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::environment::tester_variable;
use super::{Program, Sandbox};

/// Whether processes may be traced here, which takes `strace` and a kernel that lets it. If not, says which test is skipped; panics where
/// the full suite is required.
///
/// Use through [`super::strace_or_skip`].
pub fn may_trace(test: &str) -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    let may = *MAY.get_or_init(|| {
        let mut attempt = Command::new("strace");
        attempt.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        attempt.status().is_ok_and(|status| status.success())
    });
    if !may {
        let required = tester_variable("FORMULA_TEST_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        assert!(!required, "`{test}` needs `strace` and the right to trace; `tests/provision.sh` installs it");
        // Straight to the stream: the test runner keeps what a passing test prints to itself. `tests/run.sh` counts these lines.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no strace");
    }
    may
}

/// `formula` below `strace`, with these options for it.
pub fn traced_formula<'a>(sandbox: &'a Sandbox, options: &[&str]) -> Program<'a> {
    let program = Program::new(sandbox, "strace").args(["-f", "--seccomp-bpf"]);
    program.args(options.iter().copied()).arg(env!("CARGO_BIN_EXE_formula"))
}

/// Says something that a person should see although the test passes: what was covered.
pub fn announce(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
