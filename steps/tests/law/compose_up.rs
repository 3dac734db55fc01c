//! Cases of `compose-up`.

use std::collections::BTreeMap;

use formula_steps::world::fake::{FakeImage, FakeWorld, State};
use formula_steps::world::{Cancel, ComposeFile, OutputBuffer, Up};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use formula_steps::laws::{Case, SECRET};

const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const NEW: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";
const STORE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000003";

const BEFORE: &str = "\
name: shop
services:
  store:
    image: shop/store:v1
  web:
    image: shop/web:v1
    depends_on: [store]
  old:
    image: shop/web:v1
  by-hand:
    image: shop/store:v1
";
const AFTER: &str = "\
name: shop
services:
  store:
    image: shop/store:v1
  web:
    image: shop/web:v2
    depends_on: [store]
  new:
    image: shop/web:v2
    depends_on: [web]
";

const WITH_RESTART: &str = "\
name: shop
services:
  api:
    image: shop/web:v1
    depends_on: {store: {condition: service_started, restart: true}}
";

/// A box with images.
fn images(state: &mut State) {
    for (id, tags) in
        [(OLD, ["shop/web:v1", "shop/web:old"]), (NEW, ["shop/web:v2", "shop/web:new"]), (STORE, ["shop/store:v1", "shop/store:x"])]
    {
        state.docker.images.insert(id.into(), FakeImage::tagged(&tags));
    }
}

/// Brings up what the file says.
fn up(state: &mut State, file: &str) {
    let fake = FakeWorld::from_state(state.clone());
    let file =
        ComposeFile { dir: "/acme".into(), file: file.into(), project: None, env_file: None, profiles: Vec::new(), env: BTreeMap::new() };
    let (world, output, cancel) = (fake.world(), OutputBuffer::new(), Cancel::new());
    let done = world.compose.up(&file, &Up::default(), &output, &cancel).now_or_never().expect("a fake does not wait");
    done.expect("the file is right");
    *state = fake.state();
    // Another world counts from the beginning again.
    for (_, mut container) in std::mem::take(&mut state.docker.containers) {
        container.id = format!("before-{}", container.name);
        // The fake's word for what a container was told. One that is made anew from the same image and configuration is told the same.
        if container.name == "shop-web-1" {
            container.labels.insert("TOKEN".into(), SECRET.into());
        }
        state.docker.containers.insert(container.id.clone(), container);
    }
}

fn case(name: &'static str, mut params: Value, set_up: impl FnOnce(&mut State)) -> Case {
    let mut state = State::default();
    images(&mut state);
    set_up(&mut state);
    params["timeout"] = "5s".into();
    Case { kind: "compose-up", name, state, params }
}

pub fn cases() -> Vec<Case> {
    let file = "/acme/docker-compose.yml";
    let prev = json!({ "previous": "docker-compose.yml.prev", "remove": ["by-hand"] });
    vec![
        case("a project that did not run", json!({}), |state| state.put(file, AFTER)),
        case("one that changed, one that is new, two that go", prev, |state| {
            state.put(file, BEFORE);
            up(state, file);
            state.put(file, AFTER);
            // The other one to go is not in here.
            state.put("/acme/docker-compose.yml.prev", &BEFORE[..BEFORE.find("  by-hand").expect("it is there")]);
        }),
        case("a tag that moved", json!({ "services": ["web"] }), |state| {
            state.put(file, BEFORE);
            up(state, file);
            for (id, tags) in [(OLD, vec!["shop/web:old"]), (NEW, vec!["shop/web:v2", "shop/web:v1"])] {
                state.docker.images.get_mut(id).expect("it is there").tags = tags.into_iter().map(str::to_owned).collect();
            }
        }),
        case("what has not changed, made anew", json!({ "force_recreate": true, "services": ["store"] }), |state| {
            state.put(file, BEFORE);
            up(state, file);
        }),
        case("one that is restarted with what it depends on", json!({}), |state| {
            let with = |store: &str| format!("{WITH_RESTART}  store:\n    image: {store}\n");
            state.put(file, with("shop/store:v1"));
            up(state, file);
            state.put(file, with("shop/web:v2"));
        }),
        case("one that had stopped", json!({}), |state| {
            state.put(file, BEFORE);
            up(state, file);
            let stopped = state.docker.containers.values_mut().find(|container| container.name == "shop-web-1").expect("it is there");
            (stopped.state, stopped.exit_code) = ("exited".into(), Some(0));
        }),
    ]
}
