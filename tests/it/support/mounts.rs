//! Whether a test may mount something of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Whether a name space for mounts can be made, which root can. If not, says which test is skipped, or which part of it.
pub fn may_mount(test: &str) -> bool {
    let mut attempt = Command::new("unshare");
    attempt.args(["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let may = attempt.status().is_ok_and(|status| status.success());
    if !may {
        // Straight to the stream: the test runner keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: may not mount");
    }
    may
}
