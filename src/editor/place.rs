//! What stands at an offset: a key, a value, and the path that leads there.

use std::ops::Range;

use super::tree::{Entry, Node, Section, Tree, Value, Word};

/// One part of a path. Steps are items of `steps`, whether they have headers or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Item(usize),
}

/// What stands there.
#[derive(Debug)]
pub(super) enum Place<'t> {
    /// A remark, or nothing that can be said anything about.
    Nothing,
    /// A table header.
    Header(&'t Section),
    /// A key of the table at `table`.
    Key {
        table: Vec<Part>,
        /// The key as it stands there; empty where one could begin.
        range: Range<usize>,
        /// Whether an equals sign or a dot follows.
        set: bool,
    },
    /// The value at `path`.
    Value { path: Vec<Part>, node: Option<&'t Node> },
}

/// Looks.
pub(super) fn at<'t>(text: &str, tree: &'t Tree, offset: usize) -> Place<'t> {
    let comment = tree.comments.partition_point(|comment| comment.start < offset);
    if comment.checked_sub(1).is_some_and(|at| offset <= tree.comments[at].end) {
        return Place::Nothing;
    }
    let section = tree.sections.partition_point(|section| section.header.start <= offset).saturating_sub(1);
    let section = &tree.sections[section];
    if !section.header.is_empty() && offset <= section.header.end {
        return Place::Header(section);
    }
    let base = base(text, section);
    let at = section.entries.partition_point(|entry| entry.range.start <= offset);
    match at.checked_sub(1).map(|at| &section.entries[at]).filter(|entry| offset <= entry.range.end) {
        Some(entry) => in_entry(text, entry, base, offset),
        None => Place::Key { table: base, range: offset..offset, set: false },
    }
}

/// The path of a section.
pub(super) fn base(text: &str, section: &Section) -> Vec<Part> {
    let mut path: Vec<Part> = section.path.iter().map(|word| Part::Key(text[word.inner.clone()].to_owned())).collect();
    if let Some(step) = section.step {
        path.insert(1, Part::Item(step));
    }
    path.extend(section.item.map(Part::Item));
    path
}

fn in_entry<'t>(text: &str, entry: &'t Entry, mut path: Vec<Part>, offset: usize) -> Place<'t> {
    let name = |word: &Word| Part::Key(text[word.inner.clone()].to_owned());
    if entry.equals.is_none_or(|equals| offset <= equals) {
        let here = entry.path.iter().position(|word| offset <= word.range.end);
        let range = here.map_or(offset..offset, |at| entry.path[at].range.clone());
        // Blanks between the key and the equals sign are no place for another one.
        if here.is_none() && entry.path.last().is_some_and(|word| !text[word.range.end..offset].ends_with('.')) {
            return Place::Nothing;
        }
        let before = here.unwrap_or(entry.path.len());
        path.extend(entry.path[..before].iter().map(name));
        return Place::Key { table: path, range, set: entry.equals.is_some() || before + 1 < entry.path.len() };
    }
    path.extend(entry.path.iter().map(name));
    in_value(text, &entry.node, path, offset)
}

fn in_value<'t>(text: &str, node: &'t Node, mut path: Vec<Part>, offset: usize) -> Place<'t> {
    let inside = |closed: &bool| offset > node.range.start && (offset < node.range.end || !closed);
    match &node.value {
        Value::Table { entries, closed } if inside(closed) => {
            match entries.iter().find(|entry| entry.range.start <= offset && offset <= entry.range.end) {
                Some(entry) => in_entry(text, entry, path, offset),
                None => Place::Key { table: path, range: offset..offset, set: false },
            }
        }
        Value::List { items, closed } if inside(closed) => {
            let item = items.iter().position(|item| item.range.start <= offset && offset <= item.range.end);
            path.push(Part::Item(item.unwrap_or(items.len())));
            match item {
                Some(item) => in_value(text, &items[item], path, offset),
                None => Place::Value { path, node: None },
            }
        }
        Value::Table { .. } | Value::List { .. } => Place::Nothing,
        _ => Place::Value { path, node: Some(node) },
    }
}
