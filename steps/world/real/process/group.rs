//! A process group that a child of ours leads.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};

/// The groups that live now, so that all can be stopped and woken with us.
static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, BTreeSet<i32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops all groups where they are, or wakes them.
pub(super) fn suspend_all(stop: bool) {
    let signal = if stop { Signal::STOP } else { Signal::CONT };
    for leader in live().iter().filter_map(|number| Pid::from_raw(*number)) {
        // Fails only where nobody is left.
        let _ = kill_process_group(leader, signal);
    }
}

/// A group, killed when this is dropped unless it was seen to be gone.
#[derive(Debug)]
pub(in crate::world::real) struct Group {
    leader: Pid,
    gone: bool,
}

impl Group {
    /// The group of a child that was started as its leader.
    pub(in crate::world::real) fn led_by(pid: u32) -> Option<Self> {
        let leader = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        live().insert(leader.as_raw_pid());
        Some(Self { leader, gone: false })
    }

    /// The number of the group.
    pub(in crate::world::real) fn number(&self) -> i32 {
        self.leader.as_raw_pid()
    }

    /// Sends a signal to all members; stopped ones are woken so that they can obey. An unknown number counts as SIGTERM.
    pub(in crate::world::real) fn signal(&self, number: i32) {
        let signal = Signal::from_named_raw(number).unwrap_or(Signal::TERM);
        // Fails only where nobody is left, which is what is wanted, or where a member is another user's: `has_members` tells.
        let _ = kill_process_group(self.leader, signal);
        let _ = kill_process_group(self.leader, Signal::CONT);
    }

    /// Kills all members.
    pub(in crate::world::real) fn kill(&self) {
        let _ = kill_process_group(self.leader, Signal::KILL);
    }

    /// Whether there are members. Meaningful once the leader was waited for; what was handed to us as orphans is waited for here.
    pub(in crate::world::real) fn has_members(&mut self) -> bool {
        if test_kill_process_group(self.leader) != Err(rustix::io::Errno::SRCH) {
            while let Ok(Some(_)) = waitpgid(self.leader, WaitOptions::NOHANG) {}
            if test_kill_process_group(self.leader) != Err(rustix::io::Errno::SRCH) {
                return true;
            }
        }
        self.gone = true;
        false
    }

    /// Whether any member still runs. Differs from [`Group::has_members`] where the first process of a container does not wait
    /// for orphans: they stay members for ever, as zombies. Looks at all processes.
    pub(in crate::world::real) fn runs(&mut self) -> bool {
        let Ok(processes) = std::fs::read_dir("/proc") else { return true };
        let runs = processes.flatten().any(|process| {
            let number = process.file_name();
            let is_process = number.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            is_process && std::fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| self.runs_as(&stat))
        });
        self.gone |= !runs;
        runs
    }

    /// Whether a line of `/proc/PID/stat` is that of a running member: `pid (name) state ppid pgrp …`.
    fn runs_as(&self, stat: &str) -> bool {
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let state = fields.next().unwrap_or_default();
        let group = fields.nth(1).and_then(|number| number.parse().ok());
        group == Some(self.number()) && !matches!(state, "Z" | "X")
    }

    /// Lets the members be: nothing is killed when this is dropped.
    pub(in crate::world::real) fn release(&mut self) {
        self.gone = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        live().remove(&self.number());
        if !self.gone {
            self.kill();
        }
    }
}
