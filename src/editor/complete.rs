//! What could stand at the cursor.

use std::ops::Range;

use serde_json::Value as Json;

use super::document::{Document, Step};
use super::known::{Known, told};
use super::place::{self, Part, Place};
use super::template::{self, Here};
use super::tree::{Node, Section, Value};
use crate::syntax::manual::Kind;

/// What a suggestion is, for the sign before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A key of a table.
    Key,
    /// A kind of steps.
    Kind,
    /// A step.
    Step,
    /// A value.
    Value,
    /// A helper of templates.
    Helper,
}

/// Something that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What the list shows.
    pub label: String,
    /// What it is.
    pub what: What,
    /// A few words beside it.
    pub detail: String,
    /// What it means; Markdown.
    pub doc: String,
    /// The text that is put there.
    pub insert: String,
    /// What it replaces, in bytes; within one line.
    pub replace: Range<usize>,
}

/// Words that must not become Markdown's own.
pub(super) fn markdown(text: &str) -> String {
    text.replace('<', "\\<")
}

impl Document {
    /// Everything that could stand at an offset, in an order that makes sense; the editor picks what fits the letters typed so far.
    pub fn complete(&self, known: &Known, offset: usize) -> Vec<Suggestion> {
        let text = self.text();
        match place::at(text, self.tree(), offset) {
            Place::Nothing => Vec::new(),
            Place::Header(section) => headers(self, section, offset),
            Place::Key { table, range, set } => self.keys(known, &table, range, set),
            Place::Value { path, node } => self.values(known, &path, node, offset),
        }
    }

    /// The step that a path leads into.
    pub(super) fn step_of(&self, path: &[Part]) -> Option<&Step> {
        match path {
            [Part::Key(list), Part::Item(at), ..] if list == "steps" => self.names().steps.get(*at),
            [Part::Key(list), Part::Item(at), ..] if list == "finally" => self.names().finally.get(*at),
            _ => None,
        }
    }

    fn keys(&self, known: &Known, table: &[Part], range: Range<usize>, set: bool) -> Vec<Suggestion> {
        let step = self.step_of(table);
        let spot = known.at(table, step.and_then(|step| step.uses.as_deref()));
        let here = self.text()[range.clone()].trim_matches(['"', '\'']).to_owned();
        let there = self.keys_of(table);
        let mut keys = spot.keys();
        // What must be there comes first.
        keys.sort_by_key(|key| !spot.requires(key));
        let free = keys.into_iter().filter(|key| *key == here || !there.iter().any(|known| known == key));
        let suggestion = |key: &str| {
            let place = spot.key(key);
            let needed = if spot.requires(key) { ", required" } else { "" };
            Suggestion {
                label: key.to_owned(),
                what: What::Key,
                detail: format!("{}{needed}", place.takes()),
                doc: place.doc().to_owned(),
                insert: if set { key.to_owned() } else { format!("{key} = ") },
                replace: range.clone(),
            }
        };
        free.map(suggestion).collect()
    }

    /// Keys that a table has already, wherever its entries stand.
    fn keys_of(&self, table: &[Part]) -> Vec<String> {
        let text = self.text();
        let mut keys = Vec::new();
        for section in &self.tree().sections {
            let base = place::base(text, section);
            if base.len() > table.len() && base.starts_with(table) {
                keys.extend(name(&base[table.len()]));
            } else if table.starts_with(&base) {
                for entry in &section.entries {
                    below(
                        text,
                        &entry.path.iter().map(|word| &text[word.inner.clone()]).collect::<Vec<_>>(),
                        &entry.node,
                        &table[base.len()..],
                        &mut keys,
                    );
                }
            }
        }
        keys
    }

    fn values(&self, known: &Known, path: &[Part], node: Option<&Node>, offset: usize) -> Vec<Suggestion> {
        let step = self.step_of(path);
        if let Some(Node { value: Value::Text { inner, .. }, .. }) = node
            && template::may_stand(path, step)
            && let Some(name) = template::name_at(self.text(), inner, offset)
        {
            return template::complete(self, known, &Here { path, step }, &name);
        }
        let Some(slot) = Slot::of(self.text(), node, offset) else { return Vec::new() };
        let last = path.iter().rev().find_map(name).unwrap_or_default();
        let in_step = step.is_some();
        match (path.len(), last.as_str()) {
            (3, "uses") if in_step => known.kinds().map(|kind| slot.kind(kind)).collect(),
            (3 | 4, "needs") if in_step => slot.in_list(path, self.needs(step)),
            (3 | 4, "secrets") if in_step => {
                let secrets = self.names().secrets.iter();
                slot.in_list(
                    path,
                    secrets.map(|secret| (secret.name.clone(), What::Value, String::new(), secret.description.clone().unwrap_or_default())),
                )
            }
            _ => {
                let spot = known.at(path, step.and_then(|step| step.uses.as_deref()));
                let value = |(value, doc): (Json, &str)| slot.value(&value, doc, spot.default() == Some(&value));
                spot.values().into_iter().map(value).collect()
            }
        }
    }

    /// Steps that another one may follow.
    fn needs<'d>(&'d self, own: Option<&'d Step>) -> impl Iterator<Item = (String, What, String, String)> + 'd {
        let finally = own.is_some_and(|own| self.names().finally.iter().any(|step| std::ptr::eq(step, own)));
        let list = if finally { &self.names().finally } else { &self.names().steps };
        let others = list.iter().filter(move |step| !own.is_some_and(|own| std::ptr::eq(*step, own)));
        others.filter_map(|step| {
            let (uses, title) = (step.uses.clone().unwrap_or_default(), step.title.clone().unwrap_or_default());
            Some((step.id.clone()?, What::Step, uses, title))
        })
    }
}

fn name(part: &Part) -> Option<String> {
    match part {
        Part::Key(key) => Some(key.clone()),
        Part::Item(_) => None,
    }
}

/// The keys of the table that `rest` leads to from an entry.
fn below(text: &str, keys: &[&str], node: &Node, rest: &[Part], found: &mut Vec<String>) {
    match (keys, rest) {
        ([key, ..], []) => found.push((*key).to_owned()),
        ([key, keys @ ..], [Part::Key(wanted), rest @ ..]) if key == wanted => below(text, keys, node, rest, found),
        ([], _) => match (&node.value, rest) {
            (Value::Table { entries, .. }, _) => {
                for entry in entries {
                    below(text, &entry.path.iter().map(|word| &text[word.inner.clone()]).collect::<Vec<_>>(), &entry.node, rest, found);
                }
            }
            (Value::List { items, .. }, [Part::Item(at), rest @ ..]) => {
                if let Some(item) = items.get(*at) {
                    below(text, &[], item, rest, found);
                }
            }
            _ => {}
        },
        _ => {}
    }
}

/// Where a value goes: what it replaces, and whether it brings its quotes.
struct Slot {
    replace: Range<usize>,
    before: &'static str,
    after: &'static str,
    /// Between quotes already, where only texts fit.
    quoted: bool,
}

impl Slot {
    fn of(text: &str, node: Option<&Node>, offset: usize) -> Option<Self> {
        let Some(node) = node else { return Some(Self { replace: offset..offset, before: "\"", after: "\"", quoted: false }) };
        match &node.value {
            Value::Text { inner, closed } if inner.start <= offset && offset <= inner.end => {
                let quote = match &text[node.range.start..inner.start] {
                    "\"" => "\"",
                    "'" => "'",
                    _ => return None,
                };
                // What follows an open quote on the line is probably not meant to be in it.
                let (end, after) = if *closed { (inner.end, "") } else { (offset, quote) };
                Some(Self { replace: inner.start..end, before: "", after, quoted: true })
            }
            Value::Other => Some(Self { replace: node.range.clone(), before: "\"", after: "\"", quoted: false }),
            Value::Missing => Some(Self { replace: offset..offset, before: "\"", after: "\"", quoted: false }),
            _ => None,
        }
    }

    fn put(&self, label: &str, what: What, detail: String, doc: String) -> Suggestion {
        let insert = format!("{}{label}{}", self.before, self.after);
        Suggestion { label: label.to_owned(), what, detail, doc, insert, replace: self.replace.clone() }
    }

    fn kind(&self, kind: &Kind) -> Suggestion {
        self.put(kind.name, What::Kind, kind.summary.to_owned(), told(kind))
    }

    /// Texts of a list; in brackets where the list is not there yet.
    fn in_list(&self, path: &[Part], texts: impl Iterator<Item = (String, What, String, String)>) -> Vec<Suggestion> {
        let outside = matches!(path.last(), Some(Part::Key(_)));
        let one = |(label, what, detail, doc): (String, What, String, String)| {
            let mut suggestion = self.put(&label, what, detail, doc);
            if outside && !self.quoted {
                suggestion.insert = format!("[{}]", suggestion.insert);
            }
            suggestion
        };
        texts.map(one).collect()
    }

    fn value(&self, value: &Json, doc: &str, default: bool) -> Suggestion {
        let detail = if default { "default".to_owned() } else { String::new() };
        if let Some(text) = value.as_str() {
            return self.put(text, What::Value, detail, doc.to_owned());
        }
        let mut suggestion = self.put(&value.to_string(), What::Value, detail, doc.to_owned());
        if !self.quoted {
            suggestion.insert = value.to_string();
        }
        suggestion
    }
}

/// Headers that may stand in place of the one at the cursor.
fn headers(document: &Document, section: &Section, offset: usize) -> Vec<Suggestion> {
    let line = document.text()[offset..].find('\n').map_or(document.text().len(), |length| offset + length);
    let replace = section.header.start..section.header.end.min(line).max(offset);
    let below_step = document.tree().sections.iter().any(|one| one.step.is_some() && one.header.start < section.header.start);
    let mut all = vec![
        ("[[steps]]", "A step: what is done."),
        ("[[finally]]", "A step that runs once the rest is over, however it ended."),
        ("[vars.NAME]", "An input: it becomes a flag of `formula run`."),
        ("[secrets.NAME]", "A secret, handed only to steps that name it."),
        ("[env]", "Variables of the environment that templates may see."),
    ];
    if below_step {
        all.push(("[steps.with]", "Params of the step above, a line each."));
        all.push(("[steps.env]", "Environment variables of the step above."));
    }
    let one = |(label, doc): (&str, &str)| Suggestion {
        label: label.to_owned(),
        what: What::Key,
        detail: String::new(),
        doc: doc.to_owned(),
        insert: label.to_owned(),
        replace: replace.clone(),
    };
    all.into_iter().map(one).collect()
}
