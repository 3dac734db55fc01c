//! `formula test` as it is typed: what it prints, and its exit codes.

use serde_json::json;

use crate::support::{Ran, Sandbox, formula};

const FORMULA: &str = r#"name = "sample"

[[steps]]
id   = "make"
uses = "shell"
with = { command = ["make"], probe = ["test", "-e", "out"], undo = ["rm", "-f", "out"] }

[[steps]]
id   = "note"
uses = "write-file"
with = { path = "note.txt", content = "made" }
"#;

const TEST: &str = "[shell.make]\nwrites = { out = \"made\" }\n";

fn test(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(["test"]).args(line.split(' ')).run()
}

#[test]
fn a_shipped_formula_is_rehearsed_in_an_empty_folder_that_stays_empty() {
    let sandbox = Sandbox::new();
    let ran = test(&sandbox, "hello");
    ran.exits(0).stdout_has("compose  ok      ok x2   ok     ok      -").stdout_has("again: a second run changes nothing");
    ran.stderr_has("all as it should be");
    let ran = test(&sandbox, "release --json --case 'a_tag'");
    ran.exits(2).stderr_has("there is no case");
    assert_eq!(std::fs::read_dir(sandbox.work()).expect("it is ours").count(), 0, "nothing real is touched");
}

#[test]
fn a_divergence_is_told_with_the_line_that_plays_it_again() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/sample.toml", FORMULA);
    sandbox.write("formulas/tests/sample.test.toml", TEST);
    test(&sandbox, "sample").exits(0);
    sandbox.write("formulas/tests/sample.test.toml", format!("{TEST}undo = {{}}\n"));
    let ran = test(&sandbox, "sample");
    ran.exits(30).stdout_has("DIVERGES").stdout_has("first: formula test sample --schedule 'make:after-effect:rollback'");
    let again = test(&sandbox, "sample --schedule make:after-effect:rollback");
    again.exits(30).stdout_has("files > /box/out").stdout_has("expected nothing").stdout_has("found    {\"text\":\"made\"");
    test(&sandbox, "sample --schedule make:after-effect:resume").exits(0);
    let data = test(&sandbox, "sample --json");
    data.exits(30).stderr_is("");
    let report: serde_json::Value = serde_json::from_str(&data.stdout).expect("one document");
    assert_eq!((&report["sound"], &report["formula"]), (&json!(false), &json!("sample")));
    let first = report["cases"][0]["schedules"].as_array().expect("a list").iter().find(|played| played["verdict"] == "diverges");
    assert_eq!(first.expect("there is one")["schedule"], "make:after-effect:rollback");
    let failing = test(&sandbox, "sample --fail note");
    failing.stdout_has("ends held (exit code 20)").stdout_has("note  failed");
}

#[test]
fn what_is_missing_is_said_with_the_text_to_add() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/sample.toml", FORMULA);
    let ran = test(&sandbox, "sample");
    ran.exits(10).stderr_has("error[F0604]: nothing says what step `make` does").stderr_has("[shell.make]");
    ran.stderr_has("A test file to begin with, formulas/tests/sample.test.toml:");
    sandbox.write("formulas/tests/sample.test.toml", "[shel.make]\n");
    let ran = test(&sandbox, "sample");
    ran.exits(10).stderr_has("--> formulas/tests/sample.test.toml:1:2").stderr_has("did you mean `shell`?");
    test(&sandbox, "sample --schedule make:sometime:resume").exits(2).stderr_has("there is no boundary `sometime`");
}
