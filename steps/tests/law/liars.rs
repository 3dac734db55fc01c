//! Kinds that break laws on purpose: the harness must notice each of them, and by the right law.

use std::path::Path;

use formula_steps::contract::{Behaviour, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use formula_steps::world::fake::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use formula_steps::laws::{Case, SECRET_NAME, judge};

/// Makes the file `mark`, with one lie.
struct Liar(Lie);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    None,
    /// The probe writes.
    ProbeTouches,
    /// The probe never sees what is there.
    ProbeIsBlind,
    /// The probe sees what is not there.
    ProbeLies,
    /// Each run adds to the file.
    Appends,
    /// The probe gives another output than the run.
    OutputForgets,
    /// Undo does nothing.
    UndoForgets,
    /// Undo fails the second time.
    UndoOnce,
    /// Undo does nothing unless it gets an output.
    UndoNeedsOutput,
    /// Goes on although it was stopped.
    DeafToCancel,
    /// Takes every param.
    TakesAll,
    /// Writes the secret to the log.
    Logs,
    /// Shows the secret to other users of the machine.
    Argv,
}

#[derive(Deserialize, JsonSchema)]
struct Params {
    /// Anything.
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, bool>,
}

#[derive(Serialize, Deserialize)]
struct Before {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Output {
    made: bool,
}

impl Liar {
    fn is(&self, lie: Lie) -> bool {
        self.0 == lie
    }
}

impl Step for Liar {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "liar",
        version: 1,
        summary: "Makes a file",
        example: "[[steps]]\nid = \"x\"\nuses = \"liar\"\nwith = {}",
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        if self.is(Lie::TakesAll) { Vec::new() } else { params.rest.keys().cloned().collect() }
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        self.refuse(params)?;
        let files = &cx.world.files;
        if self.is(Lie::ProbeTouches) {
            files.write(&cx.workdir, Path::new("seen"), b"", 0o600, false).await?;
        }
        let there = files.read(&cx.workdir, Path::new("mark")).await?.is_some();
        let said = match self.0 {
            Lie::ProbeIsBlind => false,
            Lie::ProbeLies => true,
            _ => there,
        };
        Ok(if said { Probe::Present { output: Output { made: !self.is(Lie::OutputForgets) } } } else { Probe::absent(Before {}) })
    }

    async fn run(&self, cx: &Context, params: &Params, _: Option<&Before>) -> Result<Output, StepError> {
        self.refuse(params)?;
        let files = &cx.world.files;
        if !self.is(Lie::DeafToCancel) {
            cx.proceed()?;
        }
        let secret = cx.secret(SECRET_NAME)?.expose();
        if self.is(Lie::Logs) {
            cx.log(secret);
        }
        if self.is(Lie::Argv) {
            let _ = cx.world.process.run(&cx.command(["login", secret]), &*cx.output, &cx.cancel).await;
        }
        let mut bytes = b"mark".to_vec();
        if self.is(Lie::Appends)
            && let Some(there) = files.read(&cx.workdir, Path::new("mark")).await?
        {
            bytes.extend(there.bytes);
        }
        files.write(&cx.workdir, Path::new("mark"), &bytes, 0o600, false).await?;
        Ok(Output { made: true })
    }

    async fn undo(&self, cx: &Context, params: &Params, _: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        self.refuse(params)?;
        let files = &cx.world.files;
        if self.is(Lie::UndoForgets) || (self.is(Lie::UndoNeedsOutput) && output.is_none()) {
            return Ok(());
        }
        if self.is(Lie::UndoOnce) && files.read(&cx.workdir, Path::new("mark")).await?.is_none() {
            return Err(StepError::permanent("there is nothing to undo"));
        }
        Ok(files.remove(&cx.workdir, Path::new("mark")).await?)
    }
}

impl Liar {
    fn refuse(&self, params: &Params) -> Result<(), StepError> {
        match params.rest.keys().next() {
            Some(name) if !self.is(Lie::TakesAll) => Err(StepError::refused(format!("unknown field `{name}`"))),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn every_lie_is_found_out() {
    for (lie, law) in [
        (Lie::ProbeTouches, "a probe changes nothing"),
        (Lie::ProbeIsBlind, "run makes a probe answer present"),
        (Lie::ProbeLies, "run makes a probe answer present"),
        (Lie::OutputForgets, "a run that was cut off is resumed"),
        (Lie::Appends, "running again changes nothing"),
        (Lie::UndoForgets, "undo restores the world"),
        (Lie::UndoOnce, "undo restores the world"),
        (Lie::UndoNeedsOutput, "undo works after a cut at any call"),
        (Lie::DeafToCancel, "cancel is honoured"),
        (Lie::TakesAll, "unknown params are refused"),
        (Lie::Logs, "no secret is seen"),
        (Lie::Argv, "no secret is seen"),
    ] {
        let broken = broken_by(lie).await;
        assert!(broken.iter().any(|problem| problem.contains(law)), "{lie:?} should break `{law}`: {broken:?}");
    }
    assert_eq!(broken_by(Lie::None).await, [""; 0], "the honest one is let through");
}

async fn broken_by(lie: Lie) -> Vec<String> {
    let case = Case { kind: "liar", name: "sabotage", state: State::default(), params: json!({}) };
    judge(&Liar(lie), &case).await.broken
}
