//! A picture for Graphviz: `formula graph NAME --format dot | dot -Tsvg`.

use std::fmt::Write as _;

use super::{Drawing, Node, Role};

/// The graph in Graphviz' language.
pub fn dot(drawing: &Drawing) -> String {
    let mut out = format!("digraph {} {{\n", quoted(&drawing.name));
    out.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    let first_finally = drawing.nodes.iter().position(|node| node.finally).unwrap_or(drawing.nodes.len());
    for (at, node) in drawing.nodes.iter().enumerate().take(first_finally) {
        let _ = writeln!(out, "  {}", statement(at, node));
    }
    if first_finally < drawing.nodes.len() {
        out.push_str("  subgraph cluster_finally {\n    label=\"finally\"; style=dashed;\n");
        for (at, node) in drawing.nodes.iter().enumerate().skip(first_finally) {
            let _ = writeln!(out, "    {}", statement(at, node));
        }
        out.push_str("  }\n");
    }
    for (at, node) in drawing.nodes.iter().enumerate() {
        for need in &node.needs {
            let _ = writeln!(out, "  s{need} -> s{at};");
        }
    }
    out.push_str("}\n");
    out
}

fn statement(at: usize, node: &Node) -> String {
    let look = match node.role {
        Role::Looks => ", style=\"rounded,dashed\"",
        Role::Changes(_) => "",
        Role::OneWay => ", shape=octagon, style=solid, color=red",
        Role::Approve | Role::Wait => ", shape=diamond, style=solid",
        Role::Formula => ", shape=box3d, style=solid",
        Role::Skipped => ", style=\"rounded,dotted\", fontcolor=gray",
        Role::Prose => ", shape=note, style=solid",
    };
    // Graphviz reads `\n` in a label as a line end.
    let lines = [Some(node.kind.clone()).filter(|kind| !kind.is_empty()), node.stand.as_ref().map(super::Stand::words)];
    let rest: String = lines.iter().flatten().flat_map(|line| ["\\n".to_owned(), escaped(line)]).collect();
    let label = format!("{}{rest}\"", unclosed(&node.id));
    let tip = node.title.as_deref().map_or_else(String::new, |title| format!(", tooltip={}", quoted(title)));
    format!("s{at} [label={label}{look}{tip}];")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn unclosed(text: &str) -> String {
    format!("\"{}", escaped(text))
}

fn quoted(text: &str) -> String {
    format!("{}\"", unclosed(text))
}
