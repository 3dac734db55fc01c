//! A program that has ended: what it said, and assertions on it.

use std::fmt::Write as _;

use serde_json::Value;

use super::Redactor;

/// What a program left.
#[must_use = "say what the program should have done"]
#[derive(Debug)]
pub struct Ran {
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The command line, for messages.
    pub shown: String,
    /// What the assertions on text leave out of account.
    pub redactor: Redactor,
}

impl Ran {
    /// It ended by itself with that code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.story());
        self
    }

    /// `SIGKILL` ended it: it was cut off where the test wanted it, and had not ended by itself before.
    #[track_caller]
    pub fn was_killed(&self) -> &Self {
        assert!(self.signal == Some(9), "expected to be killed\n{}", self.story());
        self
    }

    /// Its standard output, redacted, is exactly this.
    #[track_caller]
    pub fn stdout_is(&self, expected: &str) -> &Self {
        self.same("stdout", expected, &self.stdout);
        self
    }

    /// Its standard error, redacted, is exactly this.
    #[track_caller]
    pub fn stderr_is(&self, expected: &str) -> &Self {
        self.same("stderr", expected, &self.stderr);
        self
    }

    /// Its standard output, redacted, holds this.
    #[track_caller]
    pub fn stdout_has(&self, part: &str) -> &Self {
        assert!(self.redactor.redact(&self.stdout).contains(part), "stdout lacks `{part}`\n{}", self.story());
        self
    }

    /// Its standard error, redacted, holds this.
    #[track_caller]
    pub fn stderr_has(&self, part: &str) -> &Self {
        assert!(self.redactor.redact(&self.stderr).contains(part), "stderr lacks `{part}`\n{}", self.story());
        self
    }

    /// Neither stream holds this: for secrets.
    #[track_caller]
    pub fn never_says(&self, secret: &str) -> &Self {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "`{secret}` was printed\n{}", self.story());
        self
    }

    /// Its standard output, each line read as JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}\n{}", self.story()));
        self.stdout.lines().map(read).collect()
    }

    /// The events of that type among the lines of `--json`. A last line that was cut off counts as not said.
    #[track_caller]
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let whole = self.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        whole.map(|mut line| line["event"].take()).filter(|event| event["type"] == kind).collect()
    }

    /// The steps that events of that type are about, in order.
    #[track_caller]
    pub fn steps(&self, kind: &str) -> Vec<String> {
        self.events(kind).iter().filter_map(|event| event["step"].as_str().map(str::to_owned)).collect()
    }

    /// The verdict: the last line of `--json`.
    #[track_caller]
    pub fn verdict(&self) -> Value {
        let last = self.json().pop().unwrap_or_default();
        assert!(last["verdict"].is_object(), "the last line is no verdict\n{}", self.story());
        last["verdict"].clone()
    }

    /// The run that the lines of `--json` are about.
    #[track_caller]
    pub fn run_id(&self) -> String {
        let first: Value = self.stdout.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        first["run"].as_str().unwrap_or_else(|| panic!("no line names a run\n{}", self.story())).to_owned()
    }

    #[track_caller]
    fn same(&self, stream: &str, expected: &str, found: &str) {
        let found = self.redactor.redact(found);
        if found == expected {
            return;
        }
        let mut message = format!("{stream} differs (- expected, + found)\n");
        let (mut left, mut right) = (expected.split_inclusive('\n'), found.split_inclusive('\n'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => break,
                (one, other) if one == other => drop(write!(message, "  {}", one.unwrap_or_default())),
                (one, other) => {
                    for (sign, line) in [('-', one), ('+', other)] {
                        let _ = line.map(|line| write!(message, "{sign} {line}{}", if line.ends_with('\n') { "" } else { "⏎ missing\n" }));
                    }
                }
            }
        }
        panic!("{message}{}", self.story());
    }

    fn story(&self) -> String {
        let end = match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        format!("$ {}\n--- stdout\n{}--- stderr\n{}--- {end}", self.shown, self.stdout, self.stderr)
    }
}
