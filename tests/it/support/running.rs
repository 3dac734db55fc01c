//! A program that runs, and what it has said so far.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Ran, Redactor, processes};

/// Longer than anything that a test starts may take; then it is killed and the test fails.
const LIMIT: Duration = Duration::from_mins(3);
/// How long the streams of an ended program are read on where something that it left holds them open.
const LINGER: Duration = Duration::from_secs(1);

/// A running program. Killed on drop.
pub struct Running {
    child: Child,
    started: Instant,
    parts: Receiver<(Stream, Vec<u8>)>,
    /// Bytes of standard output and standard error.
    said: [Vec<u8>; 2],
    shown: String,
    redactor: Redactor,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Running {
    pub(super) fn start(mut command: Command, stdin: Option<Vec<u8>>, shown: String, redactor: Redactor) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("`{shown}` does not start: {error}"));
        let (sender, parts) = channel();
        pump(child.stdout.take(), Stream::Out, sender.clone());
        pump(child.stderr.take(), Stream::Err, sender);
        if let (Some(mut pipe), Some(content)) = (child.stdin.take(), stdin) {
            // A program that does not read all of it is within its rights.
            thread::spawn(move || drop(pipe.write_all(&content)));
        }
        let started = Instant::now();
        Self { child, started, parts, said: [Vec::new(), Vec::new()], shown, redactor }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// Kills it. [`Self::finish`] tells what it had said.
    pub fn kill(&mut self) {
        self.child.kill().unwrap_or_else(|error| panic!("`{}` cannot be killed: {error}", self.shown));
    }

    /// Waits until a whole line, on either stream, fits: one to come or one said before. False if the program ends without one.
    #[track_caller]
    pub fn wait_for_line(&mut self, fits: impl Fn(&str) -> bool) -> bool {
        self.wait_for_lines(1, fits)
    }

    /// Waits until that many lines since the start fit. The order between the two streams cannot be known, so all are looked at.
    #[track_caller]
    pub fn wait_for_lines(&mut self, count: usize, fits: impl Fn(&str) -> bool) -> bool {
        let mut looked = [0, 0];
        let mut fitting = 0;
        loop {
            let ended = self.exited().is_some();
            if ended {
                self.linger();
            }
            for (said, looked) in self.said.iter().zip(&mut looked) {
                while let Some(length) = said[*looked..].iter().position(|byte| *byte == b'\n') {
                    fitting += usize::from(fits(&String::from_utf8_lossy(&said[*looked..*looked + length])));
                    *looked += length + 1;
                }
            }
            if ended || fitting >= count {
                return fitting >= count;
            }
            self.listen(Duration::from_millis(20));
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.exited() {
                break status;
            }
            self.listen(Duration::from_millis(20));
        };
        self.linger();
        let [stdout, stderr] = std::mem::take(&mut self.said).map(|bytes| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => panic!("`{}` prints what is no UTF-8: {error}", self.shown),
        });
        let (shown, redactor) = (std::mem::take(&mut self.shown), self.redactor.clone());
        Ran { stdout, stderr, code: status.code(), signal: status.signal(), shown, redactor }
    }

    #[track_caller]
    fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().unwrap_or_else(|error| panic!("`{}`: {error}", self.shown));
        if status.is_none() && self.started.elapsed() > LIMIT {
            let [stdout, stderr] = self.said.each_ref().map(|bytes| String::from_utf8_lossy(bytes));
            panic!("`{}` still runs after {LIMIT:?}\n--- stdout\n{stdout}--- stderr\n{stderr}", self.shown);
        }
        status
    }

    /// Takes what comes within that time; false once both streams have ended.
    fn listen(&mut self, patience: Duration) -> bool {
        match self.parts.recv_timeout(patience) {
            Ok((stream, part)) => {
                self.said[stream as usize].extend(part);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => {
                // Both streams are closed but the program lives: there is nothing left to wake up for.
                thread::sleep(Duration::from_millis(2));
                false
            }
        }
    }

    fn linger(&mut self) {
        let end = Instant::now() + LINGER;
        while self.listen(end.saturating_duration_since(Instant::now())) && Instant::now() < end {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn pump(pipe: Option<impl Read + Send + 'static>, stream: Stream, parts: Sender<(Stream, Vec<u8>)>) {
    let mut pipe = pipe.expect("both streams are piped");
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if parts.send((stream, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
}
