//! The streams: data goes to stdout, everything else to stderr. A stream that is closed stops nobody.

use std::io::{IsTerminal as _, Write as _};

use super::failure::Failure;
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
        Self {
            color_out: color(out),
            color_err: color(err),
            terminal_out: out,
            live: err && !dumb && !quiet,
            interactive,
            quiet,
            verbose,
            ci: None,
        }
    }

    /// Data, as it is.
    pub fn out(&self, text: &str) {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// Data for people, of which the CI system around us takes nothing for a command.
    pub fn told(&self, text: &str) {
        self.out(&self.neutral(text));
    }

    fn neutral(&self, text: &str) -> String {
        match self.ci {
            Some(ci) => text.split_inclusive('\n').map(|line| ci.neutral(line.to_owned())).collect(),
            None => text.to_owned(),
        }
    }

    /// A line of data.
    pub fn line(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
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

    /// Asks a question that is answered with yes or no; no where nobody can be asked.
    pub fn confirm(&self, question: &str) -> bool {
        if !self.interactive {
            return false;
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        matches!(answer.trim(), "y" | "Y" | "yes")
    }
}
