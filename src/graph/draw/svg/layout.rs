//! Where everything stands: boxes, lines, and the line past which there is no way back.
//!
//! Rows go down; a picture that would be a long strip is folded into columns, where one line alone leads on.

use std::ops::Range;

use super::super::{Drawing, Role};
use super::layers::Layers;

/// Height of a box.
pub(super) const TALL: f64 = 66.0;
/// Between rows.
pub(super) const GAP: f64 = 32.0;
/// Room for the words beside a line across the picture.
pub(super) const WORDS: f64 = 24.0;
/// Between columns.
const GUTTER: f64 = 56.0;
/// How far a line runs out of a column before it turns to the next.
const TURN: f64 = 18.0;
/// Columns of a folded picture: more would make the letters too small for the page it is put on.
const MOST_COLUMNS: usize = 3;
/// How wide to how tall a folded picture is at best.
const SHAPE: f64 = 1.35;

/// A place on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub wide: f64,
    pub tall: f64,
}

/// A line from a step to one that needs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The step above.
    pub from: usize,
    /// The step below.
    pub to: usize,
    /// Where it passes, from the lower edge of one box to the upper edge of the other. Between two points that stand below each other it is
    /// straight, else it bends, or where `turns` says so it goes at right angles.
    pub points: Vec<Point>,
    /// Whether it leads to the next column.
    pub turns: bool,
}

/// All places, from the upper left.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// By step.
    pub boxes: Vec<Rect>,
    pub lines: Vec<Line>,
    /// From where to where the line runs past which there is no way back; the words stand above it.
    pub no_return: Option<(Point, f64)>,
    /// What lies past it.
    pub past: Vec<Rect>,
    /// Where the part of `[[finally]]` begins.
    pub finally: Option<f64>,
    pub wide: f64,
    pub tall: f64,
}

impl Layout {
    /// Of a drawing whose boxes are `wide`.
    pub(super) fn new(drawing: &Drawing, wide: f64) -> Self {
        let count = drawing.nodes.len();
        let first_finally = drawing.nodes.iter().position(|node| node.finally).unwrap_or(count);
        let mut layout = Self { boxes: vec![Rect { x: 0.0, y: 0.0, wide, tall: TALL }; count], ..Self::default() };
        layout.part(drawing, 0..first_finally, true);
        if first_finally < count {
            if first_finally > 0 {
                layout.tall += GAP;
            }
            layout.finally = Some(layout.tall);
            layout.tall += WORDS + 8.0;
            layout.part(drawing, first_finally..count, false);
        }
        layout
    }

    fn part(&mut self, drawing: &Drawing, shown: Range<usize>, folds: bool) {
        if shown.is_empty() {
            return;
        }
        let wide = self.boxes[shown.start].wide;
        let layers = Layers::new(&drawing.nodes, &shown, wide);
        let one_way = |node: usize| drawing.nodes[node].role == Role::OneWay;
        let no_return = layers.vertices.iter().filter(|vertex| vertex.node.is_some_and(one_way)).map(|vertex| vertex.row).min();
        let columns = columns(&layers, if folds { MOST_COLUMNS } else { 1 });
        let top = self.tall;
        let mut tall: f64 = 0.0;
        let place = Place::new(&layers, &columns, top, no_return);
        for (at, vertex) in layers.vertices.iter().enumerate() {
            let Some(node) = vertex.node else { continue };
            let y = place.rows[vertex.row];
            self.boxes[node] = Rect { x: place.x(at) - wide / 2.0, y, wide, tall: TALL };
            tall = tall.max(y + TALL - top);
        }
        self.lines.extend(layers.lines.iter().map(|line| place.line(line)));
        self.wide = self.wide.max(columns.len() as f64 * (layers.width + GUTTER) - GUTTER);
        if columns.len() > 1 {
            tall += TURN;
        }
        if let Some(row) = no_return {
            let column = place.column_of(row);
            let x = column as f64 * (layers.width + GUTTER);
            let y = place.rows[row] - GAP / 2.0;
            self.no_return = Some((Point { x: x - 10.0, y }, x + layers.width + 10.0));
            self.past.push(Rect { x: x - 10.0, y, wide: layers.width + 20.0, tall: top + tall - y + 10.0 });
            for later in column + 1..columns.len() {
                let x = later as f64 * (layers.width + GUTTER);
                self.past.push(Rect { x: x - 10.0, y: top - 10.0, wide: layers.width + 20.0, tall: tall + 20.0 });
            }
        }
        self.tall = top + tall;
    }
}

/// Where rows and columns are.
struct Place<'a> {
    layers: &'a Layers,
    columns: &'a [Range<usize>],
    /// The upper edge of each row.
    rows: Vec<f64>,
    top: f64,
}

impl<'a> Place<'a> {
    fn new(layers: &'a Layers, columns: &'a [Range<usize>], top: f64, no_return: Option<usize>) -> Self {
        let folded = if columns.len() > 1 { TURN } else { 0.0 };
        let mut rows = vec![0.0; layers.rows];
        for column in columns {
            let mut y = top + folded;
            for row in column.clone() {
                if no_return == Some(row) {
                    y += WORDS;
                }
                rows[row] = y;
                y += TALL + GAP;
            }
        }
        Self { layers, columns, rows, top }
    }

    fn column_of(&self, row: usize) -> usize {
        self.columns.iter().position(|column| column.contains(&row)).unwrap_or(0)
    }

    fn x(&self, vertex: usize) -> f64 {
        let vertex = &self.layers.vertices[vertex];
        vertex.x + self.column_of(vertex.row) as f64 * (self.layers.width + GUTTER)
    }

    fn line(&self, passed: &[usize]) -> Line {
        let node = |at: Option<&usize>| at.and_then(|at| self.layers.vertices[*at].node).unwrap_or(0);
        let mut line = Line { from: node(passed.first()), to: node(passed.last()), points: Vec::new(), turns: false };
        for (at, vertex) in passed.iter().enumerate() {
            let (x, row) = (self.x(*vertex), self.layers.vertices[*vertex].row);
            let y = self.rows[row];
            if at > 0 {
                let above = self.layers.vertices[passed[at - 1]].row;
                let (from, to) = (self.column_of(above), self.column_of(row));
                if from != to {
                    line.turns = true;
                    let bottom = self.rows[above] + TALL + TURN;
                    let gutter = to as f64 * (self.layers.width + GUTTER) - GUTTER / 2.0;
                    let from_x = self.x(passed[at - 1]);
                    let upper = self.top;
                    line.points.extend([(from_x, bottom), (gutter, bottom), (gutter, upper), (x, upper)].map(|(x, y)| Point { x, y }));
                }
                line.points.push(Point { x, y });
            }
            if at + 1 < passed.len() {
                line.points.push(Point { x, y: y + TALL });
            }
        }
        line
    }
}

/// The rows of each column: folded where one line alone leads on, at most into so many, so that the whole is about as wide as a page is.
fn columns(layers: &Layers, most: usize) -> Vec<Range<usize>> {
    let mut crossing = vec![0_usize; layers.rows];
    for pair in layers.lines.iter().flat_map(|line| line.windows(2)) {
        crossing[layers.vertices[pair[1]].row] += 1;
    }
    let mut several = vec![0_usize; layers.rows];
    layers.vertices.iter().for_each(|vertex| several[vertex.row] += 1);
    // Whoever begins a row anew, beside others, would be torn from them.
    let may: Vec<usize> = (1..layers.rows).filter(|row| crossing[*row] == 1 && several[*row] == 1 && several[*row - 1] == 1).collect();
    let off = |count: usize| {
        let wide = count as f64 * (layers.width + GUTTER);
        (wide / (layers.rows.div_ceil(count) as f64 * (TALL + GAP)) / SHAPE).ln().abs()
    };
    let best = (1..=most).min_by(|one, other| off(*one).total_cmp(&off(*other))).unwrap_or(1);
    let mut columns = Vec::new();
    let mut start = 0;
    for column in 1..best {
        let wanted = (layers.rows * column).div_ceil(best);
        let nearest = may.iter().copied().filter(|row| *row > start).min_by_key(|row| row.abs_diff(wanted));
        let Some(cut) = nearest.filter(|cut| cut.abs_diff(wanted) <= 2) else { continue };
        columns.push(start..cut);
        start = cut;
    }
    columns.push(start..layers.rows);
    columns
}
