//! A program about to be started in a sandbox.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use super::{Ran, Running, Sandbox};

/// What to start and how; see [`formula`].
#[must_use = "it has not been started"]
pub struct Program<'a> {
    sandbox: &'a Sandbox,
    program: String,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    folder: PathBuf,
    stdin: Option<Vec<u8>>,
}

/// The program under test, in a sandbox.
pub fn formula(sandbox: &Sandbox) -> Program<'_> {
    Program::new(sandbox, env!("CARGO_BIN_EXE_formula"))
}

impl<'a> Program<'a> {
    /// Another program in the same surroundings.
    pub fn new(sandbox: &'a Sandbox, program: &str) -> Self {
        let program = program.to_owned();
        Self { sandbox, program, args: Vec::new(), env: Vec::new(), folder: sandbox.work(), stdin: None }
    }

    /// One more argument.
    pub fn arg(self, arg: &str) -> Self {
        self.args([arg])
    }

    /// More arguments.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable on top of [`Sandbox::environment`].
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another folder than `work`, relative to it.
    pub fn folder(mut self, path: &str) -> Self {
        self.folder = self.sandbox.work().join(path);
        self
    }

    /// What it finds on its standard input; nothing otherwise.
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(content.into());
        self
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Ran {
        self.start().finish()
    }

    /// Starts it and kills it (`SIGKILL`, by pid) as soon as a line of either stream fits. Ask [`Ran::was_killed`] whether it did not end
    /// before.
    pub fn run_and_kill_at(self, fits: impl Fn(&str) -> bool) -> Ran {
        let mut running = self.start();
        if running.wait_for_line(fits) {
            running.kill();
        }
        running.finish()
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let mut command = self.sandbox.command(&self.program);
        command.args(&self.args).envs(self.env).current_dir(&self.folder);
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = self.program.rsplit('/').next().unwrap_or_default();
        let args = self.args.iter().map(|arg| arg.to_string_lossy().into_owned());
        let shown: Vec<String> = [name.to_owned()].into_iter().chain(args).collect();
        Running::start(command, self.stdin, shown.join(" "), self.sandbox.redactor.clone())
    }
}
