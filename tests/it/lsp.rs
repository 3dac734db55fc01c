//! `formula lsp`, asked as an editor would.

use serde_json::{Value, json};

use crate::support::{Editor, Sandbox};

const FILE: &str = "formulas/x.toml";

const TEXT: &str = r#"name = "x"

[vars.version]
type        = "version"
description = "What to release"
required    = true

[[steps]]
id   = "note"
uses = "write-file"
with = { path = "ä😀.txt", content = "{{ vars.versoin }}" }

[[steps]]
id    = "show"
uses  = "shell"
needs = ["note"]
with  = { command = ["cat", "{{ steps.note.outputs.digest }}"], read_only = true }
"#;

fn labels(answer: &Value) -> Vec<&str> {
    answer.as_array().expect("a list").iter().map(|item| item["label"].as_str().expect("a text")).collect()
}

fn range(line: u32, start: u32, end: u32) -> Value {
    json!({ "start": { "line": line, "character": start }, "end": { "line": line, "character": end } })
}

#[test]
fn an_editor_is_told_of_problems_while_somebody_types() {
    let sandbox = Sandbox::new();
    let mut editor = Editor::start(&sandbox);
    editor.open(FILE, TEXT);
    let found = editor.problems(FILE, 1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["code"], &found[0]["severity"]), (&json!("F0208"), &json!(1)));
    assert_eq!(found[0]["range"], range(10, 41, 53), "columns are UTF-16 units");
    let message = found[0]["message"].as_str().expect("a text");
    assert!(message.starts_with("var `versoin` is not declared\n") && message.ends_with("did you mean `vars.version`?"), "{message}");

    // One letter after the other, as two changes of one message.
    editor.change(FILE, 2, json!([{ "range": range(10, 50, 52), "text": "i" }, { "range": range(10, 51, 51), "text": "o" }]));
    assert_eq!(editor.problems(FILE, 2), [Value::Null; 0]);
    // Not TOML any more, with help all the same.
    editor.change(FILE, 3, json!([{ "range": range(15, 8, 16), "text": "[\"" }]));
    let found = editor.problems(FILE, 3);
    assert!(found.iter().all(|problem| problem["code"] == "F0101") && !found.is_empty(), "{found:?}");
    let answer = editor.ask_at("textDocument/completion", FILE, 15, 10);
    assert_eq!(labels(&answer), ["note"]);
    assert_eq!(answer[0]["textEdit"], json!({ "range": range(15, 10, 10), "newText": "note\"" }));
    let params = json!({ "textDocument": { "uri": editor.uri(FILE) }, "options": { "tabSize": 4, "insertSpaces": true } });
    assert_eq!(editor.ask("textDocument/formatting", params), Value::Null);
    // The whole text at once.
    editor.change(FILE, 4, json!([{ "text": "name = \"y\"\n[[steps]]\nid = \"a\"\n[[steps]]\nid = \"a\"\n" }]));
    let found = editor.problems(FILE, 4);
    let codes: Vec<&str> = found.iter().filter_map(|problem| problem["code"].as_str()).collect();
    assert_eq!(codes, ["F0206", "F0204"], "{found:?}");
    assert_eq!(found[1]["relatedInformation"][0]["location"]["range"], range(2, 5, 8));
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn an_editor_gets_completion_docs_and_declarations() {
    let sandbox = Sandbox::new();
    let mut editor = Editor::start(&sandbox);
    editor.open(FILE, TEXT);
    let kinds = editor.ask_at("textDocument/completion", FILE, 9, 8);
    assert!(labels(&kinds).contains(&"git-tag"), "{kinds}");
    let tag = kinds.as_array().into_iter().flatten().find(|item| item["label"] == "git-tag").expect("it is there");
    assert_eq!(tag["textEdit"], json!({ "range": range(9, 8, 18), "newText": "git-tag" }));
    assert!(tag["documentation"]["value"].as_str().is_some_and(|doc| doc.contains("- Undo: ")), "{tag}");
    assert_eq!(labels(&editor.ask_at("textDocument/completion", FILE, 10, 49)), ["version"], "behind a character of two units");
    assert!(labels(&editor.ask_at("textDocument/completion", FILE, 16, 52)).contains(&"digest"));
    assert!(labels(&editor.ask_at("textDocument/completion", FILE, 11, 0)).contains(&"retry"));

    let hover = editor.ask_at("textDocument/hover", FILE, 9, 10);
    assert!(hover["contents"]["value"].as_str().is_some_and(|doc| doc.starts_with("**write-file**")), "{hover}");
    assert_eq!(hover["range"], range(9, 7, 19));
    let hover = editor.ask_at("textDocument/hover", FILE, 10, 50);
    assert!(hover["contents"]["value"].as_str().is_some_and(|doc| doc.starts_with("**F0208: ")), "{hover}");
    assert_eq!(editor.ask_at("textDocument/hover", FILE, 11, 0), Value::Null);

    let place = editor.ask_at("textDocument/definition", FILE, 15, 11);
    assert_eq!(place, json!({ "uri": editor.uri(FILE), "range": range(8, 7, 13) }));
    assert_eq!(editor.ask_at("textDocument/definition", FILE, 16, 40)["range"], range(8, 7, 13));
    assert_eq!(editor.ask_at("textDocument/definition", FILE, 0, 2), Value::Null);
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn an_editor_has_its_file_laid_out() {
    let sandbox = Sandbox::new();
    let mut editor = Editor::start(&sandbox);
    editor.open(FILE, "name=\"x\"\n[[steps]]\nuses=\"shell\"\nid=\"ä\"\n");
    let params = json!({ "textDocument": { "uri": editor.uri(FILE) }, "options": { "tabSize": 4, "insertSpaces": true } });
    let edits = editor.ask("textDocument/formatting", params.clone());
    assert_eq!(edits[0]["newText"], "name = \"x\"\n\n[[steps]]\nid   = \"ä\"\nuses = \"shell\"\n");
    assert_eq!(edits[0]["range"]["end"], json!({ "line": 4, "character": 0 }));
    editor.change(FILE, 2, json!([{ "text": edits[0]["newText"] }]));
    assert_eq!(editor.ask("textDocument/formatting", params), json!([]));
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn other_files_are_left_in_peace_and_a_lost_editor_ends_the_server() {
    let sandbox = Sandbox::new();
    let mut editor = Editor::start(&sandbox);
    editor.open("Cargo.toml", "[package]\nname = \"x\"\n");
    assert_eq!(editor.problems("Cargo.toml", 1), [Value::Null; 0]);
    assert_eq!(editor.ask_at("textDocument/completion", "Cargo.toml", 1, 0), Value::Null);
    assert_eq!(editor.ask_at("textDocument/completion", "never-opened.toml", 1, 0), Value::Null);
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": editor.uri("Cargo.toml") } }));
    assert_eq!(editor.vanish(), Some(1));
}
