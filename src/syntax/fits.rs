//! Whether a value is one that a var may have: the same answer for a default in the file and for what a person types.

use formula_steps::world::ImageRef;
use regex::Regex;
use serde_json::Value;

use super::duration;
use crate::model::{VarDecl, VarType};

/// Tests a value whose templates, if any, are rendered.
///
/// The empty text passes wherever a text is wanted, unless the var is required: it says that nothing is given.
///
/// # Errors
/// Says what is wrong with the value, in words that go after its name: `` `v1` is not a version; write it as v1.2.3 ``.
pub fn value_fits(decl: &VarDecl, value: &Value) -> Result<(), String> {
    match decl.ty {
        VarType::Int if value.as_i64().is_some() => return Ok(()),
        VarType::Int => return Err(format!("{} is not a whole number", shown(value))),
        VarType::Bool if value.is_boolean() => return Ok(()),
        VarType::Bool => return Err(format!("{} is neither true nor false", shown(value))),
        VarType::List => {
            let items = value.as_array().ok_or_else(|| format!("{} is not a list", shown(value)))?;
            return items.iter().try_for_each(|item| match item.as_str() {
                Some(text) => matches(decl, text),
                None => Err(format!("{} in the list is not a text", shown(item))),
            });
        }
        VarType::Table => {
            let table = value.as_object().ok_or_else(|| format!("{} is not a table", shown(value)))?;
            return match table.iter().find(|(_, item)| !item.is_string()) {
                Some((key, item)) => Err(format!("{} under `{key}` is not a text", shown(item))),
                None => Ok(()),
            };
        }
        _ => {}
    }
    let text = value.as_str().ok_or_else(|| format!("{} is not a text", shown(value)))?;
    if text.is_empty() && !decl.required {
        return Ok(());
    }
    text_fits(decl, text)?;
    matches(decl, text)
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { "the value".to_owned() } else { format!("`{text}`") }
}

fn matches(decl: &VarDecl, text: &str) -> Result<(), String> {
    match &decl.pattern {
        // A pattern that is no regular expression is reported where it is declared.
        Some(pattern) if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) => {
            Err(format!("`{text}` does not match the pattern `{pattern}`"))
        }
        _ => Ok(()),
    }
}

fn text_fits(decl: &VarDecl, text: &str) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("`{text}` is not {what}"));
    match decl.ty {
        VarType::Enum if !decl.choices.iter().any(|choice| choice == text) => {
            let choices: Vec<String> = decl.choices.iter().map(|choice| format!("`{choice}`")).collect();
            refuse(&format!("one of {}", choices.join(", ")))
        }
        VarType::Path if text.starts_with('-') || text.contains('\0') => refuse("a path that may be used; it must not begin with `-`"),
        VarType::Duration => duration::parse(text).map(|_| ()),
        VarType::Url if !is_url(text) => refuse("a url; write it as https://host/path"),
        VarType::HostPort if !is_host_port(text) => refuse("a host and a port; write it as host:8080"),
        VarType::GitRef if !is_git_ref(text) => refuse("a name that git allows for a ref"),
        VarType::ImageRef => ImageRef::parse(text).map(|_| ()).map_err(|error| error.message),
        VarType::Version if semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).is_err() => {
            refuse("a version; write it as v1.2.3")
        }
        VarType::SecretName if !is_env_name(text) => refuse("a name that a secret may have"),
        _ => Ok(()),
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty()) && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plain =
        |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_'));
    let six = |part: &str| {
        part.strip_prefix('[').and_then(|part| part.strip_suffix(']')).is_some_and(|part| part.parse::<std::net::Ipv6Addr>().is_ok())
    };
    (plain(host) && !host.starts_with('-') || six(host)) && port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+')
}

/// The rules of `git check-ref-format --allow-onelevel`, without names that look like options.
fn is_git_ref(text: &str) -> bool {
    let odd = |letter: char| letter.is_control() || matches!(letter, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock");
    !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(odd)
        && text.split('/').all(part)
}

/// Letters, digits and `_`, not beginning with a digit.
pub(super) fn is_env_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Span;

    fn decl(ty: VarType) -> VarDecl {
        VarDecl {
            ty,
            description: String::new(),
            required: true,
            default: None,
            pattern: None,
            choices: vec!["low".to_owned(), "high".to_owned()],
            span: Span::default(),
        }
    }

    #[test]
    fn every_type_takes_its_values_and_no_others() {
        use VarType as T;
        for (ty, good, bad) in [
            (T::String, json!("x"), json!(1)),
            (T::Int, json!(-3), json!("3")),
            (T::Int, json!(0), json!(1.5)),
            (T::Bool, json!(false), json!("false")),
            (T::Enum, json!("high"), json!("medium")),
            (T::Path, json!("a/b c"), json!("-rf")),
            (T::Duration, json!("1h30m"), json!("soon")),
            (T::Url, json!("https://[::1]:8080/x?y"), json!("ftp://x")),
            (T::Url, json!("http://host"), json!("https:///path")),
            (T::HostPort, json!("127.0.0.1:80"), json!("host:0")),
            (T::HostPort, json!("[::1]:80"), json!("::1:80")),
            (T::HostPort, json!("forge:3000"), json!("forge:65536")),
            (T::GitRef, json!("refs/tags/v1.2"), json!("a..b")),
            (T::GitRef, json!("feature/x@y"), json!("--upload-pack=x")),
            (T::GitRef, json!("main"), json!("a/b.lock")),
            (T::ImageRef, json!("ghcr.io/acme/agents:v1"), json!("UPPER/case")),
            (T::Version, json!("v1.2.3-rc.1"), json!("1.2")),
            (T::Version, json!("1.2.3"), json!("vv1.2.3")),
            (T::List, json!(["a"]), json!(["a", 1])),
            (T::List, json!([]), json!("a")),
            (T::Table, json!({"a": "b"}), json!({"a": 1})),
            (T::SecretName, json!("TOKEN_2"), json!("2_TOKEN")),
        ] {
            assert_eq!(value_fits(&decl(ty), &good), Ok(()), "{ty:?} {good}");
            assert!(value_fits(&decl(ty), &bad).is_err(), "{ty:?} {bad}");
        }
    }

    #[test]
    fn the_empty_text_stands_for_nothing_given() {
        let mut url = decl(VarType::Url);
        assert!(value_fits(&url, &json!("")).is_err());
        url.required = false;
        url.pattern = Some("^https".to_owned());
        assert_eq!(value_fits(&url, &json!("")), Ok(()));
        assert_eq!(value_fits(&url, &json!("http://x")), Err("`http://x` does not match the pattern `^https`".to_owned()));
    }
}
