//! As much of JSON Schema as the schemas of this program use; an unknown keyword is an error of the test, never passed over.

use regex::Regex;
use serde_json::Value;

/// What in `value` the schema does not allow, one line a finding, a JSON pointer first.
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

/// Keywords that say nothing about a value.
const SILENT: [&str; 13] = [
    "$schema",
    "$id",
    "definitions",
    "$defs",
    "title",
    "description",
    "default",
    "format",
    "x-taplo",
    "then",
    "additionalProperties",
    "examples",
    "$ref",
];

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let object = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => return found.push(format!("{at}: nothing is allowed here")),
        Value::Object(object) => object,
        other => panic!("no schema: {other}"),
    };
    let fits = |schema: &Value| {
        let mut inner = Vec::new();
        check(root, schema, value, at, &mut inner);
        inner.is_empty()
    };
    let list = |schema: &Value| schema.as_array().cloned().unwrap_or_default();
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("`{target}` leads nowhere"));
        check(root, target, value, at, found);
    }
    for (keyword, rule) in object {
        let ok = match keyword.as_str() {
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is(name, value)),
                name => is(name, value),
            },
            "const" => value == rule,
            "enum" => list(rule).contains(value),
            "anyOf" => list(rule).iter().any(fits),
            "oneOf" => list(rule).iter().filter(|schema| fits(schema)).count() == 1,
            "allOf" => {
                for schema in list(rule) {
                    check(root, &schema, value, at, found);
                }
                true
            }
            "if" => {
                if fits(rule) {
                    check(root, &object["then"], value, at, found);
                }
                true
            }
            "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().expect("a text")).expect("a pattern").is_match(text)),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number")),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a number")),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("a count")),
            "uniqueItems" => {
                let unique = |items: &Vec<Value>| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item));
                rule != &Value::Bool(true) || value.as_array().is_none_or(unique)
            }
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().expect("a count")),
            "required" => {
                value.as_object().is_none_or(|table| list(rule).iter().all(|name| table.contains_key(name.as_str().expect("a name"))))
            }
            "items" => {
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .enumerate()
                    .for_each(|(index, item)| check(root, rule, item, &format!("{at}/{index}"), found));
                true
            }
            "properties" => true,
            silent if SILENT.contains(&silent) => true,
            unknown => panic!("the test does not know the keyword `{unknown}`"),
        };
        if !ok {
            found.push(format!("{at}: `{keyword}` {rule} does not hold for {value}"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match (object.get("properties").and_then(|properties| properties.get(name)), object.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => check(root, schema, inner, &at, found),
            (None, None) => {}
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the test does not know the type `{other}`"),
    }
}
