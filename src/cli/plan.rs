//! `formula plan NAME`: probes for real, touches nothing.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::Arc;

use formula_steps::contract::{Effect, Undo};
use serde_json::json;

use super::app::App;
use super::failure::Outcome;
use super::load;
use super::ui::Ui;
use super::vars::{self, Parsed};
use crate::backend::local::{Foreseen, Foresight, Preview};
use crate::journal::{Journal, MemoryJournal};
use crate::model::Plan;
use crate::report::{Hub, clean};

/// Shows what a run would do, and touches nothing.
///
/// Each step is asked: what it would do, with diffs, or that it is already so; how it is undone, and what is seen to be in the way of that
/// now; and the line past which there is no way back. Vars are flags, as for `run`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "formula plan NAME [--VAR VALUE]… [--set K=V] [--vars FILE] [-o FILE] [--json]")]
pub struct Args {
    /// Name or path of the formula, its vars as flags, and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "NAME AND FLAGS")]
    pub rest: Vec<OsString>,
}

/// Plans.
pub fn plan(app: &App, args: &Args) -> Outcome {
    let Some(Parsed { formula, given, options, app, .. }) = vars::parse(app, "plan", &args.rest)? else { return Ok(0) };
    let app = &app;
    let plan = load::plan(app, &formula, &given, options.key.as_deref(), options.lenient)?;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let backend = app.backend(journal, Hub::new());
    let runtime = app.runtime()?;
    let preview = runtime.block_on(backend.preview(plan.clone()))?;
    runtime.shutdown_background();
    let data = json!({ "v": 1, "plan": plan, "preview": preview });
    if let Some(path) = &options.output {
        let path = app.workdir.join(path);
        std::fs::write(&path, format!("{data:#}\n"))
            .map_err(|error| super::failure::Failure::new(1, format!("`{}`: {error}", path.display())))?;
    }
    if options.json {
        app.ui.line(&data.to_string());
    } else {
        app.ui.told(&text(&app.ui, &plan, &preview));
    }
    Ok(if preview.is_blocked() { 11 } else { 0 })
}

fn text(ui: &Ui, plan: &Plan, preview: &Preview) -> String {
    let paint = |text: &str, style: &str| if ui.color_out { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = format!("{} {} in {}\n", paint("plan of", "1"), plan.formula, plan.workdir.display());
    for step in &preview.steps {
        if preview.no_return.as_deref() == Some(&step.step) {
            let _ = writeln!(out, "{}", paint("──── past this line there is no way back ────", "33"));
        }
        let (sign, words) = words(step);
        let undo = undo(step);
        let _ = writeln!(out, "{} {}  {}  {}{}", paint(sign, "36"), paint(&step.step, "1"), step.kind, words, paint(&undo, "2"));
        details(&mut out, &step.foresight, &paint);
    }
    let acting = preview
        .steps
        .iter()
        .filter(|step| matches!(step.foresight, Foresight::WouldAct { .. } | Foresight::Unknown { .. } | Foresight::Waits { .. }))
        .count();
    let _ = writeln!(out, "{acting} of {} steps would act; lock: {}", preview.steps.len(), preview.lock);
    out
}

fn words(step: &Foreseen) -> (&'static str, String) {
    match &step.foresight {
        Foresight::WouldAct { changes } => ("+", changes.first().map_or_else(|| "would act".into(), |change| clean(&change.summary))),
        Foresight::AlreadySo => ("=", "already so".into()),
        Foresight::Skipped => ("-", "skipped: its condition is false".into()),
        Foresight::Gate => ("?", "waits".into()),
        Foresight::Unknown { reason } => ("▸", format!("runs ({})", clean(reason))),
        Foresight::Waits { reason } => ("▸", format!("runs; {}", clean(reason))),
        Foresight::Diverged { expected, found } => ("✗", format!("found {}, expected {}", clean(found), clean(expected))),
        Foresight::Failed { error } => ("✗", clean(error.message.lines().next().unwrap_or_default())),
    }
}

fn undo(step: &Foreseen) -> String {
    let how = match (step.effect, step.undo) {
        (Effect::ReadOnly, _) => return String::new(),
        (_, Undo::Restore) => "undo: puts back what was there",
        (_, Undo::Reverse) => "undo: takes it away",
        (_, Undo::Nothing) => "nothing to undo",
        (_, Undo::Impossible) => "cannot be undone",
    };
    let obstacle = step.undo_obstacle.as_ref().map(|why| format!(", but not as things are now: {}", clean(why))).unwrap_or_default();
    format!("  · {how}{obstacle}")
}

fn details(out: &mut String, foresight: &Foresight, paint: &dyn Fn(&str, &str) -> String) {
    match foresight {
        Foresight::WouldAct { changes } => {
            for (index, change) in changes.iter().enumerate() {
                if index > 0 {
                    let _ = writeln!(out, "    {}", clean(&change.summary));
                }
                for row in change.diff.iter().flat_map(|diff| diff.lines()) {
                    let style = match row.as_bytes().first() {
                        Some(b'+') => "32",
                        Some(b'-') => "31",
                        _ => "2",
                    };
                    let _ = writeln!(out, "    {}", paint(&clean(row), style));
                }
            }
        }
        Foresight::Failed { error } => {
            for row in error.message.lines().skip(1) {
                let _ = writeln!(out, "    {}", clean(row));
            }
            if let Some(hint) = &error.hint {
                let _ = writeln!(out, "    {} {}", paint("hint:", "36"), clean(hint));
            }
        }
        _ => {}
    }
}
