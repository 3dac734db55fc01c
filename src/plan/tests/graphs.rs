//! Order, on random and on large formulas.

use std::collections::HashMap;
use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A formula of random needs, some of its steps under `foreach`.
fn random() -> impl Strategy<Value = Vec<(Vec<usize>, Option<usize>)>> {
    prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..4), prop::option::of(0..4_usize)), 1..14).prop_map(
        |steps| {
            let count = steps.len();
            // Needs point along a fixed shuffle, so that they form no circle but do not follow the order of the file.
            let rank = |step: usize| (step * 5 + 3) % 17;
            steps
                .into_iter()
                .enumerate()
                .map(|(at, (needs, items))| {
                    let needs = needs.into_iter().map(|need| need.index(count)).filter(|need| rank(*need) < rank(at)).collect();
                    (needs, items)
                })
                .collect()
        },
    )
}

fn written(steps: &[(Vec<usize>, Option<usize>)]) -> Formula {
    let defs = steps.iter().enumerate().map(|(at, (needs, items))| {
        let needs: Vec<String> = needs.iter().collect::<HashSet<_>>().into_iter().map(|need| format!("s{need}")).collect();
        let mut def = step(&format!("s{at}"), &[], json!({}));
        def.needs = needs;
        def.foreach = items.map(|items| json!((0..items).map(|item| format!("i{item}")).collect::<Vec<_>>()));
        def
    });
    formula("random", &[], defs.collect())
}

proptest! {
    #[test]
    fn every_step_comes_after_all_it_needs(steps in random()) {
        let plan = planned(&written(&steps), &with_vars(json!({})), &[]).unwrap();
        let expected: usize = steps.iter().map(|(_, items)| items.unwrap_or(1)).sum();
        prop_assert_eq!(plan.steps.len(), expected);
        for (at, step) in plan.steps.iter().enumerate() {
            prop_assert!(step.needs.iter().all(|need| need.index() < at));
            prop_assert!(step.needs.windows(2).all(|pair| pair[0] < pair[1]));
        }
        // What was written holds across the expansion, through steps without items as well.
        let places: HashMap<&str, Vec<usize>> = plan.steps.iter().enumerate().fold(HashMap::new(), |mut places, (at, step)| {
            places.entry(step.id.split('[').next().unwrap()).or_insert_with(Vec::new).push(at);
            places
        });
        let ancestors = ancestors(&plan);
        for (at, (needs, _)) in steps.iter().enumerate() {
            for need in needs {
                for later in places.get(format!("s{at}").as_str()).into_iter().flatten() {
                    for earlier in places.get(format!("s{need}").as_str()).into_iter().flatten() {
                        prop_assert!(ancestors[*later].contains(earlier), "s{at} must come after s{need}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_formula_gives_the_same_plan_and_a_sorted_one_keeps_its_order(steps in random()) {
        let formula = written(&steps);
        let first = planned(&formula, &with_vars(json!({})), &[]).unwrap();
        prop_assert_eq!(&first, &planned(&formula, &with_vars(json!({})), &[]).unwrap());
        if steps.iter().enumerate().all(|(at, (needs, _))| needs.iter().all(|need| *need < at)) {
            let numbers: Vec<usize> = first.steps.iter().map(|step| step.id[1..].split('[').next().unwrap().parse().unwrap()).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}

fn ancestors(plan: &Plan) -> Vec<HashSet<usize>> {
    let mut all: Vec<HashSet<usize>> = Vec::new();
    for step in &plan.steps {
        let mut mine = HashSet::new();
        for need in &step.needs {
            mine.insert(need.index());
            mine.extend(&all[need.index()]);
        }
        all.push(mine);
    }
    all
}

#[test]
fn too_many_steps_and_too_many_edges_are_refused() {
    let loops = |count: usize| {
        let list: Vec<String> = (0..count).map(|item| item.to_string()).collect();
        let mut each = step("each", &[], json!({}));
        each.foreach = Some(json!(list));
        let mut again = each.clone();
        again.id = "again".to_owned();
        again.needs = vec!["each".to_owned()];
        formula("f", &[], vec![each, again])
    };
    let found = messages(planned(&loops(60_000), &with_vars(json!({})), &[]));
    assert_eq!(found, ["F0403 the plan would have more than 100000 steps"]);
    let found = messages(planned(&loops(3_000), &with_vars(json!({})), &[]));
    assert_eq!(found, ["F0403 the plan would have more than 4000000 dependencies between steps"]);
    assert_eq!(planned(&loops(1_000), &with_vars(json!({})), &[]).unwrap().steps.len(), 2_000);
}

#[test]
fn many_items_share_a_large_list_without_copying_it() {
    let items: Vec<String> = (0..20_000).map(|item| format!("item-{item}")).collect();
    let mut each = step("each", &[], json!({ "x": "{{#if vars.items}}{{ item }}{{/if}}", "id": "{{ steps.first.outputs.id }}" }));
    each.foreach = Some(json!("{{ vars.items }}"));
    each.needs = vec!["first".to_owned()];
    let formula = formula("f", &[], vec![step("first", &[], json!({})), each]);
    let plan = std::sync::Arc::new(planned(&formula, &with_vars(json!({ "items": items })), &[]).unwrap());
    assert_eq!(plan.steps[20_000].with["x"], json!("item-19999"));
    let resolver = super::super::Resolver::new(std::sync::Arc::clone(&plan));
    for (at, planned) in plan.steps.iter().enumerate().skip(1) {
        let rendered = resolver.render_step(crate::model::StepIx(at as u32), &|_| Some(json!({ "id": 1 })), &json!({})).unwrap();
        assert_eq!(rendered.with, json!({ "x": planned.item, "id": 1 }));
    }
}
