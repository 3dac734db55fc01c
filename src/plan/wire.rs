//! Who needs whom, once steps are expanded and formulas inlined.

use crate::graph::Graph;
use crate::model::{PlanStep, StepIx};

/// The most edges of a plan: two `foreach` of thousands after each other would need them all.
pub(super) const MOST_EDGES: usize = 4_000_000;

/// What became of a step as written.
#[derive(Debug)]
pub(super) enum Instance {
    /// A step of the plan.
    Step(u32),
    /// An inlined formula.
    Inline(Built),
}

/// What became of the steps of a formula.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// What each step as written needs, as indices.
    pub needs: Vec<Vec<usize>>,
    /// What became of each.
    pub instances: Vec<Vec<Instance>>,
}

/// Too many edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// Fills in `needs` of all steps that `built` stands for.
///
/// # Errors
/// When there would be more than [`MOST_EDGES`].
pub(super) fn wire(built: &Built, steps: &mut [PlanStep]) -> Result<(), TooMany> {
    Wiring { steps, edges: 0 }.formula(built, &[]).map(|_| ())
}

struct Wiring<'a> {
    steps: &'a mut [PlanStep],
    edges: usize,
}

impl Wiring<'_> {
    /// Wires the steps of one formula after `before`; gives what comes after them must come after.
    fn formula(&mut self, built: &Built, before: &[u32]) -> Result<Vec<u32>, TooMany> {
        let count = built.needs.len();
        let order = order(count, |def| &built.needs[def]).expect("checked before steps are expanded");
        let mut ends: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut needed = vec![false; count];
        for def in order {
            let mut starts = Vec::new();
            for need in &built.needs[def] {
                needed[*need] = true;
                starts.extend_from_slice(&ends[*need]);
            }
            if built.needs[def].is_empty() {
                starts.extend_from_slice(before);
            }
            starts.sort_unstable();
            starts.dedup();
            ends[def] = self.instances(&built.instances[def], starts)?;
        }
        if count == 0 {
            return Ok(before.to_vec());
        }
        Ok(ends.iter().zip(&needed).filter(|(_, needed)| !**needed).flat_map(|(ends, _)| ends).copied().collect())
    }

    /// Without instances a step is transparent: who needs it needs what it needs.
    fn instances(&mut self, instances: &[Instance], starts: Vec<u32>) -> Result<Vec<u32>, TooMany> {
        if instances.is_empty() {
            return Ok(starts);
        }
        let mut ends = Vec::with_capacity(instances.len());
        for instance in instances {
            match instance {
                Instance::Step(step) => {
                    self.edges += starts.len();
                    if self.edges > MOST_EDGES {
                        return Err(TooMany);
                    }
                    self.steps[*step as usize].needs = starts.iter().copied().map(StepIx).collect();
                    ends.push(*step);
                }
                Instance::Inline(built) => ends.extend(self.formula(built, &starts)?),
            }
        }
        Ok(ends)
    }
}

/// What names its place in a list.
pub(super) trait Place: Copy {
    /// The place.
    fn place(self) -> usize;
}

impl Place for usize {
    fn place(self) -> usize {
        self
    }
}

impl Place for StepIx {
    fn place(self) -> usize {
        self.index()
    }
}

/// An order of `0..count` in which each comes after all it needs; of those that could come next the lowest does. None if there is none.
pub(super) fn order<'a, P: Place + 'a>(count: usize, needs: impl Fn(usize) -> &'a Vec<P>) -> Option<Vec<usize>> {
    if (0..count).all(|node| needs(node).iter().all(|need| need.place() < node)) {
        return Some((0..count).collect());
    }
    let mut graph = Graph::new(count);
    for node in 0..count {
        for need in needs(node) {
            graph.add(need.place(), node);
        }
    }
    graph.order().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_order_is_kept_where_it_can_be() {
        let order = |needs: &[Vec<usize>]| order(needs.len(), |node| &needs[node]);
        assert_eq!(order(&[vec![], vec![0], vec![], vec![1, 2]]), Some(vec![0, 1, 2, 3]));
        assert_eq!(order(&[vec![3], vec![2], vec![], vec![]]), Some(vec![2, 1, 3, 0]));
        assert_eq!(order(&[vec![1], vec![0]]), None);
        assert_eq!(order(&[vec![0]]), None);
        assert_eq!(order(&[]), Some(vec![]));
    }
}
