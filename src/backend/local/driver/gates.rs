//! Gates: opened, asked now and then where they have a probe, decided when their time is up. None of it takes a slot.

use std::sync::Arc;
use std::time::Duration;

use formula_steps::contract::StepError;
use formula_steps::world::{Cancel, CancelLevel, Exit};
use serde_json::Value;

use super::super::shared::Shared;
use super::super::task::{Ended, Key, Report};
use super::super::values;
use super::Driver;
use super::Error;
use crate::engine::{NOBODY, TIMER};
use crate::model::{Event, StepIx};
use crate::plan::Rendered;
use crate::syntax::duration;

/// Between two questions where the formula does not say.
const EVERY: Duration = Duration::from_secs(10);

impl Driver {
    pub(super) fn open_gate(&mut self, step: StepIx) -> Result<bool, Error> {
        if let Some(rendered) = self.render(step, true)? {
            match values::gate_opened(&self.shared, &self.state, step, &rendered) {
                Ok(event) => self.recorder.record(&mut self.state, event)?,
                Err(error) => self.fail_before_start(step, &error)?,
            }
        }
        Ok(true)
    }

    /// Decides a gate whose time is up.
    pub(super) fn gate_is_due(&mut self, step: StepIx, approved: bool) -> Result<bool, Error> {
        if let Some(cancel) = self.active.remove(&Key::Ask(step)) {
            cancel.raise(CancelLevel::Now);
        }
        let (by, reason) = match (approved, self.state.asks_gate(step)) {
            (true, _) => (TIMER, None),
            (false, false) => (TIMER, Some(NOBODY)),
            (false, true) => ("probe", Some("it did not say yes in time")),
        };
        let event = Event::GateDecided { step: self.id(step), approved, by: by.into(), reason: reason.map(Into::into) };
        self.recorder.record(&mut self.state, event)?;
        Ok(true)
    }

    /// Asks the probe of an open gate, unless that is under way.
    pub(super) fn ask_gate(&mut self, step: StepIx) -> Result<bool, Error> {
        let key = Key::Ask(step);
        if self.active.contains_key(&key) {
            return Ok(false);
        }
        let Some(rendered) = self.render(step, true)? else { return Ok(true) };
        let cancel = Cancel::new();
        self.active.insert(key, cancel.clone());
        let shared = self.shared.clone();
        self.tasks.spawn(async move { Report { key, step, ended: Ended::Asked(ask(&shared, step, &rendered, cancel).await) } });
        Ok(true)
    }

    /// Nobody waits for an answer any more.
    pub(super) fn stop_asking(&self) {
        for (key, cancel) in &self.active {
            if matches!(key, Key::Ask(_)) {
                cancel.raise(CancelLevel::Now);
            }
        }
    }

    /// An answer; one that nobody waits for any more is dropped.
    pub(super) fn asked(&mut self, step: StepIx, answer: Result<bool, StepError>) -> Result<(), Error> {
        let (approved, reason) = match answer {
            _ if !self.state.asks_gate(step) => return Ok(()),
            Ok(false) => return Ok(()),
            Ok(true) => (true, None),
            Err(error) => (false, Some(self.shared.redactor.text(&error.message))),
        };
        let event = Event::GateDecided { step: self.id(step), approved, by: "probe".into(), reason };
        self.recorder.record(&mut self.state, event)
    }
}

/// Asks once; after a no the answer comes when it is time to ask again. What was stopped says no.
async fn ask(shared: &Arc<Shared>, step: StepIx, rendered: &Arc<Rendered>, cancel: Cancel) -> Result<bool, StepError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let argv = match rendered.with.get("probe") {
        Some(Value::Array(words)) => words.iter().filter_map(text).collect(),
        Some(Value::String(script)) => ["sh", "-eu", "-c", script].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let every = rendered.with.get("every").and_then(Value::as_str).and_then(|every| duration::parse(every).ok()).unwrap_or(EVERY);
    let cx = shared.context(step, 0, rendered, None, cancel.clone());
    let exit = shared.world.process.run(&cx.command(argv), &*cx.output, &cancel).await;
    match exit {
        Ok(Exit::Code(0)) => return Ok(true),
        Ok(_) => {}
        Err(_) if cancel.is_raised() => return Ok(false),
        Err(error) => return Err(StepError::from(error)),
    }
    tokio::select! {
        _ = cancel.raised() => {}
        () = shared.world.clock.sleep(every) => {}
    }
    Ok(false)
}
