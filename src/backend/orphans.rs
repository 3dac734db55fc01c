//! After a crash: are children of the dead driver still at work? And after a run: did any move to a session of its own, and outlive its step?
//! They bear the mark of their driver in their environment, whatever group or session they moved to.

use std::path::Path;

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

/// A process that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Process id.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

/// Name of the environment variable that holds the mark.
pub const MARK: &str = "FORMULA_DRIVER";

/// Processes that bear `mark`. Those we may not look at are not ours.
pub fn find(mark: &str) -> Vec<Orphan> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut orphans = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
        if pid != std::process::id() && environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            orphans.push(Orphan { pid, command: command(&entry.path()) });
        }
    }
    orphans.sort_by_key(|orphan| orphan.pid);
    orphans
}

/// While this lives, whatever loses its parent below us becomes our child, so that nothing gets away unseen.
pub struct Subreaper(bool);

impl Subreaper {
    /// From now on. Where the system knows no such thing nothing is found later.
    pub fn new() -> Self {
        Self(set_child_subreaper(Some(getpid())).is_ok())
    }

    /// Waits for what was handed to us and has ended, and tells of what bears `mark` and has not. Only for when nobody waits for a child any
    /// more. Costs nothing where there is no child left.
    pub fn left(&self, mark: &str) -> Vec<Orphan> {
        if !self.0 {
            return Vec::new();
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => return find(mark),
                Err(_) => return Vec::new(),
            }
        }
    }
}

impl Drop for Subreaper {
    fn drop(&mut self) {
        if self.0 {
            // It worked the other way round.
            let _ = set_child_subreaper(None);
        }
    }
}

fn command(process: &Path) -> String {
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&line).replace('\0', " ");
    text.trim().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_child_is_found_until_it_ends() {
        let mark = format!("{}-test", std::process::id());
        let mut child = std::process::Command::new("cat")
            .env(MARK, &mark)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The environment of a child is that of its parent until exec has happened.
        while find(&mark).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(find(&mark)[0].pid, child.id());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(find(&mark), []);
    }
}
