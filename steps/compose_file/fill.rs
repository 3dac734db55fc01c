//! Fills a template: Handlebars in strict mode, with our helpers and nothing else that is special.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handlebars::{Context, Handlebars, RenderErrorReason, TemplateErrorReason};
use serde_json::{Value, json};

use super::each::Each;
use super::{Inputs, Note, Origin, RenderError, Template, helpers};

/// A filled template.
pub(super) struct Filled {
    /// What it renders to, with a final line end.
    pub body: String,
    /// What it has to say.
    pub notes: Vec<Note>,
}

/// What helpers keep during one rendering.
#[derive(Default)]
pub(super) struct State {
    /// Where in the data the enclosing `each` blocks are, outermost first. Left as it is when something fails.
    pub places: Vec<Vec<String>>,
    /// Values of `unique` and who used them, by group.
    pub unique: BTreeMap<(String, String), Origin>,
    /// What was noted.
    pub notes: Vec<Note>,
}

/// What helpers share during one rendering.
#[derive(Clone)]
pub(super) struct Shared {
    inputs: Arc<Inputs>,
    state: Arc<Mutex<State>>,
}

impl Shared {
    /// The state; nothing that holds it can panic.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table of a data file that the innermost `each` is at.
    pub(super) fn here(&self) -> Option<Origin> {
        let place = self.state().places.last().cloned()?;
        let mut segments = place.iter();
        (segments.next()? == "data").then_some(())?;
        let mut at = self.inputs.data.values.get(segments.next()?)?;
        let (mut file, mut table) = (at.get("_file").and_then(Value::as_str), Vec::new());
        for segment in segments {
            at = match at {
                Value::Array(list) => list.get(segment.parse::<usize>().ok()?)?,
                other => other.get(segment)?,
            };
            match at.get("_file").and_then(Value::as_str) {
                Some(found) => (file, table) = (Some(found), Vec::new()),
                None => table.push(segment.as_str()),
            }
        }
        Some(self.origin(file?, &table.join(".")))
    }

    /// The table that a template names, with its parents if it is the one that `each` is at.
    pub(super) fn named(&self, file: &str, table: &str) -> Origin {
        match self.here() {
            Some(here) if here.file == file && here.table.rsplit('.').next() == Some(table) => here,
            _ => self.origin(file, table),
        }
    }

    fn origin(&self, file: &str, table: &str) -> Origin {
        Origin { file: file.to_owned(), table: table.to_owned(), line: self.inputs.data.line(file, table) }
    }
}

/// Fills a template.
pub(super) fn fill(template: &Template<'_>, inputs: &Inputs) -> Result<Filled, RenderError> {
    let shared = Shared { inputs: Arc::new(inputs.clone()), state: Arc::default() };
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    engine.unregister_helper("log");
    engine.register_helper("each", Box::new(Each { shared: shared.clone() }));
    helpers::register(&mut engine, &shared);
    engine.register_template_string(template.name, template.text).map_err(|error| unreadable(template.name, &error))?;
    let context = json!({ "data": inputs.data.values, "values": inputs.values, "mode": inputs.mode });
    let context = Context::wraps(context).map_err(|error| RenderError::new(error.to_string()))?;
    let mut body = engine.render_with_context(template.name, &context).map_err(|error| failed(template.name, &error, &shared))?;
    if !body.ends_with('\n') {
        body.push('\n');
    }
    let notes = std::mem::take(&mut shared.state().notes);
    Ok(Filled { body, notes })
}

/// The parser's own words name its grammar, which helps nobody; the place does.
fn unreadable(name: &str, error: &handlebars::TemplateError) -> RenderError {
    let place = error.pos().map(|(line, column)| format!(" line {line}, column {column}")).unwrap_or_default();
    let what = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(opened, closing) => format!("`{{{{#{opened}}}}}` is closed by `{{{{/{closing}}}}}`"),
        TemplateErrorReason::InvalidSyntax(_) => "a `{{…}}` is not well formed".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    RenderError::new(format!("`{name}`{place}: {what}")).hint("for braces that are not a template write `\\{{`")
}

fn failed(name: &str, error: &handlebars::RenderError, shared: &Shared) -> RenderError {
    let place = match (error.line_no, error.column_no) {
        (Some(line), Some(column)) => format!(" line {line}, column {column}"),
        _ => String::new(),
    };
    let mut hint = None;
    let what = match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) => {
            hint = Some("a value that may be missing is asked for with `{{#if x}}` or `(default x \"…\")`");
            format!("`{path}` is not there")
        }
        RenderErrorReason::HelperNotFound(helper) => {
            hint = Some(helpers::NAMES);
            format!("there is no helper `{helper}`")
        }
        RenderErrorReason::ParamNotFoundForIndex(helper, index) => format!("`{helper}` needs a value as argument {}", index + 1),
        other => other.to_string(),
    };
    let here = shared.here().map(|origin| format!(" (at {origin})")).unwrap_or_default();
    let error = RenderError::new(format!("`{name}`{place}: {what}{here}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
