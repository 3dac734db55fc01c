//! What lints need beside the formula: what kinds do, who refers to whom, where things stand.

use std::ops::Range;

use toml::de::DeValue;

use super::cx::Node;
use super::names::{Names, Use};
use crate::graph::Graph;
use crate::lint::{Step, Subject};
use crate::model::Formula;

/// The subject of lints over a sound formula.
pub(super) fn make<'a>(
    names: &'a Names<'_>,
    formula: &'a Formula,
    uses: &[Vec<Use>],
    graph: Graph,
    locate: &'a dyn Fn(usize, &str) -> Option<Range<usize>>,
) -> Subject<'a> {
    let kinds = names.cx.kinds;
    let mut defs = [formula.steps.iter(), formula.finally.iter()];
    let steps = names.drafts.iter().enumerate().map(|(at, draft)| {
        let def = defs[usize::from(draft.finally)].next().expect("every draft became a step of its part");
        Step {
            def,
            finally: draft.finally,
            place: draft.id.range.clone(),
            behaviour: def.uses.as_deref().and_then(|kind| kinds.behaviour(kind, &def.with)),
            usual: def.uses.as_deref().and_then(|kind| kinds.usual_behaviour(kind)),
            uses: uses[at].iter().map(|used| used.step).collect(),
            wrote_needs: draft.needs.is_some(),
        }
    });
    Subject { formula, steps: steps.collect(), graph, locate }
}

/// Where a part of a `with` table stands.
pub(super) fn locate(names: &Names<'_>, step: usize, pointer: &str) -> Option<Range<usize>> {
    let mut node: Node<'_> = names.drafts.get(step)?.with.clone()?;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        node = match node.value {
            DeValue::Table(table) => Node::new(table.get(part.as_str())?),
            DeValue::Array(array) => Node::new(array.get(part.parse::<usize>().ok()?)?),
            _ => return None,
        };
    }
    Some(node.range)
}
