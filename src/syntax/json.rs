//! TOML values as the JSON that plans and params are made of.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Node, entries};
use crate::diagnostic::{Diagnostic, codes};

/// The value; None, with a report, where JSON has no such number. Dates become texts.
pub(super) fn to_json(cx: &Cx<'_>, node: &Node<'_>) -> Option<Value> {
    Some(match node.value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Integer(_) => match node.integer() {
            Some(value) => Value::from(value),
            None => return refuse(cx, node, "a number of at most 64 bits"),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(value) => Value::Number(value),
            None => return refuse(cx, node, "a finite number"),
        },
        DeValue::Array(array) => Value::Array(Node::items(array).map(|item| to_json(cx, &item)).collect::<Option<_>>()?),
        DeValue::Table(table) => Value::Object(object(cx, table)?),
    })
}

/// The table, in the author's order.
pub(super) fn object(cx: &Cx<'_>, table: &DeTable<'_>) -> Option<Map<String, Value>> {
    entries(table).iter().map(|entry| Some((entry.key.to_owned(), to_json(cx, &entry.node)?))).collect()
}

fn refuse(cx: &Cx<'_>, node: &Node<'_>, wanted: &str) -> Option<Value> {
    cx.report(Diagnostic::error(codes::WRONG_TYPE, format!("this must be {wanted}")).at(node.range.clone(), ""));
    None
}
