//! Lines with times for logs and pipes, on stderr; complete without colour.

use std::io::Write as _;

use super::FindPlan;
use super::hub::{ProgressUpdate, Subscriber};
use super::lines::Lines;
use super::style::{Style, clean};
use super::view::View;
use crate::model::{Envelope, Timestamp};

/// The renderer where there is no terminal.
pub struct Plain {
    view: View,
    style: Style,
    out: std::io::LineWriter<Box<dyn std::io::Write + Send>>,
    open: bool,
}

impl Plain {
    /// To stderr.
    pub fn new(style: Style, find_plan: FindPlan) -> Self {
        Self::to(Box::new(std::io::stderr()), style, find_plan)
    }

    /// To another place than stderr.
    pub fn to(out: Box<dyn std::io::Write + Send>, style: Style, find_plan: FindPlan) -> Self {
        Self { view: View::new(find_plan), style, out: std::io::LineWriter::new(out), open: true }
    }

    fn print(&mut self, at: Timestamp, text: &str) {
        let stamp = at.to_string();
        let time = stamp.get(11..19).unwrap_or_default();
        // A command to the CI system must begin its line.
        let text = if text.starts_with("::") { format!("{text}\n") } else { format!("{} {text}\n", self.style.dim(time)) };
        // A reader that is gone must not be written to again, nor stop anything.
        self.open = self.open && self.out.write_all(text.as_bytes()).is_ok();
    }
}

impl Subscriber for Plain {
    fn event(&mut self, envelope: &Envelope) {
        for line in (Lines { view: &self.view, style: self.style }).of(envelope) {
            self.print(envelope.at, line.text());
        }
        self.view.take(envelope);
    }

    fn progress(&mut self, update: &ProgressUpdate) {
        if let ProgressUpdate::Output { step, text } = update
            && self.style.verbose > 0
        {
            for row in text.lines() {
                let line = format!("{} {}", self.style.dim(&format!("  {step} |")), clean(row));
                self.print(self.view.now, &line);
            }
        }
    }
}
