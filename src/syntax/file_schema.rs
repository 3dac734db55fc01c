//! The JSON Schema of formula files, for editors: every key with its meaning, every kind with its params.
//!
//! An editor checks shapes as somebody types; names, templates and order are `formula check`'s. The schema must not refuse what the reader
//! takes, so wherever a value other than a text is asked for, a template does as well.

use serde_json::{Map, Value, json};

use super::gates;
use super::kinds::{Builtin, Kinds};
use super::vars::TYPES;

/// The schema.
pub fn file_schema(kinds: &Builtin) -> Value {
    let mut defs = Map::new();
    defs.insert(
        "template".into(),
        json!({ "type": "string", "pattern": "\\{\\{", "description": "A template, such as `{{ vars.name }}`." }),
    );
    defs.insert("duration".into(), json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" }));
    defs.insert("texts".into(), json!({ "type": "array", "items": { "type": "string" } }));
    defs.insert("var".into(), var());
    defs.insert("secret".into(), secret());
    defs.insert("env".into(), declared_env());
    let mut choices = Vec::new();
    let mut rules = Vec::new();
    for kind in kinds.names() {
        choices.push((kind, told(kind).0));
        let name = format!("with-{kind}");
        let Some(params) = kinds.params_schema(kind) else { continue };
        let mut then = json!({ "properties": { "with": { "$ref": format!("#/$defs/{name}") } } });
        if params["required"].as_array().is_some_and(|required| !required.is_empty()) {
            then["required"] = json!(["with"]);
        }
        rules.push(json!({ "if": { "properties": { "uses": { "const": kind } }, "required": ["uses"] }, "then": then }));
        params_of(&name, params, &mut defs);
        describe(kind, &mut defs[&name]);
    }
    let mut step = step(&choices);
    step["allOf"] = rules.into();
    defs.insert("step".into(), step);
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Formula",
        "description": "A formula: steps that form a DAG, with inputs, secrets and what to do on failure.",
        "type": "object",
        "required": ["name", "steps"],
        "additionalProperties": false,
        "properties": document(),
        "$defs": defs
    });
    keep_words(&mut schema);
    schema
}

/// Says on `with` what the kind does, and shows it.
fn describe(kind: &str, with: &mut Value) {
    let (summary, example) = told(kind);
    with["description"] = format!("Params of `{kind}`: {summary}.\n\n```toml\n{}\n```", example.trim()).into();
    let table = toml::from_str::<Value>(example).unwrap_or_default();
    let shown = &table["steps"][0]["with"];
    if shown.is_object() {
        with["examples"] = json!([shown]);
    }
}

/// What stands beside a reference does not count in this draft of JSON Schema, and editors would not show it.
fn keep_words(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.len() > 1 && object.get("$ref").is_some_and(Value::is_string) {
                let target = object.remove("$ref");
                object.insert("allOf".into(), json!([{ "$ref": target }]));
            }
            object.values_mut().for_each(keep_words);
        }
        Value::Array(items) => items.iter_mut().for_each(keep_words),
        _ => {}
    }
}

fn document() -> Value {
    let prose = "Kept for tools that read it; nothing here acts on it.";
    json!({
        "name": { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$", "description": "The name, equal to the file's without `.toml`." },
        "description": { "type": "string", "description": "One line for `formula list`." },
        "version": { "type": "integer", "minimum": 1, "default": 1, "description": "Revision of this formula. The version to release is a var." },
        "on_failure": {
            "enum": ["hold", "rollback"],
            "default": "hold",
            "description": "`hold` keeps a failed run for a person, `rollback` takes back what it made."
        },
        "max_parallel": { "type": "integer", "minimum": 1, "default": 4, "description": "Steps that may run at once." },
        "lock": { "type": "string", "default": "workdir", "description": "What no two runs may touch at once; `workdir` for the working directory." },
        "vars": { "type": "object", "additionalProperties": { "$ref": "#/$defs/var" }, "description": "Inputs: each becomes a flag of `formula run`." },
        "secrets": {
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/secret" },
            "description": "Secrets, resolved before the first effect and handed only to steps that name them."
        },
        "env": {
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/env" },
            "description": "Environment variables that templates may see, with their defaults."
        },
        "steps": {
            "type": "array",
            "minItems": 1,
            "items": { "$ref": "#/$defs/step" },
            "description": "What is done. A step without `needs` follows the one written before it."
        },
        "finally": { "type": "array", "items": { "$ref": "#/$defs/step" }, "description": "What is done once the rest is over, however it ended." },
        "test": { "type": "object", "description": "What `formula test` rehearses, with the keys of a test file: vars, world, shell, gates, fault, expect." },
        "model": { "type": "string", "description": prose },
        "tools": { "$ref": "#/$defs/texts", "description": prose },
        "context": { "type": "object", "description": prose },
        "allowed_tools": { "$ref": "#/$defs/texts", "description": prose },
        "disallowed_commands": { "$ref": "#/$defs/texts", "description": prose },
        "stack_script": { "type": "string", "description": prose },
        "timeout_minutes": { "type": "integer", "minimum": 0, "description": prose },
        "project": { "type": "object", "description": prose }
    })
}

fn var() -> Value {
    let types: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "type": { "enum": types, "default": "string", "description": "What a value must look like." },
            "description": { "type": "string", "description": "One line for `formula run NAME --help`." },
            "required": { "type": "boolean", "default": false, "description": "Must be given; else a default is needed." },
            "default": { "description": "What it is where nobody gives it. A text may be a template over other vars." },
            "pattern": { "type": "string", "description": "A regular expression that the text must match." },
            "choices": { "type": "array", "items": { "type": "string" }, "minItems": 1, "description": "The values of an enum." }
        }
    })
}

fn secret() -> Value {
    let source = json!({ "type": "string", "pattern": "^(env|file|sops|age|command):." });
    let from = "Sources in order: `env:NAME`, `file:PATH`, `sops:FILE#KEY`, `age:FILE`, `command:ARGV`. The first that has it wins.";
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["from"],
        "properties": {
            "from": { "anyOf": [source, { "type": "array", "items": source, "minItems": 1 }], "description": from },
            "required": { "type": "boolean", "default": true, "description": "Whether a run may not start without it." },
            "description": { "type": "string", "description": "What it is for." }
        }
    })
}

fn declared_env() -> Value {
    json!({
        "anyOf": [
            { "type": "string", "description": "Its default." },
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "default": { "type": "string", "description": "What it is where the environment has none." },
                    "description": { "type": "string", "description": "What it is for." }
                }
            }
        ]
    })
}

fn step(kinds: &[(&'static str, &'static str)]) -> Value {
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let summaries: Vec<&str> = kinds.iter().map(|(_, summary)| *summary).collect();
    let listed: Vec<String> = kinds.iter().map(|(name, summary)| format!("- `{name}`: {summary}")).collect();
    let uses = format!("The kind. Without one the step is prose, and the formula cannot run.\n\n{}", listed.join("\n"));
    let list = "A list: one step per item, which templates see as `item`.";
    json!({
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "description": "Its name within this file." },
            "title": { "type": "string", "description": "For people." },
            "description": { "type": "string", "description": "Prose; never a template." },
            "uses": { "enum": names, "description": uses, "x-taplo": { "docs": { "enumValues": summaries } } },
            "with": { "type": "object", "description": "Params of the kind; `formula steps KIND` lists them." },
            "env": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "Environment variables for what it starts; templates."
            },
            "needs": { "$ref": "#/$defs/texts", "description": "Steps that come before it. Left out: the step written before it. `[]`: none." },
            "if": {
                "type": ["string", "boolean"],
                // As the reader judges it: any other text would hold whatever it says.
                "pattern": r"^\s*(|true|false|0|1|\{\{[\s\S]*\}\})\s*$",
                "description": "A template; the step is skipped where it gives nothing, `false` or `0`."
            },
            "foreach": { "anyOf": [{ "$ref": "#/$defs/template" }, { "$ref": "#/$defs/texts" }], "description": list },
            "retry": {
                "type": "object",
                "required": ["attempts"],
                "additionalProperties": false,
                "properties": {
                    "attempts": { "type": "integer", "minimum": 1, "description": "Attempts in all." },
                    "wait": { "type": "string", "default": "1s..30s", "description": "The first and the longest wait, doubling in between: `2s..30s`." }
                },
                "description": "How often it is tried where a failure may go away by itself."
            },
            "timeout": { "$ref": "#/$defs/duration", "description": "Hard limit of one attempt, such as `30m`." },
            "secrets": { "$ref": "#/$defs/texts", "description": "Names of the secrets handed to it." }
        }
    })
}

/// One line, and an example.
fn told(kind: &str) -> (&'static str, &'static str) {
    let own = || gates::OWN.iter().find(|own| own.kind == kind).map(|own| (own.summary, own.example));
    formula_steps::find(kind).map(|step| (step.meta().summary, step.meta().example)).or_else(own).unwrap_or_default()
}

/// Puts a kind's schema below `$defs`, with the definitions it brings along under names of their own.
fn params_of(name: &str, schema: &Value, defs: &mut Map<String, Value>) {
    let mut schema = schema.clone();
    let inner = schema.as_object_mut().and_then(|object| {
        object.remove("$schema");
        object.remove("title");
        object.remove("$defs")
    });
    let mut add = |key: String, mut schema: Value| {
        move_references(&mut schema, name);
        take_templates(&mut schema);
        defs.insert(key, schema);
    };
    add(name.to_owned(), schema);
    if let Some(Value::Object(inner)) = inner {
        inner.into_iter().for_each(|(key, schema)| add(format!("{name}-{key}"), schema));
    }
}

fn move_references(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "$ref" => {
                        if let Some(rest) = text.strip_prefix("#/$defs/") {
                            *text = format!("#/$defs/{name}-{rest}");
                        }
                    }
                    other => move_references(other, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, name)),
        _ => {}
    }
}

/// Lets a template stand for every value inside tables and lists.
fn take_templates(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(branches)) = object.get_mut(key) {
            branches.iter_mut().for_each(take_templates);
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(or_template);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner @ Value::Object(_)) = object.get_mut(key) {
            or_template(inner);
        }
    }
}

fn or_template(schema: &mut Value) {
    take_templates(schema);
    let Value::Object(object) = schema else { return };
    let has = |key: &&str| object.contains_key(*key);
    let says_nothing = !["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"].iter().any(has);
    let is_text = match object.get("type") {
        Some(Value::String(one)) => one == "string",
        Some(Value::Array(several)) => several.iter().any(|one| one == "string"),
        _ => false,
    };
    let any_text = is_text && !["pattern", "enum", "const", "format", "maxLength"].iter().any(has);
    if says_nothing || any_text {
        return;
    }
    // What an editor shows stays on the outside.
    let mut outer = Map::new();
    for key in ["description", "default"] {
        if let Some(value) = object.remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    let inner = Value::Object(std::mem::take(object));
    outer.insert("anyOf".into(), json!([inner, { "$ref": "#/$defs/template" }]));
    *object = outer;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(schema: &Value) -> Vec<String> {
        let mut keys: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn sorted(keys: &[&str]) -> Vec<String> {
        let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort();
        keys
    }

    #[test]
    fn every_key_that_the_reader_knows_is_there_and_no_other() {
        let schema = file_schema(&Builtin::default());
        assert_eq!(keys(&schema), sorted(&super::super::document::KEYS));
        assert_eq!(keys(&schema["$defs"]["step"]), sorted(&super::super::step::KEYS));
        assert_eq!(keys(&schema["$defs"]["var"]), sorted(&super::super::vars::KEYS));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(root: &Value, value: &Value, seen: &mut usize) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(target)) = object.get("$ref") {
                        *seen += 1;
                        assert!(root.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                    }
                    object.values().for_each(|value| walk(root, value, seen));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(root, item, seen)),
                _ => {}
            }
        }
        let schema = file_schema(&Builtin::default());
        let mut seen = 0;
        walk(&schema, &schema, &mut seen);
        assert!(seen > Builtin::default().names().len(), "{seen}");
    }

    #[test]
    fn templates_do_wherever_something_else_than_a_text_is_asked_for() {
        let mut schema = json!({
            "properties": {
                "text": { "type": "string" },
                "any": { "description": "d" },
                "flag": { "type": "boolean", "description": "d" },
                "mode": { "type": "string", "enum": ["a"] },
                "list": { "type": "array", "items": { "type": "integer" } }
            }
        });
        take_templates(&mut schema);
        let template = json!({ "$ref": "#/$defs/template" });
        assert_eq!(schema["properties"]["text"], json!({ "type": "string" }));
        assert_eq!(schema["properties"]["any"], json!({ "description": "d" }));
        assert_eq!(schema["properties"]["flag"], json!({ "description": "d", "anyOf": [{ "type": "boolean" }, template] }));
        assert_eq!(schema["properties"]["mode"]["anyOf"][1], template);
        assert_eq!(schema["properties"]["list"]["anyOf"][0]["items"]["anyOf"][1], template);
    }
}
