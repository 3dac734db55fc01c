//! What a case is, the world it is tried in, and the bookkeeping.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{Behaviour, Context, Effect, Formulas, Outline, Probe, StepError, StepType};
use crate::world::fake::{Call, FakeWorld, Faults, State};
use crate::world::{OutputBuffer, Secret};
use serde_json::Value;

use super::rules::LAWS;

/// The folder every case works in.
pub const DIR: &str = "/acme";
/// Name of the secret that every step is handed.
pub const SECRET_NAME: &str = "LAW_TOKEN";
/// Its value, which must not be seen anywhere.
pub const SECRET: &str = "hunter2-hunter2-hunter2";

/// One use of a kind.
pub struct Case {
    /// The kind.
    pub kind: &'static str,
    /// What is special about this use.
    pub name: &'static str,
    /// The world it starts in, in which the effect is not there yet.
    pub state: State,
    /// The `with` table.
    pub params: Value,
}

/// Formulas as a kind finds them that runs one: the program `formula` does, and each is sound.
struct Sound;

impl Formulas for Sound {
    fn program(&self) -> Option<&Path> {
        Some(Path::new("formula"))
    }
    fn outline(&self, _: &str, _: &str) -> Result<Outline, String> {
        Ok(Outline::default())
    }
}

/// A fresh world of a case, with a context in it.
pub(super) struct Trial {
    pub(super) fake: FakeWorld,
    pub(super) cx: Context,
    pub(super) log: Arc<OutputBuffer>,
    pub(super) params: Value,
}

impl Trial {
    pub(super) fn new(case: &Case) -> Self {
        let fake = FakeWorld::from_state(case.state.clone());
        let log = Arc::new(OutputBuffer::new());
        let mut cx = Context::bare(fake.world(), Path::new(DIR));
        cx.output = log.clone();
        cx.formulas = Arc::new(Sound);
        cx.secrets = Arc::new(BTreeMap::from([(SECRET_NAME.to_owned(), Secret::new(SECRET))]));
        Self { fake, cx, log, params: case.params.clone() }
    }

    pub(super) async fn probe(&self, step: &dyn StepType) -> Result<Probe<Value, Value>, String> {
        within(step.probe(&self.cx, &self.params)).await?.map_err(|error| format!("the probe fails: {}", told(&error)))
    }

    /// The checkpoint of a world in which the effect is not there.
    pub(super) async fn checkpoint(&self, step: &dyn StepType) -> Result<Option<Value>, String> {
        match self.probe(step).await? {
            Probe::Absent { before, .. } => Ok(Some(before)),
            Probe::Unknown { .. } if !self.behaviour(step).probes => Ok(None),
            // What only looks may look in its probe already.
            Probe::Present { .. } if self.behaviour(step).effect == Effect::ReadOnly => Ok(None),
            other => Err(format!("the probe answers {} at the start", other.name())),
        }
    }

    pub(super) async fn run(&self, step: &dyn StepType, before: Option<&Value>) -> Result<Value, String> {
        self.try_run(step, before).await?.map_err(|error| format!("the run fails: {}", told(&error)))
    }

    pub(super) async fn try_run(&self, step: &dyn StepType, before: Option<&Value>) -> Result<Result<Value, StepError>, String> {
        within(step.run(&self.cx, &self.params, before)).await
    }

    pub(super) async fn undo(&self, step: &dyn StepType, before: Option<&Value>, output: Option<&Value>) -> Result<(), String> {
        self.try_undo(step, before, output).await?.map_err(|error| format!("the undo fails: {}", told(&error)))
    }

    pub(super) async fn try_undo(
        &self,
        step: &dyn StepType,
        before: Option<&Value>,
        output: Option<&Value>,
    ) -> Result<Result<(), StepError>, String> {
        within(step.undo(&self.cx, &self.params, before, output)).await
    }

    /// The world, without the run's scratch folder, which goes with the run, and the state folder, which remembers what was undone too.
    pub(super) fn snapshot(&self) -> Value {
        let mut snapshot = self.fake.snapshot();
        if let Some(files) = snapshot["files"].as_object_mut() {
            files.retain(|path, _| ![&self.cx.scratch, &self.cx.state].into_iter().any(|own| Path::new(path).starts_with(own)));
        }
        snapshot
    }

    /// Calls that change something outside the run's scratch folder, programs aside: what those do is in the snapshot.
    pub(super) fn changes(&self) -> Vec<&'static str> {
        let scratch = self.cx.scratch.to_string_lossy();
        let counts = |call: &Call| call.changes && call.op != "process.run" && !call.detail.starts_with(&*scratch);
        self.fake.calls().into_iter().filter(counts).map(|call| call.op).collect()
    }

    pub(super) fn behaviour(&self, step: &dyn StepType) -> Behaviour {
        step.behaviour(&self.params)
    }

    pub(super) fn faults(&self, faults: Faults) {
        self.fake.forget_calls();
        self.fake.set_faults(faults);
    }
}

/// Fails what hangs: nothing in a fake world takes real time.
async fn within<T>(work: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(Duration::from_secs(10), work).await.map_err(|_| "it hangs".to_owned())
}

pub(super) fn told(error: &StepError) -> String {
    format!("{} ({})", error.message, error.class.as_str())
}

/// Where two worlds differ, for the message.
pub(super) fn same(found: &Value, expected: &Value, what: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (format!("{found:#}"), format!("{expected:#}"));
    let differing = |one: &str, other: &str| one.lines().filter(|line| !other.contains(line)).take(6).collect::<Vec<_>>().join(" ");
    Err(format!("{what}: expected {}, found {}", differing(&expected, &found), differing(&found, &expected)))
}

/// What came of the laws.
#[derive(Default)]
pub struct Tally {
    /// Checks made, by law.
    pub counts: BTreeMap<&'static str, usize>,
    /// One line per law that is broken.
    pub broken: Vec<String>,
    cases: usize,
}

impl Tally {
    /// Adds the results of other cases.
    pub fn add(&mut self, other: Self) {
        for (law, count) in other.counts {
            *self.counts.entry(law).or_default() += count;
        }
        self.broken.extend(other.broken);
        self.cases += other.cases;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "laws: {} cases, {} checks", self.cases, self.counts.values().sum::<usize>())?;
        for (law, count) in &self.counts {
            writeln!(f, "  {count:5} {law}")?;
        }
        self.broken.iter().try_for_each(|line| writeln!(f, "broken: {line}"))
    }
}

/// Holds one use of a kind against all laws.
pub async fn judge(step: &dyn StepType, case: &Case) -> Tally {
    let mut tally = Tally { cases: 1, ..Tally::default() };
    for (law, rule) in LAWS {
        match rule(step, case).await {
            Ok(checks) => *tally.counts.entry(law).or_default() += checks,
            Err(problem) => tally.broken.push(format!("{} ({}): {law}: {problem}", case.kind, case.name)),
        }
    }
    tally
}
