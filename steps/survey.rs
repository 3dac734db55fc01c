//! `survey` looks at a box before anything is changed, and refuses where something stands in the way.
//!
//! **Takes** where the files of the box are and what its keys are called; everything has a default. `box` describes the kind of box:
//! legacy keys, credentials, links, first-party images and the reset of the runbook; where there is no such file the shipped
//! description is used.
//!
//! All checks of `formula doctor` are made, from d1 (the working tree is clean) to d18 (no earlier run is unfinished; the run that asks
//! does not count). A blocker refuses the run, with every blocker named, what mends it, and the ordered reset where the box is stale.
//! `accept` names checks whose findings a person accepts.
//!
//! **Gives** `project` (the compose project that runs there, else the folder's name), `release`, how many `blockers` (accepted ones),
//! `warnings` and `hints` there are, `findings` (all that is not as it should be), `readings` (image ids, config hashes, versions,
//! digests of files), and `green`: the health checks that pass now, as the `baseline` of a later `health-check`.
//!
//! **Probes** by looking at all of it. **Undoes** nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::drift::{self, Finding, Readings, Report, Severity, Status, Subject};

/// The kind `survey`.
#[derive(Debug, Clone, Copy)]
pub struct Survey;

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The compose project: what runs there, else the folder's name.
    pub project: String,
    /// The release tag that HEAD stands on; empty where it stands on none.
    pub release: String,
    /// Blockers that are accepted.
    pub blockers: usize,
    /// Warnings.
    pub warnings: usize,
    /// What is worth knowing.
    pub hints: usize,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What was read on the way.
    pub readings: Readings,
    /// Names of the health checks that are green now.
    pub green: Vec<String>,
}

impl Step for Survey {
    type Params = Subject;
    type Before = ();
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "survey",
        version: 1,
        summary: "Looks for drift of a box and refuses where something stands in the way",
        example: r#"[[steps]]
id = "survey"
uses = "survey"
[steps.with]
compose_file = "docker-compose.yml"
env_file = ".env"
health_urls = ["http://127.0.0.1:8080/api/version"]
accept = ["d7"]
"#,
        behaviour: Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true },
    };

    fn check(&self, params: &Subject) -> Vec<String> {
        params.problems()
    }

    async fn probe(&self, cx: &Context, params: &Subject) -> Result<Probe<(), Output>, StepError> {
        // It looks already; there is nothing more to be done.
        self.run(cx, params, None).await.map(|output| Probe::Present { output })
    }

    async fn run(&self, cx: &Context, params: &Subject, _before: Option<&()>) -> Result<Output, StepError> {
        let report = drift::survey(cx, params).await?;
        for finding in report.checks.iter().filter(|finding| finding.status != Status::Ok) {
            let accepted = if finding.accepted { " (accepted)" } else { "" };
            let severity = if finding.status == Status::Skipped { "skipped" } else { finding.severity.as_str() };
            cx.log(format!("{} {severity}{accepted}: {}: {}", finding.id, finding.title, finding.evidence));
        }
        match report.refusal() {
            Some(refusal) => Err(refusal),
            None => Ok(output(report)),
        }
    }

    async fn undo(&self, _cx: &Context, _params: &Subject, _before: Option<&()>, _output: Option<&Output>) -> Result<(), StepError> {
        Ok(())
    }
}

fn output(report: Report) -> Output {
    let count = |severity| report.checks.iter().filter(|one| one.status == Status::Drift && one.severity == severity).count();
    Output {
        project: report.readings.project.clone(),
        release: report.readings.release.clone(),
        blockers: count(Severity::Blocker),
        warnings: count(Severity::Warn),
        hints: count(Severity::Info),
        green: report.readings.green.clone(),
        findings: report.checks.into_iter().filter(|finding| finding.status != Status::Ok).collect(),
        readings: report.readings,
    }
}
