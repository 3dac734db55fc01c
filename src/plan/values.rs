//! What people type, as values of the types that vars have.

use serde_json::{Map, Value};

use super::inputs::Origin;
use crate::model::{VarDecl, VarType};

/// What was given for one var by one origin.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenValue {
    /// As typed.
    Text(String),
    /// As read from a file of values.
    Value(Value),
}

/// The value of a single text; lists and tables are made of several.
///
/// # Errors
/// Says what was expected, in words that go after the var's name.
pub(super) fn from_text(decl: &VarDecl, text: &str) -> Result<Value, String> {
    match decl.ty {
        VarType::Int => text.trim().parse::<i64>().map(Value::from).map_err(|_| format!("`{text}` is not a whole number")),
        VarType::Bool => match text.trim() {
            "true" | "yes" | "1" => Ok(true.into()),
            "false" | "no" | "0" => Ok(false.into()),
            _ => Err(format!("`{text}` is neither true nor false")),
        },
        _ => Ok(text.into()),
    }
}

/// The value of all that one origin gave for one var.
///
/// # Errors
/// As [`from_text`].
pub(super) fn merged(decl: &VarDecl, origin: Origin, given: &[&GivenValue]) -> Result<Value, String> {
    match decl.ty {
        VarType::List => list(origin, given),
        VarType::Table => table(origin, given),
        _ => {
            let [only] = given else {
                return Err(format!("is given {} times, and is not a list", given.len()));
            };
            match only {
                GivenValue::Value(value) => Ok(value.clone()),
                GivenValue::Text(text) if origin == Origin::Set => match toml_value(text) {
                    Some(Value::String(inner)) => from_text(decl, &inner),
                    _ => from_text(decl, text),
                },
                GivenValue::Text(text) => from_text(decl, text),
            }
        }
    }
}

fn list(origin: Origin, given: &[&GivenValue]) -> Result<Value, String> {
    let mut all = Vec::new();
    for given in given {
        match given {
            GivenValue::Value(Value::Array(items)) => all.extend(items.iter().cloned()),
            GivenValue::Value(other) => return Err(format!("`{other}` is not a list")),
            GivenValue::Text(text) if origin == Origin::Flag => all.push(text.as_str().into()),
            GivenValue::Text(text) if origin == Origin::Env && !text.trim_start().starts_with('[') => {
                all.extend(parts(text).map(Value::from));
            }
            GivenValue::Text(text) => match toml_value(text) {
                Some(Value::Array(items)) => all.extend(items),
                _ => return Err(format!("`{text}` is not a list; write it as [\"a\", \"b\"]")),
            },
        }
    }
    Ok(Value::Array(all))
}

fn table(origin: Origin, given: &[&GivenValue]) -> Result<Value, String> {
    let mut all = Map::new();
    for given in given {
        match given {
            GivenValue::Value(Value::Object(map)) => all.extend(map.clone()),
            GivenValue::Value(other) => return Err(format!("`{other}` is not a table")),
            GivenValue::Text(text) if origin == Origin::Flag => pair(text, &mut all)?,
            GivenValue::Text(text) if origin == Origin::Env && !text.trim_start().starts_with('{') => {
                parts(text).try_for_each(|part| pair(part, &mut all))?;
            }
            GivenValue::Text(text) => match toml_value(text) {
                Some(Value::Object(map)) => all.extend(map),
                _ => return Err(format!("`{text}` is not a table; write it as {{ KEY = \"value\" }}")),
            },
        }
    }
    Ok(Value::Object(all))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn pair(text: &str, all: &mut Map<String, Value>) -> Result<(), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            all.insert(key.trim().to_owned(), value.into());
            Ok(())
        }
        _ => Err(format!("`{text}` has no key; write it as KEY=value")),
    }
}

/// The text as a value of TOML, if it is one.
fn toml_value(text: &str) -> Option<Value> {
    let mut table = toml::from_str::<toml::Table>(&format!("value = {text}")).ok().filter(|table| table.len() == 1)?;
    table.remove("value").map(json)
}

/// TOML's dates become texts.
pub(super) fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}
