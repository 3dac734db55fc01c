//! Formulas inside formulas.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::expand::{Expander, Frame, Level};
use super::inputs::{fill, from_text};
use super::problems::Site;
use super::settle::Settler;
use super::wire::Built;
use crate::diagnostic::{codes, nearest};
use crate::model::{Formula, Scope, StepDef};
use crate::template;

/// The deepest nesting of formulas.
const DEEPEST: usize = 32;

/// A formula that outlives its expansion.
#[derive(Clone)]
pub(super) enum Source<'a> {
    /// The one that is planned.
    Root(&'a Formula),
    /// One that it inlines.
    Loaded(Rc<Formula>),
}

impl Deref for Source<'_> {
    type Target = Formula;
    fn deref(&self) -> &Formula {
        match self {
            Self::Root(formula) => formula,
            Self::Loaded(formula) => formula,
        }
    }
}

impl Expander<'_> {
    /// Expands the formula that a step names, with a scope of its own.
    pub(super) fn inline(
        &mut self,
        def: &StepDef,
        level: Level<'_>,
        id: &str,
        item: Option<Value>,
        condition: Option<String>,
    ) -> Option<Built> {
        let formula = self.named(def, level, item.as_ref())?;
        let outer = Some(level.site.outer.unwrap_or(def.span));
        let inner = Site { formula: &formula, outer };
        let vars = self.vars(def, level, &formula, item.as_ref())?;
        let scope = self.scopes.len() as u32;
        self.open_scope(level, &formula, id, Inlined { item, condition, vars });
        let level = Level { site: inner, scope, finally: level.finally };
        if !self.runnable(level) {
            return None;
        }
        self.stack.push(formula.name.clone());
        let built = self.formula(&formula.steps, level);
        self.stack.pop();
        if !formula.finally.is_empty() {
            self.late.push((Source::Loaded(Rc::clone(&formula)), scope, outer));
        }
        Some(built)
    }

    /// Loads the formula, once per plan.
    fn named(&mut self, def: &StepDef, level: Level<'_>, item: Option<&Value>) -> Option<Rc<Formula>> {
        let mut settler = Settler { view: self.view(level.scope, item), again: true, troubles: Vec::new() };
        let name = settler.value(&def.with["formula"]);
        let troubles = settler.troubles;
        if self.report(def, level, &troubles) {
            return None;
        }
        let Some(name) = name.as_str().filter(|name| !name.is_empty() && !template::is_template(name)) else {
            let problem =
                level.site.step(def, codes::INLINE, "`formula` must be the name of a formula that is known when the run is planned");
            self.problems.push(problem.help("with = { formula = \"notify\" }"));
            return None;
        };
        if !self.loaded.contains_key(name) {
            match (self.load)(name) {
                Ok(formula) => {
                    self.loaded.insert(name.to_owned(), Rc::new(formula));
                }
                Err(found) => {
                    let first = found.first().map_or("it cannot be read", |first| first.message.as_str());
                    let more = if found.len() > 1 { format!(" (and {} more)", found.len() - 1) } else { String::new() };
                    let problem = level.site.step(def, codes::INLINE, format!("formula `{name}` cannot be inlined: {first}{more}"));
                    self.problems.push(problem.help(format!("`formula check {name}` shows where")));
                    return None;
                }
            }
        }
        let formula = Rc::clone(&self.loaded[name]);
        if self.stack.contains(&formula.name) {
            let path: Vec<_> = self.stack.iter().map(String::as_str).chain([formula.name.as_str()]).collect();
            let problem =
                level.site.step(def, codes::INLINE_CYCLE, format!("formula `{}` inlines itself: {}", formula.name, path.join(" → ")));
            self.problems.push(problem.help("take the step out of one of them"));
            return None;
        }
        if self.stack.len() > DEEPEST {
            let message = format!("formulas may be inlined {DEEPEST} deep, `{}` goes deeper", formula.name);
            self.problems.push(level.site.step(def, codes::INLINE, message));
            return None;
        }
        Some(formula)
    }

    /// Values for the vars of an inlined formula; what depends on outputs stays a template over the scope of the step.
    fn vars(&mut self, def: &StepDef, level: Level<'_>, formula: &Formula, item: Option<&Value>) -> Option<Vars> {
        let nothing = Map::new();
        let written = def.with.get("vars").and_then(Value::as_object).unwrap_or(&nothing);
        let before = self.problems.len();
        let mut given = Map::new();
        let mut open = HashSet::new();
        for (name, value) in written {
            let Some(decl) = formula.vars.get(name) else {
                let problem = level.site.step(def, codes::UNKNOWN_NAME, format!("formula `{}` has no var `{name}`", formula.name));
                self.problems.push(match nearest(name, formula.vars.keys().map(String::as_str)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("`formula run {} --help` lists its vars", formula.name)),
                });
                continue;
            };
            let view = self.view(level.scope, item);
            let is_open = view.holds_open(value);
            let mut settler = Settler { view, again: is_open, troubles: Vec::new() };
            let settled = settler.value(value);
            let troubles = settler.troubles;
            if self.report(def, level, &troubles) {
                continue;
            }
            if is_open {
                open.insert(name.clone());
            }
            let typed = settled.as_str().filter(|_| !is_open).and_then(|text| from_text(decl, text).ok());
            given.insert(name.clone(), typed.unwrap_or(settled));
        }
        match fill(formula, given, &open) {
            Ok(values) if self.problems.len() == before => Some(Vars { values, open }),
            Ok(_) => None,
            Err(errors) => {
                for error in errors {
                    let problem = level.site.step(def, codes::INLINE, format!("formula `{}`: {}", formula.name, error.message));
                    self.problems.push(problem.help(format!("with = {{ vars = {{ {} = … }} }}", error.name)));
                }
                None
            }
        }
    }

    fn open_scope(&mut self, level: Level<'_>, formula: &Formula, id: &str, inlined: Inlined) {
        let env = self.env(formula);
        let Inlined { item, condition, vars: Vars { values, open } } = inlined;
        let stored =
            values.iter().map(|(name, value)| (name.clone(), if open.contains(name) { value.clone() } else { quoted(value) })).collect();
        self.frames.push(Frame {
            vars: Value::Object(values),
            open,
            env: env.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
            conditional: condition.is_some() || self.frames[level.scope as usize].conditional,
        });
        self.scopes.push(Scope {
            parent: Some(level.scope),
            prefix: format!("{}{id}/", self.scopes[level.scope as usize].prefix),
            vars: stored,
            item,
            condition,
            env,
            groups: BTreeMap::new(),
        });
    }
}

/// What one instance of an inlined formula has for itself.
struct Inlined {
    item: Option<Value>,
    condition: Option<String>,
    vars: Vars,
}

/// The vars of an inlined formula.
struct Vars {
    values: Map<String, Value>,
    /// Those whose value is a template over the scope of the step that inlines.
    open: HashSet<String>,
}

/// A value that is rendered once more and must come out as it is.
fn quoted(value: &Value) -> Value {
    match value {
        Value::String(text) => template::quote(text).into(),
        Value::Array(items) => items.iter().map(quoted).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), quoted(value))).collect(),
        other => other.clone(),
    }
}
