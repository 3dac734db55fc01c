//! Everything that can be asked without driving a run.

use crate::support::{Program, Ran, Sandbox, formula};
use serde_json::Value;

const NOTE: &str = r#"name        = "note"
description = "Write a note"
version     = 1

[vars.text]
type        = "string"
description = "What to write"
required    = true

[[steps]]
id   = "look"
uses = "shell"
with = { command = ["printf", "one\ntwo \u001b[31mred\n"], read_only = true }

[[steps]]
id   = "write"
uses = "write-file"
with = { path = "note.txt", content = "{{ vars.text }}" }

[[steps]]
id    = "other"
uses  = "write-file"
needs = ["look"]
with  = { path = "other.txt", content = "x" }

[[steps]]
id    = "approve"
uses  = "approve"
needs = ["write", "other"]
with  = { prompt = "Keep {{ vars.text }}?" }

[[steps]]
id   = "publish"
uses = "shell"
with = { command = ["true"], idempotent = true }
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/note.toml", NOTE);
    sandbox
}

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

fn held(sandbox: &Sandbox) {
    ask(sandbox, "run note --text hello --quiet").exits(20);
}

#[test]
fn check_tells_all_problems_of_all_formulas_and_where() {
    let sandbox = sandbox();
    ask(&sandbox, "check").exits(0).stdout_is("").stderr_is("1 formula checked, no problems\n");
    sandbox.write("formulas/bad.toml", "name = \"bad\"\n[[steps]]\nid = \"a\"\nuses = \"write-fil\"\nneeds = [\"b\"]\nwith = {}\n");
    let ran = ask(&sandbox, "check");
    ran.exits(10).stdout_is("").stderr_has("formulas/bad.toml:4:8").stderr_has("did you mean `write-file`?");
    ran.stderr_has("formulas/bad.toml:5:").stderr_has("2 formulas checked, 2 problems (2 errors)\n");
    let found = ask(&sandbox, "check bad --json");
    let data = &found.exits(10).json()[0];
    let places: Vec<(&str, u64)> = data["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| (problem["file"].as_str().expect("a file"), problem["line"].as_u64().expect("a line")))
        .collect();
    assert_eq!(places, [("formulas/bad.toml", 4), ("formulas/bad.toml", 5)]);
    ask(&sandbox, "check note formulas/note.toml").exits(0).stderr_is("2 formulas checked, no problems\n");
    ask(&sandbox, "check nothing").exits(10).stderr_has("there is no formula `nothing`");
}

#[test]
fn strict_makes_errors_of_warnings_and_an_empty_folder_is_no_success() {
    let sandbox = Sandbox::new();
    ask(&sandbox, "check").exits(2).stderr_has("there are no formulas in `formulas`");
    // A shell step that will hold after a crash.
    sandbox.write("formulas/s.toml", "name = \"s\"\n[[steps]]\nid = \"a\"\nuses = \"shell\"\nwith = { command = [\"true\"] }\n");
    ask(&sandbox, "check").exits(0).stderr_has("(1 warning)");
    ask(&sandbox, "check --strict").exits(10).stderr_has("(1 error)");
    sandbox.write("formulas/latin.toml", b"name = \"\xfc\"\n");
    ask(&sandbox, "check latin").exits(10).stderr_has("not UTF-8");
}

#[test]
fn list_shows_which_file_wins() {
    let sandbox = sandbox();
    sandbox.write("more/note.toml", NOTE);
    sandbox.write("more/broken.toml", "name = ");
    let list = || formula(&sandbox).env("FORMULA_PATH", "more");
    let ran = list().args(["list"]).run();
    ran.exits(0).stdout_has("note").stdout_has("formulas/note.toml, hides more/note.toml  Write a note\n");
    ran.stdout_has("has problems: `formula check broken`\n");
    let listed = list().args(["list", "--json"]).run().json();
    let names = || listed[0]["formulas"].as_array().expect("a list").iter();
    let note = names().find(|formula| formula["name"] == "note").expect("it is there");
    assert_eq!((note["description"].as_str(), note["runs"].as_bool(), note["steps"].as_u64()), (Some("Write a note"), Some(true), Some(5)));
    assert!(names().any(|formula| formula["name"] == "broken" && formula["runs"] == false));
}

#[test]
fn every_kind_and_every_code_can_be_asked_for() {
    let sandbox = Sandbox::in_memory();
    let kinds = ask(&sandbox, "steps");
    kinds.exits(0).stdout_has("write-file").stdout_has("approve");
    for kind in kinds.stdout.lines().filter_map(|line| line.split_whitespace().next()) {
        ask(&sandbox, &format!("steps {kind}")).exits(0).stdout_has("\nexample\n  [[steps]]\n").stderr_is("");
    }
    ask(&sandbox, "steps wrte-file").exits(2).stderr_has("did you mean `write-file`?");
    let codes = ask(&sandbox, "explain");
    for code in codes.stdout.lines().filter_map(|line| line.split_whitespace().next()) {
        ask(&sandbox, &format!("explain {code}")).exits(0).stdout_has(&format!("{code}: "));
    }
    ask(&sandbox, "explain f0203").exits(0).stdout_has("F0203: ");
    ask(&sandbox, "explain F0293").exits(2).stderr_has("did you mean `F0203`?");
}

#[test]
fn the_example_of_every_kind_passes_check_as_it_is() {
    let sandbox = Sandbox::in_memory();
    let steps = ask(&sandbox, "steps --json").exits(0).json();
    let kinds = steps[0]["steps"].as_array().expect("a list");
    for kind in kinds {
        let (name, example) = (kind["kind"].as_str().expect("a name"), kind["example"].as_str().expect("a text"));
        // Secrets that it names are declared elsewhere in a formula.
        let names = example.split('"').filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        let declared: std::collections::BTreeSet<String> = names.map(|name| format!("{name} = {{ from = \"env:{name}\" }}\n")).collect();
        let secrets = declared.into_iter().collect::<String>();
        sandbox.write(&format!("formulas/{name}.toml"), format!("name = \"{name}\"\n[secrets]\n{secrets}{example}\n"));
    }
    assert!(kinds.len() > 15);
    ask(&sandbox, "check").exits(0).stderr_has(&format!("{} formulas checked", kinds.len()));
}

#[test]
fn graph_draws_a_run_with_the_state_and_the_time_of_each_step() {
    let sandbox = sandbox();
    held(&sandbox);
    let shown = ask(&sandbox, "graph --run 0");
    shown.exits(0).stderr_is("").stdout_has("note  Write a note\n").stdout_has(" held\n").stdout_has("puts back what was there  ✓ done ");
    shown.stdout_has("waits for a person  ! waits\n").stdout_has("cannot be undone  not begun\n");
    // The file is not asked: the run has its own plan.
    sandbox.write("formulas/note.toml", "name = ");
    ask(&sandbox, "graph note --run 0 -o note.svg").exits(0).stdout_is("").stderr_is("");
    let picture = &sandbox.files()["note.svg"];
    let read = roxmltree::Document::parse(picture).expect("well-formed");
    let texts: Vec<&str> = read.descendants().filter(|one| one.has_tag_name("text")).filter_map(|one| one.text()).collect();
    assert!(texts.contains(&"! waits") && texts.contains(&"not begun"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("✓ done ") && text.ends_with("ms")), "{texts:?}");
    assert!(texts.contains(&"past this line there is no way back"), "{texts:?}");
    ask(&sandbox, "graph other --run 0").exits(2).stderr_has("is one of `note`, not of `other`");
    ask(&sandbox, "graph --run 9").exits(2).stderr_has("there is no run `9`");
    ask(&sandbox, "graph note --run 0 --format dot").exits(0).stdout_has("approve\\napprove\\n! waits");
}

#[test]
fn graph_draws_what_is_written_and_what_would_run() {
    let sandbox = sandbox();
    let picture = "\
note  Write a note
5 steps, at most 4 at once

○   look     shell       looks
├─╮
● │ write    write-file  undo: puts back what was there
│ ● other    write-file  undo: puts back what was there
├─╯
?   approve  approve     waits for a person
──── past this line there is no way back ────
▲   publish  shell       cannot be undone
";
    let written = ask(&sandbox, "graph note");
    written.exits(0).stdout_is(picture).stderr_has("var `text` has no value");
    ask(&sandbox, "graph note --text hi").exits(0).stdout_is(picture).stderr_is("");
    ask(&sandbox, "graph note --text hi --format dot").exits(0).stdout_has("digraph \"note\" {").stdout_has("  s3 -> s4;\n");
    ask(&sandbox, "graph note --text hi --format mermaid").exits(0).stdout_has("flowchart TD\n").stdout_has("  s3 --> s4\n");
    ask(&sandbox, "graph note --format png").exits(2).stdout_is("").stderr_has("text, dot, mermaid, svg");
    let text = "name = \"maybe\"\n[vars.go]\ntype = \"bool\"\ndefault = false\n[[steps]]\nid = \"a\"\nuses = \"shell\"\n\
                if = \"{{ vars.go }}\"\nwith = { command = [\"true\"] }\n";
    sandbox.write("formulas/maybe.toml", text);
    ask(&sandbox, "graph maybe").exits(0).stdout_has("- a  shell  left out: its condition is false\n");
    ask(&sandbox, "graph maybe --go").exits(0).stdout_has("▲ a  shell  cannot be undone\n").stdout_has("no way back");
    sandbox.write("formulas/prose.toml", "name = \"prose\"\n[[steps]]\nid = \"a\"\ndescription = \"Think\"\n[[steps]]\nid = \"b\"\n");
    ask(&sandbox, "graph prose").exits(0).stdout_has("·").stdout_has("prose: nothing runs it").stderr_is("");
    assert!(!sandbox.files().contains_key("note.txt"), "a picture runs nothing");
}

#[test]
fn runs_and_show_tell_how_a_run_stands_and_what_to_type() {
    let sandbox = sandbox();
    ask(&sandbox, "runs").exits(0).stdout_is("").stderr_has("there is no run here yet");
    ask(&sandbox, "show").exits(2).stderr_has("there is no run here yet");
    held(&sandbox);
    ask(&sandbox, "runs").exits(0).stdout_is("[RUN]  note  [TIME]  held  changed\n");
    ask(&sandbox, "runs --formula other").exits(0).stdout_is("");
    let runs = ask(&sandbox, "runs --json").json();
    assert_eq!((&runs[0]["runs"][0]["formula"], &runs[0]["runs"][0]["state"]), (&Value::from("note"), &Value::from("held")));
    let run = runs[0]["runs"][0]["run"].as_str().expect("an id").to_owned();
    let shown = ask(&sandbox, &format!("show {}", &run[..20]));
    shown
        .exits(0)
        .stdout_has("note [RUN] held\n")
        .stdout_has("  text  hello\n")
        .stdout_has("✓ write    done  [DURATION]  create `note.txt`");
    shown.stdout_has("? approve  Keep hello?\n    formula approve [RUN] approve\n").stdout_has("· publish  pending\n");
    shown.stdout_has("next: formula approve [RUN] approve\n");
    let data = &ask(&sandbox, "show --json").json()[0];
    assert_eq!(data["vars"]["text"], "hello");
    assert_eq!(data["verdict"]["outcome"], "held");
    assert_eq!(data["steps"][3]["gate"]["prompt"], "Keep hello?");
    assert_eq!(data["steps"][1]["attempts"], 1);
    ask(&sandbox, "show 7ZZZ").exits(2).stderr_has("there is no run `7ZZZ`");
}

#[test]
fn a_failed_step_shows_its_answers() {
    let sandbox = Sandbox::new();
    let text = "name = \"f\"\n[[steps]]\nid = \"a\"\nuses = \"shell\"\nwith = { command = [\"false\"], idempotent = true }\n";
    sandbox.write("formulas/f.toml", text);
    ask(&sandbox, "run f --quiet").exits(20);
    let shown = ask(&sandbox, "show");
    shown.exits(0).stdout_has("✗ a  failed").stdout_has("formula settle [RUN] a --retry --reason TEXT  → ");
    let data = &ask(&sandbox, "show --json").json()[0];
    assert_eq!(data["steps"][0]["trouble"]["class"], "permanent");
    assert_eq!(data["steps"][0]["answers"][0]["answer"], "retry");
}

#[test]
fn log_replays_events_and_prints_what_a_step_wrote() {
    let sandbox = sandbox();
    held(&sandbox);
    let log = ask(&sandbox, "log");
    log.exits(0)
        .stderr_is("")
        .stdout_has("[TIME] run note [RUN]\n")
        .stdout_has("✓ write  [DURATION]  create `note.txt`")
        .stdout_has("? approve  Keep hello?\n");
    let mut all = ask(&sandbox, "log --json").json();
    let verdict = all.pop().expect("lines");
    assert_eq!(verdict["verdict"]["outcome"], "held");
    let numbers: Vec<u64> = all.iter().map(|line| line["seq"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.last().expect("events")["event"]["type"], "run_finished");
    let rest = ask(&sandbox, "log --json --since 3").json();
    assert_eq!((&rest[..rest.len() - 1], rest.last()), (&all[2..], Some(&verdict)));
    let run = all[0]["run"].as_str().expect("an id");
    let about = ask(&sandbox, &format!("log {run} write --json")).json();
    assert!(!about.is_empty() && about.iter().all(|line| line["event"]["step"] == "write"));
    // Raw where nobody looks at it; a single word may be a step.
    ask(&sandbox, "log look").exits(0).stdout_is("one\ntwo \u{1b}[31mred\n").stderr_is("");
    ask(&sandbox, &format!("log {run} write")).exits(0).stdout_is("").stderr_is("step `write` printed nothing\n");
    ask(&sandbox, &format!("log {run} wrte")).exits(2).stderr_has("did you mean `write`?");
    ask(&sandbox, "log --follow").exits(0).stdout_has("? approve");
}

#[test]
fn log_follows_a_run_until_it_is_over() {
    let sandbox = Sandbox::new();
    let text = "name = \"slow\"\n[[steps]]\nid = \"wait\"\nuses = \"shell\"\n\
                with = { command = [\"sh\", \"-c\", \"mkfifo pipe; echo begun; cat pipe\"], read_only = true }\n";
    sandbox.write("formulas/slow.toml", text);
    let mut run = formula(&sandbox).args(["run", "slow", "-v"]).start();
    assert!(run.wait_for_line(|line| line.contains("begun")));
    ask(&sandbox, "runs").exits(0).stdout_has("running");
    ask(&sandbox, "show").exits(0).stdout_has("driven by").stdout_has("▸ wait  running");
    let mut log = formula(&sandbox).args(["log", "wait", "--follow"]).start();
    assert!(log.wait_for_line(|line| line == "begun"));
    sandbox.write("pipe", "ended\n");
    run.finish().exits(0);
    log.finish().exits(0).stdout_is("begun\nended\n");
}

#[test]
fn completions_know_commands_and_formulas() {
    let sandbox = sandbox();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        ask(&sandbox, &format!("completions {shell}")).exits(0).stderr_is("").stdout_has("rollback");
    }
    let script = ask(&sandbox, "completions bash").stdout;
    sandbox.write("completions.bash", script);
    // What the shell itself would offer behind `formula graph n`.
    let asked = "PATH=\"$1:$PATH\"; . ./completions.bash; COMP_WORDS=(formula graph n); COMP_CWORD=2; _formula_with_names formula n graph; echo \"${COMPREPLY[*]}\"";
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_formula")).parent().expect("a folder").to_string_lossy().into_owned();
    let ran = Program::new(&sandbox, "bash").args(["-c", asked, "bash", &bin]).run();
    ran.exits(0).stderr_is("").stdout_is("note\n");
    let offered = |words: &str| {
        let words: Vec<&str> = words.split('|').collect();
        let set = format!(
            "PATH=\"$1:$PATH\"; shift; . ./completions.bash; COMP_WORDS=(\"$@\"); COMP_CWORD={}; _formula_with_names formula \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        Program::new(&sandbox, "bash").args(["-c", &set, "bash", &bin]).args(words).run().exits(0).stderr_is("").stdout.clone()
    };
    assert_eq!(offered("formula|run|note|--t"), "--timeout\n--text\n");
    assert_eq!(offered("formula|plan|--outp"), "--output\n");
    assert_eq!(offered("formula|steps|git-t"), "git-tag\n");
    assert_eq!(offered("formula|explain|F0101"), "F0101\n");
    assert!(!offered("formula|run|").contains('['));
    formula(&sandbox).args(["run", "note", "--text", "x"]).run().exits(20);
    let run = ask(&sandbox, "__complete runs").stdout.split('\t').next().expect("an id").to_owned();
    assert!(offered("formula|show|").lines().any(|word| word == run));
    assert_eq!(offered(&format!("formula|log|{run}|publ")), "publish\n");
}

#[test]
fn the_manual_has_a_page_for_the_program_and_one_for_each_command() {
    let sandbox = Sandbox::in_memory();
    ask(&sandbox, "man").exits(0).stdout_has(".TH formula 1").stdout_has("formula\\-rollback");
    ask(&sandbox, "man rollback").exits(0).stdout_has(".TH formula-rollback 1").stdout_has("\\-\\-to");
    for verb in ["run", "plan", "graph"] {
        ask(&sandbox, &format!("man {verb}"))
            .exits(0)
            .stdout_has("\\-\\-set")
            .stdout_has(".SH \"EXIT STATUS\"")
            .stdout_has("FORMULA_STATE_DIR");
    }
    ask(&sandbox, "man run").stdout_has("\\-\\-wait\\-lock").stdout_has("\\-\\-plan");
    ask(&sandbox, "man dcos").exits(2);
}

#[test]
fn the_reference_is_what_the_program_writes() {
    let sandbox = Sandbox::in_memory();
    let checkout = env!("CARGO_MANIFEST_DIR");
    formula(&sandbox).args(["-C", checkout, "docs", "--check"]).run().exits(0).stdout_is("").stderr_is("");
    ask(&sandbox, "docs").exits(2).stderr_has("in a checkout");
}

#[test]
fn docs_writes_the_runbook_of_a_formula() {
    let sandbox = sandbox();
    let page = ask(&sandbox, "docs note");
    page.exits(0).stderr_is("").stdout_has("# Runbook: `note`\n\nWrite a note.\n\n```mermaid\nflowchart TD\n");
    page.stdout_has("formula run note --text TEXT\n").stdout_has("| `--text` | string | yes | What to write |\n");
    page.stdout_has("### Step `publish`\n")
        .stdout_has("runs before [`publish`](#step-publish)")
        .stdout_has("formula approve RUN approve --deny");
    ask(&sandbox, "docs note -o RUNBOOK.md").exits(0).stdout_is("");
    assert_eq!(sandbox.files()["RUNBOOK.md"], page.stdout);
    ask(&sandbox, "docs nothing").exits(10).stderr_has("there is no formula `nothing`");
    ask(&sandbox, "docs note --check").exits(2).stderr_has("cannot be used with");
}

#[test]
fn the_verdict_names_the_runbook_of_a_formula() {
    let sandbox = sandbox();
    let refused = formula(&sandbox).args(["run", "release", "--version", "v1.0.0", "--json"]).run();
    let lines = refused.exits(11).json();
    let verdict = &lines.last().expect("a verdict")["verdict"];
    let (path, anchor) = verdict["runbook"].as_str().and_then(|place| place.split_once('#')).expect("a place");
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the page is there");
    let step = verdict["failed_step"].as_str().expect("a step");
    assert_eq!(anchor, format!("step-{step}"));
    assert!(page.contains(&format!("\n### Step `{step}`\n")));
    // One of somebody's own has no page in this program's source: the command writes it.
    let own = ask(&sandbox, "run note --text x --json").exits(20).json();
    let command = own.last().expect("a verdict")["verdict"]["runbook"].as_str().expect("a command").to_owned();
    assert_eq!(command, "formula docs note");
    ask(&sandbox, command.strip_prefix("formula ").expect("ours")).exits(0);
}
