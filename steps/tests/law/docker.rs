//! Cases of the kinds that work on the container engine, registries, compose projects and web servers, and of `preflight`.

use formula_steps::world::fake::{
    FakeAnswer, FakeCredentials, FakeFile, FakeImage, FakeProgram, FakeRef, FakeRegistry, FakeRepository, FakeRun, Remote, Repo, State,
};
use serde_json::{Value, json};

use formula_steps::laws::{Case, SECRET, SECRET_NAME};

const HOST: &str = "registry.test";
const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const NEW: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";
const COMPOSE: &str =
    "name: shop\nservices:\n  web:\n    image: registry.test/shop/web:${TAG:-v1}\n  db:\n    image: registry.test/shop/db:v1\n";

fn case(kind: &'static str, name: &'static str, params: Value, set_up: impl FnOnce(&mut State)) -> Case {
    let mut state = State::default();
    set_up(&mut state);
    Case { kind, name, state, params }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(compose_restart());
    cases.extend(docker_build());
    cases.extend(health_check());
    cases.extend(http_request());
    cases.extend(image_pull());
    cases.extend(image_push());
    cases.extend(image_tag());
    cases.extend(preflight());
    cases.extend(survey());
    cases
}

/// A registry that lets nobody in but the user `bot` with the secret.
fn guarded() -> FakeRegistry {
    let mut registry = FakeRegistry::default();
    registry.users.insert("bot".into(), SECRET.into());
    registry
}

fn repository<'a>(state: &'a mut State, path: &str) -> &'a mut FakeRepository {
    state.registries.entry(HOST.into()).or_default().repositories.entry(path.into()).or_default()
}

fn two_images(state: &mut State) {
    state.docker.images.insert(OLD.into(), FakeImage::tagged(&["registry.test/shop/web:v1", "registry.test/shop/web:old"]));
    state.docker.images.insert(NEW.into(), FakeImage::tagged(&["registry.test/shop/web:v2"]));
}

fn docker_build() -> Vec<Case> {
    let params = json!({
        "context": "app", "tags": ["shop/web:v1", "shop/web:latest"], "args": { "MODE": "full" }, "labels": { "team": "shop" },
        "version": "v1", "revision": "HEAD", "volumes": ["/data/"],
    });
    let sources = |state: &mut State| {
        let files = [("app/Dockerfile", "FROM scratch\nVOLUME /data\n"), ("app/main", "x\n")];
        let mut repo = Repo::default();
        repo.head = repo.add_commit(&[], &files);
        state.repos.insert("/acme".into(), repo);
        state.check_out("/acme");
        state.put("/acme/app/untracked", "no");
    };
    let mut clean = params.clone();
    clean["clean"] = true.into();
    vec![case("docker-build", "a folder", params, sources), case("docker-build", "a clean export", clean, sources)]
}

fn image_tag() -> Vec<Case> {
    let params = json!({ "image": NEW, "tags": ["registry.test/shop/web:v1", "shop/web:stable"] });
    vec![case("image-tag", "one that moves and one that is new", params, two_images)]
}

fn image_pull() -> Vec<Case> {
    let at_registry = |state: &mut State| {
        let image = FakeImage::default();
        repository(state, "shop/web").put("v1", NEW, &image);
        repository(state, "shop/db").put("v1", "sha256:0000000000000000000000000000000000000000000000000000000000000003", &image);
        state.docker.images.insert(OLD.into(), FakeImage::tagged(&["registry.test/shop/web:v1", "registry.test/shop/web:old"]));
    };
    let auth = json!({ "username": "bot", "secret": SECRET_NAME });
    vec![
        case("image-pull", "a tag that moved", json!({ "images": ["registry.test/shop/web:v1"], "registry_auth": auth }), |state| {
            state.registries.insert(HOST.into(), guarded());
            at_registry(state);
        }),
        case("image-pull", "all of a compose file", json!({ "compose": "docker-compose.yml" }), |state| {
            at_registry(state);
            state.docker.images.insert(
                "sha256:0000000000000000000000000000000000000000000000000000000000000004".into(),
                FakeImage::tagged(&["registry.test/shop/db:v1", "registry.test/shop/db:old"]),
            );
            state.put("/acme/docker-compose.yml", COMPOSE);
        }),
    ]
}

fn image_push() -> Vec<Case> {
    let auth = json!({ "username": "bot", "secret": SECRET_NAME });
    let one_way = json!({ "image": NEW, "tags": ["registry.test/shop/web:v2"], "move_last": ["latest"], "registry_auth": auth });
    let mut reversible = one_way.clone();
    reversible["undo"] = "delete".into();
    let moved = json!({ "image": NEW, "tags": ["registry.test/shop/web:v1"], "overwrite": true, "undo": "delete" });
    let there = |state: &mut State| {
        two_images(state);
        repository(state, "shop/web").put("v1", OLD, &FakeImage::default());
        repository(state, "shop/web").put("latest", OLD, &FakeImage::default());
    };
    let one_more = json!({ "image": NEW, "tags": ["registry.test/shop/web:v2"], "move_last": ["latest"], "undo": "delete" });
    vec![
        case("image-push", "a tag more on what is there", one_more, |state| {
            two_images(state);
            repository(state, "shop/web").put("v2", NEW, &FakeImage::default());
        }),
        case("image-push", "one-way", one_way, |state| {
            state.registries.insert(HOST.into(), guarded());
            there(state);
        }),
        case("image-push", "taken back", reversible, |state| {
            state.registries.insert(HOST.into(), guarded());
            there(state);
        }),
        case("image-push", "over another image", moved, |state| {
            there(state);
            state.credentials.insert(HOST.into(), FakeCredentials { username: "bot".into(), password: SECRET.into() });
        }),
    ]
}

fn compose_restart() -> Vec<Case> {
    let params = json!({ "services": ["web"], "variables": ["TAG=v2"] });
    let mut running = State::default();
    running.put("/acme/docker-compose.yml", COMPOSE);
    two_images(&mut running);
    vec![
        case("compose-restart", "a service that did not run", params.clone(), |state| *state = running.clone()),
        case("compose-restart", "a service that runs the old image", json!({ "services": ["web"] }), |state| {
            *state = running.clone();
            with_old_container(state);
        }),
        case("compose-restart", "a service that runs an older version under its own name", params, |state| {
            *state = running.clone();
            with_old_container(state);
            state.docker.images.get_mut(OLD).expect("it is there").tags.push("registry.test/shop/web:v0".into());
            for container in state.docker.containers.values_mut() {
                container.image = "registry.test/shop/web:v0".into();
                container.labels.insert("com.docker.compose.config-hash".into(), "of v0".into());
            }
        }),
    ]
}

/// Runs `web` from an image that its reference does not stand for any more.
fn with_old_container(state: &mut State) {
    // What compose itself makes of the file, so that only the image is another one.
    let fake = formula_steps::world::fake::FakeWorld::from_state(state.clone());
    let world = fake.world();
    let file = formula_steps::world::ComposeFile {
        dir: "/acme".into(),
        file: "/acme/docker-compose.yml".into(),
        project: None,
        env_file: None,
        profiles: Vec::new(),
        env: std::collections::BTreeMap::new(),
    };
    let up = formula_steps::world::Up { services: vec!["web".into()], ..formula_steps::world::Up::default() };
    let output = formula_steps::world::OutputBuffer::new();
    futures_util::FutureExt::now_or_never(world.compose.up(&file, &up, &output, &formula_steps::world::Cancel::new()))
        .expect("a fake does not wait")
        .expect("the file is right");
    *state = fake.state();
    // Another world counts from the beginning again.
    for (_, mut container) in std::mem::take(&mut state.docker.containers) {
        container.id = format!("before-{}", container.name);
        // The fake's word for what a container was told.
        container.labels.insert("TOKEN".into(), SECRET.into());
        state.docker.containers.insert(container.id.clone(), container);
    }
    let tag = "registry.test/shop/web:v1".to_owned();
    state.docker.images.get_mut(OLD).expect("it is there").tags.retain(|one| *one != tag);
    state.docker.images.get_mut(NEW).expect("it is there").tags.push(tag);
}

fn health_check() -> Vec<Case> {
    let params = json!({
        "successes": 2, "stable_for": "3s", "prove": true,
        "checks": [
            { "type": "http", "url": "http://shop.test/health", "pointer": "/version", "version": "v2",
              "secret_headers": { "Authorization": format!("Bearer {{{SECRET_NAME}}}") } },
            { "type": "tcp", "address": "shop.test:5432" },
            { "type": "container", "container": "shop-web-1", "healthy": true },
            { "type": "compose", "services": ["web"] },
            { "type": "command", "command": ["true"] },
            { "type": "log", "container": "shop-web-1", "pattern": "^polling" },
        ],
    });
    let mut survey = params.clone();
    survey["survey"] = true.into();
    survey["deadline"] = "5s".into();
    let well = |state: &mut State| {
        state.put("/acme/docker-compose.yml", COMPOSE);
        two_images(state);
        let run = FakeRun { health: Some("healthy".into()), log: "starting\npolling\n".into(), ..FakeRun::default() };
        state.docker.runs.insert("registry.test/shop/web:v1".into(), run);
        with_old_container(state);
        state.http.resources.insert("http://shop.test/health".into(), r#"{ "version": "2" }"#.into());
        state.http.listening.insert("shop.test:5432".into());
        state.programs.push(FakeProgram::new(["true"]));
    };
    vec![
        case("health-check", "all is well", params, well),
        case("health-check", "a survey of what is not", survey, |state| state.put("/acme/docker-compose.yml", COMPOSE)),
    ]
}

fn http_request() -> Vec<Case> {
    let item = "http://forge.test/items/7";
    let secret = json!({ "Authorization": format!("Bearer {{{SECRET_NAME}}}") });
    let create = json!({
        "method": "POST", "url": "http://forge.test/items", "json": { "name": "x" }, "secret_headers": secret,
        "probe": { "url": item, "pointer": "/name", "equals": "x" }, "outputs": { "id": "/id" },
        "undo": { "url": "http://forge.test/items/{id}" }, "idempotency_header": "Idempotency-Key",
    });
    let put = json!({ "method": "PUT", "url": item, "body": "hello", "secret_headers": secret });
    vec![
        case("http-request", "made and taken back", create, |state| {
            let made = r#"{ "id": 7, "name": "x" }"#;
            state.http.answer("POST", "http://forge.test/items", [FakeAnswer::new(201, made).puts(item, made)]);
            state.http.answer("DELETE", item, [FakeAnswer::new(204, "").deletes(item)]);
            state.http.hosts.insert("forge.test".into());
        }),
        case("http-request", "put without a probe", put, |state| {
            state.http.answer("PUT", item, [FakeAnswer::new(200, "").puts(item, "${body}")]);
        }),
        case("http-request", "only looked at", json!({ "url": item, "outputs": { "name": "/name" } }), |state| {
            state.http.resources.insert(item.into(), r#"{ "name": "x" }"#.into());
        }),
    ]
}

fn preflight() -> Vec<Case> {
    let params = json!({
        "version": "v1.2.0", "version_file": "VERSION", "clean": "strict", "branch": "main", "remote": "origin", "tag": "v1.2.0",
        "mirrors": ["mirror", "down"], "image": "registry.test/shop/web",
        "registry_auth": { "username": "bot", "secret": SECRET_NAME },
    });
    vec![case("preflight", "ready for a release", params, |state| {
        state.registries.insert(HOST.into(), guarded());
        let mut repo = Repo::default();
        let head = repo.add_commit(&[], &[("VERSION", "1.2.0\n")]);
        repo.head.clone_from(&head);
        repo.branch = Some("main".into());
        repo.branches.insert("main".into(), head.clone());
        for name in ["origin", "mirror", "down"] {
            let mut remote = Remote { url: format!("https://forge.test/{name}"), down: name == "down", ..Remote::default() };
            remote.refs.insert("refs/heads/main".into(), FakeRef::commit(&head));
            repo.remotes.insert(name.into(), remote);
        }
        state.repos.insert("/acme".into(), repo);
        state.check_out("/acme");
    })]
}

/// Of a box that is well, and of one whose only blocker is accepted.
fn survey() -> Vec<Case> {
    let description = "[images]\nfirst_party = ['shop/*']\nversion_label = 'version'\n[env]\nversion_key = 'TAG'\nreach = ['FORGE']\n";
    let well = |state: &mut State| {
        state.put("/acme/box.toml", description);
        state.files.insert("/acme/.env".into(), FakeFile::new("TAG=v1\nFORGE=http://forge.test/\n").mode(0o600));
        let mut repo = Repo::default();
        let head = repo.add_commit(&[], &[("docker-compose.yml", COMPOSE), ("VERSION", "1.0.0\n")]);
        repo.head.clone_from(&head);
        repo.tags.insert("v1.0.0".into(), FakeRef::commit(&head));
        repo.ignored = vec![".env".into(), "box.toml".into()];
        repo.remotes.insert("origin".into(), Remote { url: "https://forge.test/shop".into(), ..Remote::default() });
        state.repos.insert("/acme".into(), repo);
        state.check_out("/acme");
        two_images(state);
        repository(state, "shop/web").put("v1", OLD, &FakeImage::default());
        repository(state, "shop/db").put("v1", OLD, &FakeImage::default());
        state.http.resources.insert("http://forge.test/".into(), String::new());
        with_old_container(state);
    };
    vec![
        case("survey", "a box that is well", json!({ "health_urls": ["http://forge.test/"] }), well),
        case("survey", "a blocker that is accepted", json!({ "accept": ["d1", "d7"] }), |state| {
            well(state);
            state.put("/acme/docker-compose.yml", COMPOSE.replace("shop/db:v1", "shop/db:v1 # by hand"));
        }),
    ]
}
