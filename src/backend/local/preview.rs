//! Looks without touching: what a plan would do, and whether a finished run is still as it left the world.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use formula_steps::contract::{Change, Effect, Probe, StepError, Undo};
use formula_steps::world::Cancel;
use serde::Serialize;
use serde_json::{Map, Value};

use super::LocalBackend;
use super::shared::Shared;
use crate::backend::Error;
use crate::backend::redact::Redactor;
use crate::engine::StepState;
use crate::model::{Payload, Plan, RunId, SecretSource, StepIx};

/// What a probe says of a step before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Foresight {
    /// It would act.
    WouldAct {
        /// How, with diffs.
        changes: Vec<Change>,
    },
    /// It is already so.
    AlreadySo,
    /// Its condition is false.
    Skipped,
    /// It is a gate.
    Gate,
    /// It always acts, or cannot be asked.
    Unknown {
        /// Why.
        reason: String,
    },
    /// It depends on what another step will give.
    Waits {
        /// The steps it waits for, or what is missing.
        reason: String,
    },
    /// Something is there that it would not overwrite.
    Diverged {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It cannot even look.
    Failed {
        /// The failure.
        error: StepError,
    },
}

/// One step of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// Full id.
    pub step: String,
    /// Its kind.
    pub kind: String,
    /// Effect.
    pub effect: Effect,
    /// How it is undone.
    pub undo: Undo,
    /// Whether an undo is possible as things are now, as far as can be seen without doing it.
    pub undo_possible: bool,
    /// What is in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_obstacle: Option<String>,
    /// What it would do.
    #[serde(flatten)]
    pub foresight: Foresight,
}

/// A plan, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Steps in order.
    pub steps: Vec<Foreseen>,
    /// The first step past which there is no way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_return: Option<String>,
    /// The exclusive lock.
    pub lock: String,
}

impl Preview {
    /// Whether a step would be refused or cannot look.
    pub fn is_blocked(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.foresight, Foresight::Diverged { .. } | Foresight::Failed { .. }))
    }
}

/// A step of a finished run that would have to act again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Full id.
    pub step: String,
    /// What is so now.
    pub why: String,
}

impl LocalBackend {
    /// Probes every step that can be asked now. Changes nothing.
    ///
    /// # Errors
    /// Only a defect; a probe that fails is part of the answer.
    pub async fn preview(&self, plan: Plan) -> Result<Preview, Error> {
        // Without its secrets a step can often still be asked; if not, it says so itself. Commands that a formula names are not run to look.
        let runs = |source: &SecretSource| matches!(source, SecretSource::Command(_));
        let quiet = plan.secrets.values().flatten().any(runs).then(|| {
            let mut quiet = plan.clone();
            quiet.secrets.values_mut().for_each(|sources| sources.retain(|source| !runs(source)));
            quiet
        });
        let (secrets, redactor) = self
            .resolve(quiet.as_ref().unwrap_or(&plan))
            .unwrap_or_else(|_| (std::collections::BTreeMap::default(), Arc::new(Redactor::default())));
        let shared = Arc::new(self.shared(Arc::new(plan), &RunId("PLAN".into()), String::new(), secrets, redactor));
        let mut outputs: HashMap<StepIx, Value> = HashMap::new();
        let mut steps = Vec::with_capacity(shared.plan.steps.len());
        let mut no_return = None;
        let mut acting: HashSet<StepIx> = HashSet::new();
        let mut changing: HashSet<StepIx> = HashSet::new();
        let id = |ix: StepIx| shared.plan.step(ix).id.as_str();
        for index in 0..shared.plan.steps.len() as u32 {
            let ix = StepIx(index);
            let planned = shared.plan.step(ix);
            let mut foresight = foresee(&shared, ix, &mut outputs).await;
            let after: Vec<&str> =
                planned.needs.iter().filter(|need| acting.contains(*need)).map(|need| shared.plan.step(*need).id.as_str()).collect();
            // What cannot be asked before the steps it needs have acted is no obstacle.
            if !after.is_empty() && matches!(foresight, Foresight::Failed { .. }) {
                foresight = Foresight::Waits { reason: format!("it can only be asked after `{}`", after.join("`, `")) };
            }
            let changed: Vec<&str> = planned.needs.iter().filter(|need| changing.contains(*need)).map(|need| id(*need)).collect();
            // What it finds now is not what it will find.
            if !changed.is_empty() && matches!(foresight, Foresight::AlreadySo) {
                outputs.remove(&ix);
                foresight =
                    Foresight::Waits { reason: format!("already so as things are now; asked again after `{}`", changed.join("`, `")) };
            }
            if !after.is_empty() || matches!(foresight, Foresight::WouldAct { .. } | Foresight::Unknown { .. } | Foresight::Waits { .. }) {
                acting.insert(ix);
                if planned.behaviour.effect != Effect::ReadOnly || !changed.is_empty() {
                    changing.insert(ix);
                }
            }
            let acts = !matches!(foresight, Foresight::AlreadySo | Foresight::Skipped | Foresight::Gate);
            let sealed = matches!(&foresight, Foresight::WouldAct { changes } if changes.iter().any(|change| change.one_way));
            if acts && no_return.is_none() && (sealed || planned.behaviour.effect == Effect::OneWay) {
                no_return = Some(planned.id.clone());
            }
            let undo = if sealed { Undo::Impossible } else { planned.behaviour.undo };
            let undone = matches!(undo, Undo::Restore | Undo::Reverse);
            let obstacle = if undone && acts && !matches!(foresight, Foresight::Waits { .. }) {
                undo_obstacle(&shared, ix, &outputs).await
            } else {
                None
            };
            steps.push(Foreseen {
                step: planned.id.clone(),
                kind: planned.kind.clone(),
                effect: if sealed { Effect::OneWay } else { planned.behaviour.effect },
                undo,
                undo_possible: undo != Undo::Impossible && obstacle.is_none(),
                undo_obstacle: obstacle,
                foresight,
            });
        }
        Ok(Preview { steps, no_return, lock: shared.plan.lock.clone() })
    }

    /// The first step of a finished run whose effect is no longer there. Steps that cannot be asked count as they were recorded.
    ///
    /// # Errors
    /// The journal's, and a look that fails.
    pub async fn moved(&self, run: &RunId) -> Result<Option<Moved>, Error> {
        let (plan, state, entries) = self.load(run)?;
        let (secrets, redactor) = self.resolve(&plan)?;
        let mut outputs = HashMap::new();
        for index in 0..plan.steps.len() as u32 {
            if let Some(payload) = state.output(StepIx(index)) {
                outputs.insert(StepIx(index), self.stored(payload)?);
            }
        }
        let started = entries[0].at.to_string();
        let shared = self.shared(plan.clone(), run, started, secrets, redactor);
        for index in 0..plan.steps.len() as u32 {
            let (ix, planned) = (StepIx(index), plan.step(StepIx(index)));
            let asked =
                planned.behaviour.probes && planned.behaviour.effect != Effect::ReadOnly && planned.gate.is_none() && !planned.finally;
            if !asked || !matches!(state.step(ix), StepState::Done { .. }) {
                continue;
            }
            let why = match probe(&shared, ix, &outputs).await {
                Ok(Some(Probe::Absent { changes, .. })) => {
                    changes.first().map_or_else(|| "it is not there".to_owned(), |change| change.summary.clone())
                }
                Ok(Some(Probe::Diverged { expected, found })) => format!("found {found}, expected {expected}"),
                Ok(Some(Probe::Present { .. } | Probe::Unknown { .. }) | None) => continue,
                Err(error) => error.message,
            };
            return Ok(Some(Moved { step: planned.id.clone(), why }));
        }
        Ok(None)
    }

    fn stored(&self, payload: &Payload) -> Result<Value, Error> {
        match payload {
            Payload::Value(value) => Ok(value.clone()),
            Payload::Blob { digest, .. } => super::recorder::read_blob(self.0.journal.as_ref(), digest),
        }
    }
}

async fn foresee(shared: &Arc<Shared>, ix: StepIx, outputs: &mut HashMap<StepIx, Value>) -> Foresight {
    let planned = shared.plan.step(ix);
    let rendered = shared.resolver.render_step(ix, &|of| outputs.get(&of).cloned(), &run_values(shared));
    if planned.gate.is_some() {
        return if rendered.is_ok_and(|rendered| !rendered.condition) { Foresight::Skipped } else { Foresight::Gate };
    }
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(_) if planned.templated => return Foresight::Waits { reason: waits_for(shared, ix, outputs) },
        Err(error) => return Foresight::Failed { error: StepError::permanent(error.to_string()) },
    };
    if !rendered.condition {
        return Foresight::Skipped;
    }
    if !planned.behaviour.probes {
        return Foresight::Unknown { reason: "it has nothing to probe with".into() };
    }
    match probe(shared, ix, outputs).await {
        Ok(None) => Foresight::Unknown { reason: format!("this program has no kind `{}`", planned.kind) },
        Ok(Some(Probe::Absent { changes, .. })) => Foresight::WouldAct { changes },
        Ok(Some(Probe::Present { output })) => {
            outputs.insert(ix, output);
            Foresight::AlreadySo
        }
        Ok(Some(Probe::Diverged { expected, found })) => Foresight::Diverged { expected, found },
        Ok(Some(Probe::Unknown { reason })) => Foresight::Unknown { reason },
        Err(error) => Foresight::Failed { error },
    }
}

/// Asks a step, given the outputs known so far. None where this program does not have its kind.
async fn probe(shared: &Shared, ix: StepIx, outputs: &HashMap<StepIx, Value>) -> Result<Option<Probe<Value, Value>>, StepError> {
    let Some(kind) = shared.kind(ix) else { return Ok(None) };
    let rendered = shared
        .resolver
        .render_step(ix, &|of| outputs.get(&of).cloned(), &run_values(shared))
        .map_err(|error| StepError::permanent(error.to_string()))?;
    let cx = shared.context(ix, 0, &rendered, None, Cancel::new());
    let mut probe = kind.probe(&cx, &rendered.with).await.map_err(|mut error| {
        error.message = shared.redactor.text(&error.message);
        error
    })?;
    if let Probe::Absent { changes, .. } = &mut probe {
        for change in changes {
            change.summary = shared.redactor.text(&change.summary);
            change.diff = change.diff.take().map(|diff| shared.redactor.text(&diff));
        }
    }
    Ok(Some(probe))
}

/// What would keep a step from being undone, as things are now.
async fn undo_obstacle(shared: &Shared, ix: StepIx, outputs: &HashMap<StepIx, Value>) -> Option<String> {
    let kind = shared.kind(ix)?;
    let rendered = shared.resolver.render_step(ix, &|of| outputs.get(&of).cloned(), &run_values(shared)).ok()?;
    let cx = shared.context(ix, 0, &rendered, None, Cancel::new());
    kind.undo_obstacle(&cx, &rendered.with).await.map(|why| shared.redactor.text(&why))
}

fn run_values(shared: &Shared) -> Value {
    let mut run = Map::new();
    run.insert("id".into(), shared.run.as_str().into());
    run.insert("key".into(), shared.plan.fingerprint.as_str().into());
    run.insert("formula".into(), shared.plan.formula.as_str().into());
    run.insert("started".into(), shared.info.started.as_str().into());
    Value::Object(run)
}

fn waits_for(shared: &Shared, ix: StepIx, outputs: &HashMap<StepIx, Value>) -> String {
    let unknown: Vec<String> = shared
        .plan
        .step(ix)
        .needs
        .iter()
        .filter(|need| !outputs.contains_key(need))
        .map(|need| format!("`{}`", shared.plan.step(*need).id))
        .collect();
    if unknown.is_empty() {
        "it depends on what earlier steps give".into()
    } else {
        format!("it depends on what {} gives", unknown.join(", "))
    }
}
