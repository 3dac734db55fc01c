//! One file per kind, and what they share.

mod compose_restart;
mod compose_up;
mod docker_build;
mod health_check;
mod http_request;
mod image_pull;
mod image_push;
mod preflight;
mod survey;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use formula_steps::contract::{Context, Probe, StepError, StepType};
use formula_steps::world::fake::{FakeWorld, State};
use formula_steps::world::{OutputBuffer, Secret};
use serde_json::Value;

/// A fake world with a step in it.
pub struct Bench {
    pub fake: FakeWorld,
    pub cx: Context,
    pub log: Arc<OutputBuffer>,
    step: &'static dyn StepType,
}

impl Bench {
    pub fn new(kind: &str, set_up: impl FnOnce(&mut State)) -> Self {
        let mut state = State::default();
        set_up(&mut state);
        let fake = FakeWorld::from_state(state);
        let log = Arc::new(OutputBuffer::new());
        let mut cx = Context::bare(fake.world(), Path::new("/acme"));
        cx.output = log.clone();
        cx.secrets = Arc::new(BTreeMap::from([("TOKEN".to_owned(), Secret::new("s3cret-s3cret"))]));
        Self { fake, cx, log, step: formula_steps::find(kind).expect("it is built in") }
    }

    pub async fn probe(&self, params: &Value) -> Result<Probe<Value, Value>, StepError> {
        self.step.probe(&self.cx, params).await
    }

    /// Runs as the engine does: with the checkpoint of a probe, if it gives one.
    pub async fn run(&self, params: &Value) -> Result<Value, StepError> {
        Ok(self.run_keeping(params).await?.1)
    }

    /// Runs and answers the checkpoint too.
    pub async fn run_keeping(&self, params: &Value) -> Result<(Option<Value>, Value), StepError> {
        let before = match self.probe(params).await? {
            Probe::Absent { before, .. } => Some(before),
            _ => None,
        };
        let output = self.step.run(&self.cx, params, before.as_ref()).await?;
        Ok((before, output))
    }

    pub async fn run_from(&self, params: &Value, before: Option<&Value>) -> Result<Value, StepError> {
        self.step.run(&self.cx, params, before).await
    }

    pub async fn undo(&self, params: &Value, before: Option<&Value>, output: Option<&Value>) -> Result<(), StepError> {
        self.step.undo(&self.cx, params, before, output).await
    }

    pub fn check(&self, params: &Value) -> Vec<String> {
        self.step.check(params)
    }

    /// How often a port was called since the calls were forgotten.
    pub fn calls(&self, op: &str) -> usize {
        self.fake.calls().iter().filter(|call| call.op == op).count()
    }
}

/// The summaries of what a probe would change.
pub fn changes(probe: &Probe<Value, Value>) -> Vec<String> {
    match probe {
        Probe::Absent { changes, .. } => changes.iter().map(|change| change.summary.clone()).collect(),
        other => panic!("the probe answers {}", other.name()),
    }
}
