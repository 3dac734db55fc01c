//! What `image-pull` asks for, pulls and puts back.

use formula_steps::contract::{Class, Probe};
use formula_steps::world::fake::{FakeImage, FakeRegistry, State};
use serde_json::json;

use super::{Bench, changes};

const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const NEW: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

fn released(state: &mut State) {
    let registry = state.registries.entry("r.test".into()).or_default();
    registry.repositories.entry("shop".into()).or_default().put("v1", NEW, &FakeImage::default());
}

#[tokio::test]
async fn a_digest_that_the_engine_holds_is_not_asked_for() {
    let bench = Bench::new("image-pull", released);
    let output = bench.run(&json!({ "images": ["r.test/shop:v1"] })).await.unwrap();
    let digest = output["images"]["r.test/shop:v1"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(output["images"]["r.test/shop:v1"]["id"], NEW);
    bench.fake.edit(|state| state.registries.clear());
    let pinned = format!("r.test/shop@{digest}");
    let Probe::Present { output } = bench.probe(&json!({ "images": [pinned] })).await.unwrap() else { panic!("it is here") };
    assert_eq!(output["images"][&pinned]["digest"], digest);
    assert_eq!(bench.probe(&json!({ "images": ["r.test/shop:v1"] })).await.unwrap_err().class, Class::Transient);
}

#[tokio::test]
async fn what_no_registry_has_fails_before_anything_is_pulled_over_it() {
    let bench = Bench::new("image-pull", |state| {
        released(state);
        state.docker.images.insert(OLD.into(), FakeImage::tagged(&["r.test/shop:v2"]));
    });
    let params = json!({ "images": ["r.test/shop:v2"] });
    assert!(changes(&bench.probe(&params).await.unwrap())[0].contains("does not have yet"));
    let error = bench.run(&params).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert!(error.message.contains("r.test/shop:v2"), "{error}");
}

#[tokio::test]
async fn of_a_compose_file_only_what_compose_would_pull_is_pulled() {
    let file = "services:\n  web:\n    image: r.test/shop:${TAG}\n  own:\n    image: r.test/own:v1\n    build: .\n  \
                local:\n    image: r.test/local:v1\n    pull_policy: never\n";
    let bench = Bench::new("image-pull", |state| {
        released(state);
        state.put("/acme/docker-compose.yml", file);
        state.put("/acme/.env", "TAG=v1\n");
    });
    let output = bench.run(&json!({ "compose": "docker-compose.yml" })).await.unwrap();
    assert_eq!(output["images"].as_object().unwrap().keys().collect::<Vec<_>>(), ["r.test/shop:v1"]);
}

#[tokio::test]
async fn going_back_leaves_new_images_and_returns_moved_names() {
    let bench = Bench::new("image-pull", |state| {
        released(state);
        let other = FakeRegistry::default();
        state.registries.insert("other.test".into(), other);
        state.registries.get_mut("other.test").unwrap().repositories.entry("db".into()).or_default().put(
            "v1",
            "sha256:0000000000000000000000000000000000000000000000000000000000000003",
            &FakeImage::default(),
        );
        state.docker.images.insert(OLD.into(), FakeImage::tagged(&["r.test/shop:v1", "r.test/shop:v0"]));
    });
    let params = json!({ "images": ["r.test/shop:v1", "other.test/db:v1"] });
    let (before, output) = bench.run_keeping(&params).await.unwrap();
    bench.undo(&params, before.as_ref(), Some(&output)).await.unwrap();
    let state = bench.fake.state();
    assert!(state.docker.images[OLD].tags.contains(&"r.test/shop:v1".to_owned()));
    assert!(state.docker.images.values().any(|image| image.tags.contains(&"other.test/db:v1".to_owned())));
}
