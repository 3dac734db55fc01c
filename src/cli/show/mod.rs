//! `formula show`: one run, whole.

mod story;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::app::App;
use super::drive;
use super::failure::{Failure, Outcome};
use super::place::Place;
use super::runs::{driver, stands};
use crate::backend::Backend as _;
use crate::engine::{RunState, StepState};
use crate::journal::{Holder, Journal as _, RunRecord, SqliteJournal};
use crate::model::{Envelope, Payload, Plan, RunId, SettleAnswer, StepIx, Verdict};
use crate::report::Hub;
use story::Story;
pub use story::stories;

/// Shows one run.
///
/// Its vars, how it stands, every step with what it did and gave, what a person may answer, and the commands that make sense now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Everything that is known of a run.
struct Shown {
    record: RunRecord,
    driver: Option<Holder>,
    plan: Arc<Plan>,
    state: RunState,
    verdict: Verdict,
    place: Place,
    stories: HashMap<String, Story>,
    journal: Arc<SqliteJournal>,
}

/// Shows.
pub fn show(app: &App, args: &Args) -> Outcome {
    let (journal, run) = app.existing(args.run.as_deref())?;
    let record = app.find_run(journal.as_ref(), Some(run.as_str()))?;
    let entries = journal.read(&run, 0)?;
    let (plan, state) = app.backend(journal.clone(), Hub::new()).look(&run)?;
    let mut verdict = state.verdict(&run);
    drive::to_type(app, &mut verdict, args.json || !app.ui.interactive);
    let shown = Shown {
        driver: driver(app, &journal, &record)?,
        verdict,
        place: app.place.clone(),
        stories: story::stories(&entries),
        record,
        plan,
        state,
        journal,
    };
    if args.json {
        app.ui.line(&shown.data(&entries)?.to_string());
    } else {
        app.ui.told(&text::text(&app.ui, &shown)?);
    }
    Ok(0)
}

impl Shown {
    fn steps(&self) -> impl Iterator<Item = (StepIx, &crate::model::PlanStep)> {
        self.plan.steps.iter().enumerate().map(|(index, step)| (StepIx(index as u32), step))
    }

    fn story(&self, id: &str) -> Story {
        self.stories.get(id).cloned().unwrap_or_default()
    }

    fn output(&self, step: StepIx) -> Result<Option<Value>, Failure> {
        Ok(match self.state.output(step) {
            None => None,
            Some(Payload::Value(value)) => Some(value.clone()),
            Some(Payload::Blob { digest, .. }) => {
                let bytes = self.journal.blob(digest)?;
                Some(serde_json::from_slice(&bytes).map_err(|error| Failure::new(74, format!("blob `{digest}` does not read: {error}")))?)
            }
        })
    }

    fn data(&self, entries: &[Envelope]) -> Result<Value, Failure> {
        let mut steps = Vec::with_capacity(self.plan.steps.len());
        for (ix, step) in self.steps() {
            let story = self.story(&step.id);
            let trouble = self
                .state
                .step(ix)
                .trouble()
                .map(|trouble| json!({ "class": trouble.class, "message": trouble.message, "hint": trouble.hint }));
            let mut data = json!({
                "id": step.id, "kind": step.kind, "title": step.title, "state": self.state.step(ix).name(), "attempts": story.attempts,
                "took_ms": story.took_ms, "changes": story.changes, "output": self.output(ix)?, "trouble": trouble,
                "answers": answers(self, ix),
            });
            if let StepState::Waiting { digest, until, rules } = self.state.step(ix) {
                data["gate"] = json!({ "prompt": story.prompt, "digest": **digest, "until": until, "expired": self.state.has_expired(ix) });
                if !rules.is_free() {
                    data["gate"]["rules"] = json!(**rules);
                }
            }
            steps.push(data);
        }
        let mut run = json!(self.record);
        run["state"] = stands(&self.record, self.driver.as_ref()).into();
        Ok(json!({
            "v": 1, "run": run, "driver": self.driver, "vars": self.plan.inputs(), "formula_digest": self.plan.formula_digest, "verdict": self.verdict, "steps": steps, "seq": entries.len(),
        }))
    }
}

/// What a person may answer for a step now, as commands.
fn answers(shown: &Shown, step: StepIx) -> Vec<Value> {
    let id = &shown.plan.step(step).id;
    let valid = shown.state.valid_answers(step);
    valid
        .into_iter()
        .map(|(answer, leads)| json!({ "answer": answer, "leads_to": leads, "command": shown.place.command(&command(&shown.record.run, id, answer)) }))
        .collect()
}

/// The command that gives an answer.
fn command(run: &RunId, step: &str, answer: SettleAnswer) -> String {
    let flag = match answer {
        SettleAnswer::Retry => "retry",
        SettleAnswer::Adopt => "adopt",
        SettleAnswer::Skip => "skip",
    };
    format!("formula settle {run} {} --{flag} --reason TEXT", word(step))
}

/// An argument as a shell takes it.
fn word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}
