//! HTTP requests as params describe them: addresses that may be used, and headers with secret values.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::contract::{Context, StepError};
use crate::world::Secret;

static NAMES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{([A-Za-z_][A-Za-z0-9_]*)\}").expect("the pattern is a constant"));

/// What is wrong about an address, if anything: only `http` and `https`, and no credentials in it.
pub fn url_problem(url: &str) -> Option<String> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Some(format!("`{url}` is not an address that begins with `http://` or `https://`"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Some(format!("`{url}` is not an address"));
    }
    authority.contains('@').then(|| "an address must not hold credentials: hand them over in `secret_headers`".to_owned())
}

/// Header values with each `{NAME}` replaced by the secret of that name.
///
/// # Errors
/// Refused when a value names no secret, or one that is not handed to the step.
pub fn secret_headers(cx: &Context, headers: &BTreeMap<String, String>) -> Result<Vec<(String, Secret)>, StepError> {
    headers.iter().map(|(header, text)| Ok((header.clone(), secret_text(cx, header, text)?))).collect()
}

fn secret_text(cx: &Context, header: &str, text: &str) -> Result<Secret, StepError> {
    if !NAMES.is_match(text) {
        return Err(StepError::refused(format!("the value for `{header}` in `secret_headers` names no secret"))
            .hint(format!("write it like `{header} = \"Bearer {{TOKEN}}\"`, with the name of a declared secret")));
    }
    for name in NAMES.captures_iter(text) {
        cx.secret(&name[1])?;
    }
    let filled = NAMES.replace_all(text, |name: &Captures<'_>| cx.secrets.get(&name[1]).map_or("", |secret| secret.expose()).to_owned());
    Ok(Secret::new(filled))
}

/// Replaces each `{name}` in an address by the text that `value` gives for it, percent-encoded.
///
/// # Errors
/// The first name that `value` has nothing for.
pub fn fill_url(url: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut missing = None;
    let filled = NAMES.replace_all(url, |name: &Captures<'_>| {
        let text = value(&name[1]);
        if text.is_none() {
            missing.get_or_insert_with(|| name[1].to_owned());
        }
        percent_encode(&text.unwrap_or_default())
    });
    match missing {
        Some(name) => Err(name),
        None => Ok(filled.into_owned()),
    }
}

/// The names in braces that an address holds.
pub fn names(text: &str) -> Vec<String> {
    NAMES.captures_iter(text).map(|name| name[1].to_owned()).collect()
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_let_through() {
        assert_eq!(url_problem("https://forge.example/api?x=1"), None);
        for url in ["ftp://x", "file:///etc/passwd", "//x", "http://", "http://u:p@host/", "http://a b/", "http://a\nb/"] {
            assert!(url_problem(url).is_some(), "{url:?}");
        }
    }

    #[test]
    fn values_cannot_leave_their_place_in_an_address() {
        let filled = fill_url("http://x/items/{id}?a=b", |name| (name == "id").then(|| "1/../2?c#d é".to_owned()));
        assert_eq!(filled, Ok("http://x/items/1%2F..%2F2%3Fc%23d%20%C3%A9?a=b".to_owned()));
        assert_eq!(fill_url("http://x/{other}", |_| None), Err("other".to_owned()));
    }
}
