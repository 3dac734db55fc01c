//! From a formula and a test file to what can be rehearsed: the plan, the world at the start, how programs act, what goes wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formula_steps::contract::{Class, StepError, StepType};
use formula_steps::world::fake::{CALLS, State};
use serde_json::Value;
use toml::Spanned;

use super::calls::Failing;
use super::control::{Fault, is_of};
use super::file::{Answer, Deed, Expect, FaultFile, TestFile};
use super::stubs::Act;
use super::world;
use crate::diagnostic::{Diagnostic, codes, nearest};
use crate::model::{Formula, Gate, Plan, PlanStep};
use crate::plan::{self, Given, GivenValue, Inputs, Load, Origin};
use crate::syntax::Builtin;

/// The working directory of every rehearsal.
pub(super) const WORK: &str = "/box";

/// One try of a formula.
pub(super) struct Case {
    pub name: String,
    pub plan: Plan,
    pub start: State,
    pub env: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
    pub acts: Arc<BTreeMap<String, Act>>,
    pub gates: BTreeMap<String, Answer>,
    pub faults: Vec<Fault>,
    pub expect: Option<Expect>,
    pub acts_again: Vec<String>,
    pub left_alone: Vec<String>,
    pub kinds: Vec<&'static dyn StepType>,
}

/// Why there is nothing to rehearse.
pub(super) enum Unready {
    /// The formula cannot be planned like that.
    Formula(Vec<Diagnostic>),
    /// The test file does not fit the formula.
    Test(Vec<Diagnostic>),
}

impl Case {
    pub(super) fn gate(&self, step: &str) -> Answer {
        let found = self.gates.iter().find(|(name, _)| is_of(step, name));
        found.map(|(_, answer)| *answer).unwrap_or_default()
    }

    /// Settles one case.
    pub(super) fn new(formula: &Formula, file: &TestFile, kinds: &[&'static dyn StepType], load: &mut Load<'_>) -> Result<Self, Unready> {
        let env = environment(file);
        let vars = vars(formula, file)?;
        let inputs = Inputs { vars, env: env.clone(), workdir: PathBuf::from(WORK), key: None };
        let plan = plan::plan(formula, &inputs, &Builtin::new(kinds.iter().copied()), load).map_err(Unready::Formula)?;
        let mut problems = names(&plan, formula, file);
        let start = match world::make(&file.world) {
            Ok(start) => start,
            Err((range, message)) => {
                let problem = Diagnostic::error(codes::TEST_FILE, message);
                problems.push(match range {
                    Some(range) => problem.at(range, ""),
                    None => problem,
                });
                State::default()
            }
        };
        let acts = acts(&plan, file, &start, &mut problems);
        let faults = file.fault.iter().filter_map(|fault| fault_of(fault, &mut problems)).collect();
        if !problems.is_empty() {
            return Err(Unready::Test(problems));
        }
        let start = done_before(start, file, &plan);
        Ok(Self {
            name: file.name.as_ref().map_or_else(String::new, |name| name.get_ref().clone()),
            secrets: secrets(&plan, file),
            plan,
            start,
            env,
            acts: Arc::new(acts),
            gates: file.gates.iter().map(|(name, answer)| (name.get_ref().clone(), *answer)).collect(),
            faults,
            expect: file.expect.clone(),
            acts_again: file.acts_again.iter().map(|step| step.get_ref().clone()).collect(),
            left_alone: file.left_alone.iter().map(|step| step.get_ref().clone()).collect(),
            kinds: kinds.to_vec(),
        })
    }
}

/// A case with all that stands outside of it.
pub(super) fn merged(outer: &TestFile, case: &TestFile) -> TestFile {
    fn joined<K: Ord + Clone, V: Clone>(outer: &BTreeMap<K, V>, case: &BTreeMap<K, V>) -> BTreeMap<K, V> {
        // The key as well as the value: it knows where it stands.
        let mut all = case.clone();
        outer.iter().filter(|(key, _)| !case.contains_key(*key)).for_each(|(key, value)| drop(all.insert(key.clone(), value.clone())));
        all
    }
    fn both<T: Clone>(outer: &[T], case: &[T]) -> Vec<T> {
        outer.iter().chain(case).cloned().collect()
    }
    let (one, other) = (&outer.world, &case.world);
    let world = super::file::WorldFile {
        files: joined(&one.files, &other.files),
        git: other.git.clone().or_else(|| one.git.clone()),
        images: joined(&one.images, &other.images),
        registries: joined(&one.registries, &other.registries),
        credentials: joined(&one.credentials, &other.credentials),
        http: joined(&one.http, &other.http),
        hosts: both(&one.hosts, &other.hosts),
        listening: both(&one.listening, &other.listening),
        containers: joined(&one.containers, &other.containers),
        running: both(&one.running, &other.running),
        programs: both(&other.programs, &one.programs),
        raw: if other.raw == State::default() { one.raw.clone() } else { other.raw.clone() },
    };
    TestFile {
        name: case.name.clone(),
        vars: joined(&outer.vars, &case.vars),
        secrets: joined(&outer.secrets, &case.secrets),
        env: joined(&outer.env, &case.env),
        world,
        shell: joined(&outer.shell, &case.shell),
        gates: joined(&outer.gates, &case.gates),
        fault: both(&outer.fault, &case.fault),
        expect: case.expect.clone().or_else(|| outer.expect.clone()),
        acts_again: both(&outer.acts_again, &case.acts_again),
        left_alone: both(&outer.left_alone, &case.left_alone),
        case: Vec::new(),
    }
}

fn environment(file: &TestFile) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("HOME".to_owned(), "/home/rehearsal".to_owned()), ("PATH".to_owned(), "/bin".to_owned())]);
    env.extend(file.env.clone());
    env
}

fn vars(formula: &Formula, file: &TestFile) -> Result<serde_json::Map<String, Value>, Unready> {
    let given: Vec<Given> = file
        .vars
        .iter()
        .map(|(name, value)| Given { name: name.get_ref().clone(), value: GivenValue::Value(value.clone()), origin: Origin::File })
        .collect();
    plan::inputs(formula, &given).map_err(|errors| {
        let place = |name: &str| file.vars.keys().find(|key| key.get_ref() == name).map(Spanned::span);
        let problem = |error: plan::InputError| {
            let missing = place(&error.name).is_none();
            let problem = Diagnostic::error(codes::TEST_VARS, error.message);
            match place(&error.name) {
                Some(range) => problem.at(range, "").help(error.help),
                None if missing => problem.help(format!("say what it is in the rehearsal: [vars], then `{} = …`", error.name)),
                None => problem.help(error.help),
            }
        };
        Unready::Test(errors.into_iter().map(problem).collect())
    })
}

/// Names of steps and secrets that the formula does not have.
fn names(plan: &Plan, formula: &Formula, file: &TestFile) -> Vec<Diagnostic> {
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let groups = ids.iter().map(|id| id.split('[').next().unwrap_or(id));
    let written = formula.steps.iter().chain(&formula.finally).map(|step| step.id.as_str());
    let mut known: Vec<&str> = ids.iter().copied().chain(groups).chain(written).collect();
    known.sort_unstable();
    known.dedup();
    let expect = file.expect.as_ref();
    let steps = file.shell.keys().chain(file.gates.keys()).chain(file.fault.iter().map(|fault| &fault.step));
    let steps = steps.chain(&file.acts_again).chain(&file.left_alone);
    let steps = steps.chain(expect.into_iter().flat_map(|expect| expect.order.iter().chain(expect.states.keys())));
    let mut problems = Vec::new();
    for step in steps.filter(|step| !known.contains(&step.get_ref().as_str())) {
        let problem = Diagnostic::error(codes::TEST_NAME, format!("the formula has no step `{}`", step.get_ref()));
        let help = match nearest(step.get_ref(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", known.iter().take(16).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")),
        };
        problems.push(problem.at(step.span(), "no such step").help(help));
    }
    for secret in file.secrets.keys().filter(|secret| !plan.secrets.contains_key(secret.get_ref())) {
        if formula.secrets.contains_key(secret.get_ref()) {
            continue;
        }
        let problem = Diagnostic::error(codes::TEST_NAME, format!("the formula has no secret `{}`", secret.get_ref()));
        let problem = problem.at(secret.span(), "no such secret");
        problems.push(match nearest(secret.get_ref(), formula.secrets.keys().map(String::as_str)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
    problems
}

/// Whether a step may come to run.
fn may_run(step: &PlanStep) -> bool {
    step.condition.as_deref() != Some("false")
}

/// How the programs of the plan act, and which of them nobody described.
fn acts(plan: &Plan, file: &TestFile, start: &State, problems: &mut Vec<Diagnostic>) -> BTreeMap<String, Act> {
    let work = Path::new(WORK);
    let mut acts = BTreeMap::new();
    for step in &plan.steps {
        let deed = file.shell.iter().find(|(name, _)| is_of(&step.id, name.get_ref())).map(|(_, deed)| deed);
        match (deed, step.gate) {
            (_, Some(Gate::Wait)) if step.with.get("probe").is_some() => {
                let answer = file.gates.iter().find(|(name, _)| is_of(&step.id, name.get_ref())).map(|(_, answer)| *answer);
                acts.insert(step.id.clone(), Act::gate(answer.unwrap_or_default() == Answer::Approve));
            }
            (Some(deed), None) if step.kind == "shell" => {
                let read_only = step.with.get("read_only").and_then(Value::as_bool).unwrap_or(false);
                acts.insert(step.id.clone(), Act::new(deed, start, work, read_only));
            }
            (None, None) if step.kind == "shell" && may_run(step) => {
                let message = format!("nothing says what step `{}` does: a rehearsal starts no programs", step.id);
                let problem = Diagnostic::error(codes::TEST_STUB, message);
                problems.push(problem.help(format!("add\n{}", super::skeleton::stub(step))));
            }
            _ => {}
        }
    }
    for name in file.shell.keys().filter(|name| plan.steps.iter().any(|step| is_of(&step.id, name.get_ref()) && step.kind != "shell")) {
        let message = format!("step `{}` is no `shell` step: in the fake world it does what it does", name.get_ref());
        problems.push(Diagnostic::error(codes::TEST_NAME, message).at(name.span(), "").help("leave it out; `[[fault]]` makes it fail"));
    }
    acts
}

fn secrets(plan: &Plan, file: &TestFile) -> BTreeMap<String, String> {
    let needed = plan.secrets.keys().filter(|name| !plan.optional_secrets.contains(name));
    let mut secrets: BTreeMap<String, String> = needed.map(|name| (name.clone(), format!("made-up-{name}-4711"))).collect();
    secrets.extend(file.secrets.iter().map(|(name, value)| (name.get_ref().clone(), value.clone())));
    secrets
}

fn done_before(mut start: State, file: &TestFile, plan: &Plan) -> State {
    let done = |step: &&PlanStep| file.shell.iter().any(|(name, deed): (_, &Deed)| deed.done && is_of(&step.id, name.get_ref()));
    for step in plan.steps.iter().filter(done) {
        start.put(super::stubs::marker(&step.id), "done\n");
    }
    start
}

fn fault_of(fault: &FaultFile, problems: &mut Vec<Diagnostic>) -> Option<Fault> {
    let error = match fault.with.get_ref() {
        Value::Number(status) => status.as_u64().map(|status| by_status(&status.to_string())),
        Value::String(words) => Some(by_status(words)),
        _ => None,
    };
    let Some(error) = error else {
        let problem = Diagnostic::error(codes::TEST_FILE, "`with` says how the step fails: a status code or words");
        problems.push(
            problem.at(fault.with.span(), "").help("503, 404, \"transient\", \"permanent\", \"refused\", \"timeout\", or the message"),
        );
        return None;
    };
    let left = if fault.always { None } else { Some(fault.times) };
    let call = fault.call.as_ref().and_then(|call| {
        if !CALLS.contains(&call.get_ref().as_str()) {
            let problem = Diagnostic::error(codes::TEST_NAME, format!("steps make no call `{}`", call.get_ref()));
            problems.push(problem.at(call.span(), "no such call").help(call_help(call.get_ref())));
        }
        Failing::new(call.get_ref(), fault.with.get_ref())
    });
    Some(Fault { step: fault.step.get_ref().clone(), left, after: fault.after, error, call })
}

/// The call that was probably meant, or those of its port.
fn call_help(name: &str) -> String {
    if let Some(near) = nearest(name, CALLS) {
        return format!("did you mean `{near}`?");
    }
    let (port, call) = name.split_once('.').unwrap_or((name, name));
    let like: Vec<String> = CALLS
        .iter()
        .filter(|known| known.split_once('.').is_some_and(|(of, what)| of == port || what == call))
        .map(|known| format!("`{known}`"))
        .collect();
    if like.is_empty() {
        "a port and what is asked of it, such as `git.push`, `docker.push`, `http.request`".to_owned()
    } else {
        format!("there are {}", like.join(", "))
    }
}

fn by_status(words: &str) -> StepError {
    let status: Option<u16> = words.split(' ').next().and_then(|first| first.parse().ok()).filter(|status| (100..600).contains(status));
    let (class, message) = match (status, words) {
        (Some(status @ (408 | 425 | 429 | 500..)), _) => (Class::Transient, format!("the other side answered {status}")),
        (Some(status), _) => (Class::Permanent, format!("the other side answered {status}")),
        (None, "transient") => (Class::Transient, "it failed for now".to_owned()),
        (None, "permanent") => (Class::Permanent, "it failed".to_owned()),
        (None, "refused") => (Class::Refused, "it was refused, and nothing was done".to_owned()),
        (None, "timeout") => (Class::Timeout, "it took too long".to_owned()),
        (None, words) => (Class::Permanent, words.to_owned()),
    };
    StepError::new(class, format!("{message} (as the test file says)"))
}
