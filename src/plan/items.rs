//! The items of a `foreach` and the ids they give.

use std::collections::HashMap;
use std::collections::HashSet;

use serde_json::{Value, json};

/// The longest part of an item that goes into an id.
const LONGEST: usize = 64;

/// An item with the text that stands for it in ids: `mirror[codeberg]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Unique among its siblings.
    pub label: String,
    /// What templates see as `item`.
    pub value: Value,
}

/// The items of a list or a table; nothing for null and empty text.
///
/// # Errors
/// Says what the value is instead.
pub(super) fn items(list: &Value) -> Result<Vec<Item>, &'static str> {
    let mut labels = Labels::default();
    match list {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::Array(items) => Ok(items
            .iter()
            .enumerate()
            .map(|(index, value)| Item { label: labels.take(value.as_str().unwrap_or_default(), index), value: value.clone() })
            .collect()),
        Value::Object(map) => Ok(map
            .iter()
            .enumerate()
            .map(|(index, (key, value))| Item { label: labels.take(key, index), value: json!({ "key": key, "value": value }) })
            .collect()),
        Value::String(_) => Err("a text"),
        Value::Number(_) => Err("a number"),
        Value::Bool(_) => Err("a bool"),
    }
}

#[derive(Default)]
struct Labels {
    taken: HashSet<String>,
    /// The last number that made a base unique.
    numbers: HashMap<String, usize>,
}

impl Labels {
    fn take(&mut self, text: &str, index: usize) -> String {
        let base = cleaned(text, index);
        let mut label = base.clone();
        while !self.taken.insert(label.clone()) {
            let number = self.numbers.entry(base.clone()).or_insert(1);
            *number += 1;
            label = format!("{base}-{number}");
        }
        label
    }
}

fn cleaned(text: &str, index: usize) -> String {
    let keep = |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') { letter } else { '-' };
    let label: String = text.chars().take(LONGEST).map(keep).collect();
    if label.is_empty() { index.to_string() } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(list: &Value) -> Vec<String> {
        items(list).unwrap().into_iter().map(|item| item.label).collect()
    }

    #[test]
    fn labels_are_readable_and_unique() {
        assert_eq!(
            labels(&json!(["codeberg", "a/b c", "a-b-c", "a/b/c", "", 7, { "x": 1 }, "ü"])),
            ["codeberg", "a-b-c", "a-b-c-2", "a-b-c-3", "4", "5", "6", "-"]
        );
        assert_eq!(labels(&json!(["x", "x-2", "x"])), ["x", "x-2", "x-3"]);
        assert_eq!(labels(&json!({ "k": "v" })), ["k"]);
        assert_eq!(items(&json!({ "k": "v" })).unwrap()[0].value, json!({ "key": "k", "value": "v" }));
        assert_eq!(labels(&json!(["é".repeat(200)]))[0].len(), 64);
        assert_eq!(items(&Value::Null), Ok(Vec::new()));
        assert_eq!(items(&json!("a,b")), Err("a text"));
    }

    #[test]
    fn many_equal_items_cost_no_more_than_others() {
        let many = labels(&json!(vec!["x"; 50_000]));
        assert_eq!(many[49_999], "x-50000");
    }
}
