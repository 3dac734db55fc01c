//! Starting programs: what to start for a script, its output on the step's log, and what it printed last for the message when it
//! fails.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use crate::contract::{Context, StepError};
use crate::world::{Cancel, CancelLevel, Command, Exit, Output as Sink, Secret};

/// SIGTERM; the number is part of the ABI.
const TERM: i32 = 15;

/// What to start for a script below the working directory: itself if it may be executed, else `sh` with it.
///
/// # Errors
/// When there is no such script.
pub async fn file_argv(cx: &Context, file: &str) -> Result<Vec<String>, StepError> {
    let path = cx.path(file)?;
    let found = cx.world.files.read(&cx.workdir, &path).await?;
    let found = found.ok_or_else(|| StepError::permanent(format!("there is no script `{file}`")))?;
    let path = path.to_string_lossy().into_owned();
    Ok(if found.mode & 0o111 == 0 { vec!["sh".to_owned(), path] } else { vec![path] })
}

/// Runs a program to its end, its output on the step's log.
///
/// # Errors
/// Those of the port, among them Cancelled.
pub async fn run(cx: &Context, command: &Command) -> Result<(Exit, Tail), StepError> {
    let tail = Tail::new(cx);
    let exit = cx.world.process.run(command, &Both { one: &*cx.output, other: &tail }, &cx.cancel).await?;
    Ok((exit, tail))
}

/// As [`run`], but the program is stopped like a cancelled one when the time is over; then there is no exit.
///
/// # Errors
/// Those of the port, among them Cancelled.
pub async fn run_within(cx: &Context, command: &Command, limit: Duration) -> Result<(Option<Exit>, Tail), StepError> {
    let tail = Tail::new(cx);
    let exit = timed(cx, command, limit, &Both { one: &*cx.output, other: &tail }).await?;
    Ok((exit, tail))
}

async fn timed(cx: &Context, command: &Command, limit: Duration, output: &dyn Sink) -> Result<Option<Exit>, StepError> {
    let cancel = Cancel::new();
    let mut running = cx.world.process.run(command, output, &cancel);
    let mut level = CancelLevel::None;
    let mut late = false;
    let mut over = cx.world.clock.sleep(limit);
    loop {
        tokio::select! {
            biased;
            ended = &mut running => {
                return match ended {
                    Ok(exit) => Ok(Some(exit)),
                    // It was us who stopped it.
                    Err(_) if late && !cx.cancel.is_raised() => Ok(None),
                    Err(error) => Err(error.into()),
                };
            }
            now = cx.cancel.above(level) => {
                level = now;
                cancel.raise(level);
            }
            () = &mut over, if !late => {
                late = true;
                cancel.raise(CancelLevel::Graceful(TERM));
            }
        }
    }
}

/// Writes to two places.
struct Both<'a> {
    one: &'a dyn Sink,
    other: &'a dyn Sink,
}

impl Sink for Both<'_> {
    fn write(&self, bytes: &[u8]) {
        self.one.write(bytes);
        self.other.write(bytes);
    }
}

/// The last that a program printed, for the message when it fails.
pub struct Tail {
    bytes: Mutex<Vec<u8>>,
    secrets: Vec<Secret>,
}

impl Tail {
    const KEPT: usize = 8 * 1024;
    const LINES: usize = 5;

    /// Nothing yet; the secrets of the step will be masked.
    pub fn new(cx: &Context) -> Self {
        let values = cx.secrets.values().filter(|secret| !secret.expose().is_empty());
        Self { bytes: Mutex::default(), secrets: values.cloned().collect() }
    }

    /// How the program ended and, below that, its last lines.
    pub fn describe(&self, exit: Exit) -> String {
        let mut told = match exit {
            Exit::Code(code) => format!("ended with exit code {code}"),
            Exit::Signal(signal) => format!("was ended by {}", signal_name(signal)),
        };
        let mut text = String::from_utf8_lossy(&self.bytes.lock().expect("no writer panics")).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose(), "***");
        }
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(Self::LINES)..] {
            let shown: String = line.chars().take(200).collect();
            write!(told, "\n{shown}").expect("a string takes everything");
        }
        told
    }
}

impl Sink for Tail {
    fn write(&self, bytes: &[u8]) {
        let mut kept = self.bytes.lock().expect("no writer panics");
        kept.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::KEPT)..]);
        let excess = kept.len().saturating_sub(Self::KEPT);
        if excess >= Self::KEPT {
            kept.drain(..excess);
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL (out of memory, or killed by somebody)",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
