//! Which step stands in which row, and where in it.
//!
//! Rows are settled here: a step stands right below the lowest of what it needs. A line that passes rows gets a place of its own in each, so
//! that no line runs through a box. The order within rows (few crossings) and the places (straight lines) are those of Sugiyama's method,
//! by the crate `rust-sugiyama`.

use std::ops::Range;

use rust_sugiyama::configure::{Config, CrossingMinimization, RankingType};
use rust_sugiyama::from_vertices_and_edges;

use super::super::Node;

/// Room for a line that passes a row.
const PASSING: f64 = 26.0;
/// Between things of a row.
const BETWEEN: f64 = 30.0;
/// Above this many boxes and passing lines, looking for ever fewer crossings takes too long.
const MOST_TRIES: usize = 120;

/// A box or a line that passes a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex {
    /// The box; None for a line.
    pub node: Option<usize>,
    /// From 0, downwards.
    pub row: usize,
    /// Its middle; the leftmost thing begins at 0.
    pub x: f64,
}

/// Steps in rows.
#[derive(Debug)]
pub(super) struct Layers {
    /// Boxes first, in the order of the steps.
    pub vertices: Vec<Vertex>,
    /// Lines from a step to one that needs it, by the places in `vertices` that they pass; each in the row after the one before.
    pub lines: Vec<Vec<usize>>,
    /// Number of rows.
    pub rows: usize,
    /// How wide it is.
    pub width: f64,
}

/// Boxes and passing lines that `nodes` would take, if that is at most `most`.
pub(super) fn size(nodes: &[Node], shown: &Range<usize>, most: usize) -> Option<usize> {
    let rows = rows(nodes, shown);
    let mut count = shown.len();
    for at in shown.clone() {
        for need in nodes[at].needs.iter().filter(|need| shown.contains(need)) {
            count += rows[at - shown.start] - rows[need - shown.start] - 1;
            if count > most {
                return None;
            }
        }
    }
    (count <= most).then_some(count)
}

/// The row of each step.
fn rows(nodes: &[Node], shown: &Range<usize>) -> Vec<usize> {
    let mut rows = vec![0; shown.len()];
    for at in shown.clone() {
        let needs = nodes[at].needs.iter().filter(|need| shown.contains(need));
        rows[at - shown.start] = needs.map(|need| rows[need - shown.start] + 1).max().unwrap_or(0);
    }
    rows
}

impl Layers {
    /// The steps of that range, of which each stands after all it needs; boxes are `wide`.
    pub(super) fn new(nodes: &[Node], shown: &Range<usize>, wide: f64) -> Self {
        let rows = rows(nodes, shown);
        let mut vertices: Vec<Vertex> =
            rows.iter().enumerate().map(|(at, row)| Vertex { node: Some(shown.start + at), row: *row, x: 0.0 }).collect();
        let mut lines = Vec::new();
        for at in shown.clone() {
            let to = at - shown.start;
            for need in nodes[at].needs.iter().filter(|need| shown.contains(need)) {
                let from = need - shown.start;
                let mut line = vec![from];
                for row in rows[from] + 1..rows[to] {
                    line.push(vertices.len());
                    vertices.push(Vertex { node: None, row, x: 0.0 });
                }
                line.push(to);
                lines.push(line);
            }
        }
        let mut layers = Self { rows: rows.iter().max().map_or(0, |row| row + 1), vertices, lines, width: 0.0 };
        layers.place(wide);
        layers
    }

    fn wide(&self, vertex: usize, wide: f64) -> f64 {
        if self.vertices[vertex].node.is_some() { wide } else { PASSING }
    }

    /// Settles `x` of all, what hangs together side by side.
    fn place(&mut self, wide: f64) {
        let sizes: Vec<(u32, (f64, f64))> =
            (0..self.vertices.len()).map(|vertex| (vertex as u32, (self.wide(vertex, wide), 1.0))).collect();
        let edges: Vec<(u32, u32)> =
            self.lines.iter().flat_map(|line| line.windows(2)).map(|pair| (pair[0] as u32, pair[1] as u32)).collect();
        let config = Config {
            minimum_length: 1,
            vertex_spacing: BETWEEN,
            dummy_vertices: true,
            dummy_size: 1.0,
            // Every edge leads to the next row, so that there is but one way to rank them: ours.
            ranking_type: RankingType::MinimizeEdgeLength,
            c_minimization: CrossingMinimization::Barycenter,
            transpose: self.vertices.len() <= MOST_TRIES,
        };
        let mut parts = from_vertices_and_edges(&sizes, &edges, &config);
        parts.sort_by_key(|(placed, ..)| placed.iter().map(|(vertex, _)| *vertex).min());
        let mut left = 0.0;
        for (placed, ..) in parts {
            let half = |vertex: usize| self.wide(vertex, wide) / 2.0;
            let begins = placed.iter().map(|(vertex, (x, _))| x - half(*vertex)).fold(f64::INFINITY, f64::min);
            let ends = placed.iter().map(|(vertex, (x, _))| x + half(*vertex)).fold(f64::NEG_INFINITY, f64::max);
            let mirrored = self.is_mirrored(&placed);
            for (vertex, (x, _)) in placed {
                self.vertices[vertex].x = left + if mirrored { ends - x } else { x - begins };
            }
            left += ends - begins + BETWEEN;
        }
        self.width = (left - BETWEEN).max(0.0);
    }

    /// Whether most boxes of a row stand against the order of the file: left and right are alike but for who reads them.
    fn is_mirrored(&self, placed: &[(usize, (f64, f64))]) -> bool {
        let mut rows: Vec<(usize, usize, f64)> = placed
            .iter()
            .filter_map(|(vertex, (x, _))| self.vertices[*vertex].node.map(|node| (self.vertices[*vertex].row, node, *x)))
            .collect();
        rows.sort_by_key(|(row, node, _)| (*row, *node));
        let side_by_side = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let (against, all) = side_by_side.fold((0, 0), |(against, all), pair| (against + usize::from(pair[0].2 > pair[1].2), all + 1));
        2 * against > all
    }
}
