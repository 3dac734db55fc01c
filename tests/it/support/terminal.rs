//! A program in a terminal, with somebody who reads what it asks and types.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::process::Signal;
use rustix::termios::tcgetattr;

use super::{Sandbox, processes};

/// Longer than a question may take to appear.
const LIMIT: Duration = Duration::from_mins(1);

/// The terminal. The program in it is killed on drop.
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    /// Everything that was shown.
    pub screen: String,
    /// How much of it was waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts the program under test in a terminal of 24 lines.
    pub fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("the machine has terminals");
        let mut command = sandbox.command(env!("CARGO_BIN_EXE_formula"));
        command.args(args).env("TERM", "xterm-256color");
        let end = || pty.slave.try_clone().expect("a descriptor can be doubled");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
        // The command holds its ends of the terminal, and with them the terminal open.
        drop(command);
        drop(pty.slave);
        let keys = File::from(pty.master);
        let mut screen = keys.try_clone().expect("a descriptor can be doubled");
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The last end that closes makes reading fail, which is the end of it.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keys, shown, screen: String::new(), seen: 0 }
    }

    /// Waits until that is shown, behind what was waited for before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            match self.shown.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("`{text}` is not shown ({why}):\n{}", self.screen),
            }
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// How the terminal is set, in words that can be compared.
    pub fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.keys).expect("it is a terminal"))
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self
    }

    /// Waits for the end; gives the exit code.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        // The terminal is closed by the end of the program.
        loop {
            match self.shown.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.screen),
            }
        }
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
