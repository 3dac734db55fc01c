//! `[vars.*]`: the inputs of a formula.

use std::collections::HashSet;
use std::ops::Range;

use indexmap::IndexMap;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Entry, Node, Text, entries};
use super::fits::value_fits;
use super::json::to_json;
use super::table::Table;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{VarDecl, VarType};
use crate::template;

pub(super) const KEYS: [&str; 6] = ["type", "description", "required", "default", "pattern", "choices"];

/// The types by name.
pub(super) const TYPES: [(&str, VarType); 14] = [
    ("string", VarType::String),
    ("int", VarType::Int),
    ("bool", VarType::Bool),
    ("enum", VarType::Enum),
    ("path", VarType::Path),
    ("duration", VarType::Duration),
    ("url", VarType::Url),
    ("host-port", VarType::HostPort),
    ("git-ref", VarType::GitRef),
    ("image-ref", VarType::ImageRef),
    ("version", VarType::Version),
    ("list", VarType::List),
    ("table", VarType::Table),
    ("secret-name", VarType::SecretName),
];

/// A declared var with what is still to be checked once all of them are known.
pub(super) struct Var<'t> {
    /// The declaration.
    pub decl: VarDecl,
    /// Its default as written.
    pub default: Option<Node<'t>>,
}

/// Reads all of them.
pub(super) fn read<'t>(cx: &Cx<'_>, table: &'t DeTable<'t>) -> IndexMap<String, Var<'t>> {
    let mut vars = IndexMap::new();
    for entry in entries(table).into_iter().take_while(|_| !cx.is_hopeless()) {
        if !is_var_name(entry.key) {
            let problem = Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a name that a var may have", entry.key));
            let problem = problem.at(entry.key_range.clone(), "");
            cx.report(problem.help("letters, digits, `-` and `_`, beginning with a letter or `_`, at most 64 of them"));
        }
        if let Some(var) = one(cx, &entry) {
            vars.insert(entry.key.to_owned(), var);
        }
    }
    vars
}

fn is_var_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name.len() <= 64
        && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn one<'t>(cx: &Cx<'_>, entry: &Entry<'t>) -> Option<Var<'t>> {
    let DeValue::Table(inner) = entry.node.value else {
        let name = format!("vars.{}", entry.key);
        cx.wrong_type(&entry.node, &name, "a table");
        return None;
    };
    let table = Table::new(cx, inner, format!("[vars.{}]", entry.key), entry.key_range.clone(), &KEYS);
    let ty = read_type(cx, &table);
    let required = table.bool("required").unwrap_or(false);
    let default = table.get("default");
    let decl = VarDecl {
        ty: ty.unwrap_or(VarType::String),
        description: table.text("description").map(|text| text.text.to_owned()).unwrap_or_default(),
        required,
        default: default.as_ref().and_then(|entry| to_json(cx, &entry.node)),
        pattern: read_pattern(cx, &table),
        choices: read_choices(cx, &table, ty),
        span: cx.patch.span(&entry.key_range),
    };
    required_xor_default(cx, entry, &table, default.as_ref().map(|entry| entry.key_range.clone()));
    let default = default.map(|entry| entry.node);
    if let (Some(node), Some(value), Some(_)) = (&default, &decl.default, ty) {
        check_default(cx, entry.key, &decl, node, value);
    }
    Some(Var { decl, default })
}

/// None where the type is unknown, so that nothing else is said about values of it.
fn read_type(cx: &Cx<'_>, table: &Table<'_, '_>) -> Option<VarType> {
    if table.get("type").is_none() {
        // A var with choices is an enum, also without saying so.
        return Some(if table.get("choices").is_some() { VarType::Enum } else { VarType::String });
    }
    let text = table.text("type")?;
    if let Some((_, ty)) = TYPES.iter().find(|(name, _)| *name == text.text) {
        return Some(*ty);
    }
    let problem = Diagnostic::error(codes::BAD_VALUE, format!("unknown type `{}`", text.text)).at(text.range, "no such type");
    let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let help = match (cx.nearest(text.text, names.iter().copied()), text.text) {
        (_, "boolean") => "did you mean `bool`?".to_owned(),
        (_, "integer" | "number") => "did you mean `int`?".to_owned(),
        (_, "array") => "did you mean `list`?".to_owned(),
        (_, "text") => "did you mean `string`?".to_owned(),
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, _) => format!("types are {}", names.join(", ")),
    };
    cx.report(problem.help(help));
    None
}

/// Bytes of the longest pattern that is taken.
const LONGEST_PATTERN: usize = 10_000;

fn read_pattern(cx: &Cx<'_>, table: &Table<'_, '_>) -> Option<String> {
    let text = table.text("pattern")?;
    // Time and memory grow with it, and nobody reads one that is longer.
    if text.text.len() > LONGEST_PATTERN {
        let problem = Diagnostic::error(codes::BAD_PATTERN, format!("`pattern` is longer than {LONGEST_PATTERN} bytes"));
        cx.report(problem.at(text.range, "").help("use `choices`, or let a step look at the value"));
        return None;
    }
    let Some(most) = cx.size_of_next_pattern() else {
        let problem = Diagnostic::error(codes::BAD_PATTERN, "more patterns than a file may have").at(text.range, "one too many");
        cx.report(problem.help("use `choices`, or let a step look at the value"));
        return None;
    };
    if let Err(error) = regex::RegexBuilder::new(text.text).size_limit(most).build() {
        // The crate's text ends with the reason and repeats the pattern before it.
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let problem = Diagnostic::error(codes::BAD_PATTERN, format!("`pattern` is not a regular expression: {reason}"));
        cx.report(problem.at(text.range, "").help("single quotes keep backslashes as they are: pattern = '^v\\d+$'"));
        return None;
    }
    Some(text.text.to_owned())
}

fn read_choices(cx: &Cx<'_>, table: &Table<'_, '_>, ty: Option<VarType>) -> Vec<String> {
    let Some((list, range)) = table.texts("choices") else {
        if ty == Some(VarType::Enum) && table.get("choices").is_none() {
            table.missing("choices", "choices = [\"stable\", \"beta\"]");
        }
        return Vec::new();
    };
    let mut choices: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for choice in list.iter().take_while(|_| !cx.is_hopeless()) {
        if seen.insert(choice.text) {
            choices.push(choice.text.to_owned());
        } else {
            let problem = Diagnostic::error(codes::BAD_VALUE, format!("`{}` is listed twice in `choices`", choice.text));
            cx.report(problem.at(choice.range.clone(), "again"));
        }
    }
    if list.is_empty() {
        cx.report(Diagnostic::error(codes::BAD_VALUE, "`choices` is empty, so no value would do").at(range, ""));
    } else if ty.is_some_and(|ty| ty != VarType::Enum) {
        let problem = Diagnostic::error(codes::BAD_VALUE, "`choices` belongs to vars of the type `enum`");
        cx.report(problem.at(range, "").help("write `type = \"enum\"`, or leave `choices` out"));
    }
    choices
}

fn required_xor_default(cx: &Cx<'_>, entry: &Entry<'_>, table: &Table<'_, '_>, default: Option<Range<usize>>) {
    let required = table.get("required").filter(|entry| matches!(entry.node.value, DeValue::Boolean(true)));
    match (required, default) {
        (Some(required), Some(default)) => {
            let problem = Diagnostic::error(codes::REQUIRED_XOR_DEFAULT, format!("var `{}` is required and has a default", entry.key));
            let problem = problem.at(default, "would never be used").also(required.key_range, "must always be given");
            cx.report(problem.help("leave one of them out"));
        }
        (None, None) if table.get("required").is_none_or(|entry| matches!(entry.node.value, DeValue::Boolean(false))) => {
            let problem = Diagnostic::error(codes::REQUIRED_XOR_DEFAULT, format!("var `{}` is not required and has no default", entry.key));
            let problem = problem.at(entry.key_range.clone(), "what is it where nobody gives it?");
            cx.report(problem.help("add `required = true`, or a default such as `default = \"\"`"));
        }
        _ => {}
    }
}

/// Hands every text of a value to `take`.
pub(super) fn texts_of<'t>(node: &Node<'t>, take: &mut dyn FnMut(&Text<'t>)) {
    match node.value {
        DeValue::String(text) => take(&Text { text, range: node.range.clone() }),
        DeValue::Array(array) => Node::items(array).for_each(|item| texts_of(&item, take)),
        DeValue::Table(table) => entries(table).iter().for_each(|entry| texts_of(&entry.node, take)),
        _ => {}
    }
}

fn check_default(cx: &Cx<'_>, name: &str, decl: &VarDecl, node: &Node<'_>, value: &Value) {
    let unknown = decl.ty == VarType::Enum && decl.choices.is_empty();
    if template::holds_template(value) || decl.required || unknown {
        return;
    }
    if let Err(reason) = value_fits(decl, value) {
        let problem = Diagnostic::error(codes::BAD_DEFAULT, format!("default of var `{name}`: {reason}")).at(node.range.clone(), "");
        cx.report(match decl.ty {
            VarType::Int | VarType::Bool if value.as_str().is_some() => problem.help("write it without quotes"),
            VarType::List if value.is_string() => problem.help(format!("write `default = [{value}]`")),
            _ => problem,
        });
    }
}
