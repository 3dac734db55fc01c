//! The data that a template sees: TOML, JSON and YAML files as tables, each with the name of its file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{RenderError, yaml};

/// Data by name. A file is a table, a list holds a table for each file; each table has its file's name as `_file`.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// What templates see as `data`.
    pub values: Map<String, Value>,
    /// Lines on which tables begin, by file and dotted name.
    tables: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Data {
    /// Makes `name` a list, empty until [`Data::push`] adds to it.
    pub fn list(&mut self, name: &str) {
        self.values.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    }

    /// Adds the text of a file to the list `name`. The format follows from the ending of `file`: `.json`, `.yml`, `.yaml`, else TOML.
    ///
    /// # Errors
    /// With file and line where the text does not parse.
    pub fn push(&mut self, name: &str, file: &str, text: &str) -> Result<(), RenderError> {
        self.list(name);
        let table = self.read(file, text)?;
        if let Some(Value::Array(list)) = self.values.get_mut(name) {
            list.push(Value::Object(table));
        }
        Ok(())
    }

    /// Makes `name` the table that the text of a file holds. Formats and errors as of [`Data::push`].
    ///
    /// # Errors
    /// With file and line where the text does not parse.
    pub fn set(&mut self, name: &str, file: &str, text: &str) -> Result<(), RenderError> {
        let table = self.read(file, text)?;
        self.values.insert(name.to_owned(), Value::Object(table));
        Ok(())
    }

    /// The line on which a table of a file begins.
    pub(super) fn line(&self, file: &str, table: &str) -> Option<usize> {
        self.tables.get(file)?.get(table).copied()
    }

    /// A table of a file by its own name or its full one: the line on which it begins and its full name. As it is where several tables
    /// of the file, or none, have that name.
    pub(super) fn table_named(&self, file: &str, table: &str) -> (Option<usize>, String) {
        let tables = self.tables.get(file);
        let mut fitting = tables.into_iter().flatten().filter(|(name, _)| *name == table || name.rsplit('.').next() == Some(table));
        match (fitting.next(), fitting.next()) {
            (Some((name, line)), None) => (Some(*line), name.clone()),
            _ => (self.line(file, table), table.to_owned()),
        }
    }

    fn read(&mut self, file: &str, text: &str) -> Result<Map<String, Value>, RenderError> {
        let ending = file.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let value = match ending.as_str() {
            "json" => json(file, text)?,
            "yml" | "yaml" => yaml::data(text).map_err(|error| RenderError::new(format!("`{file}` {error}")))?,
            _ => {
                let mut tables = BTreeMap::new();
                let value = toml_table(file, text, &mut tables)?;
                self.tables.insert(file.to_owned(), tables);
                value
            }
        };
        let mut table = match value {
            Value::Object(table) => table,
            Value::Null => Map::new(),
            _ => return Err(RenderError::new(format!("`{file}` holds no table at its top"))),
        };
        table.insert("_file".to_owned(), file.into());
        Ok(table)
    }
}

fn json(file: &str, text: &str) -> Result<Value, RenderError> {
    serde_json::from_str(text).map_err(|error| {
        let whole = error.to_string();
        let message = whole.split(" at line ").next().unwrap_or_default();
        RenderError::new(format!("`{file}` line {}, column {}: {message}", error.line(), error.column()))
    })
}

fn toml_table(file: &str, text: &str, tables: &mut BTreeMap<String, usize>) -> Result<Value, RenderError> {
    let read = DeTable::parse(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        RenderError::new(format!("`{file}` line {line}, column {column}: {}", error.message().trim().replace('\n', "; ")))
    })?;
    // The parser sorts keys; their places give the order of the file back.
    let mut lines = Lines { text, at: 0, line: 1 };
    convert_table(read.get_ref(), "", &mut lines, tables).map(Value::Object).map_err(|what| RenderError::new(format!("`{file}`: {what}")))
}

/// Counts lines forwards, and starts anew when asked for an earlier place.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, offset: usize) -> usize {
        if offset < self.at {
            (self.at, self.line) = (0, 1);
        }
        self.line += self.text.get(self.at..offset).unwrap_or_default().matches('\n').count();
        self.at = offset;
        self.line
    }
}

fn convert_table(
    table: &DeTable<'_>,
    path: &str,
    lines: &mut Lines<'_>,
    tables: &mut BTreeMap<String, usize>,
) -> Result<Map<String, Value>, String> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut converted = Map::with_capacity(entries.len());
    for (key, value) in entries {
        let name = key.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        if value.get_ref().is_table() {
            tables.insert(path.clone(), lines.of(key.span().start));
        }
        converted.insert(name.to_string(), convert(value, &path, lines, tables)?);
    }
    Ok(converted)
}

fn convert(value: &Spanned<DeValue<'_>>, path: &str, lines: &mut Lines<'_>, tables: &mut BTreeMap<String, usize>) -> Result<Value, String> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_err(|_| format!("line {}: `{}` is too large a number", lines.of(value.span().start), number.as_str()))?.into()
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| convert(item, path, lines, tables)).collect::<Result<_, _>>()?),
        DeValue::Table(table) => Value::Object(convert_table(table, path, lines, tables)?),
    })
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_the_order_of_the_file_and_know_their_lines() {
        let mut data = Data::default();
        let text = "z = 0x1f\na = 1.5\n[agents.zeta]\nwhen = 2026-01-02\n[agents.alpha]\nroles = ['x']\n[ci]\n";
        data.push("projects", "p.toml", text).unwrap();
        let table = &data.values["projects"][0];
        assert_eq!(table.as_object().unwrap().keys().collect::<Vec<_>>(), ["z", "a", "agents", "ci", "_file"]);
        assert_eq!(table["agents"].as_object().unwrap().keys().collect::<Vec<_>>(), ["zeta", "alpha"]);
        assert_eq!((&table["z"], &table["agents"]["zeta"]["when"]), (&31.into(), &"2026-01-02".into()));
        assert_eq!((data.line("p.toml", "agents.zeta"), data.line("p.toml", "agents.alpha")), (Some(3), Some(5)));
    }

    #[test]
    fn what_does_not_parse_is_told_with_file_and_line() {
        let mut data = Data::default();
        for (file, text, place) in [
            ("p.toml", "a = 1\n[agents\n", "`p.toml` line 2, column 8: "),
            ("p.json", "{\n  \"a\": }", "`p.json` line 2, column 8: "),
            ("p.yml", "a: 1\nb: [\n", "`p.yml` line "),
            ("p.yaml", "a: 1\na: 2\n", "`p.yaml` line 2, column 1: "),
        ] {
            let error = data.set("x", file, text).unwrap_err();
            assert!(error.message.starts_with(place), "{error}");
            assert!(!error.message.contains('\n'), "{error}");
        }
        assert!(data.set("x", "p.json", "[]").unwrap_err().message.contains("no table"));
    }
}
