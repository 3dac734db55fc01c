//! Enough of YAML and of compose's interpolation for the compose files of a fake world: block tables and lists, flow lists of
//! plain items, quoted and plain scalars, comments, `|` and `>` texts. JSON is read as such. Anchors and tags are refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let mut lines = Lines { lines: text.lines().enumerate().map(|(number, line)| (number + 1, line)).collect(), at: 0 };
    let value = lines.block(0)?;
    match lines.peek() {
        None => Ok(value),
        Some((number, _, _)) => Err(format!("line {number}: unexpected indentation")),
    }
}

struct Lines<'a> {
    lines: Vec<(usize, &'a str)>,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line that says something: number, indentation, text.
    fn peek(&mut self) -> Option<(usize, usize, &'a str)> {
        while let Some(&(number, line)) = self.lines.get(self.at) {
            let text = line.trim_start();
            if !text.is_empty() && !text.starts_with('#') && text != "---" {
                return Some((number, line.len() - text.len(), text.trim_end()));
            }
            self.at += 1;
        }
        None
    }

    /// A table or list whose lines are indented by `indent` at least.
    fn block(&mut self, indent: usize) -> Result<Value, String> {
        match self.peek() {
            Some((_, found, text)) if found >= indent => {
                if text == "-" || text.starts_with("- ") {
                    self.list(found)
                } else {
                    self.table(found)
                }
            }
            _ => Ok(Value::Null),
        }
    }

    fn list(&mut self, indent: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some((number, found, text)) = self.peek() {
            let Some(item) = text.strip_prefix('-').filter(|_| found == indent) else { break };
            let item = item.trim_start();
            if item.is_empty() {
                self.at += 1;
                items.push(self.block(indent + 1)?);
            } else if key_of(item).is_some() {
                // A table that begins on the line of the dash: read it as if the dash were a space.
                let inner = indent + text.len() - item.len();
                items.push(self.table_from(number, inner, item)?);
            } else {
                self.at += 1;
                items.push(scalar(number, item)?);
            }
        }
        Ok(Value::Array(items))
    }

    fn table(&mut self, indent: usize) -> Result<Value, String> {
        let (number, _, text) = self.peek().ok_or("the document is empty")?;
        self.table_from(number, indent, text)
    }

    fn table_from(&mut self, number: usize, indent: usize, first: &str) -> Result<Value, String> {
        let mut table = Map::new();
        let (mut number, mut line) = (number, first);
        loop {
            let (key, rest) = key_of(line).ok_or_else(|| format!("line {number}: expected `key: value`"))?;
            self.at += 1;
            let value = match rest {
                "" => match self.peek() {
                    Some((_, found, text)) if found == indent && text.starts_with("- ") => self.list(indent)?,
                    _ => self.block(indent + 1)?,
                },
                "|" | "|-" | ">" | ">-" => self.text(indent, rest),
                _ => scalar(number, rest)?,
            };
            if table.insert(key.clone(), value).is_some() {
                return Err(format!("line {number}: mapping key \"{key}\" already defined"));
            }
            match self.peek() {
                Some((next, found, text)) if found == indent && !text.starts_with("- ") => (number, line) = (next, text),
                Some((next, found, _)) if found > indent => return Err(format!("line {next}: unexpected indentation")),
                _ => return Ok(Value::Object(table)),
            }
        }
    }

    fn text(&mut self, indent: usize, style: &str) -> Value {
        let mut kept = Vec::new();
        let mut inner = None;
        while let Some(&(_, line)) = self.lines.get(self.at) {
            let found = line.len() - line.trim_start().len();
            if !line.trim().is_empty() && found <= indent {
                break;
            }
            let inner = *inner.get_or_insert(found);
            kept.push(line.get(inner..).unwrap_or_default());
            self.at += 1;
        }
        let joined = kept.join(if style.starts_with('|') { "\n" } else { " " });
        Value::String(if style.ends_with('-') { joined } else { joined + "\n" })
    }
}

/// A key and what follows its colon.
fn key_of(line: &str) -> Option<(String, &str)> {
    let quoted = line.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (key, rest) = if let Some(quote) = quoted {
        let end = line[1..].find(quote)? + 1;
        (&line[1..end], line[end + 1..].strip_prefix(':')?)
    } else {
        let end = line.find(": ").or_else(|| line.ends_with(':').then(|| line.len() - 1))?;
        (&line[..end], &line[end + 1..])
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    Some((key.to_owned(), without_comment(rest.trim())))
}

fn without_comment(text: &str) -> &str {
    if text.starts_with(['"', '\'']) {
        return text;
    }
    if text.starts_with('#') {
        return "";
    }
    text.find(" #").map_or(text, |at| text[..at].trim_end())
}

fn scalar(number: usize, text: &str) -> Result<Value, String> {
    let text = without_comment(text);
    if let Some(items) = text.strip_prefix('[') {
        let items = items.strip_suffix(']').ok_or_else(|| format!("line {number}: a list must end on its line"))?;
        let items = items.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(Value::Array(items.map(|item| scalar(number, item)).collect::<Result<_, _>>()?));
    }
    if text == "{}" {
        return Ok(Value::Object(Map::new()));
    }
    if text.starts_with(['&', '!', '{']) || (text.starts_with('*') && text.len() > 1) {
        return Err(format!("line {number}: `{text}` is more YAML than a fake world reads"));
    }
    if let Some(inner) = text.strip_prefix('\'') {
        let end = inner.rfind('\'').ok_or_else(|| format!("line {number}: a quote is not closed"))?;
        return Ok(Value::String(inner[..end].replace("''", "'")));
    }
    if text.starts_with('"') {
        let end = text.rfind('"').filter(|&end| end > 0).ok_or_else(|| format!("line {number}: a quote is not closed"))?;
        return serde_json::from_str(&text[..=end]).map_err(|error| format!("line {number}: {error}"));
    }
    Ok(match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => Value::String(text.to_owned()),
        },
    })
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
            "services": {
                "web": {
                    "image": "acme/web:v2", "environment": { "A": "it's", "B": "$HOME" }, "depends_on": ["db"],
                    "volumes": ["data:/data", { "type": "bind", "source": "./x" }],
                },
                "db": { "image": "acme/db", "ports": [5432] },
            },
            "volumes": { "data": null },
        });
        assert_eq!(read, expected);
        assert_eq!(fill("${VERSION:-v1} ${NO:-${VERSION}}", &BTreeMap::new()).unwrap(), "v1 ");
        assert!(fill("${NO:?say it}", &BTreeMap::new()).unwrap_err().contains("say it"));
    }
}
