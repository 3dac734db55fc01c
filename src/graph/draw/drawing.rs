//! What a picture shows.

use std::collections::HashMap;

use formula_steps::contract::{Behaviour, Effect, Undo};
use serde_json::Value;

use super::reduce::reduce;
use crate::model::{Formula, Gate, Plan, PlanStep, StepDef};

/// What a step does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Looks, never touches.
    Looks,
    /// Changes something; how that is taken back.
    Changes(Undo),
    /// Cannot be taken back.
    OneWay,
    /// Left out: its condition is settled and false.
    Skipped,
    /// Waits for a person.
    Approve,
    /// Waits for a time or a probe.
    Wait,
    /// Another formula, not inlined yet.
    Formula,
    /// Text for a person; nothing runs it.
    Prose,
}

impl Role {
    /// A step's role, from its kind's name and its behaviour; None for gates, inlined formulas and prose.
    fn of(kind: Option<&str>, behaviour: Option<Behaviour>) -> Self {
        match (kind, behaviour) {
            (None, _) => Self::Prose,
            (Some("approve"), _) => Self::Approve,
            (Some("wait"), _) => Self::Wait,
            (Some("formula"), _) => Self::Formula,
            (_, Some(behaviour)) => Self::of_behaviour(behaviour),
            (_, None) => Self::Changes(Undo::Nothing),
        }
    }

    fn of_behaviour(behaviour: Behaviour) -> Self {
        match behaviour.effect {
            Effect::ReadOnly => Self::Looks,
            Effect::Reversible => Self::Changes(behaviour.undo),
            Effect::OneWay => Self::OneWay,
        }
    }

    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Looks => "looks",
            Self::Changes(Undo::Restore) => "undo: puts back what was there",
            Self::Changes(Undo::Reverse) => "undo: takes it away",
            Self::Changes(Undo::Nothing) => "nothing to undo",
            Self::Changes(Undo::Impossible) | Self::OneWay => "cannot be undone",
            Self::Skipped => "left out: its condition is false",
            Self::Approve => "waits for a person",
            Self::Wait => "waits",
            Self::Formula => "another formula",
            Self::Prose => "prose: nothing runs it",
        }
    }
}

/// How a step of a run stands, coarsely: what the colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// Failed.
    Bad,
    /// Somebody has to say something.
    Person,
    /// Under way.
    Going,
    /// Not begun, left out or taken back.
    Still,
}

/// How a step of a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Coarsely.
    pub mark: Mark,
    /// In a word or two.
    pub state: String,
    /// How long its newest attempt took, in words.
    pub took: Option<String>,
}

impl Stand {
    /// All of it: `✓ done 1.2 s`.
    pub fn words(&self) -> String {
        let sign = match self.mark {
            Mark::Good => "✓ ",
            Mark::Bad => "✗ ",
            Mark::Person => "! ",
            Mark::Going => "▸ ",
            Mark::Still => "",
        };
        let took = self.took.as_ref().map_or_else(String::new, |took| format!(" {took}"));
        format!("{sign}{}{took}", self.state)
    }
}

/// One step in a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id; `mirror[…]` where `foreach` is not expanded.
    pub id: String,
    /// For people.
    pub title: Option<String>,
    /// Its kind; empty for prose.
    pub kind: String,
    /// What it does.
    pub role: Role,
    /// Its condition.
    pub condition: Option<String>,
    /// The list whose items it is done for, where that is not expanded yet.
    pub each: Option<String>,
    /// How it stands in a run.
    pub stand: Option<Stand>,
    /// Nodes right before it, ascending, without those that come before one of the others.
    pub needs: Vec<usize>,
    /// Part of `[[finally]]`.
    pub finally: bool,
}

/// A formula or plan as pictures show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Name of the formula.
    pub name: String,
    /// Its one line.
    pub description: String,
    /// Steps that may run at once.
    pub max_parallel: u32,
    /// The run whose states are shown, and how it stands.
    pub run: Option<String>,
    /// Each after all it needs; those of `[[finally]]` last.
    pub nodes: Vec<Node>,
}

impl Drawing {
    /// Of what would run.
    pub fn of_plan(plan: &Plan, description: &str) -> Self {
        let never = |step: &PlanStep| step.condition.as_deref() == Some("false");
        let node = |step: &PlanStep| Node {
            id: plain(&step.id),
            title: step.title.as_deref().map(plain),
            kind: plain(&step.kind),
            role: match step.gate {
                _ if never(step) => Role::Skipped,
                Some(Gate::Approve) => Role::Approve,
                Some(Gate::Wait) => Role::Wait,
                None => Role::of_behaviour(step.behaviour),
            },
            condition: step.condition.as_deref().filter(|_| !never(step)).map(plain),
            each: None,
            stand: None,
            needs: step.needs.iter().map(|need| need.index()).collect(),
            finally: step.finally,
        };
        let nodes = plan.steps.iter().map(node).collect();
        Self::new(&plan.formula, description, plan.max_parallel, nodes)
    }

    /// Of what is written, before vars are known: lists are not expanded and other formulas not inlined. `behaviour` answers for a kind and a
    /// `with` table.
    pub fn of_formula(formula: &Formula, behaviour: &dyn Fn(&str, &Value) -> Option<Behaviour>) -> Self {
        let steps = || formula.steps.iter().map(|step| (step, false)).chain(formula.finally.iter().map(|step| (step, true)));
        let places: HashMap<&str, usize> = steps().enumerate().map(|(at, (step, _))| (step.id.as_str(), at)).collect();
        let node = |step: &StepDef, finally: bool| {
            let mut needs: Vec<usize> = step.needs.iter().filter_map(|id| places.get(id.as_str()).copied()).collect();
            needs.sort_unstable();
            Node {
                id: plain(&if step.foreach.is_some() { format!("{}[…]", step.id) } else { step.id.clone() }),
                title: step.title.as_deref().map(plain),
                kind: step.uses.as_deref().map(plain).unwrap_or_default(),
                role: Role::of(step.uses.as_deref(), step.uses.as_deref().and_then(|kind| behaviour(kind, &step.with))),
                condition: step.condition.as_deref().map(plain),
                each: step.foreach.as_ref().map(|list| plain(&list.as_str().map_or_else(|| list.to_string(), str::to_owned))),
                stand: None,
                needs,
                finally,
            }
        };
        let nodes = in_order(steps().map(|(step, finally)| node(step, finally)).collect());
        Self::new(&formula.name, &formula.description, formula.max_parallel, nodes)
    }

    fn new(name: &str, description: &str, max_parallel: u32, mut nodes: Vec<Node>) -> Self {
        reduce(&mut nodes);
        Self { name: plain(name), description: plain(description), max_parallel, run: None, nodes }
    }

    /// The first step past which there is no way back.
    pub fn no_return(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.role == Role::OneWay)
    }
}

/// The nodes, each after all it needs; where the order of the file does that, it stays.
fn in_order(nodes: Vec<Node>) -> Vec<Node> {
    if nodes.iter().enumerate().all(|(at, node)| node.needs.iter().all(|need| *need < at)) {
        return nodes;
    }
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut missing: Vec<usize> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        node.needs.iter().for_each(|need| after[*need].push(at));
        missing.push(node.needs.len());
    }
    let mut ready: std::collections::BTreeSet<usize> = (0..nodes.len()).filter(|at| missing[*at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for at in &after[next] {
            missing[*at] -= 1;
            if missing[*at] == 0 {
                ready.insert(*at);
            }
        }
    }
    let mut place = vec![0; nodes.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    let mut sorted: Vec<(usize, Node)> = nodes.into_iter().enumerate().map(|(old, node)| (place[old], node)).collect();
    sorted.sort_by_key(|(new, _)| *new);
    for (_, node) in &mut sorted {
        node.needs.iter_mut().for_each(|need| *need = place[*need]);
        node.needs.sort_unstable();
    }
    sorted.into_iter().map(|(_, node)| node).collect()
}

/// A text of the formula on one line, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
