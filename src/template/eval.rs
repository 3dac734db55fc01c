//! Evaluates a template over borrowed values.

use std::borrow::Cow;

use serde_json::Value;

use super::ast::{Compiled, Expr, LoopVar, Node};
use super::helpers::{is_truthy, plain_text};
use super::{Lookup, TemplateError};

/// The longest text that a template may render to.
pub(super) const LONGEST: usize = 1024 * 1024;
/// The most pieces that are evaluated for one text.
const MOST_WORK: usize = 1_000_000;

/// What a name without a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// An error.
    Refuse,
    /// Null.
    Null,
}

/// One round of an enclosing `each`.
struct Round<'a> {
    item: &'a Value,
    key: Cow<'a, str>,
    index: usize,
    last: bool,
}

struct Evaluator<'a> {
    scope: &'a dyn Lookup,
    rounds: Vec<Round<'a>>,
    missing: Missing,
    work: usize,
}

/// The value of a template: typed if it is exactly one expression, else text.
pub(super) fn value(compiled: &Compiled, scope: &dyn Lookup, missing: Missing) -> Result<Value, TemplateError> {
    if let [Node::Show(expr)] = compiled.nodes.as_slice() {
        return Ok(Evaluator { scope, rounds: Vec::new(), missing, work: 0 }.eval(expr)?.into_owned());
    }
    text(compiled, scope, missing).map(Value::String)
}

/// The text of a template.
pub(super) fn text(compiled: &Compiled, scope: &dyn Lookup, missing: Missing) -> Result<String, TemplateError> {
    let mut evaluator = Evaluator { scope, rounds: Vec::new(), missing, work: 0 };
    if let [Node::Show(expr)] = compiled.nodes.as_slice()
        && evaluator.eval(expr)?.is_null()
    {
        return Ok(String::new());
    }
    let mut out = String::new();
    evaluator.nodes(&compiled.nodes, &mut out)?;
    Ok(out)
}

pub(super) fn too_long() -> TemplateError {
    TemplateError::new(format!("a template may render to {LONGEST} bytes, this one gives more")).help("pass large values in a file")
}

impl<'a> Evaluator<'a> {
    fn nodes(&mut self, nodes: &'a [Node], out: &mut String) -> Result<(), TemplateError> {
        for node in nodes {
            self.work += 1;
            if self.work > MOST_WORK {
                return Err(TemplateError::new("a template repeats itself too often").help("loop over a shorter list"));
            }
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Show(expr) => self.show(expr, out)?,
                Node::If { test, then, otherwise } => {
                    let branch = if is_truthy(&*self.lenient(test)?) { then } else { otherwise };
                    self.nodes(branch, out)?;
                }
                Node::Each { list, body, otherwise } => self.each(list, body, otherwise, out)?,
            }
            if out.len() > LONGEST {
                return Err(too_long());
            }
        }
        Ok(())
    }

    fn show(&mut self, expr: &'a Expr, out: &mut String) -> Result<(), TemplateError> {
        let value = self.eval(expr)?;
        if value.is_null() && self.missing == Missing::Null {
            return Ok(());
        }
        match plain_text(&value) {
            Ok(text) => out.push_str(&text),
            Err(error) => return Err(named(error, expr)),
        }
        Ok(())
    }

    fn each(&mut self, list: &'a Expr, body: &'a [Node], otherwise: &'a [Node], out: &mut String) -> Result<(), TemplateError> {
        let value = match (self.borrowed(list)?, list) {
            (Some(value), _) => value,
            (None, Expr::Ref(_) | Expr::Item { .. }) => return self.nodes(otherwise, out),
            (None, _) => {
                return Err(located(TemplateError::new("`each` takes a list or a table of the scope, not the result of a helper"), list));
            }
        };
        match value {
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    let round = Round { item, key: Cow::Owned(index.to_string()), index, last: index + 1 == items.len() };
                    self.round(round, body, out)?;
                }
                Ok(())
            }
            Value::Object(map) if !map.is_empty() => {
                for (index, (key, item)) in map.iter().enumerate() {
                    self.round(Round { item, key: Cow::Borrowed(key), index, last: index + 1 == map.len() }, body, out)?;
                }
                Ok(())
            }
            Value::Array(_) | Value::Object(_) | Value::Null => self.nodes(otherwise, out),
            _ => Err(located(TemplateError::new("`each` takes a list or a table, this is a single value"), list)),
        }
    }

    fn round(&mut self, round: Round<'a>, body: &'a [Node], out: &mut String) -> Result<(), TemplateError> {
        self.work += 1;
        if self.work > MOST_WORK {
            return Err(TemplateError::new("a template repeats itself too often").help("loop over a shorter list"));
        }
        self.rounds.push(round);
        let result = self.nodes(body, out);
        self.rounds.pop();
        result
    }

    /// A missing name is null here.
    fn lenient(&mut self, expr: &'a Expr) -> Result<Cow<'a, Value>, TemplateError> {
        let before = std::mem::replace(&mut self.missing, Missing::Null);
        let result = self.eval(expr);
        self.missing = before;
        result
    }

    fn eval(&mut self, expr: &'a Expr) -> Result<Cow<'a, Value>, TemplateError> {
        if let Some(value) = self.borrowed(expr)? {
            return Ok(Cow::Borrowed(value));
        }
        match expr {
            Expr::Loop { depth, what } => {
                let round = &self.rounds[*depth];
                Ok(Cow::Owned(match what {
                    LoopVar::Index => round.index.into(),
                    LoopVar::Key => round.key.as_ref().into(),
                    LoopVar::First => (round.index == 0).into(),
                    LoopVar::Last => round.last.into(),
                }))
            }
            Expr::Call(helper, args) => {
                let mut values = Vec::with_capacity(args.len());
                for (index, arg) in args.iter().enumerate() {
                    let lenient = helper.optional && index == 0;
                    values.push(if lenient { self.lenient(arg)? } else { self.eval(arg)? });
                }
                let result = (helper.call)(&values);
                result.map(Cow::Owned).map_err(|error| args.iter().fold(prefixed(error, helper.name, args), located))
            }
            Expr::Ref(_) | Expr::Item { .. } | Expr::Literal(_) => Ok(Cow::Owned(Value::Null)),
        }
    }

    /// The value of an expression that has one to borrow; None for a helper, a loop variable, and a name that may be missing and is.
    fn borrowed(&self, expr: &'a Expr) -> Result<Option<&'a Value>, TemplateError> {
        match expr {
            Expr::Literal(value) => Ok(Some(value)),
            Expr::Ref(reference) => {
                let root = self.scope.lookup(&reference.path[0]).ok_or(0);
                self.resolved(root.and_then(|value| step(value, &reference.path, 1)), &reference.path)
                    .map_err(|error| error.at(reference.range.clone()))
            }
            Expr::Item { depth, path } => self.resolved(step(self.rounds[*depth].item, path, 0), path),
            Expr::Loop { .. } | Expr::Call(..) => Ok(None),
        }
    }

    fn resolved(&self, found: Result<&'a Value, usize>, path: &[String]) -> Result<Option<&'a Value>, TemplateError> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.missing == Missing::Null => Ok(None),
            Err(at) => {
                let message = if at == 0 || path.len() == at + 1 {
                    format!("unknown name `{}`", path.join("."))
                } else {
                    format!("unknown name `{}`: there is no `{}`", path.join("."), path[..=at].join("."))
                };
                Err(TemplateError::new(message).path(path))
            }
        }
    }
}

/// Follows `path` from `from`; Err names the segment that is not there.
fn step<'v>(mut value: &'v Value, path: &[String], from: usize) -> Result<&'v Value, usize> {
    for (index, segment) in path.iter().enumerate().skip(from) {
        value = match value {
            Value::Object(map) => map.get(segment),
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        }
        .ok_or(index)?;
    }
    Ok(value)
}

fn located(error: TemplateError, expr: &Expr) -> TemplateError {
    match expr {
        Expr::Ref(reference) => error.at(reference.range.clone()).path(&reference.path),
        Expr::Call(_, args) => args.iter().fold(error, located),
        _ => error,
    }
}

/// `is a list…` becomes `` `vars.x` is a list… ``.
fn named(mut error: TemplateError, expr: &Expr) -> TemplateError {
    let name = match expr {
        Expr::Ref(reference) => reference.dotted(),
        Expr::Call(helper, _) => helper.name.to_owned(),
        _ => "this".to_owned(),
    };
    error.message = format!("`{name}` {}", error.message);
    error.help = error.help.map(|help| help.replace("NAME", &name));
    located(error, expr)
}

/// An error of a helper about its argument names that argument where there is only one that it can be about.
fn prefixed(mut error: TemplateError, helper: &str, args: &[Expr]) -> TemplateError {
    if !error.message.starts_with('`') {
        let about = match args {
            [Expr::Ref(reference), ..] => format!("`{}`", reference.dotted()),
            _ => "its argument".to_owned(),
        };
        error.message = format!("`{helper}`: {about} {}", error.message);
    }
    error.help = error.help.map(|help| help.replace("NAME", "…"));
    error
}
