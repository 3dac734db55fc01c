//! When `health-check` passes, and what it says when it does not.

use std::time::Duration;

use formula_steps::contract::Class;
use formula_steps::world::fake::{FakeAnswer, FakeImage, FakeRun, State};
use formula_steps::world::{Cancel, CancelLevel, Clock as _};
use serde_json::{Value, json};

use super::Bench;

const URL: &str = "http://shop.test/health";
const IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

fn http(answers: Vec<FakeAnswer>) -> Bench {
    Bench::new("health-check", |state| {
        state.http.answer("GET", URL, answers);
        state.http.hosts.insert("shop.test".into());
    })
}

fn params(check: Value) -> Value {
    json!({ "checks": [check], "interval": "1s", "successes": 3, "deadline": "30s" })
}

fn look() -> Value {
    json!({ "type": "http", "name": "shop", "url": URL })
}

fn seconds(bench: &Bench) -> u64 {
    bench.fake.monotonic().as_secs()
}

#[tokio::test]
async fn it_takes_successes_in_a_row() {
    let answers = [503, 200, 200, 503, 200, 200, 200, 200].map(|status| FakeAnswer::new(status, "")).to_vec();
    let bench = http(answers);
    let output = bench.run(&params(look())).await.unwrap();
    assert_eq!((output["checks"]["shop"]["looks"].as_u64(), seconds(&bench)), (Some(7), 6));
    assert_eq!((&output["green"], &output["took"]), (&json!(["shop"]), &json!("6s")));
    assert!(bench.log.text().contains("answered 503"), "{}", bench.log.text());
}

#[tokio::test]
async fn it_takes_as_long_as_it_must_last() {
    let bench = http(vec![FakeAnswer::new(200, "")]);
    let mut params = params(look());
    params["stable_for"] = "10s".into();
    bench.run(&params).await.unwrap();
    assert_eq!(seconds(&bench), 10);
}

#[tokio::test]
async fn the_deadline_names_the_last_reason_of_each_red_check() {
    let bench = Bench::new("health-check", |state| {
        state.http.answer("GET", URL, [FakeAnswer::new(503, "database is  away\n")]);
        state.http.listening.insert("shop.test:80".into());
    });
    let checks = json!([look(), { "type": "tcp", "address": "shop.test:5432" }, { "type": "tcp", "address": "shop.test:80" }]);
    let error = bench.run(&json!({ "checks": checks, "deadline": "20s" })).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent, "trying again would only wait twice as long");
    assert_eq!(
        error.message,
        "not healthy within 20s:\n- `shop` answered 503 instead of 2xx: database is away\n- `tcp shop.test:5432` nobody listens at `shop.test:5432`"
    );
    assert!((18..=22).contains(&seconds(&bench)), "{}", seconds(&bench));
}

#[tokio::test]
async fn only_the_right_version_counts() {
    for (check, body, why) in [
        (json!({ "version": "v0.3.0" }), "0.3.0\n", None),
        (json!({ "version": "v0.3.0" }), "v0.2.0", Some("answers as version `v0.2.0` instead of `v0.3.0`")),
        (json!({ "pointer": "/app/version", "version": "v0.3.0" }), r#"{"app":{"version":"v0.3.0"}}"#, None),
        (json!({ "pointer": "/version", "version": "v0.3.0" }), r#"{"app":1}"#, Some("without anything at `/version`")),
        (json!({ "pointer": "/ok", "equals": true }), r#"{"ok":true}"#, None),
        (json!({ "pointer": "/ok", "equals": true }), r#"{"ok":"true"}"#, Some("has \"true\" at `/ok` instead of true")),
        (json!({ "contains": "ready" }), "not yet", Some("without `ready`")),
        (json!({ "pointer": "/ok" }), "<html>", Some("not JSON")),
        (json!({ "version_header": "X-Version", "version": "1" }), "", Some("without the header `X-Version`")),
        (json!({ "status": [204, 301] }), "", Some("answered 200 instead of 204 or 301")),
    ] {
        let bench = http(vec![FakeAnswer::new(200, body)]);
        let mut whole = look();
        whole.as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
        match (bench.run(&params(whole)).await, why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) if error.message.contains(why) => {}
            (found, _) => panic!("{check} on {body}: {found:?}, expected {why:?}"),
        }
    }
}

fn project(state: &mut State, run: FakeRun) {
    state.put("/acme/docker-compose.yml", "name: shop\nservices:\n  web:\n    image: shop:v1\n  job:\n    image: shop:job\n");
    state.docker.images.insert(IMAGE.into(), FakeImage::tagged(&["shop:v1", "shop:job"]));
    state.docker.runs.insert("shop:v1".into(), run);
    state.docker.runs.insert("shop:job".into(), FakeRun { state: "exited".into(), exit_code: Some(0), ..FakeRun::default() });
}

async fn up(bench: &Bench) {
    let file = formula_steps::world::ComposeFile {
        dir: "/acme".into(),
        file: "/acme/docker-compose.yml".into(),
        project: None,
        env_file: None,
        profiles: Vec::new(),
        env: std::collections::BTreeMap::new(),
    };
    let up = formula_steps::world::Up::default();
    bench.fake.world().compose.up(&file, &up, &*bench.log, &Cancel::new()).await.expect("it comes up");
}

#[tokio::test]
async fn what_ended_for_good_is_not_waited_for() {
    let crash = FakeRun { state: "exited".into(), exit_code: Some(3), log: "starting\nno database\n".into(), ..FakeRun::default() };
    let bench = Bench::new("health-check", |state| project(state, crash));
    up(&bench).await;
    let check = json!({ "type": "compose", "services": ["web"] });
    let error = bench.run(&params(check.clone())).await.unwrap_err();
    assert!(error.message.contains("`web` exited with code 3") && error.message.contains("no database"), "{error}");
    assert!(seconds(&bench) < 5, "{}", seconds(&bench));
    let mut patient = params(check);
    patient["start_period"] = "10s".into();
    let began = seconds(&bench);
    bench.run(&patient).await.unwrap_err();
    assert!((10..20).contains(&(seconds(&bench) - began)));
}

#[tokio::test]
async fn a_project_is_up_when_every_service_is() {
    let well = FakeRun { health: Some("healthy".into()), ..FakeRun::default() };
    let bench = Bench::new("health-check", |state| project(state, well));
    let error = bench.run(&params(json!({ "type": "compose" }))).await.unwrap_err();
    assert!(error.message.contains("`web` has no container") && error.message.contains("`job` has no container"), "{error}");
    up(&bench).await;
    let error = bench.run(&params(json!({ "type": "compose" }))).await.unwrap_err();
    assert!(error.message.contains("`job` exited with code 0"), "{error}");
    bench.run(&params(json!({ "type": "compose", "may_end": ["job"] }))).await.unwrap();
    let error = bench.run(&params(json!({ "type": "compose", "services": ["wep"] }))).await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "waiting would not bring a service that is not in the file: {error}");
}

#[tokio::test]
async fn an_unhealthy_or_a_wrong_container_is_red() {
    let sick = FakeRun { health: Some("unhealthy".into()), ..FakeRun::default() };
    let bench = Bench::new("health-check", |state| project(state, sick));
    up(&bench).await;
    let check = |more: Value| {
        let mut check = json!({ "type": "container", "container": "shop-web-1" });
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params(check)
    };
    let error = bench.run(&check(json!({}))).await.unwrap_err();
    assert!(error.message.contains("is unhealthy"), "{error}");
    bench.fake.edit(|state| state.docker.containers.values_mut().for_each(|container| container.health = None));
    bench.run(&check(json!({ "image_id": IMAGE }))).await.unwrap();
    let error = bench.run(&check(json!({ "image_id": "sha256:other" }))).await.unwrap_err();
    assert!(error.message.contains("instead of sha256:other"), "{error}");
    let error = bench.run(&check(json!({ "healthy": true }))).await.unwrap_err();
    assert!(error.message.contains("no health check"), "{error}");
    let error = bench.run(&params(json!({ "type": "container", "container": "gone" }))).await.unwrap_err();
    assert!(error.message.contains("no such container"), "{error}");
}

#[tokio::test]
async fn a_sign_of_life_is_read_from_the_log() {
    let run = FakeRun { log: "start\npolling #1\nidle\n".into(), ..FakeRun::default() };
    let bench = Bench::new("health-check", |state| project(state, run));
    up(&bench).await;
    bench.run(&params(json!({ "type": "log", "container": "shop-web-1", "pattern": "^polling" }))).await.unwrap();
    let error =
        bench.run(&params(json!({ "type": "log", "container": "shop-web-1", "pattern": "^polling", "lines": 1 }))).await.unwrap_err();
    assert!(error.message.contains("last one is: idle"), "{error}");
}

#[tokio::test]
async fn only_what_was_green_before_is_judged() {
    let bench = Bench::new("health-check", |state| {
        state.http.resources.insert(URL.into(), "ok".into());
    });
    let checks = json!([look(), { "type": "tcp", "name": "old", "address": "shop.test:1" }]);
    let survey = bench.run(&json!({ "checks": checks, "survey": true })).await.unwrap();
    assert_eq!(survey["green"], json!(["shop"]));
    assert_eq!(survey["checks"]["old"]["ok"], false);
    let output = bench.run(&json!({ "checks": checks, "baseline": survey["green"] })).await.unwrap();
    assert_eq!(output["checks"]["old"]["judged"], false);
    assert!(bench.log.text().contains("not judged, as they were not green before: `old`"), "{}", bench.log.text());
}

#[tokio::test]
async fn a_check_that_cannot_fail_is_found_out() {
    let everywhere = |state: &mut State| {
        state.http.resources.insert(URL.into(), "<html>".into());
        state.http.resources.insert(format!("{URL}/formula-proof-that-this-check-can-fail"), "<html>".into());
    };
    let mut params = params(look());
    params["prove"] = true.into();
    let error = Bench::new("health-check", everywhere).run(&params).await.unwrap_err();
    assert!(error.message.contains("`shop` cannot fail"), "{error}");
    http(vec![FakeAnswer::new(200, "")]).run(&params).await.unwrap();
}

#[tokio::test]
async fn it_stops_between_two_looks() {
    let bench = http(vec![FakeAnswer::new(503, "")]);
    bench.fake.raise_at(4, bench.cx.cancel.clone());
    let error = bench.run(&params(look())).await.unwrap_err();
    assert_eq!(error.class, Class::Cancelled);
    assert!(bench.fake.monotonic() < Duration::from_secs(10));
    assert!(bench.cx.cancel.level() > CancelLevel::None);
}

#[test]
fn what_could_never_pass_or_never_fail_is_refused() {
    let bench = Bench::new("health-check", |_| {});
    let problems = |params: Value| bench.check(&params).join("; ");
    assert!(problems(json!({ "checks": [] })).contains("could not fail"));
    assert!(problems(json!({ "checks": [look()], "interval": "10s", "successes": 4, "deadline": "30s" })).contains("could not pass"));
    assert!(problems(json!({ "checks": [look()], "stable_for": "5m" })).contains("could not pass"));
    assert!(problems(json!({ "checks": [look(), look()] })).contains("two checks are called `shop`"));
    assert!(problems(json!({ "checks": [{ "type": "log", "container": "x", "pattern": ".*" }] })).contains("could not fail"));
    assert!(problems(json!({ "checks": [{ "type": "http", "url": "ftp://x" }] })).contains("http://"));
    assert!(problems(json!({ "checks": [{ "type": "http", "url": URL, "verison": "1" }] })).contains("verison"));
    assert!(problems(json!({ "checks": [{ "type": "ping" }] })).contains("ping"));
    assert!(problems(json!({ "checks": [look()], "deadline": "soon" })).contains("30s"));
}
