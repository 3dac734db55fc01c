//! `[secrets.*]` and `[env]`: what a formula takes from its surroundings beside its inputs.

use indexmap::IndexMap;
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Entry, Text, entries};
use super::fits::is_env_name;
use super::table::{Table, text, texts};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{SecretDecl, SecretSource};

/// Reads all secrets.
pub(super) fn read(cx: &Cx<'_>, table: &DeTable<'_>) -> IndexMap<String, SecretDecl> {
    let mut secrets = IndexMap::new();
    for entry in entries(table).into_iter().take_while(|_| !cx.is_hopeless()) {
        check_name(cx, &entry, "a secret");
        let DeValue::Table(inner) = entry.node.value else {
            cx.wrong_type(&entry.node, &format!("secrets.{}", entry.key), "a table");
            continue;
        };
        let table =
            Table::new(cx, inner, format!("[secrets.{}]", entry.key), entry.key_range.clone(), &["from", "required", "description"]);
        table.text("description");
        let from = table.get("from");
        if from.is_none() {
            table.missing("from", &format!("from = [\"env:{}\"]", entry.key));
        }
        let from = from.map(|from| sources(cx, &from)).unwrap_or_default();
        let required = table.bool("required").unwrap_or(true);
        secrets.insert(entry.key.to_owned(), SecretDecl { from, required, span: cx.patch.span(&entry.key_range) });
    }
    secrets
}

/// Reads `[env]`: names with a default, or with a table that may hold one.
pub(super) fn read_env(cx: &Cx<'_>, table: &DeTable<'_>) -> IndexMap<String, Option<String>> {
    let mut env = IndexMap::new();
    for entry in entries(table).into_iter().take_while(|_| !cx.is_hopeless()) {
        check_name(cx, &entry, "an environment variable");
        let default = match entry.node.value {
            DeValue::Table(inner) => {
                let table = Table::new(cx, inner, format!("[env.{}]", entry.key), entry.key_range.clone(), &["default", "description"]);
                table.text("description");
                table.text("default")
            }
            _ => text(cx, &entry.node, &format!("env.{}", entry.key)),
        };
        env.insert(entry.key.to_owned(), default.map(|text| text.text.to_owned()));
    }
    env
}

/// Reports a key that is no name of an environment variable.
pub(super) fn check_name(cx: &Cx<'_>, entry: &Entry<'_>, what: &str) {
    if !is_env_name(entry.key) {
        let problem = Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a name that {what} may have", entry.key));
        cx.report(problem.at(entry.key_range.clone(), "").help("letters, digits and `_`, not beginning with a digit"));
    }
}

fn sources(cx: &Cx<'_>, entry: &Entry<'_>) -> Vec<SecretSource> {
    let list = match entry.node.value {
        DeValue::String(_) => text(cx, &entry.node, "from").into_iter().collect(),
        _ => texts(cx, &entry.node, "from").unwrap_or_default(),
    };
    if list.is_empty() && matches!(entry.node.value, DeValue::Array(_)) {
        let problem = Diagnostic::error(codes::BAD_SOURCE, "`from` is empty, so the secret would never be found");
        cx.report(problem.at(entry.node.range.clone(), "").help("name a source, such as \"env:TOKEN\""));
    }
    let read = |text: &Text<'_>| match source(text.text) {
        Ok(source) => Some(source),
        Err((message, help)) => {
            let problem = Diagnostic::error(codes::BAD_SOURCE, message).at(text.range.clone(), "");
            cx.report(if help.is_empty() { problem } else { problem.help(help) });
            None
        }
    };
    list.iter().filter_map(read).collect()
}

const BEGINNINGS: &str = "sources begin with `env:`, `file:`, `sops:`, `age:` or `command:`";

/// One source; else what is wrong with it, and what to do.
fn source(text: &str) -> Result<SecretSource, (String, String)> {
    let refuse = |message: String| Err((message, String::new()));
    let Some((kind, rest)) = text.split_once(':') else {
        return Err((format!("`{text}` does not say what kind of source it is"), BEGINNINGS.to_owned()));
    };
    if rest.trim().is_empty() {
        return refuse(format!("`{kind}:` has nothing after the colon"));
    }
    Ok(match kind {
        "env" if is_env_name(rest) => SecretSource::Env(rest.to_owned()),
        "env" => return refuse(format!("`{rest}` is not the name of an environment variable")),
        "file" => SecretSource::File(rest.to_owned()),
        "age" => SecretSource::Age(rest.to_owned()),
        "sops" => {
            let (file, key) = rest.split_once('#').map_or((rest, None), |(file, key)| (file, Some(key)));
            if file.is_empty() || key == Some("") {
                return Err((format!("`{rest}` lacks a file or a key"), "write it as sops:FILE#KEY".to_owned()));
            }
            SecretSource::Sops { file: file.to_owned(), key: key.map(str::to_owned) }
        }
        "command" => match shlex::split(rest) {
            Some(argv) if !argv.is_empty() => SecretSource::Command(argv),
            _ => return refuse(format!("`{rest}` has a quote that is not closed")),
        },
        _ => {
            let near = crate::diagnostic::nearest(kind, ["env", "file", "sops", "age", "command"]);
            let help = near.map_or_else(|| BEGINNINGS.to_owned(), |near| format!("did you mean `{near}:`?"));
            return Err((format!("unknown kind of source `{kind}:`"), help));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_source_is_read() {
        let read = |text: &str| source(text).map_err(|(message, _)| message);
        assert_eq!(read("env:TOKEN"), Ok(SecretSource::Env("TOKEN".into())));
        assert_eq!(read("file:a:b"), Ok(SecretSource::File("a:b".into())));
        assert_eq!(read("sops:x.yaml#a.b"), Ok(SecretSource::Sops { file: "x.yaml".into(), key: Some("a.b".into()) }));
        assert_eq!(read("sops:x.yaml"), Ok(SecretSource::Sops { file: "x.yaml".into(), key: None }));
        assert_eq!(read("age:x.age"), Ok(SecretSource::Age("x.age".into())));
        assert_eq!(read("command:pass 'show it' gh"), Ok(SecretSource::Command(vec!["pass".into(), "show it".into(), "gh".into()])));
        for bad in ["TOKEN", "env:", "env:a b", "sops:#k", "sops:f#", "command:'x", "command: ", "http:x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
