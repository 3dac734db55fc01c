//! `health-check` watches until things are well, and fails if they are not in time.
//!
//! **Takes** checks, each a table with a `type`:
//!
//! - `http`: `url`, `method`, `headers`, `secret_headers`, `status`, `contains`, `pointer` with `equals`, `version` (behind `pointer`, in
//!   `version_header`, or the whole body);
//! - `tcp`: `address`, `hold` (a connection must stay open, 100ms);
//! - `container`: `container`, `image_id`, `healthy` (demand a check of its own);
//! - `compose`: `file`, `project`, `env_file`, `profiles`, `services` (all), `may_end`;
//! - `command`: `command`, `dir`;
//! - `log`: `container`, `pattern`, `lines`.
//!
//! All are looked at together every `interval`. The step passes once each was green `successes` times in a row and for `stable_for`,
//! and fails at the `deadline`, or earlier when a container ended for good after the `start_period`. A container that the engine
//! restarts meanwhile is red.
//!
//! `survey = true` looks once and judges nothing: its output `green` is what a later `baseline` takes, so that only what was green
//! before is judged; `always` names checks that are judged all the same. `prove = true` shows at the end that the HTTP checks can fail: the same request at a path that nobody serves
//! must be red.
//!
//! **Gives** what was seen of each check, the names of the green ones, and how long it took.
//!
//! **Probes** nothing: health is looked at whenever the step runs. **Undoes** nothing.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::{Behaviour, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::health::{Check, Verdict, Watch, watch};
use crate::kit::{Period, text};

/// The kind `health-check`.
#[derive(Debug, Clone, Copy)]
pub struct HealthCheck;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// What is looked at, each a table with a `type`: `http`, `tcp`, `container`, `compose`, `command`, `log`. An `http` check whose `url`
    /// is empty is left out, so that a var can say that there is none.
    pub checks: Vec<Check>,
    /// For so long an ended container is waited for.
    #[serde(default = "none")]
    pub start_period: Period,
    /// Between two looks.
    #[serde(default = "interval")]
    pub interval: Period,
    /// For one look.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Looks in a row that must be green.
    #[serde(default = "successes")]
    pub successes: u32,
    /// For so long everything must have been green.
    #[serde(default = "none")]
    pub stable_for: Period,
    /// For everything.
    #[serde(default = "deadline")]
    pub deadline: Period,
    /// Names of the checks to judge: those that were green before. The others are looked at and reported only.
    #[serde(default)]
    pub baseline: Option<Vec<String>>,
    /// Names of the checks to judge whatever the baseline says.
    #[serde(default)]
    pub always: Vec<String>,
    /// Look once, judge nothing, say what is green.
    #[serde(default)]
    pub survey: bool,
    /// Show that the checks can fail.
    #[serde(default)]
    pub prove: bool,
}

impl Params {
    fn wanted(&self) -> Vec<Check> {
        let there = |check: &&Check| !matches!(check, Check::Http(http) if http.url.is_empty());
        self.checks.iter().filter(there).cloned().collect()
    }
}

fn none() -> Period {
    Period::ZERO
}
fn interval() -> Period {
    Period::seconds(2)
}
fn timeout() -> Period {
    Period::seconds(5)
}
fn successes() -> u32 {
    2
}
fn deadline() -> Period {
    Period::seconds(120)
}

impl Step for HealthCheck {
    type Params = Params;
    type Before = ();
    type Output = Verdict;
    const META: StepMeta = StepMeta {
        kind: "health-check",
        version: 1,
        summary: "Watches until services answer, run and stay up",
        example: r#"[[steps]]
id = "health"
uses = "health-check"
[steps.with]
deadline = "2m"
stable_for = "10s"
checks = [
  { type = "http", url = "http://127.0.0.1:8080/api/version", pointer = "/version", version = "v1.2.0" },
  { type = "compose", file = "docker-compose.yml" },
]
"#,
        behaviour: Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        let checks = params.wanted();
        if checks.is_empty() {
            problems.push("`checks` is empty: the step could not fail".into());
        }
        let mut names: Vec<String> = checks.iter().map(Check::name).collect();
        let unknown = params.always.iter().filter(|name| !names.contains(name));
        problems.extend(unknown.map(|name| format!("`always` names `{name}`, and no check is called that")));
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            problems.push(format!("two checks are called `{}`: give each a `name` of its own", pair[0]));
        }
        for check in &checks {
            problems.extend(check.problems().into_iter().map(|problem| format!("check `{}`: {problem}", check.name())));
        }
        if params.interval == Period::ZERO {
            problems.push("`interval` must be more than 0s".into());
        }
        let least = params.interval.0.saturating_mul(params.successes.saturating_sub(1)).max(params.stable_for.0);
        if !params.survey && least >= params.deadline.0 {
            problems.push(format!(
                "the step could not pass: {} looks every {} and `stable_for` {} do not fit into the `deadline` of {}",
                params.successes, params.interval, params.stable_for, params.deadline
            ));
        }
        if params.survey && params.baseline.is_some() {
            problems.push("`survey` judges nothing, so it takes no `baseline`".into());
        }
        problems
    }

    async fn probe(&self, _cx: &Context, params: &Params) -> Result<Probe<(), Verdict>, StepError> {
        let names: Vec<String> = params.wanted().iter().map(Check::name).collect();
        Ok(Probe::would(
            (),
            format!("watch {} for up to {}: {}", text::count(names.len(), "check"), params.deadline, text::some_of(&names)),
        ))
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&()>) -> Result<Verdict, StepError> {
        let how = Watch {
            start_period: params.start_period.0,
            interval: params.interval.0,
            timeout: params.timeout.0,
            successes: params.successes,
            stable_for: params.stable_for.0,
            deadline: params.deadline.0,
            judged: params.baseline.as_ref().map(|baseline| [baseline.as_slice(), &params.always].concat()),
            survey: params.survey,
        };
        let checks = params.wanted();
        if let Some(judged) = &how.judged {
            let left: Vec<String> = checks.iter().map(Check::name).filter(|name| !judged.contains(name)).collect();
            if !left.is_empty() {
                cx.log(format!("not judged, as they were not green before: {}", text::some_of(&left)));
            }
        }
        let verdict = watch(cx, &checks, &how).await?;
        if params.prove {
            prove(cx, params, &checks).await?;
        }
        Ok(verdict)
    }

    async fn undo(&self, _cx: &Context, _params: &Params, _before: Option<&()>, _output: Option<&Verdict>) -> Result<(), StepError> {
        Ok(())
    }
}

/// Permanent failure that names the checks that are green for what cannot be right.
async fn prove(cx: &Context, params: &Params, checks: &[Check]) -> Result<(), StepError> {
    let spoilt: Vec<(String, Check)> = checks.iter().filter_map(|check| Some((check.name(), check.spoilt()?))).collect();
    let mut blind = Vec::new();
    for (name, check) in &spoilt {
        if check.look_once(cx, params.timeout.0).await? {
            blind.push(name.clone());
        }
    }
    cx.log(format!("shown to be able to fail: {} of {}", spoilt.len() - blind.len(), text::count(checks.len(), "check")));
    if blind.is_empty() {
        return Ok(());
    }
    Err(StepError::permanent(format!("{} cannot fail: a path that nobody serves is green as well", text::some_of(&blind)))
        .hint("compare something that only the right answer has: `pointer` with `equals`, `version`, or `contains`"))
}
