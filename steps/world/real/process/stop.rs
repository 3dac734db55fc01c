//! Bringing a group to its end: asked first, killed after the grace or on the second word.

use std::time::Duration;

use tokio::time::Instant;

use super::super::clock;
use super::Group;
use crate::world::{CancelLevel, PortError, PortErrorKind, PortResult};

/// How long a group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// How long a killed group may take to vanish: a process that waits for a dead disk cannot die.
const VANISH: Duration = Duration::from_secs(5);
/// How long one that was told twice may take to kill its own children.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Between the two words to one that hears both of them late: sent together they would be one.
const BETWEEN: Duration = Duration::from_millis(100);
/// The signal that tells the second time.
const SIGINT: i32 = 2;

/// A group and how far it was brought towards its end.
pub(super) struct Stop {
    group: Group,
    /// See [`Command::nested`](crate::world::Command::nested).
    nested: bool,
    level: CancelLevel,
    phase: Phase,
    /// How long Ctrl-Z had us stopped when the phase began: the group is stopped with us, and its time does not run.
    pauses: Duration,
}

enum Phase {
    /// Nobody asked it to end.
    Running,
    /// Asked; killed at that time.
    Asked { kill_at: Instant },
    /// Asked as the first of two words; the second one follows at that time.
    AskedOnce { again_at: Instant },
    /// Killed at that time.
    Killed { at: Instant },
}

impl Stop {
    pub(super) fn new(group: Group, nested: bool) -> Self {
        Self { group, nested, level: CancelLevel::None, phase: Phase::Running, pauses: Duration::ZERO }
    }

    /// The level that was acted on.
    pub(super) fn level(&self) -> CancelLevel {
        self.level
    }

    /// Whether the group was asked to end, or killed.
    pub(super) fn asked(&self) -> bool {
        !matches!(self.phase, Phase::Running)
    }

    /// Whether the group has members. Meaningful once the leader was waited for.
    pub(super) fn has_members(&mut self) -> bool {
        self.group.has_members()
    }

    /// Whether any member still runs; costs a look at all processes of the machine.
    pub(super) fn runs(&mut self) -> bool {
        self.group.runs()
    }

    /// Acts on a level of the cancel: the first graceful one asks, all else kills, or leaves that to one that was asked before.
    pub(super) fn raise(&mut self, level: CancelLevel) {
        let first = self.level == CancelLevel::None;
        self.level = level;
        match level {
            CancelLevel::Graceful(signal) if first => self.ask(signal, Instant::now() + GRACE),
            _ if self.nested && matches!(self.phase, Phase::Asked { .. }) => self.ask(SIGINT, Instant::now() + LAST_WORD),
            _ if self.nested && matches!(self.phase, Phase::Running) => {
                self.group.signal(SIGINT);
                self.begin(Phase::AskedOnce { again_at: Instant::now() + BETWEEN });
            }
            _ => self.kill(),
        }
    }

    /// Asks the group to end, by a signal, until `kill_at`; an earlier time that was set before stands.
    pub(super) fn ask(&mut self, signal: i32, kill_at: Instant) {
        if !matches!(self.phase, Phase::Killed { .. }) {
            self.group.signal(signal);
            let before = if let Phase::Asked { kill_at: before } = self.phase { before + self.paused() } else { kill_at };
            self.begin(Phase::Asked { kill_at: before.min(kill_at) });
        }
    }

    /// Completes when the group had its time. Never before it was asked.
    pub(super) async fn overdue(&self) {
        let at = match self.phase {
            Phase::Running => std::future::pending().await,
            Phase::Asked { kill_at: at } | Phase::AskedOnce { again_at: at } => at,
            Phase::Killed { at } => at + VANISH,
        };
        clock::sleep_until(at.into_std(), self.pauses).await;
    }

    /// What follows when the group had its time: the kill, or the admission that it does not die.
    pub(super) fn expire(&mut self) -> PortResult<()> {
        if let Phase::AskedOnce { .. } = self.phase {
            self.ask(SIGINT, Instant::now() + LAST_WORD);
            return Ok(());
        }
        if matches!(self.phase, Phase::Killed { .. }) {
            let number = self.group.number();
            return Err(PortError::new(PortErrorKind::Cancelled, format!("process group {number} lives on though it was killed")).hint(
                format!("look at it with `ps -o pid,stat,user,wchan,args -g {number}`; it is another user's or waits for a device"),
            ));
        }
        self.kill();
        Ok(())
    }

    fn kill(&mut self) {
        self.group.kill();
        self.begin(Phase::Killed { at: Instant::now() });
    }

    fn begin(&mut self, phase: Phase) {
        (self.phase, self.pauses) = (phase, clock::pauses());
    }

    /// How long we were stopped since the phase began.
    fn paused(&self) -> Duration {
        clock::pauses().saturating_sub(self.pauses)
    }
}
