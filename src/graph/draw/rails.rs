//! Lines beside a list of steps that show what comes after what, as `git log --graph` does.

use super::Node;

/// Rails wider than this show nothing to anybody.
const MOST: usize = 10;

/// One line of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What stands at the left; the place of the mark is `\0`.
    pub rails: String,
    /// The node of this line; None for a line that only connects.
    pub node: Option<usize>,
}

/// The lines for some nodes, each after all it needs. Needs outside of them are left out. None where the picture would be too wide.
pub(super) fn rails(nodes: &[Node], shown: std::ops::Range<usize>) -> Option<Vec<Row>> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); shown.len()];
    for at in shown.clone() {
        for need in nodes[at].needs.iter().filter(|need| shown.contains(need)) {
            after[need - shown.start].push(at);
        }
    }
    let mut lanes = Lanes { expected: Vec::new() };
    let mut rows = Vec::with_capacity(shown.len());
    for at in shown.clone() {
        let home = lanes.arrive(at, &mut rows);
        rows.push(Row { rails: lanes.line(home), node: Some(at) });
        lanes.leave(home, &after[at - shown.start], &mut rows);
        if lanes.expected.len() > MOST {
            return None;
        }
    }
    Some(rows)
}

struct Lanes {
    /// Per column, the node that its line leads to.
    expected: Vec<Option<usize>>,
}

impl Lanes {
    /// The column of a node; lines that lead to it meet there.
    fn arrive(&mut self, node: usize, rows: &mut Vec<Row>) -> usize {
        let columns: Vec<usize> = (0..self.expected.len()).filter(|column| self.expected[*column] == Some(node)).collect();
        let Some((home, rest)) = columns.split_first() else { return self.free(0) };
        if !rest.is_empty() {
            for column in rest {
                self.expected[*column] = None;
            }
            rows.push(Row { rails: self.join(*home, rest, '┴', '╯'), node: None });
        }
        *home
    }

    /// Lines from a node to those after it.
    fn leave(&mut self, home: usize, after: &[usize], rows: &mut Vec<Row>) {
        self.expected[home] = after.first().copied();
        let mut opened = Vec::new();
        for next in after.iter().skip(1) {
            let column = self.free(home + 1);
            self.expected[column] = Some(*next);
            opened.push(column);
        }
        if !opened.is_empty() {
            opened.sort_unstable();
            rows.push(Row { rails: self.join(home, &opened, '┬', '╮'), node: None });
        }
        while self.expected.last() == Some(&None) {
            self.expected.pop();
        }
    }

    fn free(&mut self, from: usize) -> usize {
        let found = (from..self.expected.len()).find(|column| self.expected[*column].is_none());
        found.unwrap_or_else(|| {
            self.expected.resize(self.expected.len().max(from) + 1, None);
            self.expected.len() - 1
        })
    }

    fn line(&self, home: usize) -> String {
        let letter = |column: usize| match self.expected[column] {
            _ if column == home => '\0',
            Some(_) => '│',
            None => ' ',
        };
        (0..self.expected.len()).flat_map(|column| [letter(column), ' ']).collect()
    }

    /// A line from `home` to columns on its right.
    fn join(&self, home: usize, others: &[usize], middle: char, end: char) -> String {
        let last = others.last().copied().unwrap_or(home);
        let mut text = String::new();
        for column in 0..self.expected.len() {
            let inside = (home..last).contains(&column);
            let open = self.expected[column].is_some();
            text.push(match column {
                _ if column == home => '├',
                _ if column == last => end,
                _ if others.contains(&column) => middle,
                _ if inside && open => '┼',
                _ if inside => '─',
                _ if open => '│',
                _ => ' ',
            });
            text.push(if inside { '─' } else { ' ' });
        }
        text
    }
}
