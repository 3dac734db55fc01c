//! Vars from everywhere, and the flags that every command has.

use serde_json::{Value, json};

use super::{run, write_formula};
use crate::support::{Program, Sandbox};

const TAKES: &str = r#"
[vars.text]
default = "none"

[vars.count]
type = "int"
default = 1

[vars.on]
type = "bool"
default = true

[vars.names]
type = "list"
default = ["default"]

[vars.pairs]
type = "table"
default = {}

[vars.two_words]
default = "{{ vars.text }}-made"

[[steps]]
id = "out"
uses = "write-file"

[steps.with]
path = "out.json"
content = { text = "{{ vars.text }}", count = "{{ vars.count }}", on = "{{ vars.on }}", names = "{{ vars.names }}", pairs = "{{ vars.pairs }}", two = "{{ vars.two_words }}" }
"#;

fn takes() -> Sandbox {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "takes", TAKES);
    sandbox
}

/// What the formula was given, by what it wrote.
#[track_caller]
fn given(sandbox: &Sandbox, program: Program<'_>) -> Value {
    program.run().exits(0);
    serde_json::from_str(&sandbox.read("out.json")).expect("JSON")
}

#[test]
fn values_arrive_with_their_types() {
    let sandbox = takes();
    let with = |args: &[&str]| given(&sandbox, run(&sandbox, "takes").args(args.iter().copied()));
    let mut expected = json!({ "text": "none", "count": 1, "on": true, "names": ["default"], "pairs": {}, "two": "none-made" });
    assert_eq!(with(&[]), expected);
    expected["text"] = json!("a b");
    expected["two"] = json!("a b-made");
    assert_eq!(with(&["--text", "a b"]), expected);
    for (flag, on) in [("--on", true), ("--no-on", false), ("--on=false", false), ("--on=true", true)] {
        assert_eq!(with(&[flag])["on"], on, "{flag}");
    }
    assert_eq!(with(&["--names", "a", "--names", "b"])["names"], json!(["a", "b"]));
    assert_eq!(with(&["--pairs", "a=1", "--pairs", "b=x=y"])["pairs"].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(with(&["--count", "-5"])["count"], -5);
    assert_eq!(with(&["--two-words", "typed"])["two"], "typed");
    assert_eq!(with(&["--set", "names=['x', 'y']", "--set", "count=7"])["names"], json!(["x", "y"]));
    assert_eq!(with(&["--text", "--dashes"])["text"], "--dashes");
}

#[test]
fn the_nearest_one_wins() {
    let sandbox = takes();
    sandbox.write("vars.toml", "text = 'file'\ncount = 3\nnames = ['from', 'file']\n");
    let all = || run(&sandbox, "takes").env("FORMULA_VAR_TEXT", "env").env("FORMULA_VAR_TWO_WORDS", "from env");
    let text = |program: Program<'_>| given(&sandbox, program)["text"].clone();
    assert_eq!(text(all()), "env");
    let file = given(&sandbox, all().args(["--vars", "vars.toml"]));
    assert_eq!(file, json!({ "text": "file", "count": 3, "on": true, "names": ["from", "file"], "pairs": {}, "two": "from env" }));
    assert_eq!(text(all().args(["--vars", "vars.toml", "--set", "text=set"])), "set");
    assert_eq!(text(all().args(["--vars", "vars.toml", "--set", "text=set", "--text", "flag"])), "flag");
}

#[test]
fn shared_flags_may_stand_anywhere() {
    let sandbox = takes();
    let state = sandbox.root().join("state");
    let state = state.to_string_lossy();
    // Behind a var, whose value is no concern of theirs.
    run(&sandbox, "takes").args(["--text", "x", "--state-dir", &state, "-q"]).run().exits(0).stderr_is("");
    assert!(!sandbox.work().join(".formula").exists() && sandbox.root().join("state/journal.db").exists());
    run(&sandbox, "takes").args(["--text", "y", "-C", "..", "--color", "never"]).run().exits(10).stderr_has("takes");
    sandbox.write("deeper/formulas/takes.toml", format!("name = \"takes\"\n{TAKES}"));
    run(&sandbox, "takes").args(["--text", "y", "-C", "deeper"]).run().exits(0);
    assert!(sandbox.read("deeper/out.json").contains("\"y\"") && sandbox.work().join("deeper/.formula").exists());
    assert!(!sandbox.read("out.json").contains("\"y\""));
}

#[test]
fn a_misspelt_flag_gets_the_nearest_and_a_var_called_like_an_option_is_told() {
    let sandbox = takes();
    for (typed, meant) in [("--two_words", "--two-words"), ("--coutn", "--count"), ("--namse", "--names")] {
        run(&sandbox, "takes").args([typed, "3"]).run().exits(2).stderr_has(meant);
    }
    write_formula(&sandbox, "named", &TAKES.replace("[vars.text]", "[vars.json]\ndefault = \"\"\n\n[vars.text]"));
    run(&sandbox, "named").args(["--help"]).run().exits(0).stdout_has("have no flag of their own:\n  --set json=VALUE\n");
}
