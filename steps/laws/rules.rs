//! The laws. Each gives the number of checks it made, or what breaks it.

use crate::contract::{Class, Effect, Probe, Repeat, StepError, StepType, Undo};
use crate::world::fake::{Fault, What, When};
use crate::world::{Cancel, CancelLevel, PortErrorKind};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value;
use std::time::Duration;

use super::harness::{Case, SECRET, Trial, same, told};

type Judgement = Result<usize, String>;
type Law = for<'a> fn(&'a dyn StepType, &'a Case) -> BoxFuture<'a, Judgement>;

/// All laws by name.
pub(super) static LAWS: &[(&str, Law)] = &[
    ("a probe changes nothing", |step, case| probe_changes_nothing(step, case).boxed()),
    ("run makes a probe answer present", |step, case| run_makes_present(step, case).boxed()),
    ("running again changes nothing", |step, case| run_again(step, case).boxed()),
    ("a run that was cut off is resumed", |step, case| cut_is_resumed(step, case).boxed()),
    ("undo restores the world", |step, case| undo_restores(step, case).boxed()),
    ("undo works after a cut at any call", |step, case| undo_after_cut(step, case).boxed()),
    ("undo survives a cut at any call", |step, case| undo_survives_cut(step, case).boxed()),
    ("cancel is honoured", |step, case| cancel_is_honoured(step, case).boxed()),
    ("unknown params are refused", |step, case| unknown_params(step, case).boxed()),
    ("no secret is seen", |step, case| no_secret_is_seen(step, case).boxed()),
    ("the description is whole", |step, case| async move { description(step, case) }.boxed()),
];

/// Outputs that nobody can know of an attempt that was cut off, because only the lost answer told them.
const LOST: &[(&str, &str)] = &[("http-request", "status")];

fn without_lost(case: &Case, mut output: Value) -> Value {
    for (_, name) in LOST.iter().filter(|(kind, _)| *kind == case.kind) {
        output[*name].take();
    }
    output
}

fn reverses(step: &dyn StepType, trial: &Trial) -> bool {
    matches!(trial.behaviour(step).undo, Undo::Restore | Undo::Reverse)
}

async fn probe_changes_nothing(step: &dyn StepType, case: &Case) -> Judgement {
    let trial = Trial::new(case);
    let before = trial.snapshot();
    let checkpoint = trial.checkpoint(step).await?;
    untouched(&trial, &before)?;
    trial.run(step, checkpoint.as_ref()).await?;
    trial.fake.forget_calls();
    let after = trial.snapshot();
    trial.probe(step).await?;
    untouched(&trial, &after)?;
    Ok(2)
}

fn untouched(trial: &Trial, before: &Value) -> Result<(), String> {
    if let Some(op) = trial.changes().first() {
        return Err(format!("it calls `{op}`"));
    }
    same(&trial.snapshot(), before, "the world is another one")
}

async fn run_makes_present(step: &dyn StepType, case: &Case) -> Judgement {
    let trial = Trial::new(case);
    let checkpoint = trial.checkpoint(step).await?;
    let output = trial.run(step, checkpoint.as_ref()).await?;
    let behaviour = trial.behaviour(step);
    match trial.probe(step).await? {
        Probe::Present { output: found } => {
            let shape = |value: &Value| value.as_object().map(|table| table.keys().cloned().collect::<Vec<_>>());
            if shape(&found) != shape(&output) {
                return Err(format!("the probe gives {found}, the run gave {output}"));
            }
        }
        _ if behaviour.effect == Effect::ReadOnly || !behaviour.probes => {}
        other => return Err(format!("the probe answers {}", other.name())),
    }
    Ok(1)
}

async fn run_again(step: &dyn StepType, case: &Case) -> Judgement {
    let trial = Trial::new(case);
    if trial.behaviour(step).repeat == Repeat::Never {
        return Ok(0);
    }
    let checkpoint = trial.checkpoint(step).await?;
    let first = trial.run(step, checkpoint.as_ref()).await?;
    let once = trial.snapshot();
    let second = trial.run(step, checkpoint.as_ref()).await?;
    same(&trial.snapshot(), &once, "the second run leaves another world")?;
    same(&second, &first, "the second run gives another output")?;
    Ok(2)
}

/// Calls of an uninterrupted run.
async fn calls_of_run(step: &dyn StepType, case: &Case) -> Result<(usize, Value, Value), String> {
    let trial = Trial::new(case);
    let checkpoint = trial.checkpoint(step).await?;
    trial.fake.forget_calls();
    let output = trial.run(step, checkpoint.as_ref()).await?;
    Ok((trial.fake.calls().len(), trial.snapshot(), output))
}

/// A trial whose run was cut off at a call.
async fn cut_off(step: &dyn StepType, case: &Case, call: usize, when: When) -> Result<(Trial, Option<Value>), String> {
    let trial = Trial::new(case);
    let checkpoint = trial.checkpoint(step).await?;
    trial.faults(vec![Fault::cut(call, when)]);
    // Whatever the dying process believes is lost with it.
    let _ = trial.try_run(step, checkpoint.as_ref()).await?;
    trial.fake.heal();
    Ok((trial, checkpoint))
}

fn cuts(calls: usize) -> impl Iterator<Item = (usize, When)> {
    (0..calls).flat_map(|call| [(call, When::Before), (call, When::After)])
}

async fn cut_is_resumed(step: &dyn StepType, case: &Case) -> Judgement {
    let (calls, whole, whole_output) = calls_of_run(step, case).await?;
    let whole_output = without_lost(case, whole_output);
    for (call, when) in cuts(calls) {
        let at = |problem: String| format!("cut {when:?} call {call}: {problem}");
        let (trial, checkpoint) = cut_off(step, case, call, when).await?;
        let behaviour = trial.behaviour(step);
        let output = match trial.probe(step).await.map_err(at)? {
            Probe::Present { output } => output,
            Probe::Diverged { expected, found } => return Err(at(format!("diverged: expected {expected}, found {found}"))),
            Probe::Unknown { .. } if behaviour.repeat == Repeat::Never => continue,
            Probe::Unknown { .. } | Probe::Absent { .. } => trial.run(step, checkpoint.as_ref()).await.map_err(at)?,
        };
        same(&trial.snapshot(), &whole, "the world is not as after a whole run").map_err(at)?;
        same(&without_lost(case, output), &whole_output, "the output is not that of a whole run").map_err(at)?;
    }
    Ok(4 * calls)
}

async fn undo_restores(step: &dyn StepType, case: &Case) -> Judgement {
    let trial = Trial::new(case);
    if !reverses(step, &trial) {
        return Ok(0);
    }
    let start = trial.snapshot();
    let checkpoint = trial.checkpoint(step).await?;
    let output = trial.run(step, checkpoint.as_ref()).await?;
    if trial.snapshot() == start {
        return Err("the case proves nothing: the run changes nothing".to_owned());
    }
    trial.undo(step, checkpoint.as_ref(), Some(&output)).await?;
    same(&trial.snapshot(), &start, "undo leaves another world")?;
    trial.undo(step, checkpoint.as_ref(), Some(&output)).await.map_err(|problem| format!("the second time: {problem}"))?;
    same(&trial.snapshot(), &start, "the second undo changes the world")?;
    Ok(2)
}

async fn undo_after_cut(step: &dyn StepType, case: &Case) -> Judgement {
    let start = Trial::new(case).snapshot();
    if !reverses(step, &Trial::new(case)) {
        return Ok(0);
    }
    let (calls, ..) = calls_of_run(step, case).await?;
    for (call, when) in cuts(calls) {
        let at = |problem: String| format!("cut {when:?} call {call}: {problem}");
        let (trial, checkpoint) = cut_off(step, case, call, when).await?;
        for time in ["once", "twice"] {
            trial.undo(step, checkpoint.as_ref(), None).await.map_err(at)?;
            same(&trial.snapshot(), &start, time).map_err(at)?;
        }
    }
    Ok(4 * calls)
}

async fn undo_survives_cut(step: &dyn StepType, case: &Case) -> Judgement {
    if !reverses(step, &Trial::new(case)) {
        return Ok(0);
    }
    let mut checks = 0;
    for (call, when) in cuts(100) {
        let at = |problem: String| format!("cut {when:?} call {call}: {problem}");
        let trial = Trial::new(case);
        let start = trial.snapshot();
        let checkpoint = trial.checkpoint(step).await?;
        let output = trial.run(step, checkpoint.as_ref()).await?;
        trial.faults(vec![Fault::cut(call, when)]);
        let _ = trial.try_undo(step, checkpoint.as_ref(), Some(&output)).await?;
        if !trial.fake.is_cut() {
            break;
        }
        trial.fake.heal();
        trial.undo(step, checkpoint.as_ref(), Some(&output)).await.map_err(at)?;
        same(&trial.snapshot(), &start, "undo leaves another world").map_err(at)?;
        checks += 1;
    }
    Ok(checks)
}

async fn cancel_is_honoured(step: &dyn StepType, case: &Case) -> Judgement {
    let trial = Trial::new(case);
    let start = trial.snapshot();
    let checkpoint = trial.checkpoint(step).await?;
    trial.cx.cancel.raise(CancelLevel::Graceful(15));
    cancelled(&trial.try_run(step, checkpoint.as_ref()).await?)?;
    same(&trial.snapshot(), &start, "a step that was stopped before it began changes the world")?;

    let (calls, ..) = calls_of_run(step, case).await?;
    for call in 0..calls {
        let at = |problem: String| format!("stopped at call {call}: {problem}");
        let mut trial = Trial::new(case);
        let checkpoint = trial.checkpoint(step).await?;
        trial.fake.forget_calls();
        trial.fake.raise_at(call, trial.cx.cancel.clone());
        let began = trial.cx.world.clock.monotonic();
        let ended = trial.try_run(step, checkpoint.as_ref()).await?;
        cancelled(&ended).map_err(at)?;
        if trial.cx.world.clock.monotonic().saturating_sub(began) > Duration::from_secs(10) {
            return Err(at("it takes longer than the grace period".to_owned()));
        }
        if reverses(step, &trial) {
            trial.cx.cancel = Cancel::new();
            trial.undo(step, checkpoint.as_ref(), ended.ok().as_ref()).await.map_err(at)?;
            same(&trial.snapshot(), &start, "undo leaves another world").map_err(at)?;
        }
    }
    Ok(1 + calls)
}

fn cancelled(ended: &Result<Value, StepError>) -> Result<(), String> {
    match ended {
        Err(error) if error.class != Class::Cancelled => Err(format!("it ends with another error: {}", told(error))),
        _ => Ok(()),
    }
}

async fn unknown_params(step: &dyn StepType, case: &Case) -> Judgement {
    let mut trial = Trial::new(case);
    let problems = step.check(&trial.params);
    if !problems.is_empty() {
        return Err(format!("the params of the case do not check: {problems:?}"));
    }
    trial.params["law_unknown"] = true.into();
    let start = trial.snapshot();
    match step.probe(&trial.cx, &trial.params).await {
        Err(error) if error.class == Class::Refused && error.message.contains("law_unknown") => {}
        other => return Err(format!("probe answers {other:?}")),
    }
    if step.run(&trial.cx, &trial.params, None).await.is_ok() || step.undo(&trial.cx, &trial.params, None, None).await.is_ok() {
        return Err("they are taken by run or undo".to_owned());
    }
    same(&trial.snapshot(), &start, "the world is another one")?;
    if step.check(&trial.params).is_empty() { Err("`check` says nothing".to_owned()) } else { Ok(4) }
}

async fn no_secret_is_seen(step: &dyn StepType, case: &Case) -> Judgement {
    let mut checks = 0;
    for call in 0..100 {
        let trial = Trial::new(case);
        let checkpoint = trial.checkpoint(step).await?;
        if call > 0 {
            let fails = What::Error(PortErrorKind::Failed, "it failed".to_owned());
            trial.faults(vec![Fault { op: None, nth: call - 1, when: When::Before, what: fails }]);
        } else {
            trial.fake.forget_calls();
        }
        let probed = step.probe(&trial.cx, &trial.params).await;
        let ran = trial.try_run(step, checkpoint.as_ref()).await?;
        let again = step.probe(&trial.cx, &trial.params).await;
        let undone = trial.try_undo(step, checkpoint.as_ref(), ran.as_ref().ok()).await?;
        let seen = [
            ("a call", format!("{:?}", trial.fake.calls())),
            ("the log", trial.log.text()),
            ("a probe", format!("{probed:?} {again:?}")),
            ("the checkpoint", format!("{checkpoint:?}")),
            ("the output or error", format!("{ran:?} {undone:?}")),
        ];
        if let Some((place, _)) = seen.iter().find(|(_, text)| text.contains(SECRET)) {
            return Err(format!("{place} shows it"));
        }
        checks += seen.len();
        if call > trial.fake.calls().len() {
            break;
        }
    }
    Ok(checks)
}

fn description(step: &dyn StepType, case: &Case) -> Judgement {
    let meta = step.meta();
    let kebab = meta.kind.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !kebab || meta.version == 0 || meta.summary.is_empty() || meta.summary.ends_with('.') {
        return Err("kind, version or summary are not as they should be".to_owned());
    }
    let behaviour = step.behaviour(&case.params);
    match (behaviour.effect, behaviour.undo) {
        (Effect::ReadOnly, Undo::Nothing) | (Effect::OneWay, Undo::Impossible) => {}
        (Effect::Reversible, undo) if undo != Undo::Impossible => {}
        (effect, undo) => return Err(format!("{effect:?} does not go with {undo:?}")),
    }
    let example: toml::Table = toml::from_str(meta.example).map_err(|error| format!("the example is not TOML: {error}"))?;
    let table = &example["steps"][0];
    if table["uses"].as_str() != Some(meta.kind) || table.get("id").is_none() {
        return Err("the example shows another kind".to_owned());
    }
    let with = serde_json::to_value(&table["with"]).map_err(|error| error.to_string())?;
    let problems = step.check(&with);
    if !problems.is_empty() {
        return Err(format!("the example does not check: {problems:?}"));
    }
    let mut undocumented = Vec::new();
    find_undocumented(&step.params_schema(), "", &mut undocumented);
    if undocumented.is_empty() { Ok(4) } else { Err(format!("params without a description: {undocumented:?}")) }
}

/// Properties anywhere in a schema that say nothing about themselves.
fn find_undocumented(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(table) => {
            for (key, value) in table {
                if key == "properties" {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        // A constant is the name of a variant, which has a description of its own.
                        if property.get("description").is_none() && property.get("const").is_none() {
                            found.push(format!("{path}{name}"));
                        }
                    }
                }
                find_undocumented(value, &format!("{path}{key}."), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find_undocumented(item, path, found)),
        _ => {}
    }
}
