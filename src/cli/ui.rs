//! The streams: data goes to stdout, everything else to stderr. A stream that is closed stops nobody.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};

use super::failure::Failure;
use super::prompt::{self, Came};
use crate::report::Ci;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to talk to the person or program that called.
#[derive(Debug, Clone)]
pub struct Ui {
    /// Colour on stdout.
    pub color_out: bool,
    /// Colour on stderr.
    pub color_err: bool,
    /// Stdout is a terminal.
    pub terminal_out: bool,
    /// Stderr is a terminal that can redraw lines.
    pub live: bool,
    /// A person can be asked.
    pub interactive: bool,
    /// Only failures.
    pub quiet: bool,
    /// More: output of steps.
    pub verbose: u8,
    /// Why data could not be written. That nobody reads any more is no reason.
    pub lost: Arc<OnceLock<String>>,
    /// The CI system that reads what we print.
    pub ci: Option<Ci>,
}

impl Ui {
    /// From the choice on the command line and the environment.
    pub fn new(choice: ColorChoice, no_color: bool, dumb: bool, quiet: bool, verbose: u8) -> Self {
        let color = |terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color && !dumb,
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let interactive = err && std::io::stdin().is_terminal();
        let live = err && !dumb && !quiet;
        let lost = Arc::default();
        Self { color_out: color(out), color_err: color(err), terminal_out: out, live, interactive, quiet, verbose, lost, ci: None }
    }

    /// Data, as it is.
    pub fn out(&self, text: &str) {
        self.wrote(std::io::stdout().write_all(text.as_bytes()));
    }

    /// Data for people, of which the CI system around us takes nothing for a command.
    pub fn told(&self, text: &str) {
        self.out(&self.neutral(text));
    }

    /// Text of which the CI system around us takes nothing for a command.
    pub fn neutral(&self, text: &str) -> String {
        match self.ci {
            Some(ci) => text.split_inclusive('\n').map(|line| ci.neutral(line.to_owned())).collect(),
            None => text.to_owned(),
        }
    }

    /// A line of data.
    pub fn line(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        self.wrote(stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")));
    }

    /// Notes how writing data went.
    pub fn wrote(&self, result: std::io::Result<()>) {
        if let Err(error) = result
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.lost.get_or_init(|| error.to_string());
        }
    }

    /// Writes out what is left; why data could not be written, if it could not.
    pub fn lost(&self) -> Option<&str> {
        self.wrote(std::io::stdout().flush());
        self.lost.get().map(String::as_str)
    }

    /// A line for the person, left out with `--quiet`.
    pub fn status(&self, text: &str) {
        if !self.quiet {
            self.err(text);
        }
    }

    /// A line for the person.
    pub fn err(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(self.neutral(text).as_bytes()).and_then(|()| stderr.write_all(b"\n"));
    }

    /// A failed command, with what to do now.
    pub fn failure(&self, failure: &Failure) {
        if !failure.message.is_empty() {
            self.err(&format!("{} {}", self.paint("error:", "1;31"), failure.message));
        }
        for hint in &failure.hints {
            self.err(&format!("  {} {hint}", self.paint("hint:", "36")));
        }
    }

    /// Text for stderr in a style, such as `1;31`.
    pub fn paint(&self, text: &str, style: &str) -> String {
        if self.color_err { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Asks a question that is answered with yes or no; no where nobody can be asked. Ctrl-Z and `fg` work, and the question is asked again.
    ///
    /// # Errors
    /// A signal that ends the program came instead of an answer.
    pub fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if !self.interactive {
            return Ok(false);
        }
        loop {
            let ask = || {
                let mut stderr = std::io::stderr().lock();
                let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
            };
            match prompt::wait(ask) {
                Came::Input => break,
                Came::Woken => {}
                Came::Signal { name, code } => {
                    let _ = std::io::stderr().write_all(b"\n");
                    return Err(Failure::new(code, format!("{name} came instead of an answer")));
                }
            }
        }
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
