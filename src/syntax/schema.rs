//! Small questions to a JSON Schema as schemars writes them.

use serde_json::Value;

/// The schema itself, or what its `$ref` names.
pub fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // A definition that refers to itself without end says nothing.
    for _ in 0..16 {
        let Some(name) = schema["$ref"].as_str() else { return schema };
        let Some(found) = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else { return &Value::Bool(true) };
        schema = found;
    }
    &Value::Bool(true)
}

/// The alternatives of `anyOf` and `oneOf`, resolved, without null.
pub(super) fn branches<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let lists = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array());
    lists.flatten().map(|branch| resolve(root, branch)).filter(|branch| branch["type"] != "null").collect()
}

/// The JSON types that a schema takes, without null; empty for any.
pub(super) fn types(root: &Value, schema: &Value) -> Vec<String> {
    types_within(root, schema, 8)
}

fn types_within(root: &Value, schema: &Value, depth: u8) -> Vec<String> {
    let schema = resolve(root, schema);
    let mut types: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if types.is_empty() {
        types.extend(values(schema).iter().filter_map(|value| json_type(value)).map(str::to_owned));
    }
    if types.is_empty() && depth > 0 {
        for branch in branches(root, schema) {
            let some = types_within(root, branch, depth - 1);
            if some.is_empty() {
                return Vec::new();
            }
            types.extend(some);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            types.extend(types_within(root, part, depth - 1));
        }
    }
    types.retain(|name| name != "null");
    types.sort_unstable();
    types.dedup();
    types
}

fn json_type(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => return None,
    })
}

/// The fixed values of a schema, from `const` and `enum`.
pub(super) fn values(schema: &Value) -> Vec<Value> {
    match (&schema["const"], &schema["enum"]) {
        (Value::Null, Value::Array(values)) => values.iter().filter(|value| !value.is_null()).cloned().collect(),
        (Value::Null, _) => Vec::new(),
        (value, _) => vec![value.clone()],
    }
}

/// What a schema takes, in words that go after "must be".
pub fn describe(root: &Value, schema: &Value) -> String {
    describe_within(root, schema, 4)
}

fn describe_within(root: &Value, schema: &Value, depth: u8) -> String {
    let schema = resolve(root, schema);
    let fixed = values(schema);
    if !fixed.is_empty() {
        return one_of(&fixed);
    }
    if depth == 0 {
        return "something else".to_owned();
    }
    let branches = branches(root, schema);
    if !branches.is_empty() {
        let fixed: Vec<Value> = branches.iter().flat_map(|branch| values(branch)).collect();
        let mut parts = if fixed.is_empty() { Vec::new() } else { vec![one_of(&fixed)] };
        for branch in branches.iter().filter(|branch| values(branch).is_empty()) {
            let part = describe_within(root, branch, depth - 1);
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        return parts.join(" or ");
    }
    let names: Vec<String> = types(root, schema).iter().map(|name| describe_type(root, schema, name, depth)).collect();
    if names.is_empty() { "any value".to_owned() } else { names.join(" or ") }
}

fn describe_type(root: &Value, schema: &Value, name: &str, depth: u8) -> String {
    match name {
        "array" => match describe_within(root, &schema["items"], depth - 1).as_str() {
            "a text" => "a list of texts".to_owned(),
            "a table" => "a list of tables".to_owned(),
            "a whole number" => "a list of whole numbers".to_owned(),
            "a list of texts" => "a list of lists of texts".to_owned(),
            _ => "a list".to_owned(),
        },
        other => in_words(other).to_owned(),
    }
}

/// The name of a JSON type in words.
pub(super) fn in_words(name: &str) -> &'static str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "something else",
    }
}

fn one_of(values: &[Value]) -> String {
    let names: Vec<String> =
        values.iter().map(|value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect();
    match names.as_slice() {
        [one] => one.clone(),
        [first, second] => format!("{first} or {second}"),
        many => format!("one of {}", many.join(", ")),
    }
}
