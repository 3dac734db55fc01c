//! Where the thing under the cursor is declared.

use std::ops::Range;

use super::document::Document;
use super::place::{self, Part, Place};
use super::template;
use super::tree::{Node, Value};

impl Document {
    /// The place of the declaration, in bytes.
    pub fn definition(&self, offset: usize) -> Option<Range<usize>> {
        let Place::Value { path, node: Some(Node { value: Value::Text { inner, .. }, .. }) } = place::at(self.text(), self.tree(), offset)
        else {
            return None;
        };
        let names = self.names();
        let text = &self.text()[inner.clone()];
        let range_of =
            |list: &[super::document::Declared], name: &str| list.iter().find(|one| one.name == name).map(|one| one.range.clone());
        let step = self.step_of(&path);
        if template::may_stand(&path, step)
            && let Some(name) = template::name_at(self.text(), inner, offset)
        {
            let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
            return match path.as_slice() {
                ["vars", name, ..] => range_of(&names.vars, name),
                ["env", name] => range_of(&names.env, name),
                ["steps", id, ..] => names.step(id).map(|step| step.range.clone()),
                _ => None,
            };
        }
        match path.as_slice() {
            [_, Part::Item(_), Part::Key(key), Part::Item(_)] if key == "needs" => names.step(text).map(|step| step.range.clone()),
            [_, Part::Item(_), Part::Key(key), Part::Item(_)] if key == "secrets" => range_of(&names.secrets, text),
            _ => None,
        }
    }
}
