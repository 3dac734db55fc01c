//! One run for a person.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::failure::Failure;
use super::super::runs::{seconds, stands};
use super::super::table::columns;
use super::super::ui::Ui;
use super::{Shown, command, word};
use crate::engine::{Origin, StepState};
use crate::model::{Gate, Outcome, StepIx};
use crate::report::{Style, clean, duration};

/// Characters of a value that are shown.
const MOST: usize = 100;

/// All of it, with a line end.
pub(super) fn text(ui: &Ui, shown: &Shown) -> Result<String, Failure> {
    let style = Style { color: ui.color_out, verbose: ui.verbose, ci: None };
    let mut out = head(shown, style);
    vars(shown, style, &mut out);
    let _ = writeln!(out, "\n{}", style.bold("steps"));
    let ids: Vec<Vec<String>> = shown.plan.steps.iter().map(|step| vec![step.id.clone(), String::new()]).collect();
    let width = columns(&ids).iter().map(|line| line.chars().count()).max().unwrap_or(0).min(40);
    for (ix, step) in shown.steps() {
        let (sign, words) = line(shown, ix, style);
        let _ = writeln!(out, "{sign} {}  {words}", format_args!("{:width$}", step.id));
        details(shown, ix, style, &mut out)?;
    }
    end(shown, style, &mut out);
    Ok(out)
}

fn head(shown: &Shown, style: Style) -> String {
    let record = &shown.record;
    let stands = stands(record, shown.driver.as_ref()).replace('_', " ");
    let painted = match record.outcome {
        Some(Outcome::Done) => style.good(&stands),
        Some(Outcome::Refused | Outcome::RolledBack | Outcome::RollbackIncomplete) => style.bad(&stands),
        _ => style.warn(&stands),
    };
    let mut out = format!("{} {} {}\n", style.bold(&record.formula), record.run, painted);
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "  {}  {}", style.dim(&format!("{name:9}")), clean(value));
    };
    row("started", &format!("{}, newest event {}", seconds(record.started), seconds(record.updated)));
    row("in", &record.workdir.display().to_string());
    if let Some(key) = &record.key {
        row("key", key);
    }
    row("changed", if record.changed || shown.state.changed() { "yes" } else { "nothing" });
    if let Some(driver) = &shown.driver {
        row("driven by", &format!("pid {} of {} on {}, since {}", driver.pid, driver.user, driver.host, seconds(driver.since)));
    }
    out
}

fn vars(shown: &Shown, style: Style, out: &mut String) {
    let inputs = shown.plan.inputs();
    if inputs.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", style.bold("vars"));
    let width = inputs.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in inputs {
        let _ = writeln!(out, "  {name:width$}  {}", shortened(value));
    }
}

/// The sign of a step and what is to be said in one line.
fn line(shown: &Shown, ix: StepIx, style: Style) -> (String, String) {
    let step = shown.plan.step(ix);
    let story = shown.story(&step.id);
    let state = shown.state.step(ix);
    let took = story.took_ms.map_or_else(String::new, |millis| format!("  {}", style.dim(&duration(millis))));
    let attempts = match (story.attempts, step.retry.attempts) {
        (0 | 1, 1) | (0, _) => String::new(),
        (attempts, of) if attempts <= of => format!("  attempt {attempts} of {of}"),
        (attempts, _) => format!("  attempt {attempts}"),
    };
    let change = story.changes.first().map_or_else(String::new, |change| format!("  {}", clean(&change.summary)));
    let name = state.name();
    match state {
        StepState::Done { origin: Origin::Created } => {
            let said = story.word.as_deref().filter(|_| step.gate.is_some()).map_or_else(String::new, |word| format!("  {}", clean(word)));
            (style.good("✓"), format!("done{took}{attempts}{change}{said}"))
        }
        StepState::Done { origin: Origin::Adopted } => match &story.word {
            Some(word) => (style.good("="), format!("taken as it is by {}", clean(word))),
            None => (style.good("="), style.dim("already so")),
        },
        StepState::Skipped => (style.dim("-"), style.dim(&format!("skipped: {}", clean(&story.word.unwrap_or_default())))),
        StepState::Failed(trouble) | StepState::Held { trouble, .. } | StepState::UndoFailed(trouble) => {
            let first = trouble.message.lines().next().unwrap_or_default();
            (style.bad("✗"), format!("{}{attempts}{took}  {}: {}", style.bad(name), trouble.class.as_str(), clean(first)))
        }
        StepState::Undone if step.leaves_nothing() => (style.dim("-"), style.dim("nothing to take back")),
        StepState::Undone => (style.good("↩"), "taken back".to_owned()),
        StepState::Undoing => (style.warn("↩"), "being taken back".to_owned()),
        StepState::Running { .. } | StepState::InDoubt { .. } | StepState::WaitingRetry { .. } => {
            (style.warn("▸"), format!("{}{attempts}", style.warn(name)))
        }
        StepState::Waiting { .. } => (style.warn("?"), clean(story.prompt.as_deref().unwrap_or("waits"))),
        StepState::Pending | StepState::Ready => (style.dim("·"), style.dim(name)),
    }
}

fn details(shown: &Shown, ix: StepIx, style: Style, out: &mut String) -> Result<(), Failure> {
    let step = shown.plan.step(ix);
    let state = shown.state.step(ix);
    if let Some(trouble) = state.trouble() {
        for row in trouble.message.lines().skip(1) {
            let _ = writeln!(out, "    {}", clean(row));
        }
        if let Some(hint) = &trouble.hint {
            let _ = writeln!(out, "    {} {}", style.paint("hint:", "36"), clean(hint));
        }
    }
    for (answer, leads) in shown.state.valid_answers(ix) {
        let _ = writeln!(
            out,
            "    {}  {}",
            shown.place.command(&command(&shown.record.run, &step.id, answer)),
            style.dim(&format!("→ {leads}"))
        );
    }
    if let StepState::Waiting { until, rules, .. } = state {
        if !rules.approvers.is_empty() {
            let _ = writeln!(out, "    {}", style.dim(&format!("who may answer: {}", clean(&rules.names()))));
        }
        if let Some(proven) = rules.proven() {
            let _ = writeln!(out, "    {}", style.dim(&format!("an approval is proven {}", clean(&proven))));
        }
        let expired = shown.state.has_expired(ix);
        if step.gate == Some(Gate::Approve) && !expired {
            let _ = writeln!(out, "    {}", shown.place.command(&format!("formula approve {} {}", shown.record.run, word(&step.id))));
        }
        if let Some(until) = until {
            let words = if expired { "expired: nobody approved it until" } else { "until" };
            let _ = writeln!(out, "    {}", style.dim(&format!("{words} {}", seconds(*until))));
        }
    }
    if let Some(Value::Object(output)) = shown.output(ix)? {
        for (name, value) in output.iter().filter(|(_, value)| !is_empty(value)) {
            let _ = writeln!(out, "    {} {}", style.dim(&format!("{} =", clean(name))), shortened(value));
        }
    }
    Ok(())
}

fn end(shown: &Shown, style: Style, out: &mut String) {
    if shown.driver.is_some() {
        let _ = writeln!(
            out,
            "\n{} {}",
            style.paint("next:", "36"),
            shown.place.command(&format!("formula log {} --follow", shown.record.run))
        );
        return;
    }
    for (index, next) in shown.verdict.next.iter().enumerate() {
        let lead = if index == 0 { "next:" } else { "  or:" };
        let gap = if index == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{gap}{} {next}", style.paint(lead, "36"));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A value on one line that is not too long.
fn shortened(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = clean(&text.lines().collect::<Vec<_>>().join(" ⏎ "));
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).chain(['…']).collect() }
}
