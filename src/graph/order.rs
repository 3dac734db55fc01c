//! An order in which everything comes after what it needs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Graph;

impl Graph {
    /// All nodes, each after all its predecessors; of those that could come next, the lowest does. The same graph thus always gives the
    /// same order, and one that needs no change is left as it is.
    ///
    /// # Errors
    /// The circles, see [`Graph::cycles`].
    pub fn order(&self) -> Result<Vec<usize>, Vec<Vec<usize>>> {
        let mut waiting: Vec<usize> = (0..self.len()).map(|node| self.before(node).count()).collect();
        let mut ready: BinaryHeap<Reverse<usize>> = (0..self.len()).filter(|node| waiting[*node] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for after in self.after(node) {
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    ready.push(Reverse(after));
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.cycles()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(count: usize, edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::new(count);
        for (before, after) in edges {
            graph.add(*before, *after);
        }
        graph
    }

    #[test]
    fn file_order_is_kept_where_it_can_be() {
        assert_eq!(graph(4, &[(0, 3), (1, 3)]).order(), Ok(vec![0, 1, 2, 3]));
        assert_eq!(graph(4, &[(3, 0), (3, 0), (2, 1)]).order(), Ok(vec![2, 1, 3, 0]));
        assert_eq!(Graph::new(0).order(), Ok(vec![]));
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let count = 100_000;
        let mut graph = Graph::new(count);
        for node in 1..count {
            graph.add(node, node - 1);
        }
        assert_eq!(graph.order().map(|order| order[0]), Ok(count - 1));
        graph.add(0, count - 1);
        assert_eq!(graph.order().map_err(|cycles| cycles[0].len()), Err(count));
        assert_eq!(graph.ancestors(0).into_iter().filter(|seen| *seen).count(), count);
    }

    proptest! {
        #[test]
        fn an_order_or_a_real_circle(count in 1_usize..12, edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30)) {
            let edges: Vec<_> = edges.into_iter().map(|(a, b)| (a % count, b % count)).collect();
            match graph(count, &edges).order() {
                Ok(order) => {
                    let place: Vec<usize> = (0..count).map(|node| order.iter().position(|at| *at == node).unwrap()).collect();
                    prop_assert!(edges.iter().all(|(before, after)| place[*before] < place[*after]));
                }
                Err(cycles) => {
                    prop_assert!(!cycles.is_empty());
                    for cycle in cycles {
                        let links = cycle.iter().zip(cycle.iter().cycle().skip(1));
                        prop_assert!(links.into_iter().all(|(before, after)| edges.contains(&(*before, *after))));
                    }
                }
            }
        }
    }
}
