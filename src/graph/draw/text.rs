//! A picture for a terminal.

use std::fmt::Write as _;
use std::ops::Range;

use super::rails::{Row, rails};
use super::{Drawing, Mark, Node, Role};

/// Puts a text in an SGR style, such as `1;31`, or leaves it as it is.
pub type Paint<'a> = &'a dyn Fn(&str, &str) -> String;

/// Ids of a list; more would bury them.
const MOST_NAMES: usize = 4;
/// Columns that an id, a kind, a condition may take before what follows is no longer aligned or the text is cut.
const WIDEST: usize = 40;

/// One line per step, lines at the left that show what comes after what, and the line past which there is no way back.
pub fn text(drawing: &Drawing, paint: Paint<'_>) -> String {
    let first_finally = drawing.nodes.iter().position(|node| node.finally).unwrap_or(drawing.nodes.len());
    let mut out = head(drawing, paint);
    part(drawing, 0..first_finally, paint, &mut out);
    if first_finally < drawing.nodes.len() {
        let _ = writeln!(out, "\n{}", paint("finally, however the rest ended", "1"));
        part(drawing, first_finally..drawing.nodes.len(), paint, &mut out);
    }
    out
}

fn head(drawing: &Drawing, paint: Paint<'_>) -> String {
    let count = drawing.nodes.len();
    let steps = if count == 1 { "step" } else { "steps" };
    let run = drawing.run.as_ref().map_or_else(String::new, |run| format!(", {run}"));
    let lead = if drawing.description.is_empty() { String::new() } else { format!("  {}", drawing.description) };
    format!(
        "{}{lead}\n{}\n\n",
        paint(&drawing.name, "1"),
        paint(&format!("{count} {steps}, at most {} at once{run}", drawing.max_parallel), "2")
    )
}

fn part(drawing: &Drawing, shown: Range<usize>, paint: Paint<'_>, out: &mut String) {
    let nodes = &drawing.nodes;
    let drawn = rails(nodes, shown.clone());
    let named = drawn.is_none();
    let rows = drawn.unwrap_or_else(|| shown.clone().map(|at| Row { rails: "\0 ".into(), node: Some(at) }).collect());
    let rail_width = rows.iter().map(|row| row.rails.chars().count()).max().unwrap_or(0);
    let width = |of: &dyn Fn(&Node) -> usize| nodes[shown.clone()].iter().map(of).max().unwrap_or(0).min(WIDEST);
    let (ids, kinds) = (width(&|node| node.id.chars().count()), width(&|node| node.kind.chars().count()));
    let no_return = drawing.no_return();
    for row in rows {
        let Some(at) = row.node else {
            let _ = writeln!(out, "{}", paint(row.rails.trim_end(), "2"));
            continue;
        };
        if no_return == Some(at) {
            let _ = writeln!(out, "{}", paint("──── past this line there is no way back ────", "33"));
        }
        let node = &nodes[at];
        let (mark, style) = mark(node.role);
        let pad = " ".repeat(rail_width - row.rails.chars().count());
        let rails: String = row.rails.split('\0').map(|side| paint(side, "2")).collect::<Vec<_>>().join(&paint(mark, style));
        let id = format!("{:ids$}", node.id);
        let mut line = format!("{rails}{pad}{}  {:kinds$}  {}", paint(&id, "1"), node.kind, paint(node.role.words(), "2"));
        if let Some(condition) = &node.condition {
            let _ = write!(line, "{}", paint(&format!("  if {}", shortened(condition)), "36"));
        }
        if let Some(each) = &node.each {
            let _ = write!(line, "{}", paint(&format!("  for each of {}", shortened(each)), "36"));
        }
        if let Some(stand) = &node.stand {
            let _ = write!(line, "  {}", paint(&stand.words(), stand_style(stand.mark)));
        }
        if named && !node.needs.is_empty() {
            let _ = write!(line, "{}", paint(&format!("  after {}", names(nodes, &node.needs)), "2"));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn mark(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Looks => ("○", "36"),
        Role::Changes(_) => ("●", "32"),
        Role::OneWay => ("▲", "31"),
        Role::Approve | Role::Wait => ("?", "33"),
        Role::Formula => ("▣", "32"),
        Role::Skipped => ("-", "2"),
        Role::Prose => ("·", "2"),
    }
}

fn stand_style(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "32",
        Mark::Bad => "1;31",
        Mark::Person => "33",
        Mark::Going => "34",
        Mark::Still => "2",
    }
}

fn names(nodes: &[Node], needs: &[usize]) -> String {
    let shown: Vec<&str> = needs.iter().take(MOST_NAMES).map(|need| nodes[*need].id.as_str()).collect();
    match needs.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDEST { text.to_owned() } else { text.chars().take(WIDEST - 1).chain(['…']).collect() }
}
