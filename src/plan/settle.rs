//! What can be rendered before a run, and what must wait for it.

use std::collections::BTreeMap;
use std::collections::HashSet;

use serde_json::Value;

use crate::template::{self, Lookup, Reference, TemplateError};

/// The values that are known while planning, as one formula instance and one item see them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// A table.
    pub vars: &'a Value,
    /// Names of vars that are known only when the run comes to them.
    pub open: &'a HashSet<String>,
    /// A table of the declared variables that are set.
    pub env: &'a Value,
    /// Under `foreach`.
    pub item: Option<&'a Value>,
}

impl Lookup for View<'_> {
    fn lookup(&self, root: &str) -> Option<&Value> {
        match root {
            "vars" => Some(self.vars),
            "env" => Some(self.env),
            "item" => self.item,
            _ => None,
        }
    }
}

impl View<'_> {
    fn knows(&self, reference: &Reference) -> bool {
        match reference.path[0].as_str() {
            "steps" | "run" => false,
            "vars" => self.open.is_empty() || reference.path.get(1).is_some_and(|name| !self.open.contains(name)),
            _ => true,
        }
    }

    /// Whether the text is a template that cannot be rendered yet. One that cannot be read counts as settled, so that rendering reports it.
    pub(super) fn is_open(&self, text: &str) -> bool {
        let mut open = false;
        let read = template::each_reference(text, &mut |reference| open |= !self.knows(reference));
        read.is_ok() && open
    }

    /// Whether any text inside cannot be rendered yet.
    pub(super) fn holds_open(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_open(text),
            Value::Array(items) => items.iter().any(|item| self.holds_open(item)),
            Value::Object(map) => map.values().any(|value| self.holds_open(value)),
            _ => false,
        }
    }
}

/// A template that cannot be rendered.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The template.
    pub text: String,
    /// Why.
    pub error: TemplateError,
}

/// Renders what a step or a scope is made of.
pub(super) struct Settler<'a> {
    /// What is known.
    pub view: View<'a>,
    /// Whether the result will be rendered again, so that a value with braces of its own must not be put in its place yet.
    pub again: bool,
    /// What went wrong so far.
    pub troubles: Vec<Trouble>,
}

impl Settler<'_> {
    /// Every text inside rendered, where that is possible.
    pub(super) fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) if template::is_template(text) => self.text(text),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.value(value))).collect(),
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> Value {
        if self.again && self.view.is_open(text) {
            return text.into();
        }
        match template::render(&Value::String(text.to_owned()), &self.view) {
            Ok(value) if self.again && template::holds_template(&value) => text.into(),
            Ok(value) => value,
            Err(error) => {
                self.troubles.push(Trouble { text: text.to_owned(), error });
                text.into()
            }
        }
    }

    /// An environment for a child: every value a text.
    pub(super) fn env(&mut self, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        env.iter().map(|(name, text)| (name.clone(), self.env_text(text))).collect()
    }

    fn env_text(&mut self, text: &str) -> String {
        if !template::is_template(text) || self.again && self.view.is_open(text) {
            return text.to_owned();
        }
        match template::render_text(text, &self.view) {
            Ok(rendered) if self.again && template::is_template(&rendered) => text.to_owned(),
            Ok(rendered) => rendered,
            Err(error) => {
                self.troubles.push(Trouble { text: text.to_owned(), error });
                text.to_owned()
            }
        }
    }
}
