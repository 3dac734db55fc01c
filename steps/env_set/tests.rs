//! What `env-set` does to a file, byte by byte.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::contract::{Class, StepType};
use crate::world::fake::{FakeFile, FakeWorld};

const ENV: &str = "/acme/.env";

fn world(text: &str) -> (FakeWorld, Context) {
    let fake = FakeWorld::new();
    fake.edit(|state| state.files.insert(ENV.into(), FakeFile::new(text).mode(0o640)));
    let cx = Context::bare(fake.world(), Path::new("/acme"));
    (fake, cx)
}

async fn absent(cx: &Context, params: &Value) -> (Value, Vec<Change>) {
    match StepType::probe(&EnvSet, cx, params).await.unwrap() {
        Probe::Absent { before, changes } => (before, changes),
        other => panic!("the probe answers {}", other.name()),
    }
}

async fn run(cx: &Context, params: &Value) -> Value {
    let (before, _) = absent(cx, params).await;
    StepType::run(&EnvSet, cx, params, Some(&before)).await.unwrap();
    before
}

#[tokio::test]
async fn every_start_is_put_back_byte_for_byte() {
    let params = json!({ "set": { "K": "new value", "B": 2 }, "unset": ["GONE"] });
    for text in [
        "",
        "A=1",
        "A=1\n",
        "K=1",
        "K=1\nGONE=x\nA=1\nK=2\n# K=3\nGONE=y",
        "GONE='two\nlines'\r\nexport K = x # why\r\n",
        "B=2\n\n\nK=\"new value\"\nK=x",
        "K=1\nB=2",
    ] {
        let (fake, cx) = world(text);
        let start = fake.snapshot();
        let before = run(&cx, &params).await;
        assert!(matches!(StepType::probe(&EnvSet, &cx, &params).await.unwrap(), Probe::Present { .. }), "{text:?}");
        StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
        assert_eq!(fake.snapshot(), start, "{text:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_where_all_is_so() {
    let (fake, cx) = world("K='a b'\n");
    let params = json!({ "set": { "K": "a b" }, "unset": ["X"] });
    StepType::run(&EnvSet, &cx, &params, None).await.unwrap();
    assert!(fake.calls().iter().all(|call| !call.changes), "{:?}", fake.calls());
}

#[tokio::test]
async fn a_new_file_is_for_the_user_alone_and_not_made_beside_an_encrypted_one() {
    let fake = FakeWorld::new();
    let cx = Context::bare(fake.world(), Path::new("/acme"));
    let params = json!({ "set": { "K": "1" } });
    run(&cx, &params).await;
    assert_eq!(fake.state().files[Path::new(ENV)].mode, 0o600);
    fake.edit(|state| {
        state.files.clear();
        state.put("/acme/.env.enc", "x");
    });
    let error = StepType::probe(&EnvSet, &cx, &params).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("`.env.enc`"), "{error}");
    StepType::run(&EnvSet, &cx, &params, None).await.unwrap_err();
    assert!(fake.state().text(ENV).is_none());
}

#[tokio::test]
async fn what_others_set_meanwhile_survives_going_back() {
    let (fake, cx) = world("A=1\nK=old\nGONE=x");
    let params = json!({ "set": { "K": "new", "ADDED": "1" }, "unset": ["GONE"] });
    let before = run(&cx, &params).await;
    let other = json!({ "set": { "OTHER": "theirs" } });
    run(&cx, &other).await;
    StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
    assert_eq!(fake.state().text(ENV).unwrap(), "A=1\nK=old\nOTHER=theirs\nGONE=x");
}

#[tokio::test]
async fn a_key_that_somebody_changed_since_is_left_alone() {
    let (fake, cx) = world("K=old\n");
    let params = json!({ "set": { "K": "new" } });
    let before = run(&cx, &params).await;
    fake.edit(|state| state.put(ENV, "K=theirs\n"));
    let error = StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert_eq!(fake.state().text(ENV).unwrap(), "K=theirs\n");
}

#[tokio::test]
async fn duplicates_are_collapsed_with_a_notice() {
    let (fake, mut cx) = world("K=new\nA=1\nK=old\n");
    let log = std::sync::Arc::new(crate::world::OutputBuffer::new());
    cx.output = log.clone();
    let params = json!({ "set": { "K": "new" } });
    run(&cx, &params).await;
    assert_eq!(fake.state().text(ENV).unwrap(), "A=1\nK=new\n");
    assert!(log.text().contains("`K` was assigned 2 times"), "{}", log.text());
}

#[tokio::test]
async fn values_of_secrets_are_not_shown_and_other_lines_are_not_kept() {
    let (_, cx) = world("FORGE_TOKEN=old-hush\nDB_PASS=their-hush\nV=v1\nFORGE_URL=https://bot:in-hush@x\n");
    let params = json!({ "set": { "FORGE_TOKEN": "new-hush", "V": "v2", "FORGE_URL": "https://bot:in2-hush@x" } });
    let (before, changes) = absent(&cx, &params).await;
    let told = serde_json::to_string(&changes).unwrap();
    assert!(!told.contains("hush"), "{told}");
    assert!(told.contains("set `V` in `.env` to `v2`; it was `v1`"), "{told}");
    assert!(!before.to_string().contains("their-hush"), "{before}");
    let bad = json!({ "set": { "FORGE_TOKEN": "hush`'" } });
    let error = StepType::probe(&EnvSet, &cx, &bad).await.unwrap_err();
    assert!(error.message.contains("FORGE_TOKEN") && !error.message.contains("hush"), "{error}");
}

#[tokio::test]
async fn other_names_follow_where_they_are_assigned_and_are_never_added() {
    let (fake, cx) = world("V=v1\nTAG=v1\nIMAGE=127.0.0.1:5000/mill/agents:v1\nSHORT=agents@sha256:00\n");
    let params = json!({ "values": ["V=v2"], "aliases": ["V", "TAG", "IMAGE", "SHORT", "MISSING"] });
    let start = fake.snapshot();
    let before = run(&cx, &params).await;
    assert_eq!(fake.state().text(ENV).unwrap(), "V=v2\nTAG=v2\nIMAGE=127.0.0.1:5000/mill/agents:v2\nSHORT=v2\n");
    StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
    assert_eq!(fake.snapshot(), start);
}

#[test]
fn params_that_make_no_sense_are_told_all_at_once() {
    let params = json!({ "set": { "1A": "", "L": [1], "B": "" }, "unset": ["B", "x-y"] });
    assert_eq!(StepType::check(&EnvSet, &params).len(), 4);
    assert_eq!(StepType::check(&EnvSet, &json!({})).len(), 1);
    assert_eq!(StepType::check(&EnvSet, &json!({ "values": ["K", "2=x"], "aliases": ["a-b"] })).len(), 3);
    assert_eq!(StepType::check(&EnvSet, &json!({ "set": { "K": "1" }, "aliases": ["A"] })).len(), 1);
}
