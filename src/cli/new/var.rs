//! An input as it is given on the command line: `name:type=default`.

use std::fmt::Write as _;
use std::str::FromStr;

use toml::Value;

/// A var to be declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Var {
    name: String,
    /// `string` where nothing is said.
    ty: String,
    choices: Vec<String>,
    default: Option<Value>,
}

impl FromStr for Var {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (head, default) = match text.split_once('=') {
            Some((head, default)) => (head, Some(default)),
            None => (text, None),
        };
        let (name, ty) = head.split_once(':').unwrap_or((head, "string"));
        if !name.trim().starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            return Err("it begins with a name, as in `version:version` or `port:int=8080`".into());
        }
        let choices: Vec<String> = ty.split('|').filter(|_| ty.contains('|')).map(str::to_owned).collect();
        let ty = if choices.is_empty() { ty } else { "enum" };
        let default = default.map(|default| value(ty, default)).transpose()?;
        Ok(Self { name: name.trim().to_owned(), ty: ty.trim().to_owned(), choices, default })
    }
}

fn value(ty: &str, text: &str) -> Result<Value, String> {
    let toml = |text: &str| text.parse::<Value>().map_err(|_| format!("`{text}` is not what TOML would take for the type `{ty}`"));
    match ty {
        "int" | "bool" | "table" => toml(text),
        "list" if text.trim_start().starts_with('[') => toml(text),
        "list" => Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect::<Vec<_>>().into()),
        _ => Ok(text.into()),
    }
}

impl Var {
    /// Its table in TOML.
    pub(super) fn declared(&self) -> String {
        let name = if is_bare(&self.name) { self.name.clone() } else { Value::from(self.name.as_str()).to_string() };
        let mut text = format!("[vars.{name}]\ntype = {}\ndescription = \"What `{}` is\"\n", Value::from(self.ty.as_str()), self.name);
        if !self.choices.is_empty() {
            let _ = writeln!(text, "choices = {}", Value::from(self.choices.clone()));
        }
        match &self.default {
            Some(default) => drop(writeln!(text, "default = {default}")),
            None => text.push_str("required = true\n"),
        }
        text
    }

    /// A line for the vars of a test; None where the default will do.
    pub(super) fn sample(&self) -> Option<String> {
        if self.default.is_some() {
            return None;
        }
        let sample: Value = match self.ty.as_str() {
            "int" => 3.into(),
            "bool" => true.into(),
            "enum" => self.choices.first().map_or("", String::as_str).into(),
            "list" => Value::Array(vec!["one".into()]),
            "table" => Value::Table(toml::Table::new()),
            "duration" => "90s".into(),
            "url" => "https://forge.test/path".into(),
            "host-port" => "forge.test:8080".into(),
            "git-ref" => "main".into(),
            "image-ref" => "registry.test/acme/shop:v1.2.0".into(),
            "version" => "v1.2.0".into(),
            _ => "text".into(),
        };
        Some(format!("{} = {sample}", if is_bare(&self.name) { self.name.clone() } else { Value::from(self.name.as_str()).to_string() }))
    }
}

fn is_bare(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(text: &str) -> String {
        text.parse::<Var>().unwrap().declared().lines().filter(|line| !line.starts_with("description")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_var_is_a_name_a_type_and_a_default() {
        assert_eq!(declared("text"), "[vars.text]; type = \"string\"; required = true");
        assert_eq!(declared("text=a=b"), "[vars.text]; type = \"string\"; default = \"a=b\"");
        assert_eq!(declared("version:version"), "[vars.version]; type = \"version\"; required = true");
        assert_eq!(declared("port:int=8080"), "[vars.port]; type = \"int\"; default = 8080");
        assert_eq!(declared("on:bool=false"), "[vars.on]; type = \"bool\"; default = false");
        assert_eq!(declared("l:list=a, b"), "[vars.l]; type = \"list\"; default = [\"a\", \"b\"]");
        assert_eq!(declared("l:list="), "[vars.l]; type = \"list\"; default = []");
        assert_eq!(declared("c:a|b=b"), "[vars.c]; type = \"enum\"; choices = [\"a\", \"b\"]; default = \"b\"");
        assert!(":int".parse::<Var>().is_err() && "3".parse::<Var>().is_err() && "n:int=x".parse::<Var>().is_err());
    }
}
