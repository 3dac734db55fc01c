//! Problems as data: the shape that `check --json` prints.

use serde_json::{Value, json};

use super::{Diagnostic, SourceFile};

/// `{"v":1,"diagnostics":[…]}` over the problems of several files. Lines and columns count from 1, `end_column` is one past the last
/// character; all four are null where a problem concerns the whole file.
pub fn to_json<'a>(files: impl IntoIterator<Item = (&'a SourceFile, &'a [Diagnostic])>) -> Value {
    let diagnostics: Vec<Value> =
        files.into_iter().flat_map(|(source, diagnostics)| diagnostics.iter().map(move |diagnostic| one(source, diagnostic))).collect();
    json!({ "v": 1, "diagnostics": diagnostics })
}

fn one(source: &SourceFile, diagnostic: &Diagnostic) -> Value {
    let range = diagnostic.primary.as_ref().map(|label| &label.range);
    let start = range.map(|range| source.line_column(range.start));
    let end = range.map(|range| source.line_column(range.end));
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": source.path.display().to_string(),
        "line": start.map(|(line, _)| line),
        "column": start.map(|(_, column)| column),
        "end_line": end.map(|(line, _)| line),
        "end_column": end.map(|(_, column)| column),
        "help": diagnostic.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_a_problem_of_the_file_has_none() {
        let source = SourceFile::new("a.toml", "one\ntwo = 3\n");
        let found = [Diagnostic::error("F0201", "unknown key `two`").at(4..7, "here").help("drop it"), Diagnostic::warning("F0106", "odd")];
        let value = to_json([(&source, &found[..])]);
        assert_eq!(
            value,
            json!({"v": 1, "diagnostics": [
                {"code": "F0201", "severity": "error", "message": "unknown key `two`", "file": "a.toml",
                 "line": 2, "column": 1, "end_line": 2, "end_column": 4, "help": "drop it"},
                {"code": "F0106", "severity": "warning", "message": "odd", "file": "a.toml",
                 "line": null, "column": null, "end_line": null, "end_column": null, "help": null},
            ]})
        );
    }
}
