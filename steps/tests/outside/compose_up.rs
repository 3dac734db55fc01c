//! What `compose-up` says, touches, waits for, refuses and brings back.

use std::path::{Path, PathBuf};

use formula_steps::contract::{Class, Probe};
use formula_steps::kit::compose;
use formula_steps::world::fake::{FakeImage, FakeRun, Fault, State};
use formula_steps::world::{Clock as _, Container, PortErrorKind};
use serde_json::{Value, json};

use super::{Bench, changes};

const STORE: &str = "sha256:1111111111110000000000000000000000000000000000000000000000000000";
const ONE: &str = "sha256:2222222222220000000000000000000000000000000000000000000000000000";
const TWO: &str = "sha256:3333333333330000000000000000000000000000000000000000000000000000";
const FILE: &str = "/acme/docker-compose.yml";
const SERVICES: &str = "name: shop\nservices:\n  store:\n    image: shop:store\n  web:\n    image: shop:${TAG}\n    depends_on: [store]\n";

fn a_box(state: &mut State) {
    state.put(FILE, SERVICES);
    state.put("/acme/.env", "TAG=v1\n");
    for (id, tag) in [(STORE, "shop:store"), (ONE, "shop:v1"), (TWO, "shop:v2")] {
        state.docker.images.insert(id.into(), FakeImage::tagged(&[tag]));
    }
}

/// A box whose project runs v1.
async fn running(set_up: impl FnOnce(&mut State)) -> Bench {
    let bench = Bench::new("compose-up", |state| {
        a_box(state);
        set_up(state);
    });
    bench.run(&json!({})).await.expect("it comes up");
    new_run(&bench).await;
    bench
}

/// What the next run knows of the last one: nothing.
async fn new_run(bench: &Bench) {
    bench.cx.forget("compose-up").await.expect("a file that goes");
    bench.fake.forget_calls();
}

fn go_to(bench: &Bench, tag: &str) {
    bench.fake.edit(|state| state.put("/acme/.env", format!("TAG={tag}\n")));
}

fn container(bench: &Bench, name: &str) -> Option<Container> {
    bench.fake.state().docker.containers.into_values().find(|container| container.name == name)
}

fn id(bench: &Bench, name: &str) -> String {
    container(bench, name).unwrap_or_else(|| panic!("there is no {name}")).id
}

/// Calls that change something, the run's own notes aside.
fn acts(bench: &Bench) -> Vec<&'static str> {
    bench.fake.calls().into_iter().filter(|call| call.changes && !call.op.starts_with("files.")).map(|call| call.op).collect()
}

#[tokio::test]
async fn only_what_changed_is_made_anew_and_the_plan_says_why() {
    let bench = Bench::new("compose-up", a_box);
    assert_eq!(changes(&bench.probe(&json!({})).await.unwrap()), ["store: create (has no container)", "web: create (has no container)"]);
    let output = bench.run(&json!({})).await.unwrap();
    assert_eq!((&output["project"], &output["recreated"]), (&json!("shop"), &json!(["store", "web"])));
    new_run(&bench).await;
    let (store, web) = (id(&bench, "shop-store-1"), id(&bench, "shop-web-1"));
    assert!(matches!(bench.probe(&json!({})).await.unwrap(), Probe::Present { .. }));
    let output = bench.run(&json!({})).await.unwrap();
    assert_eq!((acts(&bench), &output["recreated"]), (vec![], &json!([])));
    assert_eq!(output["services"]["web"]["reason"], "unchanged");

    go_to(&bench, "v2");
    let expected = ["web: recreate (image 222222222222 → 333333333333, another configuration)", "store: keep"];
    assert_eq!(changes(&bench.probe(&json!({})).await.unwrap()), expected);
    let output = bench.run(&json!({})).await.unwrap();
    assert_eq!(output["services"]["web"]["image_id"], TWO);
    assert_eq!((id(&bench, "shop-store-1"), output["recreated"].clone()), (store.clone(), json!(["web"])));
    assert_ne!(id(&bench, "shop-web-1"), web);

    new_run(&bench).await;
    bench.fake.edit(|state| state.put(FILE, SERVICES.replace("shop:store", "shop:store\n    environment:\n      A: b")));
    let web = id(&bench, "shop-web-1");
    bench.run(&json!({})).await.unwrap();
    assert_ne!(id(&bench, "shop-store-1"), store);
    assert_eq!(id(&bench, "shop-web-1"), web, "what depends on it stays");
}

#[tokio::test]
async fn one_more_service_starts_alone_and_one_named_comes_with_what_it_needs() {
    let bench = running(|_| {}).await;
    let before = (id(&bench, "shop-store-1"), id(&bench, "shop-web-1"));
    bench.fake.edit(|state| state.put(FILE, format!("{SERVICES}  more:\n    image: shop:v2\n    depends_on: [web]\n")));
    let output = bench.run(&json!({})).await.unwrap();
    assert_eq!(output["recreated"], json!(["more"]));
    assert_eq!((id(&bench, "shop-store-1"), id(&bench, "shop-web-1")), before);

    let bench = Bench::new("compose-up", a_box);
    bench.fake.edit(|state| state.put(FILE, format!("{SERVICES}  more:\n    image: shop:v2\n")));
    bench.run(&json!({ "services": ["web"] })).await.unwrap();
    assert!(container(&bench, "shop-store-1").is_some() && container(&bench, "shop-more-1").is_none());
    let error = bench.run(&json!({ "services": ["wep"] })).await.unwrap_err();
    assert!(error.message.contains("no service `wep`") && error.hint.unwrap().contains("`store`"));
}

#[tokio::test]
async fn nothing_stops_before_all_that_is_needed_is_there() {
    let bench = running(|_| {}).await;
    go_to(&bench, "v9");
    assert!(changes(&bench.probe(&json!({})).await.unwrap())[0].contains("its image is not on the engine yet"));
    let error = bench.run(&json!({})).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("`shop:v9`") && error.hint.unwrap().contains("image-pull"));
    assert_eq!(acts(&bench), [""; 0]);

    // Somebody else's container has a name that is needed.
    let bench = Bench::new("compose-up", a_box);
    bench.run(&json!({ "project": "other" })).await.unwrap();
    bench.fake.edit(|state| {
        let taken = state.docker.containers.values_mut().find(|container| container.name == "other-web-1").unwrap();
        taken.name = "shop-web-1".into();
    });
    match bench.probe(&json!({ "project": "shop" })).await.unwrap() {
        Probe::Diverged { expected, found } => {
            assert!(expected.contains("`shop-web-1`") && found.contains("`other`"), "{expected} {found}");
        }
        other => panic!("{other:?}"),
    }
    new_run(&bench).await;
    assert_eq!(bench.run(&json!({ "project": "shop" })).await.unwrap_err().class, Class::Conflict);
    assert_eq!(acts(&bench), [""; 0]);
}

#[tokio::test]
async fn what_does_not_get_well_is_told_with_its_reason() {
    let sick = |health: &str| FakeRun {
        health: Some(health.into()),
        health_log: vec!["first".into(), "connection refused".into()],
        ..FakeRun::default()
    };
    let crash = FakeRun { state: "exited".into(), exit_code: Some(3), log: "boom\n".into(), ..FakeRun::default() };
    let params = json!({ "timeout": "20s" });
    for (run, expected, seconds) in [
        (sick("unhealthy"), "not up: `web` is unhealthy; its check said: connection refused", 0),
        (sick("starting"), "not well within 20s: `web` is starting; its check said: connection refused", 20),
        (crash, "not up: `web` exited with code 3; it last wrote: boom", 0),
    ] {
        let bench = running(|state| {
            state.docker.runs.insert("shop:v2".into(), run);
        })
        .await;
        go_to(&bench, "v2");
        let (web, began) = (id(&bench, "shop-web-1"), bench.fake.monotonic());
        let Probe::Absent { before, .. } = bench.probe(&params).await.unwrap() else { panic!("it has to change") };
        let error = bench.run_from(&params, Some(&before)).await.unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (Class::Permanent, expected));
        assert_eq!(bench.fake.monotonic().saturating_sub(began).as_secs(), seconds);
        bench.undo(&params, Some(&before), None).await.unwrap();
        let back = container(&bench, "shop-web-1").unwrap();
        assert_eq!((back.image_id.as_str(), back.image.as_str(), back.state.as_str()), (ONE, "shop:v1", "running"));
        assert_ne!(back.id, web);
        new_run(&bench).await;
        go_to(&bench, "v1");
        assert!(matches!(bench.probe(&params).await.unwrap(), Probe::Present { .. }), "compose takes it for its own");
    }
}

#[tokio::test]
async fn a_container_that_the_engine_starts_again_and_again_is_given_up() {
    for (restarts, expected) in [(7, "not up: "), (6, "not well within 2m: ")] {
        let looping = FakeRun { state: "restarting".into(), exit_code: Some(3), restarts, ..FakeRun::default() };
        let bench = running(|state| {
            state.docker.runs.insert("shop:v2".into(), looping);
        })
        .await;
        go_to(&bench, "v2");
        let error = bench.run(&json!({})).await.unwrap_err();
        assert!(error.message.starts_with(expected) && error.message.contains("after it exited with code 3"), "{error}");
    }
}

#[tokio::test]
async fn what_others_depend_on_is_well_before_they_are_touched() {
    let file = json!({ "name": "shop", "services": {
        "store": { "image": "shop:store" },
        "web": { "image": "shop:${TAG}", "depends_on": { "store": { "condition": "service_healthy" } } },
    } });
    let bench = Bench::new("compose-up", |state| {
        a_box(state);
        state.put(FILE, file.to_string());
        state.docker.runs.insert("shop:store".into(), FakeRun { health: Some("unhealthy".into()), ..FakeRun::default() });
    });
    let error = bench.run(&json!({})).await.unwrap_err();
    assert!(error.message.contains("`store` is unhealthy"), "{error}");
    assert!(container(&bench, "shop-web-1").is_none());

    let job = file.to_string().replace("service_healthy", "service_completed_successfully");
    let bench = Bench::new("compose-up", |state| {
        a_box(state);
        state.put(FILE, job);
        state.docker.runs.insert("shop:store".into(), FakeRun { state: "exited".into(), exit_code: Some(0), ..FakeRun::default() });
    });
    bench.run(&json!({})).await.expect("it ended well, as it should");
    assert!(matches!(bench.probe(&json!({})).await.unwrap(), Probe::Present { .. }));
}

#[tokio::test]
async fn only_those_orphans_go_that_are_named_or_that_this_change_drops() {
    let with = |more: &str| format!("{SERVICES}{more}");
    let orphans = "  named:\n    image: shop:v1\n  dropped:\n    image: shop:v1\n  stranger:\n    image: shop:v1\n";
    let bench = running(|state| state.put(FILE, with(orphans))).await;
    bench.fake.edit(|state| {
        state.put(FILE, with("  named:\n    image: shop:v1\n    profiles: [more]\n"));
        state.put("/acme/docker-compose.yml.prev", with("  dropped:\n    image: shop:v1\n"));
    });
    let params = json!({ "remove": ["named"], "previous": "docker-compose.yml.prev" });
    let Probe::Absent { changes: told, .. } = bench.probe(&params).await.unwrap() else { panic!("one has to go") };
    let told: Vec<&str> = told.iter().map(|change| change.summary.as_str()).collect();
    assert_eq!(
        told,
        [
            "dropped: remove (not in the file any more)",
            "store: keep",
            "web: keep",
            "stranger: left alone (not in the file; name it in `remove`)",
        ],
        "what a profile has turned off is in the file"
    );
    bench.fake.edit(|state| state.put(FILE, SERVICES));
    let (before, output) = bench.run_keeping(&params).await.unwrap();
    assert_eq!(output["removed"], json!(["dropped", "named"]));
    let left = |name: &str| container(&bench, name).is_some();
    assert_eq!((left("shop-named-1"), left("shop-dropped-1"), left("shop-stranger-1"), left("shop-web-1")), (false, false, true, true));
    bench.undo(&params, before.as_ref(), Some(&output)).await.unwrap();
    assert!(left("shop-named-1") && left("shop-dropped-1"));

    // An old file that nobody can read any more drops nothing.
    new_run(&bench).await;
    bench.fake.edit(|state| state.put("/acme/docker-compose.yml.prev", with("  dropped:\n    image: ${GONE:?say it}\n")));
    bench.run(&params).await.unwrap();
    assert!(left("shop-dropped-1") && !left("shop-named-1"));
    assert!(bench.log.text().contains("say it"));
    let error = bench.run(&json!({ "remove": ["web"] })).await.unwrap_err();
    assert!(error.message.contains("`web`, which `docker-compose.yml` has"), "{error}");
}

#[tokio::test]
async fn volumes_that_nobody_mounts_are_told_or_refused() {
    let bench = Bench::new("compose-up", |state| {
        a_box(state);
        state.docker.images.get_mut(ONE).unwrap().volumes = vec!["/data".into(), "/mounted".into(), "/long/".into()];
        state.put(FILE, SERVICES.to_owned() + "    volumes: [\"m:/mounted/\", {}]\n".replace(", {}", "").as_str());
    });
    let told = changes(&bench.probe(&json!({})).await.unwrap());
    assert_eq!(
        told[2..],
        [
            "web:/data is a volume of the image that the file does not mount",
            "web:/long is a volume of the image that the file does not mount",
        ]
    );
    let strict = json!({ "anonymous_volumes": "error" });
    let error = bench.probe(&strict).await.unwrap_err();
    assert!(error.class == Class::Refused && error.message.contains("`web:/data`") && !error.message.contains("mounted:"), "{error}");
    assert_eq!(acts(&bench), [""; 0]);
    let output = bench.run(&json!({})).await.unwrap();
    assert_eq!(output["anonymous_volumes"], json!(["web:/data", "web:/long"]));
}

#[tokio::test]
async fn the_project_that_runs_from_the_file_is_meant() {
    let bench = Bench::new("compose-up", a_box);
    bench.run(&json!({ "project": "older" })).await.unwrap();
    new_run(&bench).await;
    let web = id(&bench, "older-web-1");
    assert!(matches!(bench.probe(&json!({})).await.unwrap(), Probe::Present { .. }));
    go_to(&bench, "v2");
    bench.run(&json!({ "project": "shop" })).await.unwrap();
    new_run(&bench).await;
    assert_eq!(id(&bench, "older-web-1"), web, "the neighbour is nobody's business");
    let error = bench.run(&json!({})).await.unwrap_err();
    assert!(error.message.contains("`older`, `shop`") && error.hint.unwrap().contains("`project`"));
}

#[tokio::test]
async fn what_an_interrupted_up_left_is_cleared_away_or_used() {
    for old_is_gone in [false, true] {
        let bench = running(|_| {}).await;
        go_to(&bench, "v2");
        bench.fake.edit(|state| {
            let old = state.docker.containers.values().find(|container| container.name == "shop-web-1").unwrap().clone();
            if old_is_gone {
                state.docker.containers.remove(&old.id);
            }
            let left = Container { id: "left".into(), name: "0123456789ab_shop-web-1".into(), state: "created".into(), ..old };
            state.docker.containers.insert("left".into(), left);
        });
        let told = changes(&bench.probe(&json!({})).await.unwrap());
        assert!(told[0].contains("0123456789ab_shop-web-1"), "{told:?}");
        bench.run(&json!({})).await.unwrap();
        assert_eq!(container(&bench, "shop-web-1").unwrap().image_id, TWO);
        assert!(container(&bench, "0123456789ab_shop-web-1").is_none());
        assert_eq!(bench.calls("docker.rename_container"), usize::from(old_is_gone), "it alone knows the volumes of the old one");
    }
}

#[tokio::test]
async fn the_way_back_keeps_images_and_refuses_what_is_not_ours() {
    let bench = running(|_| {}).await;
    // The tag moves; the old image has no other name.
    bench.fake.edit(|state| {
        state.docker.images.get_mut(ONE).unwrap().tags.clear();
        state.docker.images.get_mut(TWO).unwrap().tags.push("shop:v1".into());
    });
    let (before, output) = bench.run_keeping(&json!({})).await.unwrap();
    let kept = |bench: &Bench| bench.fake.state().docker.images.get(ONE).map(|image| image.tags.clone());
    assert_eq!(kept(&bench), Some(vec!["formula/keep:shop.run.222222222222".to_owned()]));
    bench.undo(&json!({}), before.as_ref(), Some(&output)).await.unwrap();
    let back = container(&bench, "shop-web-1").unwrap();
    assert_eq!((back.image_id.as_str(), back.image.as_str()), (ONE, "shop:v1"));
    assert!(bench.fake.state().docker.images[TWO].tags.contains(&"shop:v1".to_owned()), "whoever moved the tag moves it back");

    // The next run that goes well lets go of what earlier ones kept.
    let mut bench = bench;
    bench.cx.run = std::sync::Arc::new(formula_steps::contract::RunInfo { id: "later".into(), ..(*bench.cx.run).clone() });
    new_run(&bench).await;
    bench.fake.edit(|state| state.docker.images.get_mut(STORE).unwrap().tags.push("formula/keep:other.run.1".into()));
    let (before, output) = bench.run_keeping(&json!({})).await.unwrap();
    assert_eq!(kept(&bench), Some(vec!["formula/keep:shop.later.222222222222".to_owned()]));
    assert_eq!(bench.fake.state().docker.images[STORE].tags, ["shop:store", "formula/keep:other.run.1"]);

    // Somebody makes another container of that service.
    bench.fake.edit(|state| {
        let ours = state.docker.containers.values().find(|container| container.name == "shop-web-1").unwrap().clone();
        state.docker.containers.remove(&ours.id);
        state.docker.containers.insert("theirs".into(), Container { id: "theirs".into(), ..ours });
    });
    let error = bench.undo(&json!({}), before.as_ref(), Some(&output)).await.unwrap_err();
    assert!(error.class == Class::Conflict && error.message.contains("`shop-web-1`"), "{error}");
    // And the old image goes for good.
    bench.fake.edit(|state| {
        state.docker.containers.remove("theirs");
        state.docker.images.remove(ONE);
    });
    new_run(&bench).await;
    let error = bench.undo(&json!({}), before.as_ref(), Some(&output)).await.unwrap_err();
    assert!(error.message.contains("gone from the engine") && acts(&bench).is_empty(), "{error}");
}

/// The fake's word for what a container was told: a value that no formula knows.
fn tell(bench: &Bench, value: &str) {
    bench.fake.edit(|state| {
        let web = state.docker.containers.values_mut().find(|container| container.name == "shop-web-1").expect("it is there");
        web.labels.insert("PASSWORD".into(), value.into());
    });
}

/// The files that say how containers are made again: path, mode and text.
fn kept_apart(bench: &Bench) -> Vec<(PathBuf, u32, String)> {
    let files = bench.fake.state().files.into_iter().filter(|(path, _)| path.starts_with("/.state/containers"));
    files.map(|(path, file)| (path, file.mode, String::from_utf8(file.bytes).expect("text"))).collect()
}

#[tokio::test]
async fn what_a_container_was_told_is_kept_apart_and_not_guessed() {
    let mut bench = running(|_| {}).await;
    tell(&bench, "of-the-old-one");
    go_to(&bench, "v2");
    let (before, output) = bench.run_keeping(&json!({})).await.unwrap();
    let before = before.unwrap();
    assert!(!before.to_string().contains("of-the-old-one"), "{before}");
    let kept = kept_apart(&bench);
    let [(path, mode, text)] = kept.as_slice() else { panic!("{kept:?}") };
    assert!(*mode == 0o600 && text.contains("of-the-old-one"), "{mode:o} {text}");

    bench.fake.forget_calls();
    let files = bench.fake.state().files;
    bench.fake.edit(|state| state.put(path.clone(), text.replace("of-the-old-one", "of-somebody")));
    let altered = bench.undo(&json!({}), Some(&before), Some(&output)).await.unwrap_err();
    bench.fake.edit(|state| drop(state.files.remove(path)));
    let gone = bench.undo(&json!({}), Some(&before), Some(&output)).await.unwrap_err();
    for (error, what) in [(altered, "was altered: it is sha256:"), (gone, "is gone")] {
        let said = format!("{error} {}", error.hint.clone().unwrap());
        let all = [what, "`shop-web-1`", &path.display().to_string(), "docker compose up -d"];
        assert!(error.class == Class::Conflict && all.iter().all(|part| said.contains(part)), "{said}");
    }
    assert!(acts(&bench).is_empty(), "nothing was stopped for it");

    // A checkpoint of a program that kept it in there.
    let mut old = before.clone();
    let web = old["containers"].as_array_mut().unwrap().iter_mut().find(|was| was["service"] == "web").unwrap();
    web["blueprint"]["detail"] = serde_json::from_str(text).unwrap();
    let world = bench.fake.state();
    bench.undo(&json!({}), Some(&old), Some(&output)).await.unwrap();
    assert_eq!(container(&bench, "shop-web-1").unwrap().labels["PASSWORD"], "of-the-old-one");

    bench.fake.edit(|state| *state = State { files, ..world });
    for _ in ["once", "twice"] {
        bench.undo(&json!({}), Some(&before), Some(&output)).await.unwrap();
        assert_eq!(container(&bench, "shop-web-1").unwrap().labels["PASSWORD"], "of-the-old-one");
        assert_eq!(kept_apart(&bench), []);
    }

    // Who changes a container after it was looked at is not overlooked.
    new_run(&bench).await;
    let Probe::Absent { before, .. } = bench.probe(&json!({})).await.unwrap() else { panic!("it has to change") };
    tell(&bench, "of-a-later-one");
    let error = bench.run_from(&json!({}), Some(&before)).await.unwrap_err();
    assert!(error.class == Class::Conflict && error.message.contains("not what it was any more"), "{error}");
    assert_eq!((acts(&bench), kept_apart(&bench)), (vec![], vec![]));

    // It stays as long as the run can be taken back: until a later one has gone well.
    bench.run(&json!({})).await.unwrap();
    assert!(kept_apart(&bench)[0].2.contains("of-a-later-one"));
    bench.fake.edit(|state| state.put("/.state/containers/other.run.web.1-2", "{}"));
    bench.cx.run = std::sync::Arc::new(formula_steps::contract::RunInfo { id: "later".into(), ..(*bench.cx.run).clone() });
    new_run(&bench).await;
    go_to(&bench, "v1");
    bench.run(&json!({})).await.unwrap();
    let names: Vec<String> = kept_apart(&bench).into_iter().map(|(path, ..)| path.display().to_string()).collect();
    assert!(matches!(names.as_slice(), [_, ours] if ours.contains("/shop.later.web.")), "{names:?}");
}

#[tokio::test]
async fn one_at_a_time_works_on_a_project_whatever_folder_names_it() {
    let bench = Bench::new("compose-up", |state| {
        a_box(state);
        state.put("/other/docker-compose.yml", SERVICES);
        state.put("/other/.env", "TAG=v1\n");
    });
    let mut other = bench.cx.clone();
    (other.workdir, other.scratch) = (Path::new("/other").into(), Path::new("/.other-scratch").into());
    let file = compose::file(&bench.cx, "docker-compose.yml", None, None, &[]).unwrap();
    let held = compose::lock(&bench.cx, "shop", &file).await.unwrap();
    let step = formula_steps::find("compose-up").unwrap();
    step.run(&other, &json!({ "project": "next" }), None).await.expect("nobody works on that one");
    let ups = bench.calls("compose.up");
    let params = json!({ "project": "shop" });
    let mut running = std::pin::pin!(step.run(&other, &params, None));
    assert!(futures_util::poll!(running.as_mut()).is_pending() && bench.calls("compose.up") == ups, "it waits");
    drop(held);
    running.await.unwrap();
    assert!(bench.calls("compose.up") > ups && container(&bench, "shop-web-1").is_some());
}

#[tokio::test]
async fn what_wants_that_is_restarted_with_what_it_depends_on() {
    let file = |store: &str, restart: bool| {
        let services =
            "name: shop\nservices:\n  web:\n    image: shop:v1\n    depends_on: {store: {condition: service_started, restart: @}}\n";
        format!("{}  store:\n    image: {store}\n", services.replace('@', &restart.to_string()))
    };
    let starts = |bench: &Bench| container(bench, "shop-web-1").unwrap().started_at;
    for restart in [true, false] {
        let bench = running(|state| state.put(FILE, file("shop:store", restart))).await;
        let (web, first) = (id(&bench, "shop-web-1"), starts(&bench));
        bench.fake.edit(|state| state.put(FILE, file("shop:v2", restart)));
        let Probe::Absent { before, changes } = bench.probe(&json!({})).await.unwrap() else { panic!("it has to change") };
        let told = changes.iter().any(|change| change.summary == "web: restart (`store`, which it depends on, is made anew)");
        assert_eq!(told, restart, "{changes:?}");
        // It dies after `store` came up, and before `web` is stopped.
        bench.fake.forget_calls();
        bench.fake.set_faults(vec![Fault::fails("docker.stop_container", 0, PortErrorKind::Failed, "cut")]);
        assert_eq!(bench.run_from(&json!({}), Some(&before)).await.is_err(), restart);
        assert_eq!(starts(&bench), first);
        bench.fake.set_faults(Vec::new());
        assert_eq!(matches!(bench.probe(&json!({})).await.unwrap(), Probe::Present { .. }), !restart);
        let output = bench.run_from(&json!({}), Some(&before)).await.unwrap();
        let second = starts(&bench);
        assert_eq!((id(&bench, "shop-web-1"), second != first), (web.clone(), restart), "the same container");
        assert_eq!(output["recreated"], json!(["store"]));
        bench.run_from(&json!({}), Some(&before)).await.unwrap();
        assert_eq!(starts(&bench), second, "once is enough");
        for _ in ["once", "twice"] {
            bench.undo(&json!({}), Some(&before), Some(&output)).await.unwrap();
            assert_eq!((container(&bench, "shop-store-1").unwrap().image_id.as_str(), id(&bench, "shop-web-1")), (STORE, web.clone()));
        }
        assert_eq!(starts(&bench) != second, restart);
    }
}

#[test]
fn params_are_judged_before_anything_is_asked() {
    let bench = Bench::new("compose-up", |_| {});
    let problems = |params: Value| bench.check(&params).join(" ");
    assert!(problems(json!({ "services": ["--all"] })).contains("`--all`"));
    assert!(problems(json!({ "services": ["web"], "remove": ["web"] })).contains("both"));
    assert_eq!(problems(json!({ "remove": ["old"], "anonymous_volumes": "error" })), "");
}
