//! Lines with times for logs and pipes, on stderr; complete without colour.
//!
//! In a CI system what a step printed is a group that can be unfolded, and a failure is an annotation besides.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use super::ci::Ci;
use super::hub::{ProgressUpdate, Subscriber};
use super::lines::Lines;
use super::rows::Rows;
use super::style::Style;
use super::view::View;
use super::{FindLog, FindPlan};
use crate::model::{Envelope, Event, RunId, Timestamp};

/// The renderer where there is no terminal.
pub struct Plain {
    view: View,
    style: Style,
    out: std::io::LineWriter<Box<dyn std::io::Write + Send>>,
    open: bool,
    job: Option<(Ci, FindLog)>,
    rows: HashMap<Arc<str>, Rows>,
    last: HashMap<Arc<str>, String>,
}

impl Plain {
    /// To stderr.
    pub fn new(style: Style, find_plan: FindPlan) -> Self {
        Self::to(Box::new(std::io::stderr()), style, find_plan)
    }

    /// To another place than stderr.
    pub fn to(out: Box<dyn std::io::Write + Send>, style: Style, find_plan: FindPlan) -> Self {
        let (rows, last) = (HashMap::new(), HashMap::new());
        Self { view: View::new(find_plan), style, out: std::io::LineWriter::new(out), open: true, job: None, rows, last }
    }

    /// For the job of a CI system: with groups of what steps printed, unless that is shown as it comes, and with annotations.
    #[must_use]
    pub fn in_job(mut self, ci: Ci, find_log: FindLog) -> Self {
        self.job = Some((ci, find_log));
        self
    }

    fn print(&mut self, at: Timestamp, text: &str) {
        let stamp = at.to_string();
        let time = stamp.get(11..19).unwrap_or_default();
        self.print_bare(&format!("{} {text}", self.style.dim(time)));
    }

    /// A command to the CI system must begin its line.
    fn print_bare(&mut self, text: &str) {
        // A reader that is gone must not be written to again, nor stop anything.
        self.open = self.open && self.out.write_all(format!("{text}\n").as_bytes()).is_ok();
    }

    fn print_rows(&mut self, step: &str, rows: impl IntoIterator<Item = String>) {
        for row in rows {
            let line = format!("{} {}", self.style.dim(&format!("  {step} |")), self.style.clean(&row));
            self.print(self.view.now, &line);
        }
    }

    /// What an attempt or an undo printed, folded.
    fn group(&mut self, run: &RunId, step: &str, attempt: u32) {
        let Some((ci, find_log)) = self.job.as_ref().filter(|_| self.style.verbose == 0) else { return };
        let Some(log) = find_log(run, step, attempt).filter(|log| !log.is_empty()) else { return };
        let title = match attempt {
            0 => format!("{step}: output of taking it back"),
            1 => format!("{step}: output"),
            attempt => format!("{step}: output of attempt {attempt}"),
        };
        let mut rows = Rows::default();
        let mut lines = rows.push(&String::from_utf8_lossy(&log));
        lines.extend(rows.end());
        self.print_bare(&ci.group(&title));
        for line in lines {
            self.print_bare(&self.style.clean(&line));
        }
        self.print_bare(Ci::END);
    }

    fn annotate(&mut self, step: &str, message: &str) {
        if let Some((ci, _)) = self.job {
            self.print_bare(&ci.annotation(step, message));
        }
    }
}

impl Subscriber for Plain {
    fn event(&mut self, envelope: &Envelope) {
        let mut last = None;
        if let Some((step, attempt)) = ended(&envelope.event) {
            if let Some(rest) = self.rows.remove(step).and_then(|mut rows| rows.end()) {
                self.view.step(step).print(std::slice::from_ref(&rest));
                self.print_rows(step, [rest]);
            }
            self.group(&envelope.run, step, attempt);
            // What was shown as it came is not shown again.
            last = self.last.remove(step).filter(|_| self.style.verbose == 0);
        }
        for line in (Lines { view: &self.view, style: self.style }).of(envelope) {
            match (&envelope.event, last.take()) {
                (Event::AttemptSucceeded { .. }, Some(last)) => {
                    self.print(envelope.at, &format!("{}  {}", line.text(), self.style.dim(&last)));
                }
                _ => self.print(envelope.at, line.text()),
            }
        }
        if let Event::AttemptFailed { step, message, .. } = &envelope.event {
            self.annotate(step, message);
        }
        self.view.take(envelope);
    }

    fn progress(&mut self, update: &ProgressUpdate) {
        match update {
            ProgressUpdate::Output { step, text } if self.style.verbose > 0 => {
                let whole = self.rows.entry(step.clone()).or_default().push(text);
                self.view.step(step).print(&whole);
                self.print_rows(step, whole);
            }
            ProgressUpdate::Last { step, line } => {
                self.last.insert(step.clone(), self.style.clean(line));
            }
            _ => {}
        }
    }
}

/// The step whose attempt, or undo, ended with that, and the number of the attempt.
fn ended(event: &Event) -> Option<(&str, u32)> {
    match event {
        Event::AttemptSucceeded { step, attempt, .. } | Event::AttemptFailed { step, attempt, .. } => Some((step, *attempt)),
        Event::UndoSucceeded { step } | Event::UndoFailed { step, .. } => Some((step, 0)),
        _ => None,
    }
}
