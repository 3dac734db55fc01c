//! SIGINT, SIGTERM, SIGHUP and SIGQUIT as a stream; SIGTSTP (Ctrl-Z) stops the children along with us, and wakes them with us.

use std::sync::Arc;

use formula_steps::world::World;
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caught {
    /// What children are sent, and what our exit code tells of.
    pub(super) number: i32,
    /// Its name.
    pub(super) name: &'static str,
    /// Whether children get no time to end.
    pub(super) at_once: bool,
}

/// Listens; the default action of these signals is off while this lives in the process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    stop: Signal,
    world: Arc<World>,
}

impl Signals {
    /// Starts to listen.
    pub(super) fn listen(world: Arc<World>) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
            world,
        })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Caught {
        let caught = |number, name| Caught { number, name, at_once: name == "SIGQUIT" };
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return caught(2, "SIGINT"),
                _ = self.terminate.recv() => return caught(15, "SIGTERM"),
                _ = self.hangup.recv() => return caught(15, "SIGHUP"),
                _ = self.quit.recv() => return caught(15, "SIGQUIT"),
                _ = self.stop.recv() => self.suspend(),
            }
        }
    }

    /// Stops the children, which have process groups of their own, and then us; goes on with all of them once somebody wakes us.
    fn suspend(&self) {
        self.world.process.suspend(true);
        // Returns when we are woken.
        let _ = kill_process(getpid(), Number::STOP);
        self.world.process.suspend(false);
    }
}
