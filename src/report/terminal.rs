//! One live line per running step on a terminal; what is over scrolls above.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dialoguer::console::{Term, measure_text_width, truncate_str};
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::FindPlan;
use super::hub::{ProgressUpdate, Subscriber};
use super::lines::{Line, Lines};
use super::rows::Rows;
use super::style::{Style, clean};
use super::view::View;
use crate::model::{Envelope, Event};

/// How often a live line moves.
const TICK: Duration = Duration::from_millis(100);
/// Runs of fewer steps are shown without a count.
const COUNTED: usize = 5;
/// Columns below which a part of a last line says nothing.
const LITTLE: usize = 8;

/// The renderer on a terminal.
pub struct Terminal {
    view: View,
    style: Style,
    steps: usize,
    bars: MultiProgress,
    total: Option<ProgressBar>,
    more: Option<ProgressBar>,
    /// In the order in which they began; of each whether there is a line for it.
    running: IndexMap<Arc<str>, (ProgressBar, bool)>,
    rows: HashMap<Arc<str>, Rows>,
    last: HashMap<Arc<str>, String>,
}

impl Terminal {
    /// For a run of that many steps, of which so many are over.
    pub fn new(style: Style, steps: usize, over: usize, find_plan: FindPlan) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20));
        let mut view = View::new(find_plan);
        view.over = over;
        let (rows, last) = (HashMap::new(), HashMap::new());
        Self { view, style, steps, bars, total: None, more: None, running: IndexMap::new(), rows, last }
    }

    fn begin(&mut self, step: &str) {
        // Without a target until there is a line for it; its clock runs all the same.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(live("{spinner:.cyan} {prefix}  {elapsed:.dim}  {wide_msg:.dim}"));
        bar.set_prefix(step.to_owned());
        self.running.insert(step.into(), (bar, false));
    }

    /// Takes the live line away; gives the last line of the output.
    fn over(&mut self, step: &str) -> Option<String> {
        if let Some((bar, _)) = self.running.shift_remove(step) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if let Some(rest) = self.rows.remove(step).and_then(|mut rows| rows.end()) {
            self.print_rows(step, &[rest]);
        }
        self.last.remove(step)
    }

    /// Shows as many of the running steps as there is room for, says how many more there are, and counts.
    fn fit(&mut self) {
        if self.steps >= COUNTED {
            let total = self.total.get_or_insert_with(|| {
                let total = self.bars.add(ProgressBar::new(self.steps as u64).with_style(live("  {pos}/{len} steps  {elapsed:.dim}")));
                total.enable_steady_tick(TICK);
                total
            });
            total.set_position(self.view.over as u64);
        }
        let rows = usize::from(Term::stderr().size().0);
        let room = rows.saturating_sub(1 + usize::from(self.total.is_some())).max(2);
        let room = if self.running.len() > room { room - 1 } else { room };
        for (index, (bar, shown)) in self.running.values_mut().enumerate() {
            if *shown && index >= room {
                self.bars.remove(bar);
                bar.set_draw_target(ProgressDrawTarget::hidden());
                *shown = false;
            } else if !*shown && index < room {
                match self.more.as_ref().or(self.total.as_ref()) {
                    Some(below) => self.bars.insert_before(below, bar.clone()),
                    None => self.bars.add(bar.clone()),
                };
                bar.enable_steady_tick(TICK);
                *shown = true;
            }
        }
        let hidden = self.running.len().saturating_sub(room);
        if hidden == 0 {
            if let Some(more) = self.more.take() {
                more.finish_and_clear();
                self.bars.remove(&more);
            }
            return;
        }
        let more = self.more.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(live("  {wide_msg:.dim}"));
            match &self.total {
                Some(total) => self.bars.insert_before(total, bar),
                None => self.bars.add(bar),
            }
        });
        more.set_message(format!("… and {hidden} more"));
    }

    fn show(&mut self, step: &Arc<str>, message: String) {
        if let Some((bar, _)) = self.running.get(step) {
            bar.set_message(message);
        }
    }

    fn print_rows(&mut self, step: &str, rows: &[String]) {
        if self.style.verbose == 0 {
            return;
        }
        self.view.step(step).print(rows);
        for row in rows {
            let _ = self.bars.println(format!("{} {}", self.style.dim(&format!("  {step} |")), clean(row)));
        }
    }

    fn output(&mut self, step: &Arc<str>, text: &str) {
        let rows = self.rows.entry(step.clone()).or_default();
        let whole = rows.push(text);
        let open = Some(rows.open()).filter(|row| !row.trim().is_empty()).map(clean);
        let last = open.or_else(|| whole.iter().rev().map(|row| clean(row)).find(|row| !row.trim().is_empty()));
        self.print_rows(step, &whole);
        if let Some(row) = last {
            self.show(step, row);
        }
    }

    /// A line with the last line of the output, of which is shown what there is room for.
    fn with_last(&self, text: &str, last: &str) -> String {
        let room = usize::from(Term::stderr().size().1).saturating_sub(measure_text_width(text) + 2);
        if room < LITTLE { text.to_owned() } else { format!("{text}  {}", self.style.dim(&truncate_str(last.trim_end(), room, "…"))) }
    }
}

fn live(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
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
            | Event::UndoFailed { step, .. } => self.over(step),
            _ => None,
        };
        let lines = Lines { view: &self.view, style: self.style }.of(envelope);
        for line in lines {
            if let Line::End(mut text) = line {
                if let (Event::AttemptSucceeded { .. }, Some(last)) = (&envelope.event, &last) {
                    text = self.with_last(&text, last);
                }
                let _ = self.bars.println(text);
            }
        }
        self.view.take(envelope);
        self.fit();
    }

    fn progress(&mut self, update: &ProgressUpdate) {
        match update {
            ProgressUpdate::Output { step, text } => self.output(step, text),
            ProgressUpdate::Last { step, line } => {
                self.last.insert(step.clone(), clean(line));
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
        for bar in self.running.values().map(|(bar, _)| bar).chain(&self.total).chain(&self.more) {
            bar.finish_and_clear();
        }
        let _ = self.bars.clear();
    }
}
