//! A formula as lints see it: checked, with what each kind does and where things stand.

use std::ops::Range;

use formula_steps::contract::{Behaviour, Effect};
use serde_json::Value;

use crate::graph::Graph;
use crate::model::{Formula, StepDef};

/// A checked formula. Steps are those of `[[steps]]`, then those of `[[finally]]`.
pub struct Subject<'a> {
    /// The formula.
    pub formula: &'a Formula,
    /// All steps.
    pub steps: Vec<Step<'a>>,
    /// Who follows whom, by index into `steps`.
    pub graph: Graph,
    /// Where a part of a step's `with` table stands: the step, and a JSON pointer into the table.
    pub locate: &'a dyn Fn(usize, &str) -> Option<Range<usize>>,
}

/// A step.
pub struct Step<'a> {
    /// As written.
    pub def: &'a StepDef,
    /// Part of `[[finally]]`.
    pub finally: bool,
    /// Where its id stands.
    pub place: Range<usize>,
    /// What it does; None for gates, inlined formulas and prose.
    pub behaviour: Option<Behaviour>,
    /// What steps of its kind do unless their `with` says otherwise.
    pub usual: Option<Behaviour>,
    /// Steps whose outputs it uses.
    pub uses: Vec<usize>,
    /// Whether it has a `needs` of its own.
    pub wrote_needs: bool,
}

impl Step<'_> {
    /// The kind; empty for prose.
    pub fn kind(&self) -> &str {
        self.def.uses.as_deref().unwrap_or_default()
    }

    /// Whether what it does cannot be taken back.
    pub fn is_one_way(&self) -> bool {
        self.behaviour.is_some_and(|behaviour| behaviour.effect == Effect::OneWay)
    }
}

impl Subject<'_> {
    /// Where a part of a step's `with` table stands; its id if that part stands nowhere.
    pub fn place(&self, step: usize, pointer: &str) -> Range<usize> {
        (self.locate)(step, pointer).unwrap_or_else(|| self.steps[step].place.clone())
    }

    /// For each step, the first one before it, at any distance, that `wanted` is true of.
    pub fn first_before(&self, wanted: impl Fn(&Step<'_>) -> bool) -> Vec<Option<usize>> {
        let mut found: Vec<Option<usize>> = vec![None; self.steps.len()];
        for step in self.graph.order().unwrap_or_default() {
            let before =
                self.graph.before(step).filter_map(|before| if wanted(&self.steps[before]) { Some(before) } else { found[before] });
            found[step] = before.min();
        }
        found
    }

    /// For each step, the last one after it, at any distance, that `wanted` is true of.
    pub fn last_after(&self, wanted: impl Fn(&Step<'_>) -> bool) -> Vec<Option<usize>> {
        let mut found: Vec<Option<usize>> = vec![None; self.steps.len()];
        for step in self.graph.order().unwrap_or_default().into_iter().rev() {
            let after = self.graph.after(step).filter_map(|after| found[after].or_else(|| wanted(&self.steps[after]).then_some(after)));
            found[step] = after.max();
        }
        found
    }
}

/// Hands every text inside a value to `take`, with its JSON pointer.
pub fn texts(value: &Value, take: &mut dyn FnMut(&str, &str)) {
    fn walk(value: &Value, pointer: &str, take: &mut dyn FnMut(&str, &str)) {
        match value {
            Value::String(text) => take(pointer, text),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| walk(item, &format!("{pointer}/{at}"), take)),
            Value::Object(map) => map.iter().for_each(|(key, item)| {
                walk(item, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), take);
            }),
            _ => {}
        }
    }
    walk(value, "", take);
}
