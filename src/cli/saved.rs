//! A plan that `formula plan -o FILE` wrote, and whether it still is what would be done.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::app::App;
use super::failure::Failure;
use crate::journal::MemoryJournal;
use crate::model::{Plan, RunId};
use crate::report::{Hub, clean};

/// Lines of a diff that are shown; more would bury the message.
const MOST: usize = 6;

/// What `formula plan -o FILE` wrote.
#[derive(serde::Deserialize)]
struct File {
    plan: Plan,
    preview: Value,
}

/// A saved plan that was made for the formula and the vars that are to be run.
pub struct Saved {
    path: PathBuf,
    file: File,
    /// The command that makes a new one.
    anew: String,
}

impl Saved {
    /// Reads a saved plan, and refuses one that is about something else than `plan`.
    ///
    /// # Errors
    /// It does not read, or was made for another formula or other vars.
    pub fn read(app: &App, plan: &Plan, typed: &str) -> Result<Self, Failure> {
        let path = app.workdir.join(typed);
        let out = shlex::try_quote(typed).map_or_else(|_| typed.to_owned(), std::borrow::Cow::into_owned);
        let command = plan.command.clone().unwrap_or_else(|| format!("formula run {}", plan.formula));
        let anew = format!("{} -o {out}", command.replacen("formula run", "formula plan", 1));
        let refused = |why: String| refused(&path, &why, &anew);
        let text = std::fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
        let file: File = serde_json::from_str(&text).map_err(|error| refused(format!("it is no plan: {error}")))?;
        if file.plan.fingerprint != plan.fingerprint {
            return Err(refused("it was made for other vars".into()));
        }
        if file.plan.formula_digest != plan.formula_digest {
            return Err(refused("the formula was edited since".into()));
        }
        Ok(Self { path, file, anew })
    }

    /// Refuses to carry on a run that carries out another plan than this one.
    ///
    /// # Errors
    /// The run was started with another text of the formula.
    pub fn is_of(&self, app: &App, run: &RunId, plan: &Plan) -> Result<(), Failure> {
        if self.file.plan.formula_digest == plan.formula_digest {
            return Ok(());
        }
        let why = format!("run {run} is not over, and was started before the formula was edited");
        let with = format!("`formula resume {run}` carries it on as it was started, `--fresh` starts anew with this plan");
        Err(Failure::new(11, format!("`{}` cannot be applied: {why}", self.path.display())).hint(app.place.hint(&with)).of(run))
    }

    /// Refuses the saved plan if it is not what would be done now, and names what moved.
    ///
    /// # Errors
    /// A step would do something else.
    pub fn is_fresh(&self, app: &App, plan: &Plan) -> Result<(), Failure> {
        let refused = |why: String| refused(&self.path, &why, &self.anew);
        let backend = app.backend(Arc::new(MemoryJournal::new()), Hub::new());
        let runtime = app.runtime()?;
        let now = runtime.block_on(backend.preview(plan.clone()))?;
        runtime.shutdown_background();
        let now = serde_json::to_value(&now).map_err(|error| refused(error.to_string()))?;
        let steps = |preview: &Value| preview["steps"].as_array().cloned().unwrap_or_default();
        let (was, is) = (steps(&self.file.preview), steps(&now));
        if was.len() != is.len() {
            return Err(refused(format!("it has {} steps, and there are {} now", was.len(), is.len())));
        }
        for (was, is) in was.iter().zip(&is) {
            if let (None, Some(why)) = (was["undo_obstacle"].as_str(), is["undo_obstacle"].as_str()) {
                return Err(refused(format!("step `{}` could not be taken back any more: {why}", is["step"].as_str().unwrap_or("?"))));
            }
        }
        let Some((was, is)) = was.iter().zip(&is).find(|(was, is)| acts(was) != acts(is)) else { return Ok(()) };
        let step = is["step"].as_str().unwrap_or("?");
        let (then, today) = (told(was), told(is));
        if then != today {
            return Err(refused(format!("step `{step}` would do something else now: it was {then}, and is {today}")));
        }
        let failure = refused(format!("step `{step}` would do something else now: it still is {today}, with other content"));
        let known = rows(was);
        Err(rows(is).into_iter().filter(|row| !known.contains(row)).take(MOST).fold(failure, Failure::hint))
    }
}

fn refused(path: &std::path::Path, why: &str, anew: &str) -> Failure {
    Failure::new(11, format!("`{}` cannot be applied: {why}", path.display())).hint(format!("make a new one with `{anew}`"))
}

/// A step of a preview without what only concerns its undo.
fn acts(step: &Value) -> Value {
    let mut step = step.clone();
    if let Some(fields) = step.as_object_mut() {
        fields.retain(|name, _| !name.starts_with("undo_"));
    }
    step
}

/// What a step would do, in a few words.
fn told(step: &Value) -> String {
    let text = |value: &Value| clean(value.as_str().and_then(|text| text.lines().next()).unwrap_or_default());
    match step["verdict"].as_str().unwrap_or_default() {
        "would_act" => {
            let changes = step["changes"].as_array().into_iter().flatten();
            let all: Vec<String> = changes.map(|change| format!("`{}`", text(&change["summary"]))).collect();
            if all.is_empty() { "to act".to_owned() } else { all.join(", ") }
        }
        "already_so" => "already so".to_owned(),
        "skipped" => "skipped".to_owned(),
        "gate" => "a gate".to_owned(),
        "unknown" | "waits" => format!("to run ({})", text(&step["reason"])),
        "diverged" => format!("in the way (found {}, expected {})", text(&step["found"]), text(&step["expected"])),
        "failed" => format!("a look that fails: {}", text(&step["error"]["message"])),
        other => format!("`{}`", clean(other)),
    }
}

/// The lines of the diffs of a step that say something.
fn rows(step: &Value) -> Vec<String> {
    let diffs = step["changes"].as_array().into_iter().flatten().filter_map(|change| change["diff"].as_str());
    diffs.flat_map(str::lines).filter(|row| row.starts_with(['+', '-'])).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::{rows, told};
    use serde_json::json;

    #[test]
    fn what_a_step_would_do_is_told_in_a_few_words() {
        let change = |summary: &str| json!({ "verdict": "would_act", "changes": [{ "summary": summary, "diff": " a\n-b\n+c\n" }] });
        assert_eq!(told(&change("create a.txt")), "`create a.txt`");
        assert_eq!(rows(&change("x")), ["-b", "+c"]);
        assert_eq!(told(&json!({ "verdict": "already_so" })), "already so");
        assert_eq!(told(&json!({ "verdict": "diverged", "found": "x", "expected": "y" })), "in the way (found x, expected y)");
    }
}
