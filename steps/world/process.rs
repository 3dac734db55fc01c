//! The port to child processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;

use super::{Cancel, PortResult, Secret};

/// Receives bytes as a child or a stream writes them. Called often; must not block for long.
pub trait Output: Send + Sync {
    /// Some bytes, split anywhere.
    fn write(&self, bytes: &[u8]);
}

/// Keeps everything in memory, for short answers and tests.
#[derive(Debug, Default)]
pub struct OutputBuffer(Mutex<Vec<u8>>);

impl OutputBuffer {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }
    /// What was written so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

impl Output for OutputBuffer {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
    }
}

/// A child process to be started: in its own process group, stdout and stderr on one pipe, never through a shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment of the child where `inherit_env` is false, else what is added to ours.
    pub env: BTreeMap<String, String>,
    /// Variables with secret values; never shown.
    pub secret_env: BTreeMap<String, Secret>,
    /// Whether the child sees our own environment.
    pub inherit_env: bool,
    /// Working directory.
    pub dir: PathBuf,
    /// Bytes on standard input; none means an empty one.
    pub stdin: Option<Vec<u8>>,
    /// Whether the child has children in groups of their own and ends those when it is told twice to stop, as this program does: where
    /// it would be killed, it is told once more, and has a moment for that.
    pub nested: bool,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// Starts children.
#[async_trait]
pub trait Process: Send + Sync {
    /// Runs a child to its end, streaming its output. On cancel the whole group gets the signal at once, SIGKILL after the
    /// grace period of 10 s (or at once for [`super::CancelLevel::Now`], unless the command is `nested`), and the answer is `Cancelled`.
    /// A child that leaves the pipe to a background process delays the answer by at most 1 s.
    ///
    /// # Errors
    /// `NotFound` when there is no such program, `Failed` when it cannot be started, `Cancelled`.
    async fn run(&self, command: &Command, output: &dyn Output, cancel: &Cancel) -> PortResult<Exit>;

    /// Stops all children where they are (`true`), or lets them go on: for when we are stopped ourselves.
    fn suspend(&self, stop: bool) {
        let _ = stop;
    }
}
