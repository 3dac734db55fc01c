//! Circles: who waits for whom in a graph that has no order.

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;

use super::Graph;

/// Circles that are looked for: each costs a look at the whole graph, and nobody mends more of them at once.
const MOST: usize = 100;

impl Graph {
    /// One circle per knot of nodes that wait for each other, the shortest through the lowest node of the knot. Each node of a circle comes
    /// before the next one, the last before the first. Sorted by the first node; of
    /// very many, those that begin first.
    pub fn cycles(&self) -> Vec<Vec<usize>> {
        let mut knot_of = vec![usize::MAX; self.len()];
        let mut starts = Vec::new();
        for (knot, members) in kosaraju_scc(&self.inner).into_iter().enumerate() {
            let lowest = members.iter().map(|node| node.index()).min();
            for member in &members {
                knot_of[member.index()] = knot;
            }
            if let Some(lowest) = lowest
                && (members.len() > 1 || self.after(lowest).any(|after| after == lowest))
            {
                starts.push(lowest);
            }
        }
        starts.sort_unstable();
        starts.into_iter().take(MOST).map(|start| self.shortest_circle(start, &knot_of)).collect()
    }

    fn shortest_circle(&self, start: usize, knot_of: &[usize]) -> Vec<usize> {
        let mut came_from = vec![usize::MAX; self.len()];
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            for after in self.after(node).filter(|after| knot_of[*after] == knot_of[start]) {
                if after == start {
                    let mut circle = vec![node];
                    let mut at = node;
                    while at != start {
                        at = came_from[at];
                        circle.push(at);
                    }
                    circle.reverse();
                    return circle;
                }
                if came_from[after] == usize::MAX {
                    came_from[after] = node;
                    open.push_back(after);
                }
            }
        }
        vec![start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knot_gives_its_shortest_circle() {
        let mut graph = Graph::new(8);
        for (before, after) in [(0, 1), (1, 2), (2, 3), (3, 1), (2, 1), (5, 6), (6, 5), (7, 7)] {
            graph.add(before, after);
        }
        assert_eq!(graph.cycles(), [vec![1, 2], vec![5, 6], vec![7]]);
    }
}
