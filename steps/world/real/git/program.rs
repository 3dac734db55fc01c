//! Running the git program: in a group of its own, never asking, in one language, on the repository in a folder and no other.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;

use super::super::process::{Group, stdin_file};
use super::explain::{explain, not_started};
use crate::world::{Output, PortResult};

/// How long what git left behind (a shared ssh connection) may hold its pipes.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// How long git may take to clean up when it is no longer wanted.
const CLEAN_UP: Duration = Duration::from_secs(5);
const SIGTERM: i32 = 15;

/// What would make git work on another repository than the one in the folder. A hook that starts us sets some of them.
const ELSEWHERE: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
];

/// One call of git.
pub(super) struct Call<'a> {
    env: &'a BTreeMap<String, String>,
    dir: PathBuf,
    reads: bool,
    index: Option<PathBuf>,
    args: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    live: Option<&'a dyn Output>,
}

/// What a call gave.
#[derive(Debug)]
pub(super) struct Answer {
    /// The exit code; 128 and the number for a signal.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// The answer of a call that worked.
    ///
    /// # Errors
    /// Any code but 0, told in git's own words.
    pub(super) fn ok(self, what: &str) -> PortResult<Self> {
        if self.code == 0 { Ok(self) } else { Err(explain(what, &self.err)) }
    }

    /// The first line of the output.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.out).lines().next().unwrap_or_default().to_owned()
    }
}

impl<'a> Call<'a> {
    /// A call that only looks: it takes no lock of the repository.
    pub(super) fn read(env: &'a BTreeMap<String, String>, dir: &Path) -> Self {
        Self { env, dir: dir.to_owned(), reads: true, index: None, args: Vec::new(), stdin: None, live: None }
    }

    /// A call that changes something.
    pub(super) fn write(env: &'a BTreeMap<String, String>, dir: &Path) -> Self {
        Self { reads: false, ..Self::read(env, dir) }
    }

    /// Adds arguments.
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Bytes on standard input.
    pub(super) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Uses another index than the repository's.
    pub(super) fn index(mut self, file: PathBuf) -> Self {
        self.index = Some(file);
        self
    }

    /// Shows what git says while it says it.
    pub(super) fn live(mut self, output: &'a dyn Output) -> Self {
        self.live = Some(output);
        self
    }

    /// Runs the call to its end.
    ///
    /// # Errors
    /// Where git cannot be started; what it says of its own failure is in the answer.
    pub(super) async fn run(self) -> PortResult<Answer> {
        let started = self.start().map_err(|error| not_started(&self.dir, &error))?;
        started.finish(self.live).await.map_err(|error| not_started(&self.dir, &error))
    }

    fn start(&self) -> io::Result<Running> {
        let mut git = tokio::process::Command::new("git");
        git.args([
            "--no-pager",
            "--literal-pathspecs",
            "-c",
            "core.quotePath=false",
            "-c",
            "color.ui=false",
            "-c",
            "advice.detachedHead=false",
        ]);
        git.args(&self.args).current_dir(&self.dir).process_group(0);
        if !self.env.is_empty() {
            git.env_clear().envs(self.env);
        }
        for name in ELSEWHERE {
            git.env_remove(name);
        }
        // A prompt would wait for a terminal that a background group must not read: ask a program, or fail.
        git.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force").env("LC_ALL", "C");
        git.env("GIT_OPTIONAL_LOCKS", if self.reads { "0" } else { "1" });
        if let Some(index) = &self.index {
            git.env("GIT_INDEX_FILE", index);
        }
        git.stdin(match &self.stdin {
            Some(bytes) => Stdio::from(stdin_file(bytes)?),
            None => Stdio::null(),
        });
        let child = git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let group = child.id().and_then(Group::led_by);
        Ok(Running { child: Some(child), group })
    }
}

/// A git that runs. Dropped before its end it is asked to end, so that it takes its lock files with it, then killed.
struct Running {
    child: Option<Child>,
    group: Option<Group>,
}

impl Running {
    async fn finish(mut self, live: Option<&dyn Output>) -> io::Result<Answer> {
        let child = self.child.as_mut().expect("taken on drop only");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (out, err) = (Mutex::default(), Mutex::default());
        let status = {
            let mut streams = std::pin::pin!(async { tokio::try_join!(keep(stdout, &out, None), keep(stderr, &err, live)) });
            let mut ended = std::pin::pin!(child.wait());
            let first = tokio::select! {
                read = &mut streams => Err(read),
                status = &mut ended => Ok(status),
            };
            match first {
                Err(read) => {
                    read?;
                    ended.await?
                }
                Ok(status) => {
                    if let Ok(read) = tokio::time::timeout(LEFTOVERS, streams).await {
                        read?;
                    }
                    status?
                }
            }
        };
        self.child = None;
        if let Some(mut group) = self.group.take() {
            // Helpers that git started to stay (a credential cache, a shared connection) are the user's.
            group.release();
        }
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or_default());
        let bytes = |kept: Mutex<Vec<u8>>| kept.into_inner().expect("no reader panics");
        Ok(Answer { code, out: bytes(out), err: String::from_utf8_lossy(&bytes(err)).into_owned() })
    }
}

/// Reads a stream to its end.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &Mutex<Vec<u8>>, live: Option<&dyn Output>) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = Vec::with_capacity(16 * 1024);
    while stream.read_buf(&mut chunk).await? > 0 {
        if let Some(output) = live {
            output.write(&chunk);
        }
        kept.lock().expect("no reader panics").append(&mut chunk);
    }
    Ok(())
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(mut child), Some(mut group)) = (self.child.take(), self.group.take()) else { return };
        group.signal(SIGTERM);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if tokio::time::timeout(CLEAN_UP, child.wait()).await.is_ok() {
                    // Its helpers were told as well; whether they are gone decides what the drop of the group does.
                    group.has_members();
                }
            });
        } else {
            group.release();
        }
    }
}
