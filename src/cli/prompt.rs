//! Waiting for what a person types, in a way that leaves signals their meaning.
//!
//! Whoever drove a run before listens to signals for as long as the program lives, so that none of them has its default action any more. A
//! question that only read would be deaf to them.

use std::io::{Error, stdin};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::model::Outcome;

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// There is something to read.
    Input,
    /// Ctrl-Z stopped the program, and somebody woke it.
    Woken,
    /// A signal that ends the program.
    Signal {
        /// Its name.
        name: &'static str,
        /// The exit code that tells of it.
        code: u8,
    },
}

/// Asks, and waits for input on the terminal, or for a signal. A terminal that cannot be waited for is read as it is.
pub fn wait(ask: impl Fn()) -> Came {
    let unheard = || {
        ask();
        Came::Input
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return unheard() };
    let came = runtime.block_on(first(&ask)).unwrap_or_else(|_| unheard());
    // The thread that looks at the terminal may look on: it takes nothing from it.
    runtime.shutdown_background();
    came
}

/// Returns once there is something to read, or never will be.
fn look() {
    let input = stdin();
    while poll(&mut [PollFd::new(&input, PollFlags::IN)], None) == Err(Errno::INTR) {}
}

async fn first(ask: &impl Fn()) -> Result<Came, Error> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut stop = signal(SignalKind::from_raw(Number::TSTP.as_raw()))?;
    // Whoever sees the question may answer it with a signal.
    ask();
    let input = tokio::task::spawn_blocking(look);
    let ends = |name, outcome: Outcome| Ok(Came::Signal { name, code: outcome.exit_code() });
    tokio::select! {
        biased;
        _ = interrupt.recv() => ends("SIGINT", Outcome::Interrupted),
        _ = terminate.recv() => ends("SIGTERM", Outcome::Terminated),
        _ = hangup.recv() => ends("SIGHUP", Outcome::Terminated),
        _ = quit.recv() => ends("SIGQUIT", Outcome::Terminated),
        _ = stop.recv() => {
            // Returns when we are woken.
            let _ = kill_process(getpid(), Number::STOP);
            Ok(Came::Woken)
        }
        _ = input => Ok(Came::Input),
    }
}
