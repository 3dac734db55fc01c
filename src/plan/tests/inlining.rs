//! Formulas inside formulas, and what comes last.

use super::*;

fn child() -> Formula {
    let mut child = formula(
        "child",
        &[
            ("text", var(VarType::String, None)),
            ("n", var(VarType::Int, Some(json!(1)))),
            ("both", var(VarType::String, Some(json!("{{ vars.n }}!")))),
        ],
        vec![
            step("one", &[], json!({ "t": "{{ vars.text }}", "n": "{{ vars.n }}", "b": "{{ vars.both }}" })),
            step("two", &["one"], json!({ "t": "{{ steps.one.outputs.x }}" })),
            step("beside", &[], json!({})),
        ],
    );
    child.finally = vec![step("clean", &[], json!({})), step("report", &["clean"], json!({}))];
    child
}

#[test]
fn an_inlined_formula_stands_between_what_is_before_and_after_it() {
    let mut root = formula(
        "root",
        &[],
        vec![
            step("a", &[], json!({})),
            inline("in", &["a"], "child", json!({ "text": "x{{ vars.v }}", "n": "{{ vars.v }}" })),
            step("z", &["in"], json!({})),
        ],
    );
    root.finally = vec![step("last", &["a"], json!({}))];
    let plan = planned(&root, &with_vars(json!({ "v": "5" })), &[child()]).unwrap();
    assert_eq!(
        shape(&plan),
        ["a", "in/one < a", "in/two < in/one", "in/beside < a", "z < in/two in/beside", "last", "in/clean", "in/report < in/clean"]
    );
    assert_eq!(plan.steps[1].with, json!({ "t": "x5", "n": 5, "b": "5!" }));
    assert_eq!(plan.scopes[1].vars, *json!({ "text": "x5", "n": 5, "both": "5!" }).as_object().unwrap());
    assert_eq!((plan.scopes[1].parent, plan.scopes[1].prefix.as_str()), (Some(0), "in/"));
    assert_eq!(plan.steps.iter().filter(|step| step.finally).count(), 3);
}

#[test]
fn a_formula_under_foreach_has_one_scope_per_item() {
    let mut each = inline("in", &[], "child", json!({ "text": "{{ item }}" }));
    each.foreach = Some(json!(["p", "q"]));
    let root = formula("root", &[], vec![each, step("z", &["in"], json!({}))]);
    let plan = planned(&root, &with_vars(json!({})), &[child()]).unwrap();
    assert_eq!(plan.find("in[q]/two").map(|step| plan.step(step).scope), Some(2));
    assert_eq!(plan.steps[0].with["t"], json!("p"));
    assert_eq!(plan.step(plan.find("z").unwrap()).needs.len(), 4);
    assert_eq!(plan.scopes[0].groups["in"], ["in[p]", "in[q]"]);
    assert_eq!(plan.scopes[2].item, Some(json!("q")));
}

#[test]
fn a_formula_that_is_off_is_one_skipped_step_and_not_read() {
    let mut off = inline("in", &[], "nowhere", json!({}));
    off.condition = Some("{{ vars.on }}".to_owned());
    let root = formula("root", &[], vec![off, step("z", &["in"], json!({}))]);
    let plan = planned(&root, &with_vars(json!({ "on": false })), &[]).unwrap();
    assert_eq!(shape(&plan), ["in", "z < in"]);
    assert_eq!(plan.steps[0].condition.as_deref(), Some("false"));
    let found = messages(planned(&root, &with_vars(json!({ "on": true })), &[]));
    assert_eq!(found, ["F0407 formula `nowhere` cannot be inlined: there is no formula `nowhere`"]);
}

#[test]
fn circles_and_depth_are_refused_with_the_path() {
    let link = |name: &str, next: &str| formula(name, &[], vec![inline("next", &[], next, json!({}))]);
    let found = messages(planned(&link("a", "b"), &with_vars(json!({})), &[link("b", "c"), link("c", "a"), link("a", "b")]));
    assert_eq!(found, ["F0405 formula `c`, step `next`: formula `a` inlines itself: a → b → c → a"]);
    let chain: Vec<_> = (0..40).map(|at| link(&format!("f{at}"), &format!("f{}", at + 1))).collect();
    let found = messages(planned(&chain[0], &with_vars(json!({})), &chain));
    assert_eq!(found, ["F0407 formula `f32`, step `next`: formulas may be inlined 32 deep, `f33` goes deeper"]);
    let empty = planned(&chain[0], &with_vars(json!({})), &[&chain[..32], &[formula("f32", &[], vec![])]].concat()).unwrap();
    assert_eq!(empty.scopes.len(), 33);
}

#[test]
fn vars_of_an_inlined_formula_are_checked() {
    let root = formula("root", &[], vec![inline("in", &[], "child", json!({ "txt": "x", "n": "many" }))]);
    let found = messages(planned(&root, &with_vars(json!({})), &[child()]));
    assert_eq!(
        found,
        [
            "F0208 formula `child` has no var `txt`",
            "F0407 formula `child`: `text` is required",
            "F0407 formula `child`: `n`: `\"many\"` is not a whole number",
        ]
    );
    let open = formula(
        "root",
        &[],
        vec![step("a", &[], json!({})), inline("in", &["a"], "child", json!({ "text": "t", "n": "{{ steps.a.outputs.n }}" }))],
    );
    let found = messages(planned(&open, &with_vars(json!({})), &[child()]));
    assert_eq!(found, ["F0407 formula `child`: the default of `both` uses `n`, which is known only during the run"]);
    let bad = formula("bad", &[], vec![step("s", &[], json!({ "bad": 1 }))]);
    let root = formula("root", &[], vec![inline("in", &[], "bad", json!({}))]);
    assert_eq!(
        messages(planned(&root, &with_vars(json!({})), &[bad])),
        ["F0312 formula `bad`, step `s`: `act` refuses its params: `bad` is 1"]
    );
}

#[test]
fn an_empty_formula_is_transparent() {
    let root =
        formula("root", &[], vec![step("a", &[], json!({})), inline("in", &["a"], "none", json!({})), step("z", &["in"], json!({}))]);
    let plan = planned(&root, &with_vars(json!({})), &[formula("none", &[], vec![])]).unwrap();
    assert_eq!(shape(&plan), ["a", "z < a"]);
}
