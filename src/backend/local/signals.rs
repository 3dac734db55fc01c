//! SIGINT, SIGTERM and SIGHUP as a stream.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caught {
    /// Its number.
    pub(super) number: i32,
    /// Its name.
    pub(super) name: &'static str,
}

/// Listens; the default action of these signals is off while this lives in the process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.interrupt.recv() => Caught { number: 2, name: "SIGINT" },
            _ = self.terminate.recv() => Caught { number: 15, name: "SIGTERM" },
            _ = self.hangup.recv() => Caught { number: 15, name: "SIGHUP" },
        }
    }
}
