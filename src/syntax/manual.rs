//! What is known of a kind, for `formula steps`, the reference and editors.

use std::collections::HashSet;

use formula_steps::contract::{Behaviour, Effect, Repeat, Undo};
use serde_json::{Value, json};

use super::{Builtin, Kinds as _, gates, schema};

/// A kind.
pub struct Kind {
    /// The name authors write in `uses`.
    pub name: &'static str,
    /// Revision of its meaning.
    pub version: u32,
    /// One line.
    pub summary: &'static str,
    /// A `[[steps]]` table that checks.
    pub example: &'static str,
    /// How it usually behaves; None for gates and inlined formulas.
    pub behaviour: Option<Behaviour>,
    /// Schema of the `with` table.
    pub params: Value,
    /// Schema of the outputs of a step with an empty `with` table; None where they are those of other steps.
    pub outputs: Option<Value>,
}

/// A param or an output as a table shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; dots lead into tables, `[]` into lists, `[http]` to where a `type` or the like is `http`.
    pub name: String,
    /// What it takes, in words.
    pub takes: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where it is left out.
    pub default: Option<Value>,
    /// What it is for.
    pub doc: String,
}

/// All kinds: those of steps, then the engine's own.
pub fn all() -> Vec<Kind> {
    let builtin = Builtin::default();
    builtin.names().into_iter().filter_map(|name| of(&builtin, name)).collect()
}

/// The kind of that name.
pub fn find(name: &str) -> Option<Kind> {
    let builtin = Builtin::default();
    let name = builtin.names().into_iter().find(|known| *known == name)?;
    of(&builtin, name)
}

fn of(builtin: &Builtin, name: &'static str) -> Option<Kind> {
    let (summary, example) = match formula_steps::find(name) {
        Some(step) => (step.meta().summary, step.meta().example),
        None => gates::OWN.iter().find(|own| own.kind == name).map(|own| (own.summary, own.example))?,
    };
    Some(Kind {
        name,
        version: builtin.version(name).unwrap_or(1),
        summary,
        example: example.trim(),
        behaviour: builtin.usual_behaviour(name),
        params: builtin.params_schema(name).cloned().unwrap_or_default(),
        outputs: builtin.output_schema(name, &json!({})),
    })
}

impl Kind {
    /// What it does to the world, in a few words.
    pub fn effect(&self) -> &'static str {
        match self.behaviour.map(|behaviour| behaviour.effect) {
            Some(Effect::ReadOnly) => "looks, never touches",
            Some(Effect::Reversible) => "changes something that can be put back",
            Some(Effect::OneWay) => "changes something that cannot be taken back",
            None if self.name == "formula" => "what its steps do",
            None => "waits, never touches",
        }
    }

    /// What it can be asked, in a few words.
    pub fn probe(&self) -> &'static str {
        match self.behaviour {
            Some(_) if ["shell", "http-request"].contains(&self.name) => "asked first where `with` has a `probe`, else it always acts",
            Some(behaviour) if behaviour.probes && behaviour.effect == Effect::ReadOnly => "looking is all that it does",
            Some(behaviour) if behaviour.probes => {
                "asked first: where it is so already nothing is done, and what is not its own is left alone"
            }
            Some(_) => "cannot be asked: it always acts",
            None if self.name == "formula" => "as its steps are",
            None => "nothing to ask",
        }
    }

    /// How it is taken back, in a few words.
    pub fn undo(&self) -> &'static str {
        match self.behaviour.map(|behaviour| behaviour.undo) {
            Some(Undo::Restore) => "puts back what was there",
            Some(Undo::Reverse) => "takes its effect away, once it is known that there is one",
            None if self.name == "formula" => "as its steps are",
            Some(Undo::Nothing) | None => "nothing to take back",
            Some(Undo::Impossible) => "cannot be taken back",
        }
    }

    /// What happens after a cut-off that left its outcome open.
    pub fn repeat(&self) -> &'static str {
        match self.behaviour {
            None if self.name == "formula" => "as its steps do",
            None => "the gate opens again",
            Some(behaviour) if behaviour.probes => match behaviour.repeat {
                Repeat::Safe => "the world is asked; where it cannot tell, the step is done again, which does no harm",
                Repeat::Keyed => "the world is asked; where it cannot tell, the step is done again under the same key",
                Repeat::Never => "the world is asked; where it cannot tell, a person decides",
            },
            Some(behaviour) => match behaviour.repeat {
                Repeat::Safe => "the step is done again, which does no harm",
                Repeat::Keyed => "the step is done again under the same key",
                Repeat::Never => "a person decides",
            },
        }
    }

    /// All of it as data.
    pub fn data(&self) -> Value {
        json!({
            "kind": self.name, "version": self.version, "summary": self.summary, "behaviour": self.behaviour,
            "params": self.params, "outputs": self.outputs, "example": self.example,
        })
    }
}

/// The fields of a schema of a table, those of inner tables after the one that holds them.
pub fn fields(root: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(root, root, "", &mut HashSet::new(), &mut fields);
    fields
}

fn collect(root: &Value, table: &Value, prefix: &str, open: &mut HashSet<*const Value>, fields: &mut Vec<Field>) {
    let table = schema::resolve(root, table);
    // A table that holds itself is told once.
    if !open.insert(std::ptr::from_ref(table)) {
        return;
    }
    let required = |name: &str| table["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
    let properties = || table["properties"].as_object().into_iter().flatten();
    // The tag of a variant stands in the path to its fields already.
    for (name, field) in properties().filter(|(_, field)| tag(field).is_none()) {
        let path = format!("{prefix}{name}");
        let doc = [field, schema::resolve(root, field)].into_iter().find_map(|schema| schema["description"].as_str()).unwrap_or_default();
        fields.push(Field {
            name: path.clone(),
            takes: schema::describe(root, field),
            required: required(name),
            default: Some(field["default"].clone()).filter(|value| !value.is_null()),
            doc: doc.to_owned(),
        });
        for (inner, suffix) in inner_tables(root, field, 0) {
            let variant = inner["properties"].as_object().into_iter().flatten().find_map(|(_, field)| tag(field));
            let suffix = variant.map_or_else(|| suffix.to_owned(), |variant| format!("[{variant}]"));
            collect(root, inner, &format!("{path}{suffix}."), open, fields);
        }
    }
    open.remove(&std::ptr::from_ref(table));
}

/// The one text that a field may be.
fn tag(field: &Value) -> Option<&str> {
    field["const"].as_str()
}

/// Tables that a value can be or hold in a list, with what leads into them.
fn inner_tables<'s>(root: &'s Value, field: &'s Value, depth: u8) -> Vec<(&'s Value, &'static str)> {
    let field = schema::resolve(root, field);
    if depth > 3 {
        return Vec::new();
    }
    if field["properties"].is_object() {
        return vec![(field, "")];
    }
    let mut found: Vec<(&Value, &'static str)> = Vec::new();
    if field["items"].is_object() {
        found.extend(inner_tables(root, &field["items"], depth + 1).into_iter().map(|(inner, _)| (inner, "[]")));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for branch in field[key].as_array().into_iter().flatten() {
            found.extend(inner_tables(root, branch, depth + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_tables_are_told_after_what_holds_them() {
        let schema = json!({
            "properties": {
                "url": { "type": "string", "description": "Where." },
                "auth": { "anyOf": [{ "$ref": "#/$defs/Auth" }, { "type": "null" }], "description": "Who." },
                "checks": { "type": "array", "items": { "$ref": "#/$defs/Check" } }
            },
            "required": ["url"],
            "$defs": {
                "Auth": { "type": "object", "properties": { "user": { "type": "string", "default": "me" } } },
                "Check": { "type": "object", "properties": { "port": { "type": "integer" }, "more": { "$ref": "#/$defs/Check" } }, "required": ["port"] }
            }
        });
        let fields = fields(&schema);
        let names: Vec<(&str, bool)> = fields.iter().map(|field| (field.name.as_str(), field.required)).collect();
        assert_eq!(
            names,
            [("url", true), ("auth", false), ("auth.user", false), ("checks", false), ("checks[].port", true), ("checks[].more", false)]
        );
        assert_eq!(fields[0].takes, "a text");
        assert_eq!(fields[3].takes, "a list of tables");
        assert_eq!(fields[2].default, Some("me".into()));
    }

    #[test]
    fn fields_of_variants_are_told_apart() {
        let variant = |tag: &str, field: &str| json!({ "properties": { "type": { "const": tag }, field: { "type": "string" } } });
        let schema = json!({ "properties": { "checks": { "type": "array", "items": { "oneOf": [variant("http", "url"), variant("tcp", "port")] } } } });
        let names: Vec<String> = fields(&schema).into_iter().map(|field| field.name).collect();
        assert_eq!(names, ["checks", "checks[http].url", "checks[tcp].port"]);
    }

    #[test]
    fn every_kind_says_what_each_param_is_for() {
        for kind in all() {
            assert!(!kind.summary.is_empty() && kind.example.contains(&format!("\"{}\"", kind.name)), "{}", kind.name);
            let outputs = kind.outputs.as_ref().map(fields).unwrap_or_default();
            for field in fields(&kind.params).into_iter().chain(outputs) {
                assert!(!field.doc.is_empty() && !field.takes.is_empty(), "{}: `{}`", kind.name, field.name);
            }
        }
    }
}
