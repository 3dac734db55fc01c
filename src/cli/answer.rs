//! `formula settle` and `formula approve`: a person's answers.

use serde_json::Value;

use super::app::App;
use super::drive::Show;
use super::failure::{Failure, Outcome as Ended};
use super::gate;
use crate::backend::{Backend as _, Delivery, Drive};
use crate::engine::{RunState, StepState};
use crate::journal::Journal;
use crate::model::{
    BLOB_THRESHOLD, Event, Gate, GateRules, Outcome as End, Plan, PlanStep, Proof, Request, RunId, SettleAnswer, StepIx, Verdict,
};
use crate::report::Hub;

/// Answers a held step.
///
/// Only answers that are valid now are accepted; without one they are listed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("answer").args(["retry", "adopt", "skip"]))]
pub struct SettleArgs {
    /// The run, or the beginning of its id.
    pub run: String,
    /// The step.
    pub step: String,
    /// Try it again.
    #[arg(long)]
    pub retry: bool,
    /// Take what is there as its result.
    #[arg(long)]
    pub adopt: bool,
    /// Go on without it.
    #[arg(long)]
    pub skip: bool,
    /// With `--adopt`: one of its outputs, for steps that refer to it. Repeatable; a value is read as JSON where it is JSON, else as text.
    #[arg(long, value_name = "NAME=VALUE", requires = "adopt")]
    pub output: Vec<String>,
    /// Why; kept in the journal.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Answers a gate.
///
/// Approves it, or denies it with `--deny`. The answer is bound to what was shown: formula, vars, plan, the outputs so far, and who may answer
/// how. It is given by the user of the system who types it, or handed on where the gate is proven at a forge.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// The gate [default: the only open one].
    pub step: Option<String>,
    /// Deny instead.
    #[arg(long)]
    pub deny: bool,
    /// Why; kept in the journal.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Settles.
pub fn settle(app: &App, args: &SettleArgs) -> Ended {
    let (journal, run) = app.existing(Some(&args.run))?;
    let backend = app.backend(journal, Hub::new());
    let (plan, state) = backend.look(&run)?;
    let step = plan.find(&args.step).ok_or_else(|| unknown_step(&plan, &args.step))?;
    let answer = if args.retry {
        SettleAnswer::Retry
    } else if args.adopt {
        SettleAnswer::Adopt
    } else if args.skip {
        SettleAnswer::Skip
    } else {
        return Err(choices(Failure::usage(format!("which answer for step `{}`?", args.step)), &state, &run, &args.step, step));
    };
    let Some(reason) = args.reason.clone().filter(|reason| !reason.trim().is_empty()) else {
        return Err(Failure::usage("an answer needs its reason").hint("add `--reason \"why\"`; it is kept in the journal"));
    };
    let output = adopted(args)?;
    let request = Request::Settle { by: app.user(), step: args.step.clone(), answer, reason, output };
    if let Err(refusal) = state.check_request(&request) {
        return Err(choices(Failure::usage(refusal.message), &state, &run, &args.step, step));
    }
    let delivery = app.runtime()?.block_on(backend.request(&run, &request))?;
    after(app, &run, delivery);
    Ok(0)
}

/// What the adopted step gave, by the person's word.
fn adopted(args: &SettleArgs) -> Result<Option<Value>, Failure> {
    let mut outputs = serde_json::Map::new();
    for given in &args.output {
        let Some((name, value)) = given.split_once('=') else {
            return Err(Failure::usage(format!("`--output {given}`: there is no `=`")).hint("write it as `--output digest=sha256:…`"));
        };
        outputs.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    let value = (!outputs.is_empty()).then_some(Value::Object(outputs));
    match value.as_ref().map(|value| value.to_string().len()) {
        Some(size) if size > BLOB_THRESHOLD => {
            Err(Failure::usage(format!("the outputs are {size} bytes long, and at most {BLOB_THRESHOLD} can be given"))
                .hint("give those that later steps refer to; `formula show` tells which"))
        }
        _ => Ok(value),
    }
}

fn choices(failure: Failure, state: &RunState, run: &RunId, id: &str, step: StepIx) -> Failure {
    let answers = state.valid_answers(step);
    if answers.is_empty() {
        return failure.hint(format!("step `{id}` is {}: there is nothing to answer", state.step(step).name()));
    }
    answers.into_iter().fold(failure, |failure, (answer, leads)| {
        let flag = match answer {
            SettleAnswer::Retry => "retry",
            SettleAnswer::Adopt => "adopt",
            SettleAnswer::Skip => "skip",
        };
        failure.hint(format!("formula settle {run} {id} --{flag} --reason \"…\"   → {leads}"))
    })
}

fn unknown_step(plan: &Plan, id: &str) -> Failure {
    let failure = Failure::usage(format!("the run has no step `{id}`"));
    match crate::diagnostic::nearest(id, plan.steps.iter().map(|step| step.id.as_str())) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint("`formula show` lists its steps"),
    }
}

/// Approves or denies.
pub fn approve(app: &App, args: &ApproveArgs) -> Ended {
    let (journal, run) = app.existing(args.run.as_deref())?;
    let backend = app.backend(journal.clone(), Hub::new());
    let (plan, state) = backend.look(&run)?;
    let open = open(&plan, &state);
    let chosen = match (&args.step, open.as_slice()) {
        (Some(step), open) => open.iter().find(|(id, ..)| id == step),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, several) => {
            let names: Vec<_> = several.iter().map(|(id, ..)| format!("`{id}`")).collect();
            return Err(Failure::usage("several gates are open").hint(format!("name one of {}", names.join(", "))));
        }
    };
    let Some((step, digest, rules)) = chosen else {
        return Err(
            Failure::usage(format!("run {run} has no such gate open")).hint(format!("`formula show {run}` tells what it waits for"))
        );
    };
    let question = format!("{step}: {}", prompt(journal.as_ref(), &run, step)?);
    // Nobody is asked for the proof of an answer that comes too late: it is refused whoever gives it.
    let by = if has_expired(&plan, &state, step) {
        app.user()
    } else if args.deny {
        gate::may_deny(app, step, rules)?
    } else {
        gate::approver(app, &plan.workdir, &run, (step, digest), rules, &question)?
    };
    if !has_expired(&plan, &state, step) {
        app.ui.status(&question);
    }
    let request =
        Request::Decide { by, step: (*step).to_owned(), approved: !args.deny, reason: args.reason.clone(), digest: (*digest).to_owned() };
    let delivery = app.runtime()?.block_on(backend.request(&run, &request))?;
    after(app, &run, delivery);
    Ok(0)
}

fn after(app: &App, run: &RunId, delivery: Delivery) {
    match delivery {
        Delivery::Recorded => app.ui.status(&format!("recorded; `formula resume {run}` carries on")),
        Delivery::Posted => app.ui.status(&format!("handed to the driver of run {run}")),
    }
}

/// Ids and digests of the gates that are open, with who may answer them how.
fn open<'a>(plan: &'a Plan, state: &'a RunState) -> Vec<(&'a str, &'a str, &'a GateRules)> {
    let waiting = |(index, step): (usize, &'a PlanStep)| match state.step(StepIx(index as u32)) {
        StepState::Waiting { digest, rules, .. } if step.gate == Some(Gate::Approve) => Some((step.id.as_str(), &**digest, &**rules)),
        _ => None,
    };
    plan.steps.iter().enumerate().filter_map(waiting).collect()
}

/// Whether the time of an open gate is over.
fn has_expired(plan: &Plan, state: &RunState, gate: &str) -> bool {
    plan.find(gate).is_some_and(|step| state.has_expired(step))
}

/// What an open gate asks.
fn prompt(journal: &dyn Journal, run: &RunId, gate: &str) -> Result<String, Failure> {
    let asked = journal.read(run, 0)?.into_iter().rev().find_map(|entry| match entry.event {
        Event::GateOpened { step, prompt, .. } if step == gate => Some(prompt),
        _ => None,
    });
    Ok(crate::report::clean(&asked.unwrap_or_default()))
}

/// On a terminal, or with `--yes`, gates that hold a run are answered on the spot and the run goes on. There is one verdict: that of its end.
pub fn open_gates(app: &App, mut verdict: Verdict, yes: bool, how: &Drive, show: Show) -> Result<Verdict, Failure> {
    while verdict.outcome == End::Held && (yes || app.ui.interactive && !show.json) {
        let (journal, run) = app.existing(verdict.run.as_ref().map(RunId::as_str))?;
        let (plan, state) = app.backend(journal.clone(), Hub::new()).look(&run)?;
        let gates = open(&plan, &state);
        let answerable = gates.iter().find(|(step, ..)| !has_expired(&plan, &state, step));
        let Some((step, digest, rules)) = answerable else { return Ok(verdict) };
        let question = format!("{step}: {}", prompt(journal.as_ref(), &run, step)?);
        let later = |failure: Failure| failure.hint(format!("`formula approve {run} {step}` answers it later"));
        // One that is proven at a terminal asks there by itself, whatever `--yes` says.
        if !yes && rules.proof != Some(Proof::Terminal) && !app.ui.confirm(&question).map_err(later)? {
            return Ok(verdict);
        }
        let by = match gate::approver(app, &plan.workdir, &run, (step, digest), rules, &question) {
            Ok(by) => by,
            Err(failure) if [End::Interrupted, End::Terminated].iter().any(|end| end.exit_code() == failure.code) => {
                return Err(later(failure));
            }
            Err(failure) => {
                app.ui.failure(&failure);
                return Ok(verdict);
            }
        };
        let request = Request::Decide { by, step: (*step).to_owned(), approved: true, reason: None, digest: (*digest).to_owned() };
        verdict = super::drive::resume(app, &run, &[request], how, show)?;
    }
    Ok(verdict)
}
