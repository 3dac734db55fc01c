//! Compose files of a fake world: YAML as the library reads it, and enough of compose's interpolation.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::Budget;

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut budget = Budget::default();
    // One stanza may be shared by hundreds of services.
    budget.enforce_alias_anchor_ratio = false;
    let options = serde_saphyr::options! {
        budget: Some(budget),
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Fills `${…}` in every text.
pub(super) fn interpolate(value: Value, env: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(fill(&text, env)?),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| interpolate(item, env)).collect::<Result<_, _>>()?),
        Value::Object(table) => {
            Value::Object(table.into_iter().map(|(key, item)| Ok((key, interpolate(item, env)?))).collect::<Result<_, String>>()?)
        }
        other => other,
    })
}

fn fill(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing(after).ok_or_else(|| format!("invalid interpolation format for `{text}`"))?;
            filled.push_str(&variable(&after[..end], env)?);
            rest = &after[end + 1..];
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            filled.push_str(env.get(&rest[..end]).map_or("", String::as_str));
            rest = &rest[end..];
        }
    }
    Ok(filled + rest)
}

/// Where the brace that is open closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn variable(expression: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let end = expression.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(expression.len());
    let (name, rest) = expression.split_at(end);
    let value = env.get(name).map(String::as_str);
    let (rest, value) = match rest.strip_prefix(':') {
        Some(rest) => (rest, value.filter(|value| !value.is_empty())),
        None => (rest, value),
    };
    match (rest.chars().next(), value) {
        (None, value) => Ok(value.unwrap_or_default().to_owned()),
        (Some('-' | '?'), Some(value)) => Ok(value.to_owned()),
        (Some('-'), None) => fill(&rest[1..], env),
        (Some('?'), None) => Err(format!("required variable {name} is missing a value: {}", &rest[1..])),
        _ => Err(format!("invalid interpolation format for `{expression}`")),
    }
}

/// Assignments of an env file, as far as a fake world needs them: later ones win, one pair of quotes is taken off.
pub(super) fn env(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') {
            let value = value.trim();
            let quoted = ['\'', '"'].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
            found.insert(key.trim().to_owned(), quoted.unwrap_or(value).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_reads_as_compose_reads_it() {
        let text = "\
# a comment
name: harb
x-shared: &shared
  restart: always
services:
  web:
    image: \"acme/web:${VERSION:-v1}\"  # trailing
    environment:
      A: 'it''s'
      B: $$HOME
    depends_on: [db]
    volumes:
      - data:/data
      - type: bind
        source: ./x
  db:
    <<: *shared
    image: acme/db
    ports:
    - 5432
volumes:
  data:
";
        let env = BTreeMap::from([("VERSION".to_owned(), "v2".to_owned())]);
        let read = interpolate(parse(text).unwrap(), &env).unwrap();
        let expected = serde_json::json!({
            "name": "harb",
            "x-shared": { "restart": "always" },
            "services": {
                "web": {
                    "image": "acme/web:v2", "environment": { "A": "it's", "B": "$HOME" }, "depends_on": ["db"],
                    "volumes": ["data:/data", { "type": "bind", "source": "./x" }],
                },
                "db": { "image": "acme/db", "ports": [5432], "restart": "always" },
            },
            "volumes": { "data": null },
        });
        assert_eq!(read, expected);
        assert_eq!(fill("${VERSION:-v1} ${NO:-${VERSION}}", &BTreeMap::new()).unwrap(), "v1 ");
        assert!(fill("${NO:?say it}", &BTreeMap::new()).unwrap_err().contains("say it"));
    }
}
