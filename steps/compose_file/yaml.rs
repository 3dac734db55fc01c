//! YAML as this module reads it: every scalar a text, every key with its line, tables in the order of the file with duplicates
//! still there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Budget, DuplicateKeyPolicy, Options, Spanned};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// Any scalar, as text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Vec<Entry>),
}

/// An entry of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its key.
    pub key: String,
    /// The line of the key, from 1.
    pub line: usize,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The entries; none of what is no table.
    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The items; none of what is no list.
    pub(super) fn items(&self) -> &[Node] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Keys of a table, or the texts of a list.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Table(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            Self::List(items) => items.iter().filter_map(Self::text).collect(),
            _ => Vec::new(),
        }
    }
}

/// One line, for comparing and showing.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { " " } else { "" })?;
                }
                Ok(())
            }
            Self::Table(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    write!(f, "{}{}={}", if index > 0 { " " } else { "" }, entry.key, entry.value)?;
                }
                Ok(())
            }
        }
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Node, D::Error> {
        Node::deserialize(value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut table = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let line = usize::try_from(key.referenced.line()).unwrap_or_default();
            table.push(Entry { key: key.value, line, value: entries.next_value()? });
        }
        Ok(Node::Table(table))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

/// Strict about what is a number or a truth value; generous about size, since a stanza may be shared by hundreds of services.
fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    let mut budget = Budget::default();
    budget.enforce_alias_anchor_ratio = false;
    budget.max_nodes = 2_000_000;
    budget.max_events = 4_000_000;
    serde_saphyr::options! {
        budget: Some(budget),
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Node, String> {
    serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::PassThrough)).map_err(|error| told(&error))
}

/// Reads a document as data; a key that is there twice is an error.
pub(super) fn data(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::Error)).map_err(|error| told(&error))
}

/// `line L, column C: what`.
fn told(error: &serde_saphyr::Error) -> String {
    let whole = error.without_snippet().to_string();
    let first = whole.lines().next().unwrap_or_default();
    let Some(location) = error.location() else { return first.to_owned() };
    // The library ends its messages with the place.
    let what = first.split(" at line ").next().unwrap_or(first);
    format!("line {}, column {}: {what}", location.line(), location.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_texts_keys_have_lines_and_duplicates_stay() {
        let node = read("a: yes\nb: 010\nc:\n  x: 1\n  x: 2\nd: [on, ~, '7']\n").unwrap();
        assert_eq!(node.get("a").unwrap().text(), Some("yes"));
        assert_eq!(node.get("b").unwrap().text(), Some("010"));
        let c = node.get("c").unwrap().entries();
        assert_eq!(c.iter().map(|entry| (entry.key.as_str(), entry.line)).collect::<Vec<_>>(), [("x", 4), ("x", 5)]);
        assert_eq!(node.get("d").unwrap().items(), [Node::Text("on".into()), Node::Null, Node::Text("7".into())]);
    }

    #[test]
    fn merged_keys_are_there_once_and_give_way_to_ones_own() {
        let node = read("base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  b: 3\n").unwrap();
        let own = node.get("own").unwrap();
        assert_eq!(own.get("a").unwrap().text(), Some("1"));
        let of_b: Vec<_> = own.entries().iter().filter(|entry| entry.key == "b").map(|entry| entry.value.text()).collect();
        assert_eq!(of_b, [Some("3")]);
    }
}
