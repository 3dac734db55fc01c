//! One live line per running step on a terminal; what is over scrolls above.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::FindPlan;
use super::hub::{ProgressUpdate, Subscriber};
use super::lines::{Line, Lines};
use super::style::{Style, clean};
use super::view::View;
use crate::model::{Envelope, Event};

/// The renderer on a terminal.
pub struct Terminal {
    view: View,
    style: Style,
    steps: usize,
    bars: MultiProgress,
    total: Option<ProgressBar>,
    running: HashMap<Arc<str>, ProgressBar>,
    last: HashMap<Arc<str>, String>,
}

impl Terminal {
    /// For a run of that many steps, of which so many are over.
    pub fn new(style: Style, steps: usize, over: usize, find_plan: FindPlan) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20));
        let mut view = View::new(find_plan);
        view.over = over;
        Self { view, style, steps, bars, total: None, running: HashMap::new(), last: HashMap::new() }
    }

    fn begin(&mut self, step: &str) {
        let bar = ProgressBar::new_spinner().with_style(spinner());
        let bar = match &self.total {
            Some(total) => self.bars.insert_before(total, bar),
            None => self.bars.add(bar),
        };
        bar.set_prefix(step.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.running.insert(step.into(), bar);
    }

    fn end(&mut self, step: &str) -> Option<String> {
        if let Some(bar) = self.running.remove(step) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.last.remove(step)
    }

    fn total(&mut self) {
        if self.steps < 5 {
            return;
        }
        let total = self.total.get_or_insert_with(|| self.bars.add(ProgressBar::new(self.steps as u64).with_style(whole())));
        total.set_position(self.view.over as u64);
    }

    fn show(&mut self, step: &Arc<str>, message: String) {
        if let Some(bar) = self.running.get(step) {
            bar.set_message(message);
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {prefix}  {elapsed:.dim}  {wide_msg:.dim}").expect("the template is a constant")
}

fn whole() -> ProgressStyle {
    ProgressStyle::with_template("  {pos}/{len} steps  {elapsed:.dim}").expect("the template is a constant")
}

impl Subscriber for Terminal {
    fn event(&mut self, envelope: &Envelope) {
        let last = match &envelope.event {
            Event::AttemptStarted { step, .. } | Event::UndoStarted { step } => {
                self.begin(step);
                None
            }
            Event::AttemptSucceeded { step, .. }
            | Event::AttemptFailed { step, .. }
            | Event::AttemptWithdrawn { step, .. }
            | Event::UndoSucceeded { step }
            | Event::UndoFailed { step, .. } => self.end(step),
            _ => None,
        };
        let lines = Lines { view: &self.view, style: self.style }.of(envelope);
        for line in lines {
            if let Line::End(mut text) = line {
                if let (Event::AttemptSucceeded { .. }, Some(last)) = (&envelope.event, &last) {
                    text = format!("{text}  {}", self.style.dim(last));
                }
                let _ = self.bars.println(text);
            }
        }
        self.view.take(envelope);
        self.total();
    }

    fn progress(&mut self, update: &ProgressUpdate) {
        match update {
            ProgressUpdate::Output { step, text } => {
                if self.style.verbose > 0 {
                    for row in text.lines() {
                        let _ = self.bars.println(format!("{} {}", self.style.dim(&format!("  {step} |")), clean(row)));
                    }
                }
                if let Some(row) = text.lines().rev().map(clean).find(|row| !row.trim().is_empty()) {
                    self.last.insert(step.clone(), row.clone());
                    self.show(step, row);
                }
            }
            ProgressUpdate::Step { step, message, done, total } => {
                let amount = match (done, total) {
                    (Some(done), Some(total)) if *total > 0 => format!("  {}%", done * 100 / total),
                    (Some(done), _) => format!("  {done}"),
                    _ => String::new(),
                };
                self.show(step, format!("{}{amount}", clean(message)));
            }
        }
    }

    fn end(&mut self) {
        for bar in self.running.values().chain(&self.total) {
            bar.finish_and_clear();
        }
        let _ = self.bars.clear();
    }
}
