//! What steps give: the output schema of each, made when a template first asks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::cx::Cx;
use super::schema;
use super::step::Draft;

/// The output schemas of the steps of one file.
pub(super) struct Outputs<'a> {
    cx: &'a Cx<'a>,
    drafts: &'a [Draft<'a>],
    made: RefCell<HashMap<usize, Option<Rc<Value>>>>,
}

/// What is known of a path below a step's outputs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there; with its JSON type where that is one.
    There(Option<String>),
    /// Cannot be told before the run is planned.
    Open,
    /// It is not there: the name that is unknown, and the known ones.
    Missing(String, Vec<String>),
}

impl<'a> Outputs<'a> {
    pub(super) fn new(cx: &'a Cx<'a>, drafts: &'a [Draft<'a>]) -> Self {
        Self { cx, drafts, made: RefCell::default() }
    }

    fn schema(&self, step: usize) -> Option<Rc<Value>> {
        self.made
            .borrow_mut()
            .entry(step)
            .or_insert_with(|| {
                let def = &self.drafts[step].def;
                self.cx.kinds.output_schema(def.uses.as_deref()?, &def.with).map(Rc::new)
            })
            .clone()
    }

    /// Looks for `path` below the outputs of a step.
    pub(super) fn find(&self, step: usize, path: &[String]) -> Found {
        let Some(root) = self.schema(step) else { return Found::Open };
        let mut schema = schema::resolve(&root, &root);
        for name in path {
            let types = schema::types(&root, schema);
            if types != ["object"] {
                // Items of lists, and whatever is not known more exactly.
                let leaf = !types.is_empty() && types.iter().all(|name| !matches!(name.as_str(), "object" | "array"));
                return if leaf { Found::Missing(name.clone(), Vec::new()) } else { Found::Open };
            }
            let properties = schema["properties"].as_object();
            match properties.and_then(|properties| properties.get(name)) {
                Some(next) => schema = schema::resolve(&root, next),
                None if is_open(schema) => return Found::Open,
                None => {
                    let known = properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default();
                    return Found::Missing(name.clone(), known);
                }
            }
        }
        match schema::types(&root, schema).as_slice() {
            [one] => Found::There(Some(one.clone())),
            _ => Found::There(None),
        }
    }
}

/// Whether names beside the listed ones may be there. Outputs are written by this program, so a schema that does not speak of others
/// has none.
fn is_open(schema: &Value) -> bool {
    match &schema["additionalProperties"] {
        Value::Null => ["anyOf", "oneOf", "allOf", "patternProperties"].iter().any(|key| !schema[*key].is_null()),
        Value::Bool(open) => *open,
        _ => true,
    }
}
