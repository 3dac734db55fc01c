//! Where two worlds differ, field by field.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

/// Columns of a value that are shown.
const WIDEST: usize = 120;
/// Differences that are told; the first ones say what is wrong.
const MOST: usize = 50;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The way to it: `files > /box/.env > text`.
    pub field: String,
    /// What should be there; at most 120 columns.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// The world of a rehearsal as it is compared: without what belongs to the run alone.
pub(super) fn comparable(mut world: Value, own: &[&Path]) -> Value {
    if let Some(files) = world.get_mut("files").and_then(Value::as_object_mut) {
        files.retain(|path, _| !own.iter().any(|own| Path::new(path).starts_with(own)));
    }
    world
}

/// Without images that came to the engine since the start and that no container runs: they are content, and no state.
pub(super) fn without_new_images(mut world: Value, start: &Value) -> Value {
    let there: Vec<String> = start["docker"]["images"].as_object().into_iter().flatten().map(|(id, _)| id.clone()).collect();
    let containers = world["docker"]["containers"].as_object();
    let used: Vec<Value> = containers.into_iter().flatten().map(|(_, container)| container["image_id"].clone()).collect();
    if let Some(images) = world.get_mut("docker").and_then(|docker| docker.get_mut("images")).and_then(Value::as_object_mut) {
        images.retain(|id, _| there.contains(id) || used.iter().any(|used| used == id));
    }
    world
}

/// Where `found` is not `expected`, without fields below those of `ignored`.
pub(super) fn differences(expected: &Value, found: &Value, ignored: &[String]) -> Vec<Difference> {
    let mut all = Vec::new();
    compare("", Some(expected), Some(found), &mut all);
    all.retain(|difference| !ignored.iter().any(|field| is_below(&difference.field, field)));
    all.truncate(MOST);
    all
}

/// The fields that differ, without the lines of texts.
pub(super) fn fields(one: &Value, other: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", Some(one), Some(other), &mut all);
    all.into_iter().map(|difference| difference.field.split(" (line ").next().unwrap_or_default().to_owned()).collect()
}

fn is_below(field: &str, above: &str) -> bool {
    let below = |rest: &str| rest.starts_with(" > ") || rest.starts_with(" (line ");
    field == above || field.strip_prefix(above).is_some_and(below) || is_above(field, above)
}

/// A whole table that came or went holds the ignored field.
fn is_above(field: &str, below: &str) -> bool {
    below.strip_prefix(field).is_some_and(|rest| rest.starts_with(" > "))
}

fn compare(at: &str, expected: Option<&Value>, found: Option<&Value>, all: &mut Vec<Difference>) {
    if expected == found {
        return;
    }
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at} > {key}") };
    match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                compare(&below(key), one.get(key), other.get(key), all);
            }
        }
        (Some(Value::String(one)), Some(Value::String(other))) if one.contains('\n') || other.contains('\n') => {
            let line = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
            let nth = |text: &str| text.lines().nth(line).map_or_else(|| "(no such line)".to_owned(), short);
            let (expected, found) = (nth(one), nth(other));
            if expected == found {
                let tail = |text: &str| format!("{} lines, {} bytes", text.lines().count(), text.len());
                all.push(Difference { field: at.to_owned(), expected: tail(one), found: tail(other) });
            } else {
                all.push(Difference { field: format!("{at} (line {})", line + 1), expected, found });
            }
        }
        (expected, found) => all.push(Difference { field: at.to_owned(), expected: told(expected), found: told(found) }),
    }
}

fn told(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => short(text),
        Some(value) => short(&value.to_string()),
    }
}

/// At most so many columns, on one line.
pub(super) fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(WIDEST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.chars().nth(WIDEST).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_differs_is_named_and_long_ones_are_cut() {
        let long = "x".repeat(500);
        let one = json!({ "files": { "/a": { "text": "same\nold\n" }, "/b": { "text": "b" } }, "n": 1, "same": [1] });
        let other = json!({ "files": { "/a": { "text": "same\nnew\n" }, "/c": { "text": long } }, "n": 2, "same": [1] });
        let found = differences(&one, &other, &[]);
        let fields: Vec<&str> = found.iter().map(|difference| difference.field.as_str()).collect();
        assert_eq!(fields, ["files > /a > text (line 2)", "files > /b", "files > /c", "n"]);
        assert_eq!((found[0].expected.as_str(), found[0].found.as_str()), ("old", "new"));
        assert_eq!((found[1].found.as_str(), found[2].expected.as_str()), ("nothing", "nothing"));
        assert_eq!(found[2].found.chars().count(), 120);
        let ignored = ["files > /a".to_owned(), "files > /c > text".to_owned()];
        assert_eq!(differences(&one, &other, &ignored).len(), 2, "also where the whole table around it came");
    }
}
