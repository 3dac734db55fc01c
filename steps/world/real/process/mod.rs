//! The real side of [`Process`]: children in groups of their own, their output streamed, nothing of them left behind.
//!
//! The hot path is a child that runs to its end with nobody interfering: one spawn, one pipe, no timer. Everything else
//! (cancelling, leaked pipes, members of the group that outlive the leader) is paid for only when it happens.
//!
//! Must not know what a command is for. Nothing here goes through a shell.

mod drain;
mod explain;
mod group;
mod launch;
mod stop;
#[cfg(test)]
mod tests;

use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use self::drain::Drain;
use self::stop::Stop;
use super::clock;
use crate::world::{Cancel, Command, Exit, Output, PortError, PortResult, Process};

pub(super) use self::group::Group;
pub(super) use self::launch::stdin_file;

/// How long a finished leader's answer may be delayed by what it left behind.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// When members that outlive their leader and hold the pipe are asked to end: until then they may be writing its rest.
const LEFTOVERS_ASKED: Duration = Duration::from_millis(500);
/// The first and the longest pause between two looks at a group without a leader.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(50);
/// When members that do not vanish are suspected of being zombies that nobody waits for.
const ZOMBIES: Duration = Duration::from_millis(60);
/// The signal that asks what was left behind to end.
const SIGTERM: i32 = 15;

/// Children as the operating system runs them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealProcess;

impl RealProcess {
    /// The operating system's processes.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Process for RealProcess {
    fn suspend(&self, stop: bool) {
        if stop {
            clock::stopped(true);
        }
        group::suspend_all(stop);
        if !stop {
            clock::stopped(false);
        }
    }

    async fn run(&self, command: &Command, output: &dyn Output, cancel: &Cancel) -> PortResult<Exit> {
        if cancel.is_raised() {
            return Err(PortError::cancelled());
        }
        let launch::Launched { mut child, group, pipe } = launch::launch(command).await?;
        let mut stop = Stop::new(group, command.nested);
        let mut drain = Drain::new(pipe, output);
        let status = {
            let mut ended = pin!(child.wait());
            let mut raised = pin!(cancel.raised());
            loop {
                tokio::select! {
                    biased;
                    level = &mut raised, if !stop.asked() => stop.raise(level),
                    level = cancel.above(stop.level()), if stop.asked() => stop.raise(level),
                    () = stop.overdue(), if stop.asked() => stop.expire()?,
                    status = &mut ended => break status,
                    more = drain.some() => more?,
                }
            }
        };
        let status = status.map_err(|error| PortError::failed(format!("cannot wait for `{}`: {error}", command.argv[0])))?;
        let cancelled = stop.asked();
        settle(&mut stop, &mut drain, cancel).await?;
        if cancelled { Err(PortError::cancelled()) } else { Ok(exit(status)) }
    }
}

/// Sees to what is left once the leader has ended: the rest of the output, and members of the group that live on.
async fn settle(stop: &mut Stop, drain: &mut Drain<'_>, cancel: &Cancel) -> PortResult<()> {
    drain.rest()?;
    if drain.ended() && !stop.has_members() {
        return Ok(());
    }
    let cancelled = stop.asked();
    let ended = Instant::now();
    let last = ended + LEFTOVERS;
    let mut pause = FIRST_LOOK;
    loop {
        let now = Instant::now();
        let alive = stop.has_members() && (now < ended + ZOMBIES || stop.runs());
        if !alive && (drain.ended() || now >= last) {
            return Ok(());
        }
        if alive && !stop.asked() && (drain.ended() || now >= ended + LEFTOVERS_ASKED) {
            stop.ask(SIGTERM, last);
        }
        let next = if alive { now + pause } else { last };
        pause = (pause * 2).min(LAST_LOOK);
        loop {
            tokio::select! {
                biased;
                level = cancel.above(stop.level()), if alive => stop.raise(level),
                () = stop.overdue(), if alive && stop.asked() => match stop.expire() {
                    Err(error) if cancelled => return Err(error),
                    Err(_) => return Ok(()),
                    Ok(()) => {}
                },
                () = sleep_until(next) => break,
                more = drain.some() => more?,
            }
            if drain.ended() {
                break;
            }
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(status.into_raw()),
    }
}
