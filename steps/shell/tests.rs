//! What a program is told, what becomes of how it ends, and what becomes of its outputs.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::contract::{Class, StepType};
use crate::world::OutputBuffer;
use crate::world::Secret;
use crate::world::fake::{FakeProgram, FakeWorld};

fn world(programs: impl IntoIterator<Item = FakeProgram>) -> (FakeWorld, Context, Arc<OutputBuffer>) {
    let fake = FakeWorld::new();
    fake.edit(|state| state.programs = programs.into_iter().collect());
    let log = Arc::new(OutputBuffer::new());
    let mut cx = Context::bare(fake.world(), Path::new("/acme"));
    cx.output = log.clone();
    cx.secrets = Arc::new([("TOKEN".to_owned(), Secret::new("hush-hush"))].into());
    (fake, cx, log)
}

async fn run(cx: &Context, params: Value) -> Result<Value, StepError> {
    StepType::run(&Shell, cx, &params, None).await
}

#[tokio::test]
async fn exit_codes_decide_what_may_happen_next() {
    let failing = |code| FakeProgram::new(["x"]).exit(code).output("1\n2\n\n3\n4\n5\n6 hush-hush\n");
    for (code, class) in [(1, Class::Permanent), (75, Class::Transient), (127, Class::Permanent)] {
        let (_, cx, log) = world([failing(code)]);
        let error = run(&cx, json!({ "command": ["x"] })).await.unwrap_err();
        assert_eq!(error.class, class);
        assert_eq!(error.message, format!("`x` ended with exit code {code}\n2\n3\n4\n5\n6 ***"));
        assert!(log.text().contains("6 hush-hush"), "the log is the redactor's business");
    }
    let (_, cx, _) = world([FakeProgram { signal: Some(9), ..FakeProgram::new(["x"]) }]);
    let error = run(&cx, json!({ "command": ["x"] })).await.unwrap_err();
    assert!(error.message.contains("SIGKILL"), "{error}");
    assert_eq!(run(&cx, json!({ "command": ["y"] })).await.unwrap_err().class, Class::Permanent);
}

#[tokio::test]
async fn outputs_are_lines_or_json_and_all_must_be_there() {
    for (text, expected) in [
        ("a=1\nb = with = signs \nc=3\na=2\n", json!({ "exit_code": 0, "a": "2", "b": " with = signs " })),
        ("{\"b\": [true], \"a\": 2, \"c\": 3}", json!({ "exit_code": 0, "a": 2, "b": [true] })),
    ] {
        let (fake, cx, _) = world([FakeProgram::new(["x"]).writes("${FORMULA_OUTPUT}", text)]);
        assert_eq!(run(&cx, json!({ "command": ["x"], "outputs": ["a", "b"] })).await.unwrap(), expected);
        assert!(fake.state().files.is_empty(), "the file of outputs is gone");
    }
    let large = "a".repeat(MAX_OUTPUT + 1);
    for (text, said) in [
        ("a=1\n", "gave no output `b`"),
        ("a=1\noops\n", "line 2 of the file of outputs"),
        ("{\"a\": ", "not a JSON object"),
        ("a=x hush-hush\nb=1", "output `a` holds the secret `TOKEN`"),
        ("{\"a\": 1, \"b\": {\"c\": [\"hush-hush\"]}}", "output `b` holds the secret `TOKEN`"),
        (&large, "more than 256 KiB"),
    ] {
        let (_, cx, _) = world([FakeProgram::new(["x"]).writes("${FORMULA_OUTPUT}", text)]);
        let error = run(&cx, json!({ "command": ["x"], "outputs": ["a", "b"] })).await.unwrap_err();
        assert_eq!(error.class, Class::Permanent);
        assert!(error.message.contains(said) && !error.message.contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_step_without_outputs_costs_one_call() {
    let (fake, cx, _) = world([FakeProgram::new(["/bin/true"])]);
    assert_eq!(run(&cx, json!({ "command": ["/bin/true"] })).await.unwrap(), json!({ "exit_code": 0 }));
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    assert!(!calls[0].detail.contains("FORMULA_OUTPUT"));
}

#[tokio::test]
async fn the_probe_answers_by_its_exit_code() {
    let params = json!({ "command": ["x"], "probe": "test -e there", "outputs": ["a"] });
    let probe = |code| FakeProgram::new(["sh", "-eu", "-c", "test -e there", "sh"]).exit(code);
    for (program, verdict) in [
        (probe(0).writes("${FORMULA_OUTPUT}", "a=1"), "present"),
        (probe(0), "unknown"),
        (probe(1), "absent"),
        (probe(2), "unknown"),
        (FakeProgram { signal: Some(15), ..probe(0) }, "unknown"),
    ] {
        let (_, cx, _) = world([program]);
        assert_eq!(StepType::probe(&Shell, &cx, &params).await.unwrap().name(), verdict);
    }
    let (_, cx, _) = world([]);
    assert_eq!(StepType::probe(&Shell, &cx, &json!({ "command": ["x"] })).await.unwrap().name(), "unknown");
    let (_, cx, _) = world([probe(2)]);
    let said = format!("{:?}", StepType::probe(&Shell, &cx, &params).await.unwrap());
    assert!(said.contains("the probe ended with exit code 2, neither 0 (it is there) nor 1 (it is not)"), "{said}");
}

#[tokio::test]
async fn a_program_sees_what_it_should_and_no_more() {
    let (fake, mut cx, _) = world([FakeProgram::new(["x"])]);
    let base = [
        ("HOME", "/home/me"),
        ("LC_ALL", "C"),
        ("GIT_SSH_COMMAND", "ssh"),
        ("AWS_SECRET", "s"),
        ("LD_PRELOAD", "evil.so"),
        ("FORMULA_DRIVER", "d1"),
        ("FORMULA_OUTPUT", "/outer"),
    ];
    cx.base_env = Arc::new(base.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    cx.env = Arc::new([("VERSION".to_owned(), "v1".to_owned())].into());
    cx.attempt = 3;
    run(&cx, json!({ "command": ["x"], "dir": "sub" })).await.unwrap();
    let seen = &fake.calls()[0].detail;
    for part in [
        "HOME=/home/me",
        "LC_ALL=C",
        "GIT_SSH_COMMAND=ssh",
        "VERSION=v1",
        "FORMULA_ATTEMPT=3",
        "FORMULA_STEP=step",
        "FORMULA_DRIVER=d1",
        "PATH=/",
        "dir=/acme/sub",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    for part in ["AWS_SECRET", "LD_PRELOAD", "FORMULA_OUTPUT", "hush"] {
        assert!(!seen.contains(part), "{part} in {seen}");
    }
}

#[test]
fn behaviour_follows_what_is_declared() {
    let of = |with: Value| {
        let behaviour = StepType::behaviour(&Shell, &with);
        (behaviour.effect, behaviour.undo, behaviour.repeat, behaviour.probes)
    };
    assert_eq!(of(json!({ "command": ["x"] })), (Effect::OneWay, Undo::Impossible, Repeat::Never, false));
    assert_eq!(of(json!({ "read_only": true })), (Effect::ReadOnly, Undo::Nothing, Repeat::Safe, false));
    assert_eq!(of(json!({ "undo": ["y"], "probe": "z" })), (Effect::Reversible, Undo::Reverse, Repeat::Never, true));
    assert_eq!(of(json!({ "idempotent": true })), (Effect::OneWay, Undo::Impossible, Repeat::Safe, false));
    let schema = StepType::output_schema(&Shell, &json!({ "outputs": ["size"] }));
    assert!(schema["properties"]["size"].is_object() && schema["properties"]["exit_code"].is_object());
}

#[test]
fn params_that_make_no_sense_are_told() {
    for (params, said) in [
        (json!({}), "exactly one"),
        (json!({ "command": ["x"], "script": "y" }), "exactly one"),
        (json!({ "command": [] }), "`command` names no program"),
        (json!({ "command": ["x"], "undo": [] }), "`undo` names no program"),
        (json!({ "command": ["x"], "undo": ["y"], "read_only": true }), "nothing to undo"),
        (json!({ "command": ["x"], "outputs": ["a b"] }), "`a b`"),
        (json!({ "command": ["x"], "outputs": ["exit_code"] }), "`exit_code`"),
        (json!({ "command": ["x"], "probe": 1 }), "a list of arguments, or a text"),
        (json!({ "script": "x".repeat(MAX_SCRIPT + 1) }), "use `file`"),
    ] {
        let problems = StepType::check(&Shell, &params);
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:?}");
    }
}
