//! The order of keys: who it is first, what it does last. Params keep the author's order, and so do sections.

use super::read::{Item, Section};

pub(super) const FORMULA: [&str; 20] = [
    "name",
    "description",
    "version",
    "on_failure",
    "max_parallel",
    "lock",
    "model",
    "tools",
    "allowed_tools",
    "disallowed_commands",
    "stack_script",
    "timeout_minutes",
    "vars",
    "secrets",
    "env",
    "steps",
    "finally",
    "test",
    "context",
    "project",
];
pub(super) const VAR: [&str; 6] = ["type", "description", "choices", "required", "default", "pattern"];
pub(super) const SECRET: [&str; 3] = ["description", "from", "required"];
pub(super) const STEP: [&str; 12] =
    ["id", "title", "uses", "description", "needs", "if", "foreach", "secrets", "retry", "timeout", "env", "with"];

/// The order of the keys of a section; None where it is the author's.
fn order_of(section: &Section<'_>) -> Option<&'static [&'static str]> {
    let Some(header) = &section.header else { return Some(&FORMULA) };
    match (header.path.as_slice(), header.text.starts_with("[[")) {
        (["vars", _], false) => Some(&VAR),
        (["secrets", _], false) => Some(&SECRET),
        (["steps" | "finally"], true) => Some(&STEP),
        _ => None,
    }
}

/// The section with its entries in order. Comments go with the entry below them; those above the first entry of the file stay there.
pub(super) fn sorted(mut section: Section<'_>) -> Section<'_> {
    let Some(order) = order_of(&section) else { return section };
    let rank = |item: &Item<'_>| match item {
        Item::Entry(entry) => order.iter().position(|key| *key == entry.first).unwrap_or(order.len()),
        _ => 0,
    };
    let is_entry = |item: &Item<'_>| matches!(item, Item::Entry(_));
    let entries = section.items.iter().filter(|item| is_entry(item)).map(rank);
    if entries.is_sorted() {
        return section;
    }
    let tail = section.items.iter().rposition(is_entry).map_or(0, |at| at + 1);
    let tail = section.items.split_off(tail);
    let lead = match &section.header {
        None => section.items.iter().position(is_entry).unwrap_or(0),
        Some(_) => 0,
    };
    let rest = section.items.split_off(lead);
    let mut chunks: Vec<(usize, Vec<Item<'_>>)> = Vec::new();
    let mut chunk = Vec::new();
    for item in rest {
        let ends = is_entry(&item).then(|| rank(&item));
        chunk.push(item);
        if let Some(rank) = ends {
            chunks.push((rank, std::mem::take(&mut chunk)));
        }
    }
    chunks.sort_by_key(|(rank, _)| *rank);
    section.items.extend(chunks.into_iter().flat_map(|(_, chunk)| chunk));
    section.items.extend(tail);
    section
}
