//! Processes by pid, and the ones that a sandbox left behind.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Sends `SIGKILL`. A process that has just ended is fine as well.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal. A process that has just ended is fine as well.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Living processes that carry the mark of that folder in their environment or stand in it; the caller itself is none.
pub fn inside(folder: &Path, mark: &str) -> Vec<u32> {
    let marked = format!("{mark}={}", folder.display());
    let pids = fs::read_dir("/proc").expect("Linux has `/proc`").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id() && (has_variable(*pid, &marked) || stands_in(*pid, folder))).collect()
}

fn has_variable(pid: u32, variable: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

fn stands_in(pid: u32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|at| at.starts_with(folder))
}
