//! What `http-request` makes of answers, and how it behaves by what it sends.

use std::time::Duration;

use formula_steps::contract::{Class, Effect, Probe, Repeat, Undo};
use formula_steps::world::fake::{FakeAnswer, State};
use serde_json::{Value, json};

use super::Bench;

const ITEMS: &str = "http://forge.test/items";
const ITEM: &str = "http://forge.test/items/a%2Fb";

fn forge(state: &mut State) {
    let made = r#"{ "id": "a/b", "name": "x" }"#;
    state.http.answer("POST", ITEMS, [FakeAnswer::new(201, made).puts(ITEM, made)]);
    state.http.answer("DELETE", ITEM, [FakeAnswer::new(204, "").deletes(ITEM), FakeAnswer::new(404, "")]);
    state.http.hosts.insert("forge.test".into());
}

fn create() -> Value {
    json!({
        "method": "POST", "url": ITEMS, "json": { "name": "x" }, "outputs": { "id": "/id" },
        "probe": { "url": ITEM, "pointer": "/name", "equals": "x" },
        "undo": { "url": "http://forge.test/items/{id}" },
    })
}

#[tokio::test]
async fn outputs_come_out_of_the_answer_and_go_into_the_undo() {
    let bench = Bench::new("http-request", forge);
    let (before, output) = bench.run_keeping(&create()).await.unwrap();
    assert_eq!(output, json!({ "status": 201, "id": "a/b" }));
    assert!(matches!(bench.probe(&create()).await.unwrap(), Probe::Present { output } if output["id"] == "a/b"));
    bench.undo(&create(), before.as_ref(), Some(&output)).await.unwrap();
    assert!(bench.fake.state().http.resources.is_empty());
    let mut blind = create();
    blind["probe"] = Value::Null;
    bench.undo(&blind, None, Some(&output)).await.expect("404 counts as undone");
    let error = bench.undo(&blind, None, None).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "nobody knows which one to delete: {error}");
}

#[tokio::test]
async fn what_went_wrong_decides_whether_to_try_again() {
    for (status, class) in [
        (429, Class::Transient),
        (503, Class::Transient),
        (408, Class::Transient),
        (401, Class::Permanent),
        (404, Class::Permanent),
        (409, Class::Conflict),
        (302, Class::Permanent),
    ] {
        let bench = Bench::new("http-request", |state| {
            let mut answer = FakeAnswer::new(status, "because of s3cret-s3cret");
            answer.headers.insert("retry-after".into(), "7".into());
            state.http.answer("POST", ITEMS, [answer]);
        });
        let error = bench.run(&json!({ "method": "POST", "url": ITEMS })).await.unwrap_err();
        assert_eq!(error.class, class, "{status}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        assert!(error.message.contains(&format!("with {status}: because of ***")), "{error}");
    }
    let bench = Bench::new("http-request", |_| {});
    assert_eq!(bench.run(&json!({ "url": ITEMS })).await.unwrap_err().class, Class::Transient);
}

#[tokio::test]
async fn an_answer_without_a_declared_output_is_no_success() {
    for body in ["{}", "<html>"] {
        let bench = Bench::new("http-request", |state| state.http.answer("POST", ITEMS, [FakeAnswer::new(200, body)]));
        let error = bench.run(&json!({ "method": "POST", "url": ITEMS, "outputs": { "id": "/id" } })).await.unwrap_err();
        assert!(error.class == Class::Permanent && error.message.contains(body), "{error}");
    }
}

#[tokio::test]
async fn what_the_probe_cannot_tell_is_not_guessed() {
    let bench = Bench::new("http-request", |state| {
        forge(state);
        state.http.answer("GET", ITEM, [FakeAnswer::new(500, "")]);
    });
    assert_eq!(bench.probe(&create()).await.unwrap_err().class, Class::Transient);
    bench.fake.edit(|state| state.http.answer("GET", ITEM, [FakeAnswer::new(200, r#"{ "name": "x" }"#)]));
    assert!(matches!(bench.probe(&create()).await.unwrap(), Probe::Unknown { reason } if reason.contains("/id")));
    bench.fake.edit(|state| state.http.answer("GET", ITEM, [FakeAnswer::new(200, r#"{ "name": "y" }"#)]));
    assert!(matches!(bench.probe(&create()).await.unwrap(), Probe::Absent { .. }));
    assert!(matches!(bench.probe(&json!({ "method": "POST", "url": ITEMS })).await.unwrap(), Probe::Unknown { .. }));
}

#[tokio::test]
async fn secrets_and_the_key_go_where_they_are_sent() {
    let bench = Bench::new("http-request", |state| state.http.answer("POST", ITEMS, [FakeAnswer::new(200, "")]));
    let params = json!({ "method": "POST", "url": ITEMS, "json": {}, "idempotency_header": "Idempotency-Key",
        "secret_headers": { "Authorization": "Bearer {TOKEN}" } });
    bench.run(&params).await.unwrap();
    let calls = format!("{:?}", bench.fake.calls());
    assert!(calls.contains("Idempotency-Key: key") && calls.contains("Content-Type: application/json"), "{calls}");
    for (text, said) in [("Bearer TOKEN", "names no secret"), ("Bearer {OTHER}", "`OTHER`")] {
        let error = bench.run(&json!({ "url": ITEMS, "secret_headers": { "Authorization": text } })).await.unwrap_err();
        assert!(error.class == Class::Refused && error.message.contains(said), "{error}");
    }
}

#[test]
fn behaviour_follows_from_what_is_sent() {
    let step = formula_steps::find("http-request").unwrap();
    for (with, effect, repeat, undo) in [
        (json!({ "url": ITEMS }), Effect::ReadOnly, Repeat::Safe, Undo::Nothing),
        (json!({ "method": "post", "url": ITEMS }), Effect::OneWay, Repeat::Never, Undo::Impossible),
        (json!({ "method": "PUT", "url": ITEMS }), Effect::OneWay, Repeat::Safe, Undo::Impossible),
        (json!({ "method": "POST", "url": ITEMS, "idempotency_header": "K" }), Effect::OneWay, Repeat::Keyed, Undo::Impossible),
        (create(), Effect::Reversible, Repeat::Never, Undo::Reverse),
    ] {
        let found = step.behaviour(&with);
        assert_eq!((found.effect, found.repeat, found.undo), (effect, repeat, undo), "{with}");
    }
    let schema = step.output_schema(&create());
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["status", "id"]);
}

#[test]
fn params_are_judged_before_anything_is_asked() {
    let bench = Bench::new("http-request", |_| {});
    let problems = |params: Value| bench.check(&params).join("; ");
    assert!(problems(json!({ "url": "https://user:pass@x.test/" })).contains("credentials"));
    assert!(problems(json!({ "url": "file:///etc/passwd" })).contains("http://"));
    assert!(problems(json!({ "url": ITEMS, "body": "a", "json": 1 })).contains("either"));
    assert!(problems(json!({ "url": ITEMS, "outputs": { "status": "/s" } })).contains("status"));
    assert!(problems(json!({ "url": ITEMS, "outputs": { "id": "id" } })).contains("JSON pointer"));
    assert!(problems(json!({ "url": ITEMS, "undo": { "url": "http://x.test/{id}" } })).contains("{id}"));
}
