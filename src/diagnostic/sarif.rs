//! Problems in the format that code hosts read: SARIF 2.1.0.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use super::codes::{self, Code};
use super::{Diagnostic, Label, Severity, SourceFile};

/// The schema that the output keeps to.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One SARIF log over the problems of several files, with a rule for every code there is. Paths are relative to the root of the sources, if
/// those of the files are; columns count characters. `version` is that of this program.
pub fn to_sarif<'a>(files: impl IntoIterator<Item = (&'a SourceFile, &'a [Diagnostic])>, version: &str) -> Value {
    let results: Vec<Value> =
        files.into_iter().flat_map(|(source, found)| found.iter().map(move |diagnostic| result(source, diagnostic))).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "formula",
                "semanticVersion": version,
                "rules": codes::all().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &Code) -> Value {
    let first = code.text.split("\n\n").next().unwrap_or_default();
    let family = match &code.code[..3] {
        "F01" => "toml",
        "F02" => "names",
        "F03" => "types",
        "F04" => "graph",
        _ => "lint",
    };
    json!({
        "id": code.code,
        "shortDescription": { "text": code.title },
        "fullDescription": { "text": first },
        "help": { "text": code.text, "markdown": code.text },
        "defaultConfiguration": { "level": if family == "lint" { "warning" } else { "error" } },
        "properties": { "tags": [family] },
    })
}

fn result(source: &SourceFile, diagnostic: &Diagnostic) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut text = diagnostic.message.clone();
    if let Some(label) = diagnostic.primary.as_ref().filter(|label| !label.text.is_empty()) {
        let _ = write!(text, ": {}", label.text);
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\n{help}");
    }
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": place(source, diagnostic.primary.as_ref()) }],
    });
    if let Some(index) = codes::all().position(|entry| entry.code == diagnostic.code) {
        result["ruleIndex"] = index.into();
    }
    if !diagnostic.secondary.is_empty() {
        let related = diagnostic.secondary.iter().enumerate().map(|(index, label)| {
            let mut related = json!({ "id": index + 1, "physicalLocation": place(source, Some(label)) });
            if !label.text.is_empty() {
                related["message"] = json!({ "text": label.text });
            }
            related
        });
        result["relatedLocations"] = related.collect::<Vec<_>>().into();
    }
    result
}

fn place(source: &SourceFile, label: Option<&Label>) -> Value {
    let mut place = json!({ "artifactLocation": artifact(&source.path) });
    if let Some(label) = label {
        place["region"] = region(source, &label.range);
    }
    place
}

fn region(source: &SourceFile, range: &Range<usize>) -> Value {
    let (line, column) = source.line_column(range.start);
    let (end_line, end_column) = source.line_column(range.end.max(range.start));
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

/// A path as an address: absolute ones by scheme, others below the root of the sources.
fn artifact(path: &Path) -> Value {
    let mut uri = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    if path.is_absolute() { json!({ "uri": format!("file://{uri}") }) } else { json!({ "uri": uri, "uriBaseId": "%SRCROOT%" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_rule_its_places_and_its_way_out() {
        let source = SourceFile::new("formulas/ä b.toml", "a = 1\nb = 'ü'\na = 2\n");
        let twice =
            Diagnostic::error(codes::DUPLICATE_KEY, "`a` is written twice").at(15..16, "again").also(0..1, "first").help("drop one");
        let whole = Diagnostic::warning(codes::TOO_LARGE, "odd");
        let log = to_sarif([(&source, &[twice, whole][..])], "1.2.3");
        let run = &log["runs"][0];
        let first = &run["results"][0];
        assert_eq!(first["message"]["text"], "`a` is written twice: again\ndrop one");
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"], json!({ "uri": "formulas/%C3%A4%20b.toml", "uriBaseId": "%SRCROOT%" }));
        assert_eq!(place["region"], json!({ "startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 2 }));
        assert_eq!(first["relatedLocations"][0]["message"]["text"], "first");
        let rule = &run["tool"]["driver"]["rules"][first["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!((&rule["id"], &rule["defaultConfiguration"]["level"]), (&"F0103".into(), &"error".into()));
        let second = &run["results"][1];
        assert_eq!((&second["level"], second["locations"][0]["physicalLocation"].get("region")), (&"warning".into(), None));
        assert_eq!(artifact(Path::new("/x y"))["uri"], "file:///x%20y");
    }
}
