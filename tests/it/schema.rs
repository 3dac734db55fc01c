//! The printed schemas against what is really written: formula files, events, verdicts.

use std::fs;
use std::path::{Path, PathBuf};

use ::formula::diagnostic::SourceFile;
use ::formula::model::{Envelope, Event, JOURNAL_VERSION, Outcome, Payload, ProbeReason, RunId, SettleAnswer, Timestamp, Verdict};
use ::formula::report::verdict_json;
use ::formula::syntax::{self, Builtin, Options};
use formula_steps::contract::{Change, Class, Probe};
use serde_json::{Value, json};

use crate::support::{Sandbox, formula, violations};

fn schema(args: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let ran = formula(&sandbox).args(args.iter().copied()).run();
    ran.exits(0).stderr_is("");
    serde_json::from_str(&ran.stdout).expect("a schema is JSON")
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = folder.read_dir().expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn formulas_that_load_fit_the_schema() {
    let schema = schema(&["schema"]);
    let mut checked = 0;
    for path in toml_files("formulas").into_iter().chain(toml_files("tests/spec/valid")) {
        let text = fs::read_to_string(&path).expect("a fixture reads");
        let options = Options { any_name: true, ..Options::default() };
        if syntax::parse(&SourceFile::new(&path, text.as_str()), &Builtin::default(), options).formula.is_none() {
            continue;
        }
        // What `--lenient` takes is no TOML.
        let Ok(table) = toml::from_str::<toml::Table>(&text) else { continue };
        let value = serde_json::to_value(table).expect("TOML is JSON, but for dates");
        assert_eq!(violations(&schema, &value), Vec::<String>::new(), "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 2, "{checked}");
}

/// What a second opinion has against a value.
fn refused(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).expect("it is a schema");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn an_independent_reader_of_schemas_agrees() {
    let schema = schema(&["schema"]);
    let table = |text: &str| {
        toml::from_str::<toml::Table>(text).ok().map(|table| serde_json::to_value(table).expect("TOML is JSON, but for dates"))
    };
    let mut checked = 0;
    for path in toml_files("formulas").into_iter().chain(toml_files("tests/spec/valid")) {
        let Some(value) = fs::read_to_string(&path).ok().and_then(|text| table(&text)) else { continue };
        assert_eq!(refused(&schema, &value), Vec::<String>::new(), "{}", path.display());
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
    // What is wrong by its shape alone. Names, order and templates are the reader's.
    let shapes = ["F0201", "F0202", "F0205", "F0207", "F0301", "F0302", "F0303", "F0309", "F0310", "F0311"];
    let mut wrong = 0;
    for path in toml_files("tests/spec/invalid") {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let Some(value) = fs::read_to_string(&path).ok().and_then(|text| table(&text)) else { continue };
        if shapes.iter().any(|code| name.starts_with(code)) {
            assert_ne!(refused(&schema, &value), Vec::<String>::new(), "{name}");
            wrong += 1;
        }
    }
    assert!(wrong >= 10, "{wrong}");
}

#[test]
fn editors_find_words_for_every_key() {
    let schema = schema(&["schema"]);
    let mut silent = Vec::new();
    let defs = schema["$defs"].as_object().expect("definitions");
    let tables = defs.iter().map(|(name, table)| (name.as_str(), table)).chain([("formula", &schema)]);
    for (name, table) in tables {
        for (key, property) in table["properties"].as_object().into_iter().flatten() {
            // The tag of a variant says what it is by its value.
            if property["description"].as_str().is_none_or(str::is_empty) && property["const"].is_null() {
                silent.push(format!("{name}.{key}"));
            }
        }
        if name.strip_prefix("with-").is_some_and(|kind| !kind.contains(char::is_uppercase)) {
            assert!(table["description"].as_str().is_some_and(|text| text.contains("```toml")), "{name}");
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    let mut beside = Vec::new();
    lonely(&schema, &mut beside);
    assert_eq!(beside, Vec::<String>::new(), "words beside a reference are lost");
}

/// References with something beside them.
fn lonely(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            if object.len() > 1 && object.get("$ref").is_some_and(Value::is_string) {
                found.push(schema.to_string());
            }
            object.values().for_each(|value| lonely(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| lonely(item, found)),
        _ => {}
    }
}

#[test]
fn every_example_fits_the_schema() {
    let schema = schema(&["schema"]);
    let kinds = schema["$defs"]["step"]["properties"]["uses"]["enum"].as_array().expect("kinds are listed").clone();
    let sandbox = Sandbox::new();
    for kind in &kinds {
        let kind = kind.as_str().expect("a name");
        let told = formula(&sandbox).args(["steps", kind, "--json"]).run().json();
        let example = told[0]["example"].as_str().expect("an example");
        let mut value: Value = serde_json::to_value(toml::from_str::<toml::Table>(example).expect("TOML")).expect("JSON");
        value["name"] = "example".into();
        assert_eq!(violations(&schema, &value), Vec::<String>::new(), "{kind}");
        // The kind's params are really looked at.
        value["steps"][0]["with"]["no-such-param"] = 1.into();
        assert_ne!(violations(&schema, &value), Vec::<String>::new(), "{kind}");
    }
    assert!(kinds.len() > 3);
}

#[test]
fn what_the_reader_refuses_by_shape_the_schema_refuses_too() {
    let schema = schema(&["schema"]);
    let with = |step: Value| json!({ "name": "x", "steps": [step] });
    let good = json!({ "id": "a", "uses": "write-file", "with": { "path": "p", "content": "c" } });
    assert_eq!(violations(&schema, &with(good.clone())), Vec::<String>::new());
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut step = good.clone();
        change(&mut step);
        with(step)
    };
    let bad = [
        json!({ "steps": [good] }),
        json!({ "name": "x" }),
        json!({ "name": "x", "steps": [good], "stepz": [] }),
        changed(&|step| step["uses"] = "no-such-kind".into()),
        changed(&|step| step["need"] = json!([])),
        changed(&|step| step["needs"] = "a".into()),
        changed(&|step| step["timeout"] = 30.into()),
        changed(&|step| step["with"] = json!({ "path": "p" })),
        changed(&|step| step["with"]["path"] = 1.into()),
        changed(&|step| step["id"] = "Not An Id".into()),
        changed(&|step| step["retry"] = json!({ "wait": "1s" })),
    ];
    for value in &bad {
        assert_ne!(violations(&schema, value), Vec::<String>::new(), "{value}");
    }
}

/// A gate whose approval is proven like that, or by nothing.
fn gate_opened(proof: &str) -> Event {
    let of = |kind: &str, value: &str| (proof == kind).then(|| value.to_owned());
    Event::GateOpened {
        step: "a".into(),
        prompt: "ship?".into(),
        digest: "sha256:3".into(),
        until: of("file", "").map(|_| Timestamp(2)),
        approvers: if proof.is_empty() { Vec::new() } else { vec!["ada".into()] },
        proof: (!proof.is_empty()).then(|| proof.to_owned()),
        proof_file: of("file", "ok"),
        proof_url: of("forge", "https://forge/comments"),
        proof_token: of("forge", "FORGE_TOKEN"),
    }
}

/// At least one of each event, with every value of what they hold.
fn events() -> Vec<Event> {
    let (step, by, small) = (|| "notify/send".to_owned(), || "ada".to_owned(), || Payload::Value(json!({ "a": [1, null] })));
    let blob = || Payload::Blob { digest: "sha256:00".into(), size: 700 };
    let probes = [
        Probe::Absent { before: small(), changes: vec![Change::new("make it").diff("-a\n+b\n")] },
        Probe::Present { output: blob() },
        Probe::Diverged { expected: "a".into(), found: "b".into() },
        Probe::Unknown { reason: "no".into() },
    ];
    let reasons = [ProbeReason::Ready, ProbeReason::InDoubt, ProbeReason::Rollback, ProbeReason::Ready];
    let probed = probes.into_iter().zip(reasons).map(|(probe, reason)| Event::StepProbed {
        step: step(),
        reason,
        probe,
        params: Some("sha256:1".into()),
        one_way: reason == ProbeReason::InDoubt,
    });
    let mut events: Vec<Event> = probed.collect();
    let classes = [
        Class::Transient,
        Class::Permanent,
        Class::Refused,
        Class::Conflict,
        Class::Timeout,
        Class::Cancelled,
        Class::Interrupted,
        Class::Internal,
    ];
    for class in classes {
        events.push(Event::AttemptFailed { step: step(), attempt: 1, class, message: "no".into(), hint: None });
    }
    for answer in [SettleAnswer::Retry, SettleAnswer::Adopt, SettleAnswer::Skip] {
        events.push(Event::StepSettled { step: step(), answer, by: by(), reason: "so".into(), output: Some(small()) });
    }
    for outcome in outcomes() {
        events.push(Event::RunFinished { outcome, changed: true });
    }
    events.extend([
        Event::RunStarted { formula: "f".into(), fingerprint: "sha256:2".into(), plan: blob(), tool: "0.1.0".into(), by: by() },
        Event::RunResumed { tool: "0.1.0".into(), by: by() },
        Event::PlanReplaced { fingerprint: "sha256:f".into(), plan: blob(), tool: "0.1.0".into(), by: by() },
        Event::AttemptStarted { step: step(), attempt: 2 },
        Event::CheckpointSaved { step: step(), before: small() },
        Event::AttemptSucceeded { step: step(), attempt: 2, output: blob(), one_way: true },
        Event::AttemptFailed { step: step(), attempt: 2, class: Class::Transient, message: "no".into(), hint: Some("try".into()) },
        Event::AttemptWithdrawn { step: step(), attempt: 3 },
        Event::RetryScheduled { step: step(), attempt: 3, at: Timestamp(1) },
        Event::StepSkipped { step: step(), reason: "so".into() },
        gate_opened("file"),
        gate_opened("forge"),
        gate_opened(""),
        Event::GateDecided { step: step(), approved: true, by: by(), reason: None },
        Event::CancelRequested { by: by(), now: false },
        Event::RollbackRequested { by: by(), to: Some("a".into()) },
        Event::RedoRequested { by: by(), steps: vec![step()] },
        Event::UndoStarted { step: step() },
        Event::UndoSucceeded { step: step() },
        Event::UndoFailed { step: step(), class: Class::Conflict, message: "no".into(), hint: None },
    ]);
    events
}

fn outcomes() -> [Outcome; 8] {
    [
        Outcome::Done,
        Outcome::Refused,
        Outcome::Held,
        Outcome::Stopped,
        Outcome::RolledBack,
        Outcome::RollbackIncomplete,
        Outcome::Interrupted,
        Outcome::Terminated,
    ]
}

#[test]
fn every_event_and_verdict_fits_the_schema() {
    let schema = schema(&["schema", "--events"]);
    let run = RunId("01JB2M4T8ZQX3V5W7Y9A1C3E5G".into());
    let mut seen: Vec<&'static str> = Vec::new();
    for (event, seq) in events().into_iter().zip(1..) {
        seen.push(event.name());
        let value = Envelope { v: JOURNAL_VERSION, run: run.clone(), seq, at: Timestamp(3), event }.to_json();
        assert_eq!(violations(&schema, &value), Vec::<String>::new(), "{value}");
        let mut broken = value;
        broken["event"]["type"] = "no_such_event".into();
        assert_ne!(violations(&schema, &broken), Vec::<String>::new(), "{broken}");
    }
    let in_schema: Vec<&str> = schema["$defs"]["Event"]["oneOf"]
        .as_array()
        .expect("variants")
        .iter()
        .filter_map(|event| event["properties"]["type"]["const"].as_str())
        .collect();
    for name in &in_schema {
        assert!(seen.contains(name), "no event `{name}` is tried");
    }
    for outcome in outcomes() {
        let verdict = Verdict {
            run: None,
            outcome,
            exit: outcome.exit_code(),
            changed: true,
            failed_step: Some("a".into()),
            class: Some(Class::Timeout),
            message: None,
            hint: None,
            retry_safe: true,
            one_way_crossed: false,
            runbook: Some("docs/reference/runbooks/release.md#step-push".into()),
            next: vec!["formula resume".into()],
        };
        let line: Value = serde_json::from_str(&verdict_json(&run, &verdict)).expect("a line is JSON");
        assert_eq!(violations(&schema, &line), Vec::<String>::new(), "{line}");
    }
}
