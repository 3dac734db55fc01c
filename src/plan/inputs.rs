//! Values of the vars: what was given, from where, and what they are where nobody gives them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde_json::{Map, Value};

use super::values::{json, merged};
use crate::diagnostic::nearest;
use crate::model::{Formula, VarDecl, VarType};
use crate::syntax::value_fits;
use crate::template;

pub use super::values::GivenValue;
pub(super) use super::values::from_text;

/// Where a value was given; the first of these wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A flag of its own: `--version v0.3.0`.
    Flag,
    /// `--set version=v0.3.0`.
    Set,
    /// `--vars FILE`.
    File,
    /// `FORMULA_VAR_VERSION`.
    Env,
}

/// A value that somebody gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Name of the var; `-` and `_` are the same.
    pub name: String,
    /// The value.
    pub value: GivenValue,
    /// Where.
    pub origin: Origin,
}

impl Given {
    /// A flag; for a list or a table one of several. A switch is `true` or `false`.
    pub fn flag(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), value: GivenValue::Text(text.into()), origin: Origin::Flag }
    }

    /// `NAME=VALUE`, any TOML value or plain text.
    ///
    /// # Errors
    /// When there is no `=`.
    pub fn set(text: &str) -> Result<Self, InputError> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: GivenValue::Text(value.trim().to_owned()), origin: Origin::Set })
            }
            _ => Err(InputError {
                name: text.to_owned(),
                message: format!("`--set {text}` gives no value"),
                help: "write `--set NAME=VALUE`".to_owned(),
            }),
        }
    }

    /// The keys of a TOML file.
    ///
    /// # Errors
    /// When it is not TOML; the message names line and column.
    pub fn file(text: &str) -> Result<Vec<Self>, String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        Ok(table.into_iter().map(|(name, value)| Self { name, value: GivenValue::Value(json(value)), origin: Origin::File }).collect())
    }

    /// What the environment gives for the vars of a formula.
    pub fn env(formula: &Formula, env: &BTreeMap<String, String>) -> Vec<Self> {
        let given = |name: &String| {
            let text = env.get(&env_name(name))?;
            Some(Self { name: name.clone(), value: GivenValue::Text(text.clone()), origin: Origin::Env })
        };
        formula.vars.keys().filter_map(given).collect()
    }
}

/// A var that cannot be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The var, or what was taken for one.
    pub name: String,
    /// What is wrong; lower case, no full stop, names in backticks.
    pub message: String,
    /// What to type.
    pub help: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.help)
    }
}

impl std::error::Error for InputError {}

/// The variable of the environment that gives a var: `FORMULA_VAR_VERSION`.
pub fn env_name(var: &str) -> String {
    format!("FORMULA_VAR_{}", var.replace('-', "_").to_ascii_uppercase())
}

/// Settles all vars of a formula.
///
/// # Errors
/// Every problem at once: unknown vars, values of the wrong type, required vars that nobody gives.
pub fn inputs(formula: &Formula, given: &[Given]) -> Result<Map<String, Value>, Vec<InputError>> {
    let mut errors = Vec::new();
    let mut values = Map::new();
    let mut failed = HashSet::new();
    let mut by_var: BTreeMap<&str, Vec<&Given>> = BTreeMap::new();
    for one in given {
        match declared(formula, &one.name) {
            Some(name) => by_var.entry(name).or_default().push(one),
            None => errors.push(unknown(formula, one)),
        }
    }
    for (name, decl) in &formula.vars {
        let Some(all) = by_var.get(name.as_str()) else { continue };
        let origin = all.iter().map(|given| given.origin).min().expect("an entry is made with its first value");
        let winning: Vec<_> = all.iter().filter(|given| given.origin == origin).map(|given| &given.value).collect();
        match merged(decl, origin, &winning) {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(reason) => {
                failed.insert(name.clone());
                errors.push(misfit(name, decl, &reason));
            }
        }
    }
    let filled = Filling { formula, open: &failed, values, errors }.fill();
    filled.map(|values| in_file_order(formula, values))
}

/// Checks values and adds defaults. `open` ones are known only later: they are not checked, and no default may use them.
pub(super) fn fill(formula: &Formula, given: Map<String, Value>, open: &HashSet<String>) -> Result<Map<String, Value>, Vec<InputError>> {
    Filling { formula, open, values: given, errors: Vec::new() }.fill()
}

fn in_file_order(formula: &Formula, mut values: Map<String, Value>) -> Map<String, Value> {
    formula.vars.keys().filter_map(|name| values.remove_entry(name)).collect()
}

struct Filling<'a> {
    formula: &'a Formula,
    open: &'a HashSet<String>,
    values: Map<String, Value>,
    errors: Vec<InputError>,
}

impl Filling<'_> {
    fn fill(mut self) -> Result<Map<String, Value>, Vec<InputError>> {
        let mut waiting = Vec::new();
        for (name, decl) in &self.formula.vars {
            match self.values.get(name) {
                _ if self.open.contains(name) => {}
                Some(value) => self.check(name, decl, &value.clone()),
                None => match &decl.default {
                    Some(default) if template::holds_template(default) => waiting.push((name, decl, default)),
                    Some(default) => {
                        self.values.insert(name.clone(), default.clone());
                    }
                    None if decl.required => self.errors.push(missing(name, decl)),
                    None => {
                        self.values.insert(name.clone(), nothing(decl));
                    }
                },
            }
        }
        while self.errors.is_empty() && !waiting.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, _, default)| self.is_ready(default));
            if ready.is_empty() {
                self.stuck(&rest);
            }
            for (name, decl, default) in ready {
                self.default(name, decl, default);
            }
            waiting = rest;
        }
        if self.errors.is_empty() { Ok(self.values) } else { Err(self.errors) }
    }

    fn check(&mut self, name: &str, decl: &VarDecl, value: &Value) {
        if let Err(reason) = value_fits(decl, value) {
            self.errors.push(misfit(name, decl, &reason));
        } else if let (VarType::SecretName, Some(secret)) = (decl.ty, value.as_str())
            && !secret.is_empty()
            && !self.formula.secrets.contains_key(secret)
        {
            let known: Vec<&str> = self.formula.secrets.keys().map(String::as_str).collect();
            let help = match nearest(secret, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "the formula declares no secrets".to_owned(),
                None => format!("declared are {}", super::problems::names(known)),
            };
            self.errors.push(InputError { name: name.to_owned(), message: format!("`{name}`: no secret `{secret}` is declared"), help });
        }
    }

    /// Whether all vars that a default uses have their values.
    fn is_ready(&self, default: &Value) -> bool {
        self.names(default).iter().all(|name| self.values.contains_key(name) && !self.open.contains(name))
    }

    /// Names of the vars that a default uses.
    fn names(&self, value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => {
                let references = template::references(text).unwrap_or_default();
                let known = |name: &String| self.formula.vars.contains_key(name);
                references
                    .into_iter()
                    .filter(|found| found.path[0] == "vars")
                    .filter_map(|found| found.path.into_iter().nth(1))
                    .filter(known)
                    .collect()
            }
            Value::Array(items) => items.iter().flat_map(|item| self.names(item)).collect(),
            Value::Object(map) => map.values().flat_map(|item| self.names(item)).collect(),
            _ => Vec::new(),
        }
    }

    fn default(&mut self, name: &str, decl: &VarDecl, default: &Value) {
        let mut scope = Map::new();
        scope.insert("vars".to_owned(), Value::Object(std::mem::take(&mut self.values)));
        let rendered = template::render(default, &scope);
        if let Some(Value::Object(values)) = scope.remove("vars") {
            self.values = values;
        }
        match rendered {
            Ok(value) => {
                let typed = value.as_str().and_then(|text| from_text(decl, text).ok());
                let value = typed.unwrap_or(value);
                self.check(name, decl, &value);
                self.values.insert(name.to_owned(), value);
            }
            Err(error) => {
                self.errors.push(InputError {
                    name: name.to_owned(),
                    message: format!("default of `{name}`: {error}"),
                    help: give(name, decl),
                });
            }
        }
    }

    fn stuck(&mut self, waiting: &[(&String, &VarDecl, &Value)]) {
        for (name, decl, default) in waiting {
            let used = self.names(default);
            let message = match used.iter().find(|name| self.open.contains(*name)) {
                Some(open) => format!("the default of `{name}` uses `{open}`, which is known only during the run"),
                None => format!("the default of `{name}` uses {}, in a circle", super::problems::names(used.iter().map(String::as_str))),
            };
            self.errors.push(InputError { name: (*name).clone(), message, help: give(name, decl) });
        }
    }
}

fn declared<'f>(formula: &'f Formula, name: &str) -> Option<&'f str> {
    let folded = |name: &str| name.replace('-', "_");
    let exact = formula.vars.get_key_value(name).map(|(name, _)| name);
    let found = exact.or_else(|| formula.vars.keys().find(|known| folded(known) == folded(name)));
    found.map(String::as_str)
}

/// What a var is that has no value.
fn nothing(decl: &VarDecl) -> Value {
    match decl.ty {
        VarType::List => Value::Array(Vec::new()),
        VarType::Table => Value::Object(Map::new()),
        VarType::Bool => false.into(),
        VarType::Int => Value::Null,
        _ => "".into(),
    }
}

fn unknown(formula: &Formula, given: &Given) -> InputError {
    let how = match given.origin {
        Origin::Flag => format!("--{}", given.name),
        Origin::Set => format!("--set {}", given.name),
        Origin::File => format!("{} in the file of vars", given.name),
        Origin::Env => env_name(&given.name),
    };
    let help = match nearest(&given.name, formula.vars.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", flag(near)),
        None => format!("`formula run {} --help` lists its vars", formula.name),
    };
    InputError { name: given.name.clone(), message: format!("formula `{}` has no var for `{how}`", formula.name), help }
}

fn missing(name: &str, decl: &VarDecl) -> InputError {
    let about = if decl.description.is_empty() { String::new() } else { format!(" ({})", decl.description) };
    InputError { name: name.to_owned(), message: format!("`{name}` is required{about}"), help: give(name, decl) }
}

fn misfit(name: &str, decl: &VarDecl, reason: &str) -> InputError {
    InputError { name: name.to_owned(), message: format!("`{name}`: {reason}"), help: give(name, decl) }
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// How to give it.
fn give(name: &str, decl: &VarDecl) -> String {
    let flag = flag(name);
    match decl.ty {
        VarType::Bool => format!("give it with `{flag}` or `--no-{}`", &flag[2..]),
        VarType::List => format!("give it with `{flag} VALUE`, once per item"),
        VarType::Table => format!("give it with `{flag} KEY=VALUE`, once per entry"),
        _ => format!("give it with `{flag} {}`", sample(decl)),
    }
}

fn sample(decl: &VarDecl) -> &str {
    match decl.ty {
        VarType::Int => "3",
        VarType::Enum => decl.choices.first().map_or("VALUE", String::as_str),
        VarType::Path => "some/file",
        VarType::Duration => "90s",
        VarType::Url => "https://host/path",
        VarType::HostPort => "host:8080",
        VarType::GitRef => "main",
        VarType::ImageRef => "registry/name:tag",
        VarType::Version => "v0.3.0",
        VarType::SecretName => "NAME",
        VarType::String | VarType::Bool | VarType::List | VarType::Table => "VALUE",
    }
}
