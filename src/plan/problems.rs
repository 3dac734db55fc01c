//! Problems found while planning, placed where the author can see them.

use crate::diagnostic::{Diagnostic, codes};
use crate::model::{Formula, Span, StepDef};

use super::settle::Trouble;

/// Which text a problem is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'f> {
    /// The formula that the step is written in.
    pub formula: &'f Formula,
    /// Inside an inlined formula: the step of the root that brought it in.
    pub outer: Option<Span>,
}

impl Site<'_> {
    /// A problem of a step.
    pub(super) fn step(&self, def: &StepDef, code: &'static str, message: impl AsRef<str>) -> Diagnostic {
        match self.outer {
            None => Diagnostic::error(code, message.as_ref()).at(def.span, ""),
            Some(outer) => {
                Diagnostic::error(code, format!("formula `{}`, step `{}`: {}", self.formula.name, def.id, message.as_ref())).at(outer, "")
            }
        }
    }

    /// A problem of the formula as a whole.
    pub(super) fn formula(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        let problem = Diagnostic::error(code, message);
        match self.outer {
            None => problem,
            Some(outer) => problem.at(outer, ""),
        }
    }

    /// A template that cannot be rendered.
    pub(super) fn trouble(&self, def: &StepDef, trouble: &Trouble) -> Diagnostic {
        let Trouble { text, error } = trouble;
        let path = error.path.as_deref().unwrap_or_default();
        let (code, message, help) = match path {
            [root, name] if root == "env" && error.message.starts_with("unknown") => (
                codes::BAD_VALUE,
                format!("environment variable `{name}` is not set"),
                Some(format!("set it, or give it a default under [env]: {name} = \"…\"")),
            ),
            _ if error.message.starts_with("unknown") => (codes::UNKNOWN_NAME, error.message.clone(), error.help.clone()),
            _ => (codes::BAD_TEMPLATE, error.message.clone(), error.help.clone()),
        };
        let mut problem = self.step(def, code, message);
        if self.outer.is_none()
            && let Some(at) = self.locate(def, text)
        {
            let range = error.range.clone().unwrap_or(0..text.len());
            problem = problem.at(at + range.start..at + range.end, "");
        }
        match help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// Where the text stands in the step, if it stands there as it is.
    fn locate(&self, def: &StepDef, text: &str) -> Option<usize> {
        let source = self.formula.source.get(def.span.start..)?;
        let end = source.find("\n[[").unwrap_or(source.len());
        source[..end].find(text).map(|at| def.span.start + at)
    }
}

/// `a`, `b`, `c` and 4 more.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}
