//! Plans of small formulas, and of large random ones.

mod graphs;
mod inlining;
mod inputs;
mod running;
mod written;

use std::collections::BTreeMap;

use formula_steps::contract::{Behaviour, Effect, Repeat, Undo};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Inputs, Kinds, plan};
use crate::diagnostic::Diagnostic;
use crate::model::{Formula, Gate, OnFailure, Plan, Retry, SecretDecl, SecretSource, Span, StepDef, VarDecl, VarType};

/// One kind, `act`, that refuses `{ "bad": … }`.
struct Acts;

impl Kinds for Acts {
    fn version(&self, kind: &str) -> Option<u32> {
        (kind == "act").then_some(7)
    }
    fn behaviour(&self, _: &str, with: &Value) -> Option<Behaviour> {
        let effect = if with["look"] == json!(true) { Effect::ReadOnly } else { Effect::Reversible };
        Some(Behaviour { effect, repeat: Repeat::Never, undo: Undo::Restore, probes: true })
    }
    fn check(&self, _: &str, params: &Value) -> Vec<String> {
        params.get("bad").map(|bad| format!("`bad` is {bad}")).into_iter().collect()
    }
}

fn step(id: &str, needs: &[&str], with: Value) -> StepDef {
    StepDef {
        id: id.to_owned(),
        title: None,
        description: None,
        uses: Some("act".to_owned()),
        with,
        env: BTreeMap::new(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        condition: None,
        foreach: None,
        retry: Retry::default(),
        timeout_ms: None,
        secrets: Vec::new(),
        span: Span::default(),
    }
}

fn inline(id: &str, needs: &[&str], formula: &str, vars: Value) -> StepDef {
    StepDef { uses: Some("formula".to_owned()), ..step(id, needs, json!({ "formula": formula, "vars": vars })) }
}

fn var(ty: VarType, default: Option<Value>) -> VarDecl {
    VarDecl {
        ty,
        description: String::new(),
        required: default.is_none(),
        default,
        pattern: None,
        choices: Vec::new(),
        span: Span::default(),
    }
}

fn formula(name: &str, vars: &[(&str, VarDecl)], steps: Vec<StepDef>) -> Formula {
    Formula {
        name: name.to_owned(),
        description: "a test".to_owned(),
        version: 1,
        on_failure: OnFailure::Hold,
        max_parallel: 4,
        lock: "workdir".to_owned(),
        vars: vars.iter().map(|(name, decl)| ((*name).to_owned(), decl.clone())).collect(),
        secrets: IndexMap::new(),
        env: IndexMap::new(),
        steps,
        finally: Vec::new(),
        path: format!("{name}.toml").into(),
        source: String::new(),
        digest: format!("sha256:{name}"),
    }
}

fn with_vars(vars: Value) -> Inputs {
    let Value::Object(vars) = vars else { unreachable!("written as a table") };
    Inputs { vars, workdir: "/acme".into(), ..Inputs::default() }
}

fn planned(formula: &Formula, inputs: &Inputs, others: &[Formula]) -> Result<Plan, Vec<Diagnostic>> {
    plan(formula, inputs, &Acts, &mut |name| {
        let found = others.iter().find(|formula| formula.name == name).cloned();
        found.ok_or_else(|| vec![Diagnostic::error("F0000", format!("there is no formula `{name}`"))])
    })
}

/// Ids with the ids each needs.
fn shape(plan: &Plan) -> Vec<String> {
    let line = |step: &crate::model::PlanStep| {
        let needs: Vec<_> = step.needs.iter().map(|need| plan.step(*need).id.as_str()).collect();
        if needs.is_empty() { step.id.clone() } else { format!("{} < {}", step.id, needs.join(" ")) }
    };
    plan.steps.iter().map(line).collect()
}

fn messages(result: Result<Plan, Vec<Diagnostic>>) -> Vec<String> {
    result.expect_err("must not plan").into_iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect()
}

#[test]
fn what_is_known_is_filled_in_and_the_rest_waits() {
    let mut build = step("build", &[], json!({ "tag": "{{ vars.image }}:{{ vars.n }}", "n": "{{ vars.n }}", "list": ["{{ vars.list }}"] }));
    build.env.insert("N".to_owned(), "{{ vars.n }}".to_owned());
    build.condition = Some("{{ eq vars.n 3 }}".to_owned());
    let mut push = step("push", &["build"], json!({ "id": "{{ steps.build.outputs.id }}", "n": "{{ vars.n }}", "run": "{{ run.id }}" }));
    push.condition = Some("{{ steps.build.outputs.id }}".to_owned());
    let mut never = step("never", &["push"], json!({ "bad": "{{ vars.n }}" }));
    never.condition = Some("{{ vars.off }}".to_owned());
    let mut gate = step("gate", &["never"], json!({ "prompt": "Ship {{ vars.image }}?" }));
    gate.uses = Some("approve".to_owned());
    gate.title = Some("Ship {{ vars.image }}".to_owned());
    let formula = formula("f", &[], vec![build, push, never, gate]);
    let plan = planned(&formula, &with_vars(json!({ "image": "a/b", "n": 3, "list": ["x"], "off": false })), &[]).unwrap();
    let [build, push, never, gate] = plan.steps.as_slice() else { panic!("four steps") };
    assert_eq!(build.with, json!({ "tag": "a/b:3", "n": 3, "list": [["x"]] }));
    assert_eq!((build.env["N"].as_str(), build.templated, &build.condition, build.kind_version), ("3", false, &None, 7));
    assert_eq!(push.with, json!({ "id": "{{ steps.build.outputs.id }}", "n": 3, "run": "{{ run.id }}" }));
    assert!(push.templated && push.condition.is_some());
    assert_eq!((never.condition.as_deref(), never.templated), (Some("false"), false));
    assert_eq!((gate.gate, gate.title.as_deref(), gate.behaviour.probes), (Some(Gate::Approve), Some("Ship a/b"), false));
    assert_eq!(plan.find("push").map(|step| step.0), Some(1));
}

#[test]
fn braces_in_values_are_never_read_as_templates() {
    let formula = formula(
        "f",
        &[],
        vec![
            step("known", &[], json!({ "format": "{{ vars.format }}" })),
            step("open", &["known"], json!({ "format": "{{ vars.format }}", "id": "{{ steps.known.outputs.id }}" })),
        ],
    );
    let plan = planned(&formula, &with_vars(json!({ "format": "{{.ID}}" })), &[]).unwrap();
    assert_eq!((plan.steps[0].with["format"].as_str(), plan.steps[0].templated), (Some("{{.ID}}"), false));
    assert_eq!((plan.steps[1].with["format"].as_str(), plan.steps[1].templated), (Some("{{ vars.format }}"), true));
}

#[test]
fn foreach_makes_one_step_per_item() {
    let mut mirror = step("mirror", &["tag"], json!({ "to": "{{ item }}" }));
    mirror.foreach = Some(json!("{{ vars.mirrors }}"));
    let mut table = step("table", &["mirror"], json!({ "k": "{{ item.key }}", "v": "{{ item.value }}" }));
    table.foreach = Some(json!({ "a": 1, "b": "{{ vars.x }}" }));
    let formula = formula("f", &[], vec![step("tag", &[], json!({})), mirror, table, step("end", &["table"], json!({}))]);
    let plan = planned(&formula, &with_vars(json!({ "mirrors": ["code/berg", "git"], "x": 2 })), &[]).unwrap();
    assert_eq!(
        shape(&plan),
        [
            "tag",
            "mirror[code-berg] < tag",
            "mirror[git] < tag",
            "table[a] < mirror[code-berg] mirror[git]",
            "table[b] < mirror[code-berg] mirror[git]",
            "end < table[a] table[b]"
        ]
    );
    assert_eq!((&plan.steps[1].item, &plan.steps[1].with["to"]), (&Some(json!("code/berg")), &json!("code/berg")));
    assert_eq!(plan.steps[4].with, json!({ "k": "b", "v": 2 }));
    assert_eq!(plan.scopes[0].groups["mirror"], ["mirror[code-berg]", "mirror[git]"]);
    let empty = planned(&formula, &with_vars(json!({ "mirrors": [], "x": 2 })), &[]).unwrap();
    assert_eq!(shape(&empty), ["tag", "table[a] < tag", "table[b] < tag", "end < table[a] table[b]"]);
}

#[test]
fn all_problems_come_at_once() {
    let mut text = step("text", &[], json!({}));
    text.foreach = Some(json!("{{ vars.x }}"));
    let mut late = step("late", &[], json!({}));
    late.foreach = Some(json!("{{ steps.text.outputs.list }}"));
    let mut secret = step("secret", &[], json!({}));
    secret.secrets = vec!["{{ vars.x }}".to_owned()];
    let env = step("env", &[], json!({ "home": "{{ env.HOME }}" }));
    let formula = formula("f", &[], vec![text, late, step("bad", &[], json!({ "bad": "{{ vars.x }}" })), secret, env]);
    let found = messages(planned(&formula, &with_vars(json!({ "x": "y" })), &[]));
    assert_eq!(
        found,
        [
            "F0315 `foreach` takes a list or a table, this is a text",
            "F0315 `foreach` must be known when the run is planned",
            "F0312 `act` refuses its params: `bad` is \"y\"",
            "F0211 secret `y` is not declared",
            "F0303 environment variable `HOME` is not set",
        ]
    );
}

#[test]
fn a_problem_stands_where_the_template_stands() {
    let mut formula = formula("f", &[], vec![step("a", &[], json!({ "x": "1 {{ vars.list }}" }))]);
    formula.source = "[[steps]]\nid = \"a\"\nwith = { x = \"1 {{ vars.list }}\" }\n".to_owned();
    let problems = planned(&formula, &with_vars(json!({ "list": ["a"] })), &[]).unwrap_err();
    let label = problems[0].primary.clone().unwrap();
    assert_eq!(&formula.source[label.range], "vars.list");
}

#[test]
fn prose_stops_before_anything_is_planned() {
    let mut prose = formula("f", &[], vec![step("a", &[], json!({})), step("b", &[], json!({}))]);
    prose.steps.iter_mut().for_each(|step| step.uses = None);
    let found = messages(planned(&prose, &with_vars(json!({})), &[]));
    assert_eq!(found, ["F0406 prose cannot run: steps `a`, `b` of formula `f` say in words what is to be done"]);
}

#[test]
fn secrets_that_steps_name_are_kept_with_their_sources() {
    let decl = |required, from| SecretDecl { from, required, span: Span::default() };
    let mut child = formula("child", &[], vec![step("s", &[], json!({}))]);
    child.steps[0].secrets = vec!["A".to_owned()];
    child.secrets.insert("A".to_owned(), decl(true, vec![SecretSource::Env("A".to_owned()), SecretSource::File("a".to_owned())]));
    let mut root = formula("root", &[], vec![step("s", &[], json!({})), inline("c", &["s"], "child", json!({}))]);
    root.steps[0].secrets = vec!["A".to_owned(), "{{ vars.name }}".to_owned(), "{{ vars.none }}".to_owned()];
    root.secrets.insert("A".to_owned(), decl(false, vec![SecretSource::Env("A".to_owned())]));
    root.secrets.insert("B".to_owned(), decl(false, vec![SecretSource::Age("b.age".to_owned())]));
    root.secrets.insert("UNUSED".to_owned(), decl(true, vec![]));
    let plan = planned(&root, &with_vars(json!({ "name": "B", "none": "" })), &[child]).unwrap();
    assert_eq!(plan.steps[0].secrets, ["A", "B"]);
    assert_eq!(plan.secrets.keys().collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(plan.secrets["A"].len(), 2);
    assert_eq!(plan.optional_secrets, ["B"]);
}

#[test]
fn the_fingerprint_is_the_name_and_the_inputs() {
    let print = |name: &str, inputs: &Inputs| planned(&formula(name, &[], vec![]), inputs, &[]).unwrap().fingerprint;
    let inputs = with_vars(json!({ "a": 1 }));
    assert_eq!(print("f", &inputs), print("f", &Inputs { workdir: "/other".into(), ..inputs.clone() }));
    assert_ne!(print("f", &inputs), print("g", &inputs));
    assert_ne!(print("f", &inputs), print("f", &with_vars(json!({ "a": 2 }))));
    assert_ne!(print("f", &inputs), print("f", &Inputs { key: Some("k".to_owned()), ..inputs.clone() }));
}

#[test]
fn a_plan_survives_being_stored() {
    let mut each = step("each", &[], json!({ "x": "{{ steps.a.outputs.b }}", "i": "{{ item }}" }));
    each.foreach = Some(json!(["p", "q"]));
    let formula = formula("f", &[], vec![step("a", &[], json!({})), each]);
    let plan = planned(&formula, &with_vars(json!({})), &[]).unwrap();
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
}
