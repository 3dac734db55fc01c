//! Templates in formulas: what they refer to, and their text once the values are known.
//!
//! The syntax is Handlebars, read by its crate; the evaluation is ours, on borrowed values: strict, typed where a template is one
//! expression, without escaping, partials, files or environment, and bounded in size and work. Knows nothing of formulas and steps: which
//! names exist is settled by whoever makes the scope.
//!
//! | Written | Gives |
//! |---|---|
//! | `{{ vars.list }}` alone | the value with its type |
//! | `x{{ vars.n }}` | text; a list or a table there is an error that names `join` and `json` |
//! | `{{ eq a b }}` `{{ ne a b }}` `{{ and a b… }}` `{{ or a b… }}` `{{ not a }}` | a bool |
//! | `{{ default a b }}` | `a`, or `b` where `a` is missing, null or empty |
//! | `{{ join list "," }}` · `{{ json a }}` | text |
//! | `{{ semver_gt a b }}` and `_ge _lt _le _eq` · `{{ strip_v a }}` | a bool; the text without its leading `v` |
//! | `{{#if a}}…{{else if b}}…{{else}}…{{/if}}` · `{{#unless a}}` · `{{#each list}}{{this}} {{@index}}{{/each}}` | text |
//! | `\{{` | two literal braces |

mod ast;
mod cache;
mod convert;
mod error;
mod eval;
mod helpers;
mod scan;

use std::ops::Range;

use serde_json::{Map, Value};

pub use error::TemplateError;
pub use helpers::HELPERS;

use ast::{Expr, Node};
use eval::Missing;

/// A name in a template that stands for a value of the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `["steps", "my-step", "outputs", "commit"]`.
    pub path: Vec<String>,
    /// Where it stands, in bytes of the template's text.
    pub range: Range<usize>,
}

impl Reference {
    /// The path as an author writes it.
    pub fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// Where the values of names come from.
pub trait Lookup {
    /// The value of the first segment of a path, such as `vars`.
    fn lookup(&self, root: &str) -> Option<&Value>;
}

impl Lookup for Map<String, Value> {
    fn lookup(&self, root: &str) -> Option<&Value> {
        self.get(root)
    }
}

/// Whether the text may hold a template. Text for which this is false is used as it is.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Whether any string inside the value is a template.
pub fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(holds_template),
        Value::Object(map) => map.values().any(holds_template),
        _ => false,
    }
}

/// All references in the text, in the order they stand there; names bound by `{{#each}}` are not among them.
///
/// # Errors
/// When the text is not a well-formed template, or uses a helper that does not exist.
pub fn references(text: &str) -> Result<Vec<Reference>, TemplateError> {
    if !is_template(text) {
        return Ok(Vec::new());
    }
    Ok(cache::compiled(text)?.references.clone())
}

/// Hands every reference in the text to `visit`, as [`references`] without copies.
///
/// # Errors
/// As [`references`].
pub fn each_reference(text: &str, visit: &mut dyn FnMut(&Reference)) -> Result<(), TemplateError> {
    if is_template(text) {
        cache::compiled(text)?.references.iter().for_each(visit);
    }
    Ok(())
}

/// A template that renders to exactly this text, which may hold braces of its own.
pub fn quote(text: &str) -> String {
    if is_template(text) { format!("{{{{default {} \"\"}}}}", Value::from(text)) } else { text.to_owned() }
}

/// The reference, if the text is exactly one and nothing else; its value then keeps its type.
pub fn whole(text: &str) -> Option<Reference> {
    if !is_template(text) {
        return None;
    }
    match cache::compiled(text).ok()?.nodes.as_slice() {
        [Node::Show(Expr::Ref(reference))] => Some(reference.clone()),
        _ => None,
    }
}

/// Whether the text is exactly one expression (a reference or a helper's call) and nothing else; its value then keeps its type.
pub fn is_whole(text: &str) -> bool {
    is_template(text) && cache::compiled(text).is_ok_and(|compiled| matches!(compiled.nodes.as_slice(), [Node::Show(_)]))
}

/// Renders every string inside the value; strings that are exactly one expression become its value.
///
/// # Errors
/// The first template that cannot be read or refers to something that is not in the scope.
pub fn render(value: &Value, scope: &dyn Lookup) -> Result<Value, TemplateError> {
    match value {
        Value::String(text) if is_template(text) => eval::value(&*cache::compiled(text)?, scope, Missing::Refuse),
        Value::Array(items) => items.iter().map(|item| render(item, scope)).collect::<Result<_, _>>().map(Value::Array),
        Value::Object(map) => {
            map.iter().map(|(key, value)| Ok((key.clone(), render(value, scope)?))).collect::<Result<_, _>>().map(Value::Object)
        }
        other => Ok(other.clone()),
    }
}

/// Renders to text, whatever the type of the value; null becomes empty text where it is all there is.
///
/// # Errors
/// As [`render`]; also for a list or a table, which have no text of their own.
pub fn render_text(text: &str, scope: &dyn Lookup) -> Result<String, TemplateError> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    eval::text(&*cache::compiled(text)?, scope, Missing::Refuse)
}

/// Whether a condition holds. A value that is missing, such as the output of a skipped step, counts as false.
///
/// # Errors
/// When the text is not a well-formed template, or a helper cannot work with what it gets.
pub fn holds(condition: &str, scope: &dyn Lookup) -> Result<bool, TemplateError> {
    if !is_template(condition) {
        return Ok(truthy(condition));
    }
    Ok(helpers::is_truthy(&eval::value(&*cache::compiled(condition)?, scope, Missing::Null)?))
}

/// Whether a rendered condition holds: empty, `false` and `0` do not.
pub fn truthy(text: &str) -> bool {
    !matches!(text.trim(), "" | "false" | "0")
}

#[cfg(test)]
mod tests;
