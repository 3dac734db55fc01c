//! A picture to look at: one file without scripts, fonts or anything else from outside, for light and dark pages.
//!
//! Colour is never alone: each role has a shape, a sign and words, each state of a run a word.

mod card;
mod layers;
mod layout;
mod text;

use std::fmt::Write as _;

use formula_steps::contract::Undo;

use super::{Drawing, Role};
use layout::{Layout, Line, Point, Rect};
use text::{Font, escaped, number};

/// Above this many boxes and lines beside them a picture shows nothing to anybody, and takes long to make.
pub const MOST: usize = 1_500;

const STYLE: &str = include_str!("style.css");
/// Round the picture.
const MARGIN: f64 = 28.0;
/// Room for name and description.
const HEAD: f64 = 84.0;
const SMALL: Font = Font::Plain(12.0);

/// The picture is too big to be worth drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST} steps, and lines beside them, are too many for a picture")]
pub struct TooBig;

/// The graph as SVG.
///
/// # Errors
/// Too many steps.
pub fn svg(drawing: &Drawing) -> Result<String, TooBig> {
    let count = drawing.nodes.len();
    layers::size(&drawing.nodes, &(0..count), MOST).ok_or(TooBig)?;
    let layout = Layout::new(drawing, card::wide(&drawing.nodes));
    let lead = escaped(&drawing.description);
    let head = Font::Bold(22.0).width(&drawing.name).max(Font::Plain(13.0).width(&drawing.description)).min(900.0);
    let inner = layout.wide.max(head).max(320.0);
    // A narrow picture below a wide head stands in the middle.
    let shift = (inner - layout.wide) / 2.0;
    let (legend, legend_tall) = legend(drawing, inner);
    let (wide, tall) = (inner + 2.0 * MARGIN, HEAD + layout.tall + legend_tall + 2.0 * MARGIN + 20.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" aria-labelledby=\"name what\">\n",
        number(wide.ceil()),
        number(tall.ceil())
    );
    let _ = writeln!(out, "<title id=\"name\">The formula {}</title>\n<desc id=\"what\">{}</desc>", escaped(&drawing.name), told(drawing));
    let _ = writeln!(out, "<style>\n{STYLE}</style>");
    out.push_str("<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8Z\"/></marker></defs>\n");
    let _ = writeln!(out, "<rect class=\"page\" width=\"{}\" height=\"{}\" rx=\"8\"/>", number(wide.ceil()), number(tall.ceil()));
    let _ = writeln!(out, "<text class=\"name\" x=\"{MARGIN}\" y=\"50\">{}</text>", escaped(&drawing.name));
    let _ = writeln!(out, "<text class=\"lead\" x=\"{MARGIN}\" y=\"72\">{lead}</text>");
    let _ = writeln!(
        out,
        "<text class=\"quiet\" text-anchor=\"end\" x=\"{}\" y=\"50\">{}</text>",
        number(wide - MARGIN),
        escaped(&corner(drawing))
    );
    let _ = writeln!(out, "<g transform=\"translate({} {})\">", number(MARGIN + shift), number(MARGIN + HEAD));
    across(&layout, &mut out);
    for line in &layout.lines {
        let _ = writeln!(out, "<path class=\"line\" marker-end=\"url(#tip)\" d=\"{}\"/>", path(line));
    }
    no_return(&layout, &mut out);
    for (node, at) in drawing.nodes.iter().zip(&layout.boxes) {
        card::card(node, *at, &mut out);
    }
    out.push_str("</g>\n");
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {})\">\n{legend}</g>\n</svg>", number(MARGIN + HEAD + layout.tall + 24.0));
    Ok(out)
}

/// What somebody is read who cannot see it.
fn told(drawing: &Drawing) -> String {
    let mut told = format!("{}. Steps, each after those it needs:", drawing.description.trim_end_matches('.'));
    for node in &drawing.nodes {
        let _ = write!(told, " {} ({}),", node.id, node.role.words());
    }
    escaped(told.trim_end_matches(','))
}

fn corner(drawing: &Drawing) -> String {
    let count = drawing.nodes.len();
    let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
    drawing.run.as_ref().map_or_else(|| steps.clone(), |run| format!("{steps} · {run}"))
}

/// What lies past the line of no return, and where the last part begins.
fn across(layout: &Layout, out: &mut String) {
    for Rect { x, y, wide, tall } in &layout.past {
        let [x, y, wide, tall] = [*x, *y, *wide, *tall].map(number);
        let _ = writeln!(out, "<rect class=\"past\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{tall}\" rx=\"6\"/>");
    }
    if let Some(y) = layout.finally {
        let _ = writeln!(out, "<path class=\"finally\" d=\"M0 {}H{}\"/>", number(y), number(layout.wide));
        let _ = writeln!(out, "<text class=\"finally-words\" x=\"0\" y=\"{}\">finally, however the rest ended</text>", number(y + 17.0));
    }
}

/// The line past which there is no way back, over all that crosses it.
fn no_return(layout: &Layout, out: &mut String) {
    if let Some((Point { x, y }, right)) = layout.no_return {
        let _ = writeln!(out, "<path class=\"noreturn\" d=\"M{} {}H{}\"/>", number(x), number(y), number(right));
        let _ = writeln!(
            out,
            "<text class=\"noreturn-words\" x=\"{}\" y=\"{}\">past this line there is no way back</text>",
            number(x + 2.0),
            number(y - 7.0)
        );
    }
}

/// A line as a path: straight down within a row, bent between rows, round corners on the way to another column.
fn path(line: &Line) -> String {
    let pair = |x: f64, y: f64| format!("{} {}", number(x), number(y));
    let mut out = String::new();
    for (at, point) in line.points.iter().enumerate() {
        let Some(before) = at.checked_sub(1).map(|at| line.points[at]) else {
            let _ = write!(out, "M{}", pair(point.x, point.y));
            continue;
        };
        let after = line.points.get(at + 1).filter(|_| line.turns);
        if let Some(after) = after.filter(|after| ((before.x - point.x).abs() < 0.1) != ((point.x - after.x).abs() < 0.1)) {
            let short = |from: &Point| {
                let (x, y) = (from.x - point.x, from.y - point.y);
                let long = x.abs().max(y.abs()).max(1.0);
                let off = 9.0_f64.min(long / 2.0) / long;
                (point.x + x * off, point.y + y * off)
            };
            let (into, outof) = (short(&before), short(after));
            let _ = write!(out, "L{}Q{} {}", pair(into.0, into.1), pair(point.x, point.y), pair(outof.0, outof.1));
        } else if line.turns || (before.x - point.x).abs() < 0.1 {
            let _ = write!(out, "L{}", pair(point.x, point.y));
        } else {
            let middle = f64::midpoint(before.y, point.y);
            let _ = write!(out, "C{} {} {}", pair(before.x, middle), pair(point.x, middle), pair(point.x, point.y));
        }
    }
    out
}

/// What the shapes and colours mean, of those that are used; and how tall that is.
fn legend(drawing: &Drawing, wide: f64) -> (String, f64) {
    let has = |role: &Role| drawing.nodes.iter().any(|node| card::class(node.role) == card::class(*role));
    let roles = [
        (Role::Looks, "looks, changes nothing"),
        (Role::Changes(Undo::Restore), "changes something, can be taken back"),
        (Role::OneWay, "cannot be taken back"),
        (Role::Approve, "gate: waits for a person, a time or a look"),
        (Role::Formula, "another formula"),
        (Role::Skipped, "left out"),
        (Role::Prose, "prose: nothing runs it"),
    ];
    let mut out = String::new();
    let (mut x, mut y) = (0.0_f64, 12.0_f64);
    let mut room = |needed: f64| {
        if x > 0.0 && x + needed > wide {
            x = 0.0;
            y += 28.0;
        }
        let at = (x, y);
        x += needed + 26.0;
        at
    };
    for (role, words) in roles.into_iter().filter(|(role, _)| has(role)) {
        let (x, y) = room(SMALL.width(words) + 28.0);
        let _ = writeln!(out, "<g class=\"{}\">", card::class(role));
        card::sign(role, x + 11.0, y, &mut out);
        let _ = writeln!(out, "<text class=\"quiet\" x=\"{}\" y=\"{}\">{words}</text></g>", number(x + 28.0), number(y + 4.0));
    }
    let chips = [
        ("if …", drawing.nodes.iter().any(|node| node.condition.is_some()), "only where this holds"),
        ("each of …", drawing.nodes.iter().any(|node| node.each.is_some()), "once for each item of a list"),
    ];
    for (mark, _, words) in chips.into_iter().filter(|(_, used, _)| *used) {
        let left = Font::Mono(11.0).width(mark) + 20.0;
        let (x, y) = room(left + SMALL.width(words));
        card::chip(mark, x, y, &mut out);
        let _ = writeln!(out, "<text class=\"quiet\" x=\"{}\" y=\"{}\">{words}</text>", number(x + left), number(y + 4.0));
    }
    (out, y + 12.0)
}

#[cfg(test)]
mod tests;
