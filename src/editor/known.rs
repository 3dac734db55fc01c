//! What may stand where, and what it means: the schema of the file, followed along a path.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::document::Step;
use super::place::Part;
use crate::syntax::manual::{self, Field, Kind};
use crate::syntax::{Builtin, Kinds as _, file_schema, schema};

/// Helpers of templates, with what each gives.
pub const HELPERS: [(&str, &str, &str); 14] = [
    ("eq", "eq a b", "whether both are the same"),
    ("ne", "ne a b", "whether they differ"),
    ("and", "and a b…", "whether all hold"),
    ("or", "or a b…", "whether one holds"),
    ("not", "not a", "whether it does not hold"),
    ("default", "default a b", "`a`, or `b` where `a` is missing, null or empty"),
    ("join", "join list \",\"", "the items of a list as one text"),
    ("json", "json a", "any value as JSON"),
    ("strip_v", "strip_v a", "the text without its leading `v`"),
    ("semver_gt", "semver_gt a b", "whether version `a` is newer"),
    ("semver_ge", "semver_ge a b", "whether version `a` is newer or the same"),
    ("semver_lt", "semver_lt a b", "whether version `a` is older"),
    ("semver_le", "semver_le a b", "whether version `a` is older or the same"),
    ("semver_eq", "semver_eq a b", "whether both versions are the same"),
];

/// What `run` has.
pub const RUN: [(&str, &str); 5] = [
    ("id", "Id of this run"),
    ("key", "What tells this run from others of the same formula"),
    ("formula", "Name of the formula"),
    ("started", "When the run began, as in 2026-01-02T03:04:05Z"),
    ("summary", "How the run went; only in steps of [[finally]]"),
];

/// The kinds and the schema, made when first asked for.
#[derive(Default)]
pub struct Known {
    /// The kinds.
    pub kinds: Builtin,
    schema: OnceLock<Value>,
    manual: OnceLock<HashMap<&'static str, Kind>>,
}

/// A place in the schema: everything that may stand there.
pub(super) struct Spot<'k> {
    root: &'k Value,
    /// The schemas, none of them a reference or a choice.
    pub schemas: Vec<&'k Value>,
    /// As they were before references and choices were followed: these have the words.
    told: Vec<&'k Value>,
}

impl Known {
    fn schema(&self) -> &Value {
        self.schema.get_or_init(|| file_schema(&self.kinds))
    }

    /// What is told of a kind.
    pub(super) fn kind(&self, name: &str) -> Option<&Kind> {
        self.manual.get_or_init(|| manual::all().into_iter().map(|kind| (kind.name, kind)).collect()).get(name)
    }

    /// All kinds in the order of lists.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.names().into_iter().filter_map(|name| self.kind(name))
    }

    /// What may stand at a path, in a step of that kind.
    pub(super) fn at(&self, path: &[Part], uses: Option<&str>) -> Spot<'_> {
        let root = self.schema();
        let mut spot = Spot { root, schemas: flat(root, root), told: vec![root] };
        for (depth, part) in path.iter().enumerate() {
            let is_with = depth == 2 && *part == Part::Key("with".into()) && matches!(path[1], Part::Item(_));
            let kind = uses.filter(|_| is_with).and_then(|kind| root["$defs"].get(format!("with-{kind}")));
            spot = match kind {
                Some(with) => Spot { root, schemas: flat(root, with), told: vec![&root["$defs"]["step"]["properties"]["with"]] },
                None => spot.below(part),
            };
        }
        spot
    }

    /// The outputs of a step: a schema of a table; None where they are not known before a run is planned.
    pub(super) fn outputs(&self, step: &Step) -> Option<Value> {
        self.kinds.output_schema(step.uses.as_deref()?, &Value::Object(step.with.clone()))
    }
}

impl<'k> Spot<'k> {
    fn below(&self, part: &Part) -> Spot<'k> {
        let next = |schema: &'k Value| match part {
            Part::Key(key) => schema["properties"].get(key).or_else(|| schema.get("additionalProperties")),
            Part::Item(_) => schema.get("items"),
        };
        let told: Vec<&'k Value> = self.schemas.iter().filter_map(|schema| next(schema)).filter(|schema| schema.is_object()).collect();
        let schemas = told.iter().flat_map(|schema| flat(self.root, schema)).collect();
        Spot { root: self.root, schemas, told }
    }

    /// The keys of a table there, each once.
    pub(super) fn keys(&self) -> Vec<&'k str> {
        let mut keys: Vec<&str> = Vec::new();
        for properties in self.schemas.iter().filter_map(|schema| schema["properties"].as_object()) {
            keys.extend(properties.keys().map(String::as_str).filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        }
        keys
    }

    /// Whether a key must be there.
    pub(super) fn requires(&self, key: &str) -> bool {
        let tables: Vec<_> = self.schemas.iter().filter(|schema| schema["properties"].get(key).is_some()).collect();
        let required = |schema: &Value| schema["required"].as_array().is_some_and(|list| list.iter().any(|one| one == key));
        !tables.is_empty() && tables.iter().all(|schema| required(schema))
    }

    /// The place of a key.
    pub(super) fn key(&self, key: &str) -> Spot<'k> {
        self.below(&Part::Key(key.to_owned()))
    }

    /// The fixed values, each with what it means.
    pub(super) fn values(&self) -> Vec<(Value, &'k str)> {
        let mut values: Vec<(Value, &str)> = Vec::new();
        for schema in &self.schemas {
            let doc = schema["description"].as_str().unwrap_or_default();
            let one = schema.get("const").into_iter();
            for value in one.chain(schema["enum"].as_array().into_iter().flatten()).filter(|value| !value.is_null()) {
                if !values.iter().any(|(known, _)| known == value) {
                    values.push((value.clone(), if schema.get("const").is_some() { doc } else { "" }));
                }
            }
            if schema["type"] == "boolean" && values.is_empty() {
                values.extend([(json!(true), ""), (json!(false), "")]);
            }
        }
        values
    }

    /// What it takes, in words.
    pub(super) fn takes(&self) -> String {
        let known: Vec<&Value> = self.schemas.iter().copied().filter(|schema| schema["pattern"] != "\\{\\{").collect();
        match known.as_slice() {
            [] => String::new(),
            [one] => schema::describe(self.root, one),
            many => schema::describe(self.root, &json!({ "anyOf": many })),
        }
    }

    /// What it is for.
    pub(super) fn doc(&self) -> &'k str {
        self.told.iter().chain(&self.schemas).find_map(|schema| schema["description"].as_str()).unwrap_or_default()
    }

    /// What it is where it is left out.
    pub(super) fn default(&self) -> Option<&'k Value> {
        self.told.iter().chain(&self.schemas).find_map(|schema| schema.get("default")).filter(|value| !value.is_null())
    }
}

/// Follows references and choices; templates, which may stand for anything, are left out where something else is named.
fn flat<'k>(root: &'k Value, schema: &'k Value) -> Vec<&'k Value> {
    fn walk<'k>(root: &'k Value, schema: &'k Value, depth: u8, found: &mut Vec<&'k Value>) {
        let schema = schema::resolve(root, schema);
        let choices: Vec<&Value> = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).flatten().collect();
        if choices.is_empty() || schema["properties"].is_object() {
            found.push(schema);
        }
        if depth < 8 {
            choices.iter().filter(|choice| choice.get("if").is_none()).for_each(|choice| walk(root, choice, depth + 1, found));
        }
    }
    let mut found = Vec::new();
    walk(root, schema, 0, &mut found);
    found
}

/// The fields of a table at a path below an output schema; None where it is no table or not known.
pub(super) fn fields_below(root: &Value, path: &[String]) -> Option<Map<String, Value>> {
    let mut schema = schema::resolve(root, root);
    for name in path {
        schema = schema::resolve(root, schema["properties"].get(name)?);
    }
    let properties = schema["properties"].as_object()?;
    Some(properties.iter().map(|(name, field)| (name.clone(), field.clone())).collect())
}

/// All that is told of a kind, in Markdown.
pub(super) fn told(kind: &Kind) -> String {
    use std::fmt::Write as _;
    let mut text = format!("**{}**: {}\n\n", kind.name, kind.summary);
    for (name, words) in [("Effect", kind.effect()), ("Undo", kind.undo()), ("After a crash", kind.repeat())] {
        let _ = writeln!(text, "- {name}: {words}");
    }
    let mut list = |title: &str, fields: &[Field], marks: bool| {
        let fields: Vec<&Field> = fields.iter().filter(|field| !field.name.contains(['.', '['])).collect();
        if fields.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{title}\n");
        for field in fields {
            let needed = if marks && field.required { ", required" } else { "" };
            let doc = field.doc.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "- `{}` ({}{needed}): {doc}", field.name, field.takes);
        }
    };
    list("Takes", &manual::fields(&kind.params), true);
    list("Gives", &kind.outputs.as_ref().map(manual::fields).unwrap_or_default(), false);
    let _ = write!(text, "\n```toml\n{}\n```", kind.example);
    text
}
