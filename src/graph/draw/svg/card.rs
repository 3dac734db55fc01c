//! One step as a card: shape and colour by what it does, and the same in words.

use std::fmt::Write as _;

use super::super::{Mark, Node, Role};
use super::layout::{Rect, TALL};
use super::text::{Font, escaped, number};

const ID: Font = Font::Bold(14.0);
const TITLE: Font = Font::Plain(12.0);
const SMALL: Font = Font::Plain(11.0);
const KIND: Font = Font::Mono(11.0);
const PILL: Font = Font::Bold(11.0);

/// Where texts begin, right of the sign.
const TEXT: f64 = 46.0;
/// Free at the right.
const RIGHT: f64 = 16.0;
/// Cards are never wider, nor narrower.
const WIDEST: f64 = 420.0;
const NARROWEST: f64 = 250.0;

/// The name of a role in the style sheet.
pub(super) fn class(role: Role) -> &'static str {
    match role {
        Role::Looks => "looks",
        Role::Changes(_) => "changes",
        Role::OneWay => "oneway",
        Role::Skipped => "skipped",
        Role::Approve | Role::Wait => "gate",
        Role::Formula => "formula",
        Role::Prose => "prose",
    }
}

/// How wide all cards must be for most texts to fit.
pub(super) fn wide(nodes: &[Node]) -> f64 {
    let first = |node: &Node| ID.width(&node.id) + 18.0 + KIND.width(&node.kind);
    let second = |node: &Node| node.title.as_deref().map_or(0.0, |title| TITLE.width(title));
    let third = |node: &Node| SMALL.width(node.role.words()) + node.stand.as_ref().map_or(0.0, |stand| PILL.width(&stand.words()) + 40.0);
    let most = nodes.iter().map(|node| first(node).max(second(node)).max(third(node))).fold(0.0, f64::max);
    (most + TEXT + RIGHT).ceil().clamp(NARROWEST, WIDEST)
}

/// The card of a step.
pub(super) fn card(node: &Node, at: Rect, out: &mut String) {
    let gate = matches!(node.role, Role::Approve | Role::Wait);
    let _ = writeln!(out, "<g class=\"{}\"><title>{}</title>", class(node.role), escaped(&told(node)));
    if node.each.is_some() {
        for off in [8.0, 4.0] {
            let behind = Rect { x: at.x + off, y: at.y + off, ..at };
            let _ = writeln!(out, "<path class=\"behind edge\" d=\"{}\"/>", outline(gate, node.role, behind));
        }
    }
    let _ = writeln!(out, "<path class=\"card edge\" d=\"{}\"/>", outline(gate, node.role, at));
    if node.role == Role::Formula {
        let (left, right, y) = (number(at.x + 5.0), number(at.x + at.wide - 5.0), number(at.y));
        let _ = writeln!(out, "<path class=\"hollow edge\" style=\"stroke-width:1\" d=\"M{left} {y}v{TALL}M{right} {y}v{TALL}\"/>");
    }
    sign(node.role, at.x + 26.0, at.y + TALL / 2.0, out);
    texts(node, at, out);
    chips(node, at, out);
    out.push_str("</g>\n");
}

/// All that is known of a step, for whoever points at it.
fn told(node: &Node) -> String {
    let mut told = format!("{} ({}): {}", node.id, if node.kind.is_empty() { "prose" } else { &node.kind }, node.role.words());
    for (lead, text) in [(". ", &node.title), ("; if ", &node.condition), ("; for each of ", &node.each)] {
        if let Some(text) = text {
            let _ = write!(told, "{lead}{text}");
        }
    }
    if let Some(stand) = &node.stand {
        let _ = write!(told, "; {}", stand.words());
    }
    told
}

/// The outline of a card: gates run out to a point, what cannot be undone has its corners cut, prose has a dog's ear.
fn outline(gate: bool, role: Role, at: Rect) -> String {
    let Rect { x, y, wide, tall } = at;
    let [x0, y0, x1, y1] = [x, y, x + wide, y + tall].map(number);
    if gate {
        let (left, right, middle) = (number(x + 14.0), number(x + wide - 14.0), number(y + tall / 2.0));
        return format!("M{left} {y0}H{right}L{x1} {middle}L{right} {y1}H{left}L{x0} {middle}Z");
    }
    match role {
        Role::OneWay => {
            let [left, upper, right, lower] = [x + 12.0, y + 12.0, x + wide - 12.0, y + tall - 12.0].map(number);
            format!("M{left} {y0}H{right}L{x1} {upper}V{lower}L{right} {y1}H{left}L{x0} {lower}V{upper}Z")
        }
        Role::Prose => {
            let (fold, upper) = (number(x + wide - 14.0), number(y + 14.0));
            format!("M{x0} {y0}H{fold}L{x1} {upper}V{y1}H{x0}ZM{fold} {y0}V{upper}H{x1}")
        }
        _ => {
            let (wide, tall) = (number(wide - 16.0), number(tall - 16.0));
            format!("M{} {y0}h{wide}q8 0 8 8v{tall}q0 8 -8 8h-{wide}q-8 0 -8 -8v-{tall}q0 -8 8 -8Z", number(x + 8.0))
        }
    }
}

/// The sign of a role, round a point.
pub(super) fn sign(role: Role, x: f64, y: f64, out: &mut String) {
    let (cx, cy) = (number(x), number(y));
    let _ = match role {
        Role::Looks => {
            writeln!(
                out,
                "<circle class=\"hollow\" cx=\"{cx}\" cy=\"{cy}\" r=\"7.5\"/><circle class=\"ink\" cx=\"{cx}\" cy=\"{cy}\" r=\"2.5\"/>"
            )
        }
        Role::Changes(_) => writeln!(out, "<circle class=\"ink\" cx=\"{cx}\" cy=\"{cy}\" r=\"8.5\"/>"),
        Role::OneWay => writeln!(
            out,
            "<path class=\"ink\" d=\"M{} {}l10.5 18h-21Z\"/><text class=\"on\" font-size=\"12\" text-anchor=\"middle\" x=\"{cx}\" y=\"{}\">!</text>",
            cx,
            number(y - 10.0),
            number(y + 6.0)
        ),
        Role::Approve | Role::Wait => writeln!(
            out,
            "<path class=\"ink\" d=\"M{cx} {}l11 11l-11 11l-11 -11Z\"/><text class=\"on\" font-size=\"13\" text-anchor=\"middle\" x=\"{cx}\" y=\"{}\">?</text>",
            number(y - 11.0),
            number(y + 4.6)
        ),
        Role::Formula => writeln!(
            out,
            "<rect class=\"hollow\" x=\"{}\" y=\"{}\" width=\"15\" height=\"15\"/><rect class=\"ink\" x=\"{}\" y=\"{}\" width=\"7\" height=\"7\"/>",
            number(x - 7.5),
            number(y - 7.5),
            number(x - 3.5),
            number(y - 3.5)
        ),
        Role::Skipped => writeln!(out, "<path class=\"hollow\" d=\"M{} {cy}h14\"/>", number(x - 7.0)),
        Role::Prose => writeln!(out, "<path class=\"hollow\" d=\"M{0} {1}h14m-14 5h14m-14 5h9\"/>", number(x - 7.0), number(y - 5.0)),
    };
}

fn texts(node: &Node, at: Rect, out: &mut String) {
    let (x, right) = (at.x + TEXT, at.x + at.wide - RIGHT);
    let room = right - x;
    let kind = KIND.fit(&node.kind, room * 0.5);
    let id = ID.fit(&node.id, room - KIND.width(&kind) - 10.0);
    // Without a title the two lines that are left stand in the middle.
    let (first, last) = if node.title.is_some() { (21.0, 55.0) } else { (28.0, 48.0) };
    let mut line = |class: &str, x: f64, y: f64, end: bool, text: &str| {
        let anchor = if end { " text-anchor=\"end\"" } else { "" };
        let _ = writeln!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>", number(x), number(at.y + y), escaped(text));
    };
    line("id", x, first, false, &id);
    line("kind", right, first, true, &kind);
    if let Some(title) = &node.title {
        line("title", x, 38.0, false, &TITLE.fit(title, room));
    }
    let pill = node.stand.as_ref().map(super::super::Stand::words);
    let taken = pill.as_ref().map_or(0.0, |words| PILL.width(words) + 24.0);
    line("undo", x, last, false, &SMALL.fit(node.role.words(), room - taken));
    if let (Some(stand), Some(words)) = (&node.stand, pill) {
        let wide = PILL.width(&words) + 16.0;
        let (left, y) = (right - wide + 6.0, at.y + last - 13.5);
        let _ = writeln!(
            out,
            "<g class=\"pill {}\"><rect class=\"edge\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"9\"/><text text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text></g>",
            mark(stand.mark),
            number(left),
            number(y),
            number(wide),
            number(left + wide / 2.0),
            number(y + 13.0),
            escaped(&words)
        );
    }
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Person => "person",
        Mark::Going => "going",
        Mark::Still => "still",
    }
}

/// `if` and `for each` on the upper edge, left and right of where lines come in.
fn chips(node: &Node, at: Rect, out: &mut String) {
    let room = at.wide / 2.0 - 34.0;
    if let Some(condition) = &node.condition {
        let text = KIND.fit(&format!("if {}", bare(condition)), room);
        chip(&text, at.x + 20.0, at.y - 4.0, out);
    }
    if let Some(each) = &node.each {
        let text = KIND.fit(&format!("each of {}", bare(each)), room);
        chip(&text, at.x + at.wide - 20.0 - KIND.width(&text) - 12.0, at.y - 4.0, out);
    }
}

/// A chip with its middle at `y`.
pub(super) fn chip(text: &str, x: f64, y: f64, out: &mut String) {
    let _ = writeln!(
        out,
        "<g class=\"chip\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"17\" rx=\"8.5\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
        number(x),
        number(y - 8.5),
        number(KIND.width(text) + 12.0),
        number(x + 6.0),
        number(y + 4.0),
        escaped(text)
    );
}

/// A template that is one expression, without its braces.
fn bare(template: &str) -> &str {
    let inner = template.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inner.filter(|inner| !inner.contains("{{")).map_or(template, str::trim)
}
