//! After a crash: are children of the dead driver still at work? They bear its mark in their environment, whatever group or session they
//! moved to.

use std::path::Path;

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
