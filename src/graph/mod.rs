//! What comes before what, by index: order, cycles, and who is reached from where.
//!
//! Knows neither files nor runs. Nothing here recurses, so that a chain of 100,000 steps is no deeper than one of two.

mod cycle;
pub mod draw;
mod order;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

/// A directed graph over `0..count`; an edge leads from what comes first to what comes after.
#[derive(Debug, Clone)]
pub struct Graph {
    inner: DiGraph<(), ()>,
}

impl Graph {
    /// No edges yet.
    pub fn new(count: usize) -> Self {
        let mut inner = DiGraph::with_capacity(count, count);
        for _ in 0..count {
            inner.add_node(());
        }
        Self { inner }
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `after` comes after `before`. Adding an edge twice does no harm.
    pub fn add(&mut self, before: usize, after: usize) {
        self.inner.add_edge(NodeIndex::new(before), NodeIndex::new(after), ());
    }

    /// The direct predecessors, in no particular order.
    pub fn before(&self, node: usize) -> impl Iterator<Item = usize> {
        self.inner.neighbors_directed(NodeIndex::new(node), Direction::Incoming).map(NodeIndex::index)
    }

    /// The direct successors, in no particular order.
    pub fn after(&self, node: usize) -> impl Iterator<Item = usize> {
        self.inner.neighbors(NodeIndex::new(node)).map(NodeIndex::index)
    }

    /// All that comes before `node`, at any distance, without `node` itself.
    pub fn ancestors(&self, node: usize) -> Vec<bool> {
        let mut seen = vec![false; self.len()];
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            for before in self.before(next) {
                if !std::mem::replace(&mut seen[before], true) {
                    open.push(before);
                }
            }
        }
        seen
    }
}
