//! A picture for Mermaid, which forges draw in Markdown.

use std::fmt::Write as _;

use super::{Drawing, Node, Role};

/// The graph as a Mermaid flow chart.
pub fn mermaid(drawing: &Drawing) -> String {
    let mut out = String::from("flowchart TD\n");
    let first_finally = drawing.nodes.iter().position(|node| node.finally).unwrap_or(drawing.nodes.len());
    for (at, node) in drawing.nodes.iter().enumerate().take(first_finally) {
        let _ = writeln!(out, "  {}", statement(at, node));
    }
    if first_finally < drawing.nodes.len() {
        out.push_str("  subgraph finally\n");
        for (at, node) in drawing.nodes.iter().enumerate().skip(first_finally) {
            let _ = writeln!(out, "    {}", statement(at, node));
        }
        out.push_str("  end\n");
    }
    for (at, node) in drawing.nodes.iter().enumerate() {
        for need in &node.needs {
            let _ = writeln!(out, "  s{need} --> s{at}");
        }
    }
    out.push_str("  classDef looks stroke-dasharray: 4 3\n  classDef oneway stroke:#c00,stroke-width:3px\n  classDef skipped color:#888,stroke:#888,stroke-dasharray: 1 3\n");
    out
}

fn statement(at: usize, node: &Node) -> String {
    let lines = [Some(node.kind.clone()).filter(|kind| !kind.is_empty()), node.stand.as_ref().map(super::Stand::words)];
    let rest: String = lines.iter().flatten().flat_map(|line| ["<br/>".to_owned(), escaped(line)]).collect();
    let label = format!("{}{rest}", escaped(&node.id));
    match node.role {
        Role::Looks => format!("s{at}[\"{label}\"]:::looks"),
        Role::Skipped => format!("s{at}[\"{label}\"]:::skipped"),
        Role::Changes(_) => format!("s{at}[\"{label}\"]"),
        Role::OneWay => format!("s{at}[\"{label}\"]:::oneway"),
        Role::Approve | Role::Wait => format!("s{at}{{{{\"{label}\"}}}}"),
        Role::Formula => format!("s{at}[[\"{label}\"]]"),
        Role::Prose => format!("s{at}(\"{label}\")"),
    }
}

/// Mermaid knows entities without the ampersand: `#quot;`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            letter => out.push(letter),
        }
    }
    out
}
