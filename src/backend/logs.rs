//! One log file per attempt, redacted before a byte reaches it, made only when there is something to write.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use formula_steps::world::Output;

use super::redact::{RedactStream, Redactor};
use crate::report::{Hub, ProgressUpdate};

/// Bytes of an attempt's output that are kept from its beginning.
const HEAD: u64 = 64 * 1024 * 1024;
/// Bytes that are kept from its end, once it is longer.
const TAIL: usize = 1024 * 1024;
/// Bytes of a burst that are shown at once.
const LAST: usize = 4 * 1024;

/// Where the log of an attempt is: `<folder>/<step>.<attempt>.log`, the step's id with `/` spelled `+`.
pub fn path(folder: &Path, step: &str, attempt: u32) -> PathBuf {
    folder.join(format!("{}.{attempt}.log", step.replace('/', "+")))
}

struct Inner {
    stream: RedactStream,
    file: Option<File>,
    failed: bool,
    written: u64,
    dropped: u64,
    tail: Vec<u8>,
    /// What was shown last.
    end: Vec<u8>,
    buffer: Vec<u8>,
}

/// The sink of one attempt.
pub struct AttemptLog {
    path: PathBuf,
    step: Arc<str>,
    redactor: Arc<Redactor>,
    hub: Hub,
    inner: Mutex<Inner>,
}

impl AttemptLog {
    /// Nothing is created yet.
    pub fn new(path: PathBuf, step: Arc<str>, redactor: Arc<Redactor>, hub: Hub) -> Self {
        let inner = Inner {
            stream: RedactStream::default(),
            file: None,
            failed: false,
            written: 0,
            dropped: 0,
            tail: Vec::new(),
            end: Vec::new(),
            buffer: Vec::new(),
        };
        Self { path, step, redactor, hub, inner: Mutex::new(inner) }
    }

    /// Shown as it comes, and kept nowhere.
    #[must_use]
    pub fn without_file(self) -> Self {
        self.lock().failed = true;
        self
    }

    /// Writes what was held back, and the end of an output that was too long.
    pub fn finish(&self) {
        let mut inner = self.lock();
        let mut rest = Vec::new();
        inner.stream.finish(&self.redactor, &mut rest);
        self.sink(&mut inner, &rest);
        if let Some(line) = last_line(&String::from_utf8_lossy(&inner.end)) {
            self.hub.progress(&ProgressUpdate::Last { step: self.step.clone(), line });
        }
        if inner.dropped > 0 {
            let tail = std::mem::take(&mut inner.tail);
            let left_out = inner.dropped - tail.len() as u64;
            let mark = format!("\n[formula: {left_out} bytes of output left out here]\n");
            if let Some(file) = &mut inner.file {
                let _ = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(mark.as_bytes())).and_then(|()| file.write_all(&tail));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text without a secret that is hidden by what a terminal obeys, if there is one: whoever shows it would put it together again.
    fn unhidden(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if !bytes.iter().any(|byte| matches!(byte, 0 | 0x1b)) {
            return None;
        }
        let text = String::from_utf8_lossy(bytes);
        let masked = self.redactor.text(&text);
        (masked != text).then(|| masked.into_bytes())
    }

    fn sink(&self, inner: &mut Inner, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let unhidden = self.unhidden(bytes);
        let bytes = unhidden.as_deref().unwrap_or(bytes);
        if !self.hub.is_silent() {
            keep_last(&mut inner.end, bytes, LAST);
            self.hub.progress(&ProgressUpdate::Output { step: self.step.clone(), text: shown(bytes) });
        }
        let room = usize::try_from(HEAD.saturating_sub(inner.written)).unwrap_or(usize::MAX).min(bytes.len());
        if room > 0 && !inner.failed {
            if inner.file.is_none() {
                inner.file = create(&self.path);
            }
            // A log that cannot be written must not fail the step, nor block it.
            inner.failed = inner.file.as_mut().is_none_or(|file| file.write_all(&bytes[..room]).is_err());
            inner.written += room as u64;
        }
        if room < bytes.len() {
            inner.dropped += (bytes.len() - room) as u64;
            keep_last(&mut inner.tail, &bytes[room..], TAIL);
        }
    }
}

/// The end of a burst, from the beginning of a line; the file has all of it.
fn shown(bytes: &[u8]) -> Arc<str> {
    if bytes.len() <= LAST {
        return String::from_utf8_lossy(bytes).into();
    }
    let end = &bytes[bytes.len() - LAST..];
    let at = end.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    format!("…\n{}", String::from_utf8_lossy(&end[at..])).into()
}

/// The last line that says something. Progress in place returns the carriage; of that the last counts.
fn last_line(text: &str) -> Option<String> {
    text.rsplit(['\n', '\r']).find(|line| !line.trim().is_empty()).map(str::to_owned)
}

fn keep_last(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    if bytes.len() >= most {
        kept.clear();
        kept.extend_from_slice(&bytes[bytes.len() - most..]);
    } else {
        let over = (kept.len() + bytes.len()).saturating_sub(2 * most);
        if over > 0 {
            let cut = kept.len() + bytes.len() - most;
            kept.drain(..cut.min(kept.len()));
        }
        kept.extend_from_slice(bytes);
    }
}

fn create(path: &Path) -> Option<File> {
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    open()
        .or_else(|_| {
            let folder = path.parent().unwrap_or(Path::new("."));
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            open()
        })
        .ok()
}

impl Output for AttemptLog {
    fn write(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        if self.redactor.is_empty() {
            self.sink(&mut inner, bytes);
            return;
        }
        let mut buffer = std::mem::take(&mut inner.buffer);
        buffer.clear();
        inner.stream.push(&self.redactor, bytes, &mut buffer);
        self.sink(&mut inner, &buffer);
        inner.buffer = buffer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path) -> AttemptLog {
        AttemptLog::new(path(dir, "notify/send", 1), "notify/send".into(), Arc::new(Redactor::new(["hunter2-secret"])), Hub::new())
    }

    #[test]
    fn no_output_makes_no_file_and_a_secret_never_reaches_one() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir.path().join("run"));
        log.finish();
        assert!(!dir.path().join("run").exists());
        log.write(b"token hunter2");
        log.write(b"-secret\nlast line\n");
        log.finish();
        assert_eq!(std::fs::read_to_string(dir.path().join("run/notify+send.1.log")).unwrap(), "token ***\nlast line\n");
    }

    #[test]
    fn the_last_line_is_whole_however_it_came_and_a_burst_is_shown_from_the_beginning_of_a_line() {
        assert_eq!(last_line("one\npart 1 part 2\n \n").as_deref(), Some("part 1 part 2"));
        assert_eq!(last_line("\r 10%\r 20%\r").as_deref(), Some(" 20%"));
        assert_eq!(last_line("\n \n"), None);
        let burst = format!("{}\nlast\n", "x".repeat(LAST));
        assert_eq!((&*shown(burst.as_bytes()), &*shown(b"cut in two")), ("…\nlast\n", "cut in two"));
    }

    #[test]
    fn the_middle_of_a_flood_is_left_out_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..70 {
            log.write(&piece);
        }
        log.write(b"\nthe end\n");
        log.finish();
        let text = std::fs::read(dir.path().join("notify+send.1.log")).unwrap();
        assert!(text.len() < 68 * 1024 * 1024, "{}", text.len());
        let end = String::from_utf8_lossy(&text[text.len() - 2 * TAIL - 200..]).into_owned();
        assert!(end.contains("bytes of output left out here]") && end.ends_with("\nthe end\n"));
    }
}
