//! What `image-push` pushes, refuses, moves last and takes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use formula_steps::contract::{Class, Probe};
use formula_steps::world::fake::{FakeImage, FakeRegistry, FakeRepository, FakeWorld, Fault, State};
use formula_steps::world::{Credentials, ImageRef, Manifest, PortErrorKind, PortResult, Registry};
use serde_json::{Value, json};

use super::Bench;

const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const NEW: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

fn params() -> Value {
    json!({ "image": NEW, "tags": ["r.test/shop:v2"] })
}

fn with(mut params: Value, key: &str, value: impl Into<Value>) -> Value {
    params[key] = value.into();
    params
}

fn repository(state: &mut State) -> &mut FakeRepository {
    state.registries.entry("r.test".into()).or_default().repositories.entry("shop".into()).or_default()
}

fn built(state: &mut State) {
    state.registries.insert("r.test".into(), FakeRegistry::default());
    state.docker.images.insert(NEW.into(), FakeImage::tagged(&["built:v2"]));
}

fn tags(bench: &Bench) -> std::collections::BTreeMap<String, String> {
    bench.fake.edit(|state| repository(state).tags.clone())
}

#[tokio::test]
async fn what_is_there_already_is_not_pushed() {
    let bench = Bench::new("image-push", built);
    let output = bench.run(&params()).await.unwrap();
    let digest = output["digest"].as_str().unwrap();
    assert_eq!(output["reference"], format!("r.test/shop@{digest}"));
    assert_eq!(output["references"]["r.test/shop:v2"], output["reference"]);
    bench.fake.forget_calls();
    assert_eq!(bench.probe(&params()).await.unwrap(), Probe::Present { output: output.clone() });
    assert_eq!(bench.run(&params()).await.unwrap(), output);
    assert_eq!(bench.calls("docker.push"), 0);
}

#[tokio::test]
async fn another_image_under_the_tag_is_left_alone_unless_it_may_be_replaced() {
    let taken = |state: &mut State| {
        built(state);
        repository(state).put("v2", OLD, &FakeImage::default());
    };
    let bench = Bench::new("image-push", taken);
    let before = tags(&bench);
    assert!(matches!(bench.probe(&params()).await.unwrap(), Probe::Diverged { found, .. } if found.contains("r.test/shop:v2")));
    let error = bench.run(&params()).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.hint.unwrap().contains("overwrite"));
    assert_eq!(tags(&bench), before);
    bench.run(&with(params(), "overwrite", true)).await.unwrap();
    assert_ne!(tags(&bench), before);
}

#[tokio::test]
async fn floating_tags_move_only_once_the_others_are_verified() {
    let bench = Bench::new("image-push", |state| {
        built(state);
        repository(state).put("latest", OLD, &FakeImage::default());
    });
    let moving = with(params(), "move_last", json!(["latest", ""]));
    let before = tags(&bench);
    bench.fake.set_faults(vec![Fault::fails("docker.push", 0, PortErrorKind::Transient, "503 from the registry")]);
    let error = bench.run(&moving).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(error.message.contains("r.test/shop:v2") && error.message.contains("503"), "{error}");
    assert_eq!(tags(&bench), before);
    bench.fake.heal();
    bench.fake.forget_calls();
    let output = bench.run(&moving).await.unwrap();
    let pushed: Vec<_> = bench.fake.calls().into_iter().filter(|call| call.op == "docker.push").map(|call| call.detail).collect();
    assert_eq!(pushed, ["r.test/shop:v2", "r.test/shop:latest"]);
    assert_eq!(tags(&bench)["latest"], tags(&bench)["v2"]);
    assert_eq!(output["tags"]["r.test/shop:latest"], output["digest"]);
}

#[tokio::test]
async fn a_tag_that_somebody_moves_meanwhile_is_not_taken_from_them() {
    let bench = Bench::new("image-push", |state| {
        built(state);
        repository(state).put("v2", OLD, &FakeImage::default());
    });
    let params = with(params(), "overwrite", true);
    let Probe::Absent { before, .. } = bench.probe(&params).await.unwrap() else { panic!("it is not there") };
    bench.fake.edit(|state| repository(state).put("v2", "sha256:somebody", &FakeImage::default()));
    let theirs = tags(&bench);
    assert_eq!(bench.run_from(&params, Some(&before)).await.unwrap_err().class, Class::Conflict);
    assert_eq!(tags(&bench), theirs);
}

#[tokio::test]
async fn what_went_wrong_decides_whether_to_try_again() {
    let bench = Bench::new("image-push", |state| {
        built(state);
        state.registries.get_mut("r.test").unwrap().users.insert("bot".into(), "s3cret-s3cret".into());
    });
    let error = bench.probe(&params()).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert!(error.hint.as_ref().unwrap().contains("docker login r.test"), "{error:?}");
    let auth = json!({ "username": "other", "secret": "TOKEN" });
    let error = bench.probe(&with(params(), "registry_auth", auth)).await.unwrap_err();
    assert!(error.hint.as_ref().unwrap().contains("`TOKEN` for user `other`"), "{error:?}");
    let auth = json!({ "username": "bot", "secret": "TOKEN" });
    bench.run(&with(params(), "registry_auth", auth)).await.unwrap();

    bench.fake.edit(|state| state.registries.get_mut("r.test").unwrap().down = true);
    assert_eq!(bench.probe(&params()).await.unwrap_err().class, Class::Transient);
    let missing = json!({ "image": "built:v3", "tags": ["r.test/shop:v3"] });
    assert!(matches!(bench.probe(&missing).await.unwrap(), Probe::Unknown { reason } if reason.contains("built:v3")));
    assert_eq!(bench.run_from(&missing, None).await.unwrap_err().class, Class::Permanent);
}

#[tokio::test]
async fn what_cannot_be_read_back_is_not_reported_as_pushed() {
    let bench = Bench::new("image-push", built);
    bench.fake.set_faults(vec![Fault::fails("registry.manifest", 2, PortErrorKind::Transient, "reset")]);
    let error = bench.run(&params()).await.unwrap_err();
    assert_eq!((error.class, bench.calls("docker.push")), (Class::Transient, 1), "{error}");
}

/// A registry in which somebody else pushes the same tag whenever we have asked three times.
struct Meddled(FakeWorld, AtomicUsize);

#[async_trait]
impl Registry for Meddled {
    async fn configured(&self, host: &str) -> PortResult<Credentials> {
        self.0.configured(host).await
    }
    async fn manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<Option<Manifest>> {
        if self.1.fetch_add(1, Ordering::Relaxed) == 2 {
            self.0.edit(|state| repository(state).put("v2", "sha256:theirs", &FakeImage::default()));
        }
        self.0.manifest(image, who).await
    }
    async fn put_manifest(&self, image: &ImageRef, manifest: &Manifest, who: &Credentials) -> PortResult<()> {
        self.0.put_manifest(image, manifest, who).await
    }
    async fn delete_manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        self.0.delete_manifest(image, who).await
    }
    async fn tags(&self, image: &ImageRef, who: &Credentials) -> PortResult<Vec<String>> {
        Registry::tags(&self.0, image, who).await
    }
    async fn prove_push(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        self.0.prove_push(image, who).await
    }
}

#[tokio::test]
async fn another_digest_than_was_pushed_is_no_success() {
    let mut bench = Bench::new("image-push", built);
    let mut world = bench.fake.world();
    world.registry = Arc::new(Meddled(bench.fake.clone(), AtomicUsize::new(0)));
    bench.cx.world = Arc::new(world);
    let error = bench.run(&params()).await.unwrap_err();
    assert_eq!((error.class, bench.calls("docker.push")), (Class::Conflict, 1), "{error}");
    assert!(error.message.contains("the registry has") && error.hint.is_some(), "{error}");
}

#[tokio::test]
async fn undo_deletes_only_what_no_other_tag_stands_for() {
    let bench = Bench::new("image-push", built);
    let params = with(params(), "undo", "delete");
    let (before, output) = bench.run_keeping(&params).await.unwrap();
    bench.fake.edit(|state| {
        let repository = repository(state);
        let digest = repository.tags["v2"].clone();
        repository.tags.insert("promoted".into(), digest);
    });
    let there = tags(&bench);
    bench.fake.edit(|state| state.registries.get_mut("r.test").unwrap().no_delete = true);
    let error = bench.undo(&params, before.as_ref(), Some(&output)).await.unwrap_err();
    assert!(error.message.contains("405") && error.hint.unwrap().contains("deletion disabled"));
    bench.fake.edit(|state| state.registries.get_mut("r.test").unwrap().no_delete = false);
    bench.undo(&params, before.as_ref(), Some(&output)).await.unwrap();
    let promoted: Vec<_> = there.into_iter().filter(|tag| format!("{tag:?}").contains("promoted")).collect();
    assert_eq!(tags(&bench).into_iter().collect::<Vec<_>>(), promoted, "the tag of somebody else stays as it was");
}

#[tokio::test]
async fn undo_leaves_a_tag_that_somebody_else_moved() {
    let bench = Bench::new("image-push", built);
    let params = with(params(), "undo", "delete");
    let (before, output) = bench.run_keeping(&params).await.unwrap();
    bench.fake.edit(|state| repository(state).put("v2", "sha256:theirs", &FakeImage::default()));
    let there = tags(&bench);
    let error = bench.undo(&params, before.as_ref(), Some(&output)).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert_eq!(tags(&bench), there);
}

#[test]
fn params_are_judged_before_anything_is_asked() {
    let bench = Bench::new("image-push", |_| {});
    assert!(bench.check(&json!({ "image": "x", "tags": [] }))[0].contains("empty"));
    assert!(bench.check(&json!({ "image": "x", "tags": ["r.test/shop"] }))[0].contains("no tag"));
    let two = json!({ "image": "x", "tags": ["a.test/x:1", "b.test/x:1"], "registry_auth": { "username": "u", "secret": "TOKEN" } });
    assert!(bench.check(&two)[0].contains("a.test, b.test"), "a secret must not go to a registry it is not for");
}
