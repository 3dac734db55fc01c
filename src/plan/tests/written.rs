//! From text to plan, with the real reader and the real kinds.

use super::super::{Given, Resolver, inputs, plan};
use super::*;
use crate::diagnostic::{SourceFile, render};
use crate::syntax::{self, Builtin, Options};

const RELEASE: &str = r#"
name = "release"
description = "Tag and announce"
version = 1

[vars.version]
type = "version"
required = true

[vars.mirrors]
type = "list"
default = []

[vars.announce]
type = "bool"
default = true

[vars.record]
type = "path"
default = "release/{{ vars.version }}.json"

[env]
CHANNEL = "stable"

[[steps]]
id = "preflight"
uses = "shell"
with = { command = ["./check", "{{ vars.version }}"], read_only = true, outputs = ["commit"] }

[[steps]]
id = "approve"
uses = "approve"
title = "Ship {{ vars.version }}?"
with = { prompt = "Ship {{ steps.preflight.outputs.commit }}?", expires = "24h" }

[[steps]]
id = "mirror"
uses = "shell"
foreach = "{{ vars.mirrors }}"
with = { command = ["push", "{{ item }}", "{{ steps.preflight.outputs.commit }}"] }
env = { CHANNEL = "{{ env.CHANNEL }}" }

[[steps]]
id = "notify"
uses = "formula"
needs = ["preflight"]
if = "{{ vars.announce }}"
with = { formula = "notify", vars = { text = "released {{ vars.version }} at {{ steps.preflight.outputs.commit }}" } }

[[finally]]
id = "record"
uses = "write-file"
with = { path = "{{ vars.record }}", content = "{{ json run.summary }}" }
"#;

const NOTIFY: &str = r#"
name = "notify"
description = "Say something"
version = 1

[vars.text]
required = true

[[steps]]
id = "say"
uses = "shell"
with = { command = ["say", "{{ vars.text }}"] }
"#;

fn read(name: &str, text: &str) -> Formula {
    let source = SourceFile::new(format!("{name}.toml"), text);
    let parsed = syntax::parse(&source, &Builtin::default(), Options::default());
    parsed.formula.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

fn planned_text(text: &str, given: &[Given]) -> Result<Plan, Vec<Diagnostic>> {
    let formula = read("release", text);
    let vars = inputs(&formula, given).unwrap();
    let inputs = Inputs { vars, workdir: "/acme".into(), ..Inputs::default() };
    plan(&formula, &inputs, &Builtin::default(), &mut |name| Ok(read(name, NOTIFY)))
}

#[test]
fn a_formula_as_people_write_it() {
    let given = [Given::flag("version", "v0.3.0"), Given::flag("mirrors", "codeberg"), Given::flag("mirrors", "github")];
    let plan = planned_text(RELEASE, &given).unwrap();
    assert_eq!(
        shape(&plan),
        [
            "preflight",
            "approve < preflight",
            "mirror[codeberg] < preflight approve",
            "mirror[github] < preflight approve",
            "notify/say < preflight",
            "record"
        ]
    );
    assert_eq!(plan.steps[0].with["command"], json!(["./check", "v0.3.0"]));
    assert_eq!((plan.steps[0].behaviour.effect, plan.steps[0].templated), (Effect::ReadOnly, false));
    assert_eq!((plan.steps[1].gate, plan.steps[1].title.as_deref()), (Some(Gate::Approve), Some("Ship v0.3.0?")));
    assert_eq!((plan.steps[5].finally, &plan.steps[5].with["path"]), (true, &json!("release/v0.3.0.json")));
    let resolver = Resolver::new(std::sync::Arc::new(plan.clone()));
    let outputs = |step| (plan.step(step).id == "preflight").then(|| json!({ "commit": "abc" }));
    let run = json!({ "summary": { "outcome": "done" } });
    let with = |id: &str| resolver.render_step(plan.find(id).unwrap(), &outputs, &run).unwrap();
    assert_eq!(with("notify/say").with["command"], json!(["say", "released v0.3.0 at abc"]));
    assert_eq!(with("mirror[github]").with["command"], json!(["push", "github", "abc"]));
    assert_eq!(with("mirror[github]").env["CHANNEL"], "stable");
    assert_eq!(with("approve").with["prompt"], json!("Ship abc?"));
    assert_eq!(with("record").with["content"], json!("{\"outcome\":\"done\"}"));
}

#[test]
fn without_mirrors_and_announcement_the_rest_stays() {
    let plan = planned_text(RELEASE, &[Given::flag("version", "v0.3.0"), Given::flag("announce", "false")]).unwrap();
    assert_eq!(shape(&plan), ["preflight", "approve < preflight", "notify < preflight", "record"]);
    assert_eq!(plan.steps[2].condition.as_deref(), Some("false"));
}

#[test]
fn a_problem_is_shown_where_it_is_written() {
    let text = RELEASE.replace("\"./check\", \"{{ vars.version }}\"", "\"./check\", \"{{ vars.version }}{{ vars.mirrors }}\"");
    let problems = planned_text(&text, &[Given::flag("version", "v0.3.0")]).unwrap_err();
    assert_eq!(problems.len(), 1);
    let shown = render(&SourceFile::new("release.toml", text), &problems[0], false);
    assert!(shown.contains("`vars.mirrors` is a list") && shown.contains("{{ join vars.mirrors"), "{shown}");
    assert!(shown.contains("release.toml:28:"), "{shown}");
}
