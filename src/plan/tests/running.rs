//! Templates rendered while a run goes on.

use std::sync::Arc;

use super::super::{Rendered, Resolver};
use super::*;
use crate::template::TemplateError;

/// Renders a step of the plan, with outputs by id.
fn rendered(plan: &Plan, id: &str, outputs: &Value) -> Result<Rendered, TemplateError> {
    let resolver = Resolver::new(Arc::new(plan.clone()));
    let output = |step| outputs.get(&plan.step(step).id).cloned();
    resolver.render_step(plan.find(id).unwrap(), &output, &json!({ "id": "R1", "summary": { "ok": true } }))
}

#[test]
fn outputs_run_item_and_env_arrive_with_their_types() {
    let mut last = step(
        "last",
        &["a", "each"],
        json!({
            "list": "{{ steps.a.outputs.list }}", "text": "{{ vars.v }}-{{ steps.a.outputs.n }}-{{ run.id }}", "one": "{{ steps.each.outputs.p.x }}",
            "all": "{{ steps.each.outputs }}", "json": "{{ json run.summary }}", "format": "{{ vars.format }}", "env": "{{ env.USER }}",
        }),
    );
    last.env.insert("N".to_owned(), "{{ steps.a.outputs.n }}".to_owned());
    last.env.insert("NONE".to_owned(), "{{ steps.a.outputs.none }}".to_owned());
    let mut each = step("each", &["a"], json!({ "i": "{{ item }}{{ steps.a.outputs.n }}" }));
    each.foreach = Some(json!(["p", "q"]));
    let mut formula = formula("f", &[], vec![step("a", &[], json!({})), each, last]);
    formula.env.insert("USER".to_owned(), Some("me".to_owned()));
    let plan = planned(&formula, &with_vars(json!({ "v": "V", "format": "{{.ID}}" })), &[]).unwrap();
    let outputs = json!({ "a": { "list": [1, 2], "n": 5, "none": null }, "each[p]": { "x": 1 }, "each[q]": { "x": 2 } });
    let last = rendered(&plan, "last", &outputs).unwrap();
    assert_eq!(
        last.with,
        json!({
            "list": [1, 2], "text": "V-5-R1", "one": 1, "all": { "p": { "x": 1 }, "q": { "x": 2 } }, "json": "{\"ok\":true}",
            "format": "{{.ID}}", "env": "me",
        })
    );
    assert_eq!((last.env["N"].as_str(), last.env["NONE"].as_str(), last.condition), ("5", "", true));
    assert_eq!(rendered(&plan, "each[q]", &outputs).unwrap().with, json!({ "i": "q5" }));
    assert_eq!(rendered(&plan, "a", &outputs).unwrap().with, json!({}));
}

#[test]
fn a_skipped_step_has_no_outputs_and_that_is_said() {
    let mut asks = step("asks", &["a"], json!({ "x": "{{ default steps.a.outputs.x \"none\" }}" }));
    asks.condition = Some("{{ not steps.a.outputs.x }}".to_owned());
    let mut waits = step("waits", &["a"], json!({ "x": "{{ steps.a.outputs.x }}" }));
    waits.condition = Some("{{ steps.a.outputs.x }}".to_owned());
    let formula =
        formula("f", &[], vec![step("a", &[], json!({})), step("uses", &["a"], json!({ "x": "{{ steps.a.outputs.x }}" })), asks, waits]);
    let plan = planned(&formula, &with_vars(json!({})), &[]).unwrap();
    let error = rendered(&plan, "uses", &json!({})).unwrap_err();
    assert_eq!(error.message, "`steps.a.outputs.x` has no value: step `a` gave no outputs, for it was skipped or did not end well");
    assert!(error.help.unwrap().contains("{{ default steps.a.outputs.x"));
    let error = rendered(&plan, "uses", &json!({ "a": { "y": 1 } })).unwrap_err();
    assert_eq!(error.message, "unknown name `steps.a.outputs.x`");
    assert_eq!(rendered(&plan, "asks", &json!({})).unwrap().with, json!({ "x": "none" }));
    assert!(!rendered(&plan, "waits", &json!({})).unwrap().condition);
    assert!(rendered(&plan, "waits", &json!({ "a": { "x": "yes" } })).unwrap().condition);
}

#[test]
fn inlined_formulas_see_their_own_vars_and_steps() {
    let mut leaf = step("leaf", &[], json!({ "t": "{{ vars.t }}", "own": "{{ steps.first.outputs.x }}" }));
    leaf.needs = vec!["first".to_owned()];
    let inner = formula("inner", &[("t", var(VarType::String, None))], vec![step("first", &[], json!({})), leaf]);
    let outer = formula(
        "outer",
        &[("u", var(VarType::String, None)), ("plain", var(VarType::String, Some(json!("p"))))],
        vec![
            step("first", &[], json!({})),
            inline("deep", &["first"], "inner", json!({ "t": "<{{ vars.u }}{{ vars.plain }}{{ item }}>" })),
        ],
    );
    let mut outer = outer;
    outer.steps[1].foreach = Some(json!(["{{.i}}", "j"]));
    let mut mid = inline("mid", &["first"], "outer", json!({ "u": "{{ vars.braces }}{{ steps.first.outputs.x }}" }));
    mid.condition = Some("{{ eq steps.first.outputs.x \"root\" }}".to_owned());
    let after = step("after", &["mid"], json!({ "x": "{{ steps.mid.outputs.first.x }}" }));
    let root = formula("root", &[], vec![step("first", &[], json!({})), mid, after]);
    let error = messages(planned(&root, &with_vars(json!({ "braces": "{{b}}" })), &[outer.clone(), inner.clone()]));
    assert_eq!(error.len(), 1, "an item that is no template is refused: {error:?}");
    outer.steps[1].foreach = Some(json!(["i", "j"]));
    let plan = planned(&root, &with_vars(json!({ "braces": "{{b}}" })), &[outer, inner]).unwrap();
    let outputs = json!({ "first": { "x": "root" }, "mid/first": { "x": "mid" }, "mid/deep[j]/first": { "x": "deep" } });
    let leaf = rendered(&plan, "mid/deep[j]/leaf", &outputs).unwrap();
    assert_eq!(leaf.with, json!({ "t": "<{{b}}rootpj>", "own": "deep" }));
    assert_eq!(rendered(&plan, "after", &outputs).unwrap().with, json!({ "x": "mid" }));
    let off = json!({ "first": { "x": "no" } });
    assert!(!rendered(&plan, "mid/first", &off).unwrap().condition, "the condition of the formula step holds for all of its steps");
    assert!(!rendered(&plan, "mid/deep[i]/first", &off).unwrap().condition);
    assert!(rendered(&plan, "mid/deep[i]/first", &outputs).unwrap().condition);
}

#[test]
fn a_var_without_value_names_the_step_that_was_skipped() {
    let inner = formula("inner", &[("t", var(VarType::String, None))], vec![step("s", &[], json!({ "t": "{{ vars.t }}" }))]);
    let root =
        formula("root", &[], vec![step("a", &[], json!({})), inline("in", &["a"], "inner", json!({ "t": "{{ steps.a.outputs.x }}" }))]);
    let plan = planned(&root, &with_vars(json!({})), &[inner]).unwrap();
    let error = rendered(&plan, "in/s", &json!({})).unwrap_err();
    assert_eq!(error.message, "`vars.t` has no value: unknown name `steps.a.outputs.x`: there is no `steps.a.outputs`");
    assert_eq!(rendered(&plan, "in/s", &json!({ "a": { "x": "{{y}}" } })).unwrap().with, json!({ "t": "{{y}}" }));
}
