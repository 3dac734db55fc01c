//! What `--json` prints.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::kind::fields;
use super::cell;
use crate::model::line_schema;
use crate::syntax::schema::resolve;

/// The page.
pub(super) fn page() -> String {
    let schema = line_schema();
    let mut page = String::from(
        "# Events\n\n\
         `--json` prints one envelope a line, in order, and the verdict as the last line; nothing else goes to stdout. What is printed is what the\n\
         journal holds: redacted, and the same whenever it is read again (`formula log RUN --json --since SEQ`). `formula schema --events` prints\n\
         the JSON Schema. Steps are named by full id, such as `mirror[github]` and `notify/send`.\n\n\
         ```json\n{\"v\":1,\"run\":\"01J…\",\"seq\":7,\"at\":\"2026-01-02T03:04:05.678Z\",\"event\":{\"type\":\"attempt_started\",\"step\":\"build\",\"attempt\":1}}\n```\n\n\
         ## Envelope\n\n",
    );
    page.push_str(&table(&schema, &schema["$defs"]["Envelope"], &[]));
    for event in schema["$defs"]["Event"]["oneOf"].as_array().into_iter().flatten() {
        let name = event["properties"]["type"]["const"].as_str().unwrap_or_default();
        let _ = writeln!(page, "\n## `{name}`\n\n{}\n", event["description"].as_str().unwrap_or_default());
        page.push_str(&table(&schema, event, &["type"]));
    }
    page.push_str("\n## Verdict\n\nThe last line: `{\"v\":1,\"run\":\"…\",\"verdict\":{…}}`. A command that fails before there is a run says `\"run\":null`,\nwith the outcome `refused`, its exit code, its message, and what it names to be typed next.\n\n");
    page.push_str(&table(&schema, &schema["$defs"]["Verdict"], &[]));
    page.push_str("\n## Values\n");
    for name in ["Payload", "Probe", "ProbeReason", "Class", "Outcome", "SettleAnswer"] {
        let definition = &schema["$defs"][name];
        let _ = writeln!(page, "\n### {name}\n\n{}\n", definition["description"].as_str().unwrap_or_default());
        for variant in definition["oneOf"].as_array().into_iter().flatten() {
            let _ = writeln!(page, "- {}: {}", variant_name(variant), variant["description"].as_str().unwrap_or_default());
        }
    }
    page
}

/// The fields of a table of the schema.
fn table(schema: &Value, of: &Value, without: &[&str]) -> String {
    let mut rows = String::new();
    let properties = of["properties"].as_object().into_iter().flatten();
    let required = |name: &str| of["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
    for (name, field) in properties.filter(|(name, _)| !without.contains(&name.as_str())) {
        let doc = [field, resolve(schema, field)].into_iter().find_map(|schema| schema["description"].as_str()).unwrap_or_default();
        let always = if required(name) { "always" } else { "" };
        let _ = writeln!(rows, "| `{name}` | {} | {always} | {} |", takes(schema, field), cell(doc));
    }
    if rows.is_empty() {
        return "No fields.\n".to_owned();
    }
    format!("| Field | Is | | What |\n|---|---|---|---|\n{rows}")
}

/// What a field is: the name of a type below, or in words.
fn takes(schema: &Value, field: &Value) -> String {
    let named =
        [&field["$ref"], &field["anyOf"][0]["$ref"]].into_iter().find_map(|name| name.as_str()).and_then(|name| name.rsplit('/').next());
    match named {
        Some(name @ ("Payload" | "Probe" | "ProbeReason" | "Class" | "Outcome" | "SettleAnswer")) => {
            format!("[{name}](#{})", name.to_ascii_lowercase())
        }
        Some("Timestamp") => "a time".to_owned(),
        Some("Event") => "one of the events below".to_owned(),
        _ => crate::syntax::schema::describe(schema, field),
    }
}

fn variant_name(variant: &Value) -> String {
    if let Some(name) = variant["const"].as_str() {
        return format!("`{name}`");
    }
    if let Some(verdict) = variant["properties"]["verdict"]["const"].as_str() {
        let more: Vec<String> = fields(variant)
            .into_iter()
            .filter(|field| field.name != "verdict" && !field.name.contains('.'))
            .map(|field| format!("`{}`", field.name))
            .collect();
        return format!("`{verdict}` with {}", more.join(", "));
    }
    let keys: Vec<String> = variant["properties"].as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
    keys.join(", ")
}
