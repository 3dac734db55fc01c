//! The command of a run, as a person would type it again.

use serde_json::{Map, Value};

use super::vars;
use crate::model::{Formula, VarType};
use crate::plan::Given;

/// `formula run NAME` with every var that was given, wherever it was given, and the key. A var that names a secret has only its name.
pub fn command(name: &str, formula: &Formula, given: &[Given], values: &Map<String, Value>, key: Option<&str>) -> String {
    let mut words = vec!["formula".to_owned(), "run".to_owned(), name.to_owned()];
    for (var, decl) in &formula.vars {
        let is_given = given.iter().any(|given| given.name.replace('-', "_") == *var || given.name == *var);
        let Some(value) = values.get(var).filter(|_| is_given) else { continue };
        let flag = format!("--{}", var.replace('_', "-"));
        match (decl.ty, value) {
            _ if vars::is_option(&flag[2..]) => words.extend(["--set".to_owned(), format!("{var}={}", toml(value))]),
            (VarType::Bool, Value::Bool(true)) => words.push(flag),
            (VarType::Bool, _) => words.push(format!("--no-{}", &flag[2..])),
            (VarType::List, Value::Array(items)) if is_plain(items.iter()) => {
                words.extend(items.iter().flat_map(|item| [flag.clone(), text(item)]));
            }
            (VarType::Table, Value::Object(map)) if is_plain(map.values()) => {
                words.extend(map.iter().flat_map(|(key, item)| [flag.clone(), format!("{key}={}", text(item))]));
            }
            (VarType::List | VarType::Table, _) => words.extend(["--set".to_owned(), format!("{var}={}", toml(value))]),
            _ => words.extend([flag, text(value)]),
        }
    }
    words.extend(key.into_iter().flat_map(|key| ["--key".to_owned(), key.to_owned()]));
    let quoted = words.iter().map(|word| shlex::try_quote(word).map_or_else(|_| word.clone(), std::borrow::Cow::into_owned));
    quoted.collect::<Vec<_>>().join(" ")
}

/// Whether each of them is a text that a flag takes, and there is one: none at all cannot be said with flags.
fn is_plain<'a>(mut items: impl ExactSizeIterator<Item = &'a Value>) -> bool {
    items.len() > 0 && items.all(Value::is_string)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as `--set` takes it.
fn toml(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}
