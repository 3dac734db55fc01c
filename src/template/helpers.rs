//! The helpers: pure functions over values.

use std::borrow::Cow;
use std::cmp::Ordering;

use semver::Version;
use serde_json::Value;

use super::TemplateError;

/// Names of all helpers.
pub const HELPERS: &[&str] = &[
    "eq",
    "ne",
    "and",
    "or",
    "not",
    "json",
    "join",
    "default",
    "semver_gt",
    "semver_ge",
    "semver_lt",
    "semver_le",
    "semver_eq",
    "strip_v",
];

/// A helper.
pub(super) struct Helper {
    /// Its name.
    pub name: &'static str,
    /// Fewest arguments.
    pub fewest: usize,
    /// Most arguments.
    pub most: usize,
    /// Whether a missing first argument is allowed, as null.
    pub optional: bool,
    /// What it does.
    pub call: fn(&[Cow<'_, Value>]) -> Result<Value, TemplateError>,
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// In the order of [`HELPERS`].
static TABLE: [Helper; 14] = [
    helper("eq", 2, 2, |args| Ok(same(&args[0], &args[1]).into())),
    helper("ne", 2, 2, |args| Ok((!same(&args[0], &args[1])).into())),
    helper("and", 1, 64, |args| Ok(args.iter().all(|value| is_truthy(value)).into())),
    helper("or", 1, 64, |args| Ok(args.iter().any(|value| is_truthy(value)).into())),
    helper("not", 1, 1, |args| Ok((!is_truthy(&args[0])).into())),
    helper("json", 1, 1, |args| Ok(args[0].to_string().into())),
    helper("join", 1, 2, join),
    Helper {
        name: "default",
        fewest: 2,
        most: 2,
        optional: true,
        call: |args| Ok(args[usize::from(is_empty(&args[0]))].clone().into_owned()),
    },
    helper("semver_gt", 2, 2, |args| Ok(compare(args)?.is_gt().into())),
    helper("semver_ge", 2, 2, |args| Ok(compare(args)?.is_ge().into())),
    helper("semver_lt", 2, 2, |args| Ok(compare(args)?.is_lt().into())),
    helper("semver_le", 2, 2, |args| Ok(compare(args)?.is_le().into())),
    helper("semver_eq", 2, 2, |args| Ok(compare(args)?.is_eq().into())),
    helper("strip_v", 1, 1, |args| Ok(without_v(&plain_text(&args[0])?).into())),
];

type Call = fn(&[Cow<'_, Value>]) -> Result<Value, TemplateError>;

const fn helper(name: &'static str, fewest: usize, most: usize, call: Call) -> Helper {
    Helper { name, fewest, most, optional: false, call }
}

/// The helper of that name.
pub(super) fn find(name: &str) -> Option<&'static Helper> {
    TABLE.iter().find(|helper| helper.name == name)
}

/// Null, false, 0, empty, and the texts `false` and `0` do not count as true.
pub(super) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => super::truthy(text),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The text of a value as it stands inside other text.
pub(super) fn plain_text(value: &Value) -> Result<Cow<'_, str>, TemplateError> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) => Ok(Cow::Owned(value.to_string())),
        Value::Null => Err(TemplateError::new("has no value").help("give a fallback: `{{ default NAME \"…\" }}`")),
        Value::Array(_) => Err(TemplateError::new("is a list, which has no text of its own")
            .help("write `{{ join NAME \",\" }}` or `{{ json NAME }}`, or make it the whole template")),
        Value::Object(_) => Err(TemplateError::new("is a table, which has no text of its own")
            .help("write `{{ json NAME }}`, name one of its keys, or make it the whole template")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Scalars are the same when their texts are (flags and outputs of programs arrive as text), numbers when they are equal as numbers.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::String(_) | Value::Bool(_) | Value::Number(_), Value::String(_) | Value::Bool(_) | Value::Number(_)) => {
            matches!((plain_text(one), plain_text(other)), (Ok(one), Ok(other)) if one == other)
        }
        _ => one == other,
    }
}

fn join(args: &[Cow<'_, Value>]) -> Result<Value, TemplateError> {
    let separator = args.get(1).map_or(Ok(Cow::Borrowed(",")), |value| plain_text(value))?;
    let Value::Array(items) = &*args[0] else {
        return Err(TemplateError::new("`join` takes a list"));
    };
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push_str(&separator);
        }
        text.push_str(&plain_text(item)?);
        if text.len() > super::eval::LONGEST {
            return Err(super::eval::too_long());
        }
    }
    Ok(text.into())
}

fn without_v(text: &str) -> &str {
    match text.strip_prefix('v') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => rest,
        _ => text,
    }
}

fn compare(args: &[Cow<'_, Value>]) -> Result<Ordering, TemplateError> {
    let one = version(&args[0])?;
    let other = version(&args[1])?;
    Ok(one.cmp_precedence(&other))
}

fn version(value: &Value) -> Result<Version, TemplateError> {
    let text = plain_text(value)?;
    Version::parse(without_v(text.trim()))
        .map_err(|error| TemplateError::new(format!("`{text}` is not a semantic version such as v1.2.3: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_names_is_the_table() {
        assert_eq!(TABLE.iter().map(|helper| helper.name).collect::<Vec<_>>(), HELPERS);
    }
}
