//! What `compose-restart` restarts, leaves alone, waits for and sweeps away.

use formula_steps::contract::{Class, Probe};
use formula_steps::world::fake::Fault;
use formula_steps::world::fake::{FakeImage, FakeRun, State};
use formula_steps::world::{Clock as _, PortErrorKind};
use serde_json::{Value, json};

use super::{Bench, changes};

const ONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const TWO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

fn box_with(run: FakeRun) -> impl FnOnce(&mut State) {
    |state| {
        state.put("/acme/docker-compose.yml", "name: shop\nservices:\n  web:\n    image: shop:${TAG}\n  db:\n    image: shop:db\n");
        state.put("/acme/.env", "TAG=v1\n");
        state.docker.images.insert(ONE.into(), FakeImage::tagged(&["shop:v1", "shop:db"]));
        state.docker.images.insert(TWO.into(), FakeImage::tagged(&["shop:v2"]));
        state.docker.runs.insert("shop:v2".into(), run);
    }
}

fn params(tag: &str) -> Value {
    json!({ "services": ["web"], "variables": [format!("TAG={tag}")], "timeout": "20s" })
}

fn images(bench: &Bench) -> Vec<(String, String)> {
    bench.fake.state().docker.containers.into_values().map(|container| (container.name, container.image_id)).collect()
}

#[tokio::test]
async fn only_the_services_named_are_restarted_and_only_if_they_must() {
    let bench = Bench::new("compose-restart", box_with(FakeRun::default()));
    bench.run(&params("v1")).await.unwrap();
    assert_eq!(images(&bench), [("shop-web-1".to_owned(), ONE.to_owned())]);
    let container = bench.fake.state().docker.containers.into_keys().next().unwrap();
    assert!(matches!(bench.probe(&params("v1")).await.unwrap(), Probe::Present { .. }));
    bench.run(&params("v1")).await.unwrap();
    assert!(bench.fake.state().docker.containers.contains_key(&container), "the same container as before");
    assert!(changes(&bench.probe(&params("v2")).await.unwrap())[0].contains(TWO));
    let (before, output) = bench.run_keeping(&params("v2")).await.unwrap();
    assert_eq!(output["services"]["web"]["image_id"], TWO);
    bench.undo(&params("v2"), before.as_ref(), Some(&output)).await.unwrap();
    assert_eq!(images(&bench), [("shop-web-1".to_owned(), ONE.to_owned())]);
    let tags = |id: &str| bench.fake.state().docker.images[id].tags.clone();
    assert_eq!((tags(ONE), tags(TWO)), (vec!["shop:v1".into(), "shop:db".into()], vec!["shop:v2".to_owned()]));
}

#[tokio::test]
async fn what_a_container_was_told_is_kept_apart_and_not_guessed() {
    let mut bench = Bench::new("compose-restart", box_with(FakeRun::default()));
    bench.run(&params("v1")).await.unwrap();
    let web = |state: &mut State| state.docker.containers.values().next().unwrap().id.clone();
    bench.fake.edit(|state| {
        let id = web(state);
        state.docker.containers.get_mut(&id).unwrap().labels.insert("PASSWORD".into(), "of-the-old-one".into());
    });
    let (before, output) = bench.run_keeping(&params("v2")).await.unwrap();
    assert!(!before.as_ref().unwrap().to_string().contains("of-the-old-one"));
    let files = bench.fake.state().files;
    let kept =
        |bench: &Bench| bench.fake.state().files.into_keys().filter(|path| path.starts_with("/.state/containers")).collect::<Vec<_>>();
    let [path] = &kept(&bench)[..] else { panic!("{:?}", kept(&bench)) };
    assert_eq!(files[path].mode, 0o600);
    bench.fake.edit(|state| drop(state.files.remove(path)));
    let error = bench.undo(&params("v2"), before.as_ref(), Some(&output)).await.unwrap_err();
    assert!(error.class == Class::Conflict && error.message.contains(&format!("`{}`", path.display())), "{error}");
    assert_eq!(images(&bench), [("shop-web-1".to_owned(), TWO.to_owned())], "nothing was touched");
    bench.fake.edit(|state| state.files = files);
    bench.undo(&params("v2"), before.as_ref(), Some(&output)).await.unwrap();
    let back = bench.fake.state().docker.containers.into_values().next().unwrap();
    assert_eq!((back.labels["PASSWORD"].as_str(), kept(&bench)), ("of-the-old-one", vec![]));

    // The next run that goes well lets go of what earlier ones kept.
    bench.run(&params("v2")).await.unwrap();
    let earlier = kept(&bench);
    bench.cx.run = std::sync::Arc::new(formula_steps::contract::RunInfo { id: "later".into(), ..(*bench.cx.run).clone() });
    bench.run(&params("v1")).await.unwrap();
    assert!(matches!(&kept(&bench)[..], [later] if !earlier.contains(later)), "{earlier:?} {:?}", kept(&bench));
}

#[tokio::test]
async fn what_does_not_get_well_is_told_with_its_reason() {
    let crash = FakeRun { state: "exited".into(), exit_code: Some(3), log: "no database\n".into(), ..FakeRun::default() };
    let bench = Bench::new("compose-restart", box_with(crash));
    let error = bench.run(&params("v2")).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Permanent, "not up: `web` exited with code 3; it last wrote: no database"));
    let sick = FakeRun { health: Some("starting".into()), ..FakeRun::default() };
    let bench = Bench::new("compose-restart", box_with(sick));
    let error = bench.run(&params("v2")).await.unwrap_err();
    assert_eq!(error.message, "not well within 20s: `web` is starting");
    assert_eq!(bench.fake.monotonic().as_secs(), 20);
}

#[tokio::test]
async fn a_wrong_image_or_service_is_told() {
    let bench = Bench::new("compose-restart", box_with(FakeRun::default()));
    let mut other = params("v1");
    other["image_id"] = TWO.into();
    assert!(bench.run(&other).await.unwrap_err().message.contains(&format!("runs image {ONE} instead of {TWO}")));
    let error = bench.run(&json!({ "services": ["wep"] })).await.unwrap_err();
    assert!(error.message.contains("no service `wep`") && error.hint.unwrap().contains("`db`"));
    assert!(bench.check(&json!({ "services": [] }))[0].contains("empty"));
    assert!(bench.check(&json!({ "services": ["web"], "variables": ["TAG"] }))[0].contains("NAME=value"));
}

#[tokio::test]
async fn what_an_interrupted_up_left_is_swept_away() {
    let bench = Bench::new("compose-restart", box_with(FakeRun::default()));
    bench.run(&params("v1")).await.unwrap();
    bench.fake.edit(|state| {
        let mut left = state.docker.containers.values().next().unwrap().clone();
        left.id = "left".into();
        left.name = "0123456789ab_shop-web-1".into();
        left.state = "created".into();
        state.docker.containers.insert("left".into(), left);
    });
    let once = || vec![Fault::fails("compose.up", 0, PortErrorKind::Failed, "the container exited (137)")];
    bench.fake.forget_calls();
    bench.fake.set_faults(once());
    bench.run(&params("v2")).await.expect("what was being stopped is gone by the second time");
    assert_eq!(images(&bench), [("shop-web-1".to_owned(), TWO.to_owned())]);
    bench.fake.forget_calls();
    bench.fake.set_faults(once());
    let error = bench.run(&params("v1")).await.unwrap_err();
    assert!(error.message.contains("137"), "a failure that no leftover explains is not repeated: {error}");
}

#[tokio::test]
async fn what_is_depended_on_must_be_as_the_file_says() {
    let file = "name: shop\nservices:\n  web:\n    image: shop:${TAG}\n    depends_on: [db]\n  db:\n    image: shop:db\n";
    let bench = Bench::new("compose-restart", |state| {
        box_with(FakeRun::default())(state);
        state.put("/acme/docker-compose.yml", file);
    });
    let error = bench.run(&params("v1")).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("`db`") && error.message.contains("no container"), "{error}");
    let both = json!({ "services": ["web", "db"], "variables": ["TAG=v1"] });
    bench.run(&both).await.unwrap();
    let db = |bench: &Bench| bench.fake.state().docker.containers.into_values().find(|container| container.name == "shop-db-1").unwrap().id;
    let before = db(&bench);
    bench.run(&params("v2")).await.unwrap();
    assert_eq!(db(&bench), before, "only `web` is another one");
    assert_eq!(images(&bench).iter().filter(|(_, image)| image == TWO).count(), 1);
}
