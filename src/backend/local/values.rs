//! What templates see while a run goes on, and how results become events.

use formula_steps::contract::{Probe, StepError, StepType};
use serde_json::{Map, Value, json};

use super::recorder::Recorder;
use super::shared::Shared;
use super::task::Launch;
use crate::backend::Error;
use crate::backend::redact::Redactor;
use crate::engine::{RunState, StepState};
use crate::model::{Event, Gate, GateRules, Payload, Plan, ProbeReason, Proof, StepIx, Timestamp, digest_of};
use crate::plan::Rendered;
use crate::syntax::duration;

/// Why a step was not rendered.
pub(super) enum RenderError {
    /// The journal failed.
    Journal(Error),
    /// A template could not be rendered.
    Template(String),
}

/// Renders what is left of a step's templates.
pub(super) fn render(shared: &Shared, state: &RunState, recorder: &mut Recorder<Launch>, step: StepIx) -> Result<Rendered, RenderError> {
    let planned = shared.plan.step(step);
    let recorder = std::cell::RefCell::new(recorder);
    let broken = std::cell::RefCell::new(None);
    let outputs = |of: StepIx| {
        let payload = state.output(of)?.clone();
        recorder.borrow_mut().value(&payload).map_err(|error| *broken.borrow_mut() = Some(error)).ok()
    };
    let run = if planned.templated { run_values(shared, planned.finally.then_some(state), &outputs) } else { Value::Null };
    let rendered = shared.resolver.render_step(step, &outputs, &run);
    if let Some(error) = broken.into_inner() {
        return Err(RenderError::Journal(error));
    }
    rendered.map_err(|error| RenderError::Template(format!("cannot render the step: {error}")))
}

/// `run` in templates. The summary is there for `[[finally]]` alone: before, it is not settled.
fn run_values(shared: &Shared, summary: Option<&RunState>, outputs: &dyn Fn(StepIx) -> Option<Value>) -> Value {
    let mut run = Map::new();
    run.insert("id".into(), shared.run.as_str().into());
    run.insert("key".into(), shared.plan.fingerprint.as_str().into());
    run.insert("formula".into(), shared.plan.formula.as_str().into());
    run.insert("started".into(), shared.info.started.as_str().into());
    if let Some(state) = summary {
        run.insert("summary".into(), run_summary(shared, state, outputs));
    }
    Value::Object(run)
}

fn run_summary(shared: &Shared, state: &RunState, outputs: &dyn Fn(StepIx) -> Option<Value>) -> Value {
    let steps: Map<String, Value> = shared
        .plan
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !step.finally)
        .map(|(index, step)| {
            let ix = StepIx(index as u32);
            (step.id.clone(), json!({ "state": state.step(ix).name(), "outputs": outputs(ix) }))
        })
        .collect();
    // The failure of a step of `[[finally]]` is none of the run that it is told of.
    let failure = state.failure().filter(|failure| !shared.plan.step(failure.step).finally);
    json!({
        "run": shared.run.as_str(),
        "formula": shared.plan.formula,
        "started": shared.info.started,
        "vars": shared.plan.inputs(),
        "outcome": state.ended().as_str(),
        "changed": state.changed(),
        "failed_step": failure.as_ref().map(|failure| shared.plan.step(failure.step).id.as_str()),
        "class": failure.as_ref().map(|failure| failure.class.as_str()),
        "message": failure.as_ref().map(|failure| failure.message.as_str()),
        "steps": steps,
    })
}

/// A probe's answer as the journal keeps it.
pub(super) fn probed(
    recorder: &mut Recorder<Launch>,
    step: String,
    reason: ProbeReason,
    probe: Probe<Value, Value>,
    redactor: &Redactor,
    kind: Option<&'static dyn StepType>,
) -> Event {
    let text = |text: String| redactor.text(&text);
    let one_way = matches!(&probe, Probe::Present { output } if kind.is_some_and(|kind| kind.one_way(output)));
    let probe = match probe {
        Probe::Absent { before, mut changes } => {
            for change in &mut changes {
                change.summary = redactor.text(&change.summary);
                change.diff = change.diff.take().map(text);
            }
            Probe::Absent { before: recorder.payload(before), changes }
        }
        Probe::Present { output } => Probe::Present { output: recorder.payload(output) },
        Probe::Diverged { expected, found } => Probe::Diverged { expected: text(expected), found: text(found) },
        Probe::Unknown { reason } => Probe::Unknown { reason: text(reason) },
    };
    Event::StepProbed { step, reason, probe, params: None, one_way }
}

/// The event that opens a gate. What a person approves is bound to the plan, the inputs and everything the steps gave so far.
pub(super) fn gate_opened(shared: &Shared, state: &RunState, step: StepIx, rendered: &Rendered) -> Result<Event, StepError> {
    let planned = shared.plan.step(step);
    let text = |key: &str| rendered.with.get(key).and_then(Value::as_str);
    let now = shared.clock.now();
    let after = |key: &str| -> Result<Option<Timestamp>, StepError> {
        let Some(wait) = text(key) else { return Ok(None) };
        let wait = duration::parse(wait).map_err(|why| StepError::permanent(format!("`{key}` of gate `{}`: {why}", planned.id)))?;
        Ok(Some(now.plus_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))))
    };
    let (prompt, until) = match planned.gate {
        Some(Gate::Wait) => {
            let at = text("until")
                .map(|at| at.parse::<Timestamp>().map_err(|why| StepError::permanent(format!("`until` of gate `{}`: {why}", planned.id))));
            let until = match at {
                Some(at) => Some(at?),
                None => after("for")?,
            };
            match (rendered.with.get("probe").is_some(), until) {
                (false, None) => return Err(StepError::permanent(format!("gate `{}` has neither `for`, `until` nor `probe`", planned.id))),
                (false, Some(at)) => (format!("waits until {at}"), until),
                (true, Some(at)) => (format!("waits until its probe says yes, at most until {at}"), until),
                (true, None) => ("waits until its probe says yes".to_owned(), None),
            }
        }
        _ => (text("prompt").unwrap_or("Go on?").to_owned(), after("expires")?),
    };
    let rules = match planned.gate {
        Some(Gate::Wait) => GateRules::default(),
        _ => GateRules::of(&rendered.with).map_err(|why| StepError::permanent(format!("gate `{}`: {why}", planned.id)))?,
    };
    let digest = gate_digest(&shared.plan, state, step, &rules);
    let (proof, proof_file, proof_url, proof_token) = match rules.proof {
        None => (None, None, None, None),
        Some(Proof::Terminal) => (Some("terminal"), None, None, None),
        Some(Proof::File { path }) => (Some("file"), Some(path), None, None),
        Some(Proof::Forge { url, token }) => (Some("forge"), None, Some(url), token),
    };
    let (step, proof) = (planned.id.clone(), proof.map(str::to_owned));
    Ok(Event::GateOpened { step, prompt, digest, until, approvers: rules.approvers, proof, proof_file, proof_url, proof_token })
}

fn gate_digest(plan: &Plan, state: &RunState, gate: StepIx, rules: &GateRules) -> String {
    let outputs: Vec<(&str, Option<&Payload>)> = (0..plan.steps.len() as u32)
        .map(StepIx)
        .filter(|step| matches!(state.step(*step), StepState::Done { .. }))
        .map(|step| (plan.step(step).id.as_str(), state.output(step)))
        .collect();
    digest_of(&json!({
        "formula": plan.formula_digest,
        "plan": plan.fingerprint,
        "gate": plan.step(gate).id,
        "outputs": outputs,
        "rules": rules,
    }))
}
