//! Reads the keys of one table: each asked for by name and type, the rest reported as unknown.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Entry, Node, Text, entries};
use crate::diagnostic::{Diagnostic, codes};

/// A table that is being read.
pub(super) struct Table<'t, 'c> {
    cx: &'c Cx<'c>,
    table: &'t DeTable<'t>,
    /// `a step`, `[vars.version]`.
    what: String,
    /// Where problems of the table as a whole are shown.
    pub place: Range<usize>,
    /// Known keys that a misspelt one was probably meant for.
    meant: Vec<&'static str>,
}

impl<'t, 'c> Table<'t, 'c> {
    /// Reports every key that is not among the known ones.
    pub(super) fn new(
        cx: &'c Cx<'c>,
        table: &'t DeTable<'t>,
        what: impl Into<String>,
        place: Range<usize>,
        known: &[&'static str],
    ) -> Self {
        let what = what.into();
        let mut meant = Vec::new();
        if !table.iter().all(|(key, _)| known.contains(&key.get_ref().as_ref())) {
            let unknown = entries(table).into_iter().filter(|entry| !known.contains(&entry.key));
            let worth_it = unknown.take_while(|_| !cx.is_hopeless());
            meant.extend(worth_it.filter_map(|entry| unknown_key(cx, &entry, &what, known)));
        }
        Self { cx, table, what, place, meant }
    }

    /// The entry of that key.
    pub(super) fn get(&self, key: &str) -> Option<Entry<'t>> {
        let (name, value) = self.table.get_key_value(key)?;
        Some(Entry { key: name.get_ref(), key_range: name.span(), node: Node::new(value) })
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<Text<'t>> {
        let entry = self.get(key)?;
        text(self.cx, &entry.node, key)
    }

    /// A text that must be there.
    pub(super) fn required_text(&self, key: &str, example: &str) -> Option<Text<'t>> {
        if self.get(key).is_none() {
            self.missing(key, example);
        }
        self.text(key)
    }

    /// Says that a key is missing.
    pub(super) fn missing(&self, key: &str, example: &str) {
        if self.meant.contains(&key) {
            return;
        }
        let problem = Diagnostic::error(codes::MISSING_KEY, format!("{} has no `{key}`", self.what));
        let label = if self.place.is_empty() { String::new() } else { format!("`{key}` is missing here") };
        self.cx.report(problem.at(self.place.clone(), label).help(format!("add `{example}`")));
    }

    /// True or false.
    pub(super) fn bool(&self, key: &str) -> Option<bool> {
        let entry = self.get(key)?;
        if let DeValue::Boolean(value) = entry.node.value {
            return Some(*value);
        }
        self.cx.wrong_type(&entry.node, key, "true or false");
        None
    }

    /// A whole number from `least` up, that fits 32 bits.
    pub(super) fn count(&self, key: &str, least: u32) -> Option<u32> {
        let entry = self.get(key)?;
        let DeValue::Integer(_) = entry.node.value else {
            self.cx.wrong_type(&entry.node, key, "a whole number");
            return None;
        };
        let value = entry.node.integer().and_then(|value| u32::try_from(value).ok()).filter(|value| *value >= least);
        if value.is_none() {
            let problem = Diagnostic::error(codes::BAD_VALUE, format!("`{key}` must be a whole number from {least} to {}", u32::MAX));
            self.cx.report(problem.at(entry.node.range, "out of range"));
        }
        value
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Option<(Vec<Text<'t>>, Range<usize>)> {
        let entry = self.get(key)?;
        texts(self.cx, &entry.node, key).map(|list| (list, entry.node.range))
    }

    /// A table.
    pub(super) fn table(&self, key: &str) -> Option<(&'t DeTable<'t>, Entry<'t>)> {
        let entry = self.get(key)?;
        if let DeValue::Table(table) = entry.node.value {
            return Some((table, entry));
        }
        self.cx.wrong_type(&entry.node, key, "a table");
        None
    }
}

/// Says that a table has no such key; gives the one that was probably meant.
fn unknown_key(cx: &Cx<'_>, entry: &Entry<'_>, what: &str, known: &[&'static str]) -> Option<&'static str> {
    let problem = Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{}` in {what}", entry.key));
    let problem = problem.at(entry.key_range.clone(), "no such key");
    let near = cx.nearest(entry.key, known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{what} takes {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
    };
    cx.report(problem.help(help));
    near
}

/// The node as a text.
pub(super) fn text<'t>(cx: &Cx<'_>, node: &Node<'t>, name: &str) -> Option<Text<'t>> {
    if let DeValue::String(text) = node.value {
        return Some(Text { text, range: node.range.clone() });
    }
    cx.wrong_type(node, name, "a text");
    None
}

/// The node as a list of texts; items of another type are reported and left out.
pub(super) fn texts<'t>(cx: &Cx<'_>, node: &Node<'t>, name: &str) -> Option<Vec<Text<'t>>> {
    let DeValue::Array(array) = node.value else {
        cx.wrong_type(node, name, "a list of texts");
        return None;
    };
    let item_name = format!("{name}[]");
    Some(Node::items(array).take_while(|_| !cx.is_hopeless()).filter_map(|item| text(cx, &item, &item_name)).collect())
}
