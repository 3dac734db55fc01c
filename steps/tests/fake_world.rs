//! The fake world itself: what the laws and the rehearsal rest on.

use std::path::Path;
use std::time::Duration;

use formula_steps::world::fake::{Commit, FakeImage, FakeProgram, FakeRegistry, FakeWorld, Fault, Remote, Repo, State, When};
use formula_steps::world::{
    Cancel, CancelLevel, Checkout, Command, ComposeFile, Credentials, Exit, HttpRequest, ImageRef, NewTag, OutputBuffer, PortErrorKind,
    RefUpdate, Secret, Up,
};

const DIR: &str = "/acme";

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn with_repo() -> FakeWorld {
    let mut state = State::default();
    let mut repo = Repo::default();
    let old = repo.add_commit(&[], &[("a", "1\n"), ("gone", "x\n")]);
    let new = repo.add_commit(&[&old], &[("a", "2\n")]);
    repo.head.push_str(&old);
    repo.branch = Some("main".into());
    repo.branches.insert("main".into(), old);
    repo.branches.insert("next".into(), new);
    repo.remotes.insert("origin".into(), Remote { url: "https://bot:hush@forge.test/x.git".into(), ..Remote::default() });
    state.repos.insert(DIR.into(), repo);
    state.check_out(DIR);
    FakeWorld::from_state(state)
}

#[tokio::test]
async fn files_follow_links_inside_and_refuse_to_leave() {
    let fake = FakeWorld::new();
    fake.edit(|state| {
        state.put("/acme/real", "x");
        state.files.insert("/acme/link".into(), formula_steps::world::fake::FakeFile::link("real"));
        state.files.insert("/acme/out".into(), formula_steps::world::fake::FakeFile::link("/etc/passwd"));
    });
    let files = fake.world().files;
    files.write(dir(), Path::new("link"), b"y", 0o600, false).await.unwrap();
    assert_eq!(fake.state().text("/acme/real").as_deref(), Some("y"));
    assert!(fake.state().files[Path::new("/acme/link")].link.is_some());
    for path in ["out", "../x", "/etc/passwd", "."] {
        assert_eq!(files.read(dir(), Path::new(path)).await.unwrap_err().kind, PortErrorKind::Invalid, "{path}");
    }
    fake.edit(|state| state.put("/acme/p/b.toml", ""));
    let found = files.glob(dir(), "p/*.toml").await.unwrap();
    assert_eq!(found, [Path::new("p/b.toml")]);
}

#[tokio::test]
async fn checkout_moves_files_and_refuses_to_lose_changes() {
    let fake = with_repo();
    let git = fake.world().git;
    assert!(git.status(dir()).await.unwrap().is_empty());
    git.checkout(dir(), &Checkout::Branch("next".into())).await.unwrap();
    assert_eq!(fake.state().text("/acme/a").as_deref(), Some("2\n"));
    assert!(fake.state().text("/acme/gone").is_none());
    fake.edit(|state| state.put("/acme/a", "mine\n"));
    let before = fake.snapshot();
    assert_eq!(git.checkout(dir(), &Checkout::Branch("main".into())).await.unwrap_err().kind, PortErrorKind::Conflict);
    assert_eq!(fake.snapshot(), before);
    let status = git.status(dir()).await.unwrap();
    assert_eq!((status[0].path.as_str(), status[0].code.as_str()), ("a", " M"));
}

#[tokio::test]
async fn a_push_is_all_or_nothing_and_keeps_its_lease() {
    let fake = with_repo();
    let start = fake.snapshot();
    let git = fake.world().git;
    let head = git.head(dir()).await.unwrap().commit;
    let tag = NewTag { name: "v1".into(), commit: head.clone(), message: "one".into(), sign: false };
    let made = git.create_tag(dir(), &tag).await.unwrap();
    assert_eq!(git.create_tag(dir(), &tag).await.unwrap_err().kind, PortErrorKind::Conflict);
    let update = |name: &str, object: Option<&str>, expected: Option<&str>| RefUpdate {
        name: name.into(),
        object: object.map(str::to_owned),
        expected: expected.map(str::to_owned),
    };
    let none = OutputBuffer::new();
    let both = [update("refs/tags/v1", Some(&made.object), Some("")), update("refs/heads/x", Some("beef"), None)];
    let before = fake.snapshot();
    git.push(dir(), "origin", &both, false, &none).await.unwrap_err();
    assert_eq!(fake.snapshot(), before);
    git.push(dir(), "origin", &both[..1], false, &none).await.unwrap();
    let refs = git.remote_refs(dir(), "origin", &["refs/tags/v1".into()]).await.unwrap();
    assert_eq!((refs[0].object.as_str(), refs[0].commit()), (made.object.as_str(), head.as_str()));
    let stale = [update("refs/tags/v1", None, Some(&head))];
    assert_eq!(git.push(dir(), "origin", &stale, false, &none).await.unwrap_err().kind, PortErrorKind::Conflict);
    git.push(dir(), "origin", &[update("refs/tags/v1", None, Some(&made.object))], false, &none).await.unwrap();
    git.delete_tag(dir(), "v1", &made.object).await.unwrap();
    assert_eq!(fake.snapshot(), start);
    assert_eq!(git.remote_url(dir(), "origin").await.unwrap().as_deref(), Some("https://bot:***@forge.test/x.git"));
}

#[tokio::test]
async fn a_fetch_brings_what_the_remote_has() {
    let fake = with_repo();
    let id = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
    fake.edit(|state| {
        let remote = state.repos.get_mut(dir()).unwrap().remotes.get_mut("origin").unwrap();
        remote.commits.insert(id.into(), Commit::default());
        remote.refs.insert("refs/heads/main".into(), formula_steps::world::fake::FakeRef::commit(id));
        remote.refs.insert("refs/tags/v2".into(), formula_steps::world::fake::FakeRef::annotated("0b1ec7", id, "two"));
    });
    let git = fake.world().git;
    assert_eq!(git.resolve(dir(), "v2").await.unwrap(), None);
    git.fetch(dir(), "origin", true, &OutputBuffer::new()).await.unwrap();
    for revision in ["v2", "origin/main", "refs/tags/v2^{commit}", "c0ffee"] {
        assert_eq!(git.resolve(dir(), revision).await.unwrap().as_deref(), Some(id), "{revision}");
    }
    assert!(git.verify_tag(dir(), "v2").await.is_err());
    fake.edit(|state| state.repos.get_mut(dir()).unwrap().remotes.get_mut("origin").unwrap().down = true);
    let error = git.fetch(dir(), "origin", true, &OutputBuffer::new()).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
}

#[tokio::test]
async fn what_an_engine_pushes_another_pulls() {
    let fake = FakeWorld::new();
    fake.edit(|state| {
        state.docker.images.insert("sha256:1".into(), FakeImage::tagged(&["reg.test/a:v1"]));
        let mut registry = FakeRegistry::default();
        registry.users.insert("bot".into(), "hush".into());
        state.registries.insert("reg.test".into(), registry);
    });
    let world = fake.world();
    let name = ImageRef::parse("reg.test/a:v1").unwrap();
    let none = OutputBuffer::new();
    let denied = world.docker.push(&name, &Credentials::Anonymous, &none).await.unwrap_err();
    assert_eq!(denied.kind, PortErrorKind::Denied);
    let bot = Credentials::Basic { username: "bot".into(), password: Secret::new("hush") };
    let digest = world.docker.push(&name, &bot, &none).await.unwrap().digest.unwrap();
    assert_eq!(world.registry.manifest(&name, &bot).await.unwrap().unwrap().digest, digest);
    let pushed = fake.snapshot();
    world.docker.untag(&name).await.unwrap();
    assert!(world.docker.image("reg.test/a:v1").await.unwrap().is_none());
    world.docker.pull(&name, &bot, &none).await.unwrap();
    assert_eq!(fake.snapshot(), pushed);
    world.registry.delete_manifest(&name.with_digest(&digest), &bot).await.unwrap();
    assert!(world.registry.manifest(&name, &bot).await.unwrap().is_none());
    assert!(!format!("{:?}", fake.calls()).contains("hush"));
}

#[tokio::test]
async fn compose_recreates_what_changed_and_nothing_else() {
    let fake = FakeWorld::new();
    let compose = "services:\n  web:\n    image: acme/web:${V}\n    depends_on: [db]\n  db:\n    image: acme/db\n";
    fake.edit(|state| {
        state.put("/acme/docker-compose.yml", compose);
        state.put("/acme/.env", "V=v1\n");
        for (id, tag) in [("sha256:1", "acme/web:v1"), ("sha256:2", "acme/web:v2"), ("sha256:3", "acme/db:latest")] {
            state.docker.images.insert(id.into(), FakeImage::tagged(&[tag]));
        }
    });
    let file = ComposeFile {
        dir: DIR.into(),
        file: "/acme/docker-compose.yml".into(),
        project: None,
        env_file: None,
        profiles: Vec::new(),
        env: std::collections::BTreeMap::new(),
    };
    let world = fake.world();
    let (none, cancel) = (OutputBuffer::new(), Cancel::new());
    let ids = async || {
        let all = world.docker.containers(&std::collections::BTreeMap::new()).await.unwrap();
        all.into_iter().map(|one| (one.name, one.id, one.image_id)).collect::<Vec<_>>()
    };
    world.compose.up(&file, &Up::default(), &none, &cancel).await.unwrap();
    let first = ids().await;
    world.compose.up(&file, &Up::default(), &none, &cancel).await.unwrap();
    assert_eq!(ids().await, first);
    fake.edit(|state| state.put("/acme/.env", "V=v2\n"));
    world.compose.up(&file, &Up::default(), &none, &cancel).await.unwrap();
    let second = ids().await;
    assert_eq!((first.len(), &first[0]), (2, &second[0]), "the database was left alone");
    assert_eq!(second[1].2, "sha256:2");
    assert_ne!(first[1].1, second[1].1);
}

#[tokio::test]
async fn programs_and_web_servers_do_what_the_table_says() {
    let fake = FakeWorld::new();
    fake.edit(|state| {
        state.programs.push(FakeProgram::new(["touch", "..."]).writes("made", "by ${WHO}"));
        state.programs.push(FakeProgram { hangs: true, ..FakeProgram::new(["sleep"]) });
        state.http.answer("POST", "http://x/y", [formula_steps::world::fake::FakeAnswer::new(201, "ok").puts("http://x/y/1", "${body}")]);
        state.http.hosts.insert("x".into());
    });
    let world = fake.world();
    let (none, cancel) = (OutputBuffer::new(), Cancel::new());
    let mut command = Command { argv: vec!["touch".into(), "made".into()], dir: DIR.into(), ..Command::default() };
    command.env.insert("WHO".into(), "me".into());
    assert_eq!(world.process.run(&command, &none, &cancel).await.unwrap(), Exit::Code(0));
    assert_eq!(fake.state().text("/acme/made").as_deref(), Some("by me"));
    command.argv = vec!["nothing".into()];
    assert_eq!(world.process.run(&command, &none, &cancel).await.unwrap_err().kind, PortErrorKind::NotFound);
    command.argv = vec!["sleep".into()];
    let child = world.process.run(&command, &none, &cancel);
    cancel.raise(CancelLevel::Now);
    assert_eq!(child.await.unwrap_err().kind, PortErrorKind::Cancelled);

    let get = HttpRequest::get("http://x/y/1");
    assert_eq!(world.http.request(&get).await.unwrap().status, 404);
    let post = HttpRequest { method: "POST".into(), url: "http://x/y".into(), body: Some(b"it".to_vec()), ..get.clone() };
    assert_eq!(world.http.request(&post).await.unwrap().status, 201);
    assert_eq!(world.http.request(&get).await.unwrap().body, b"it");
    assert_eq!(world.http.request(&HttpRequest::get("http://z/")).await.unwrap_err().kind, PortErrorKind::Unreachable);
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect_and_a_cut_lasts() {
    let fake = FakeWorld::new();
    let files = fake.world().files;
    let write = async |text: &'static str| files.write(dir(), Path::new("a"), text.as_bytes(), 0o600, false).await;
    fake.set_faults(vec![Fault::fails("files.write", 1, PortErrorKind::Transient, "reset")]);
    write("1").await.unwrap();
    assert_eq!(write("2").await.unwrap_err().kind, PortErrorKind::Transient);
    write("3").await.unwrap();
    for (when, left) in [(When::Before, "3"), (When::After, "4")] {
        fake.forget_calls();
        fake.set_faults(vec![Fault::cut(0, when)]);
        write("4").await.unwrap_err();
        assert!(fake.is_cut());
        write("5").await.unwrap_err();
        fake.heal();
        assert_eq!(fake.state().text("/acme/a").as_deref(), Some(left));
    }
    let cancel = Cancel::new();
    fake.forget_calls();
    fake.raise_at(1, cancel.clone());
    write("6").await.unwrap();
    assert!(!cancel.is_raised());
    write("7").await.unwrap();
    assert!(cancel.is_raised());
}

#[tokio::test]
async fn time_jumps() {
    let clock = FakeWorld::new().world().clock;
    let (start, then) = (clock.monotonic(), clock.unix_millis());
    tokio::join!(clock.sleep(Duration::from_hours(1)), clock.sleep(Duration::from_mins(1)));
    assert_eq!(clock.monotonic(), start + Duration::from_hours(1));
    assert_eq!(clock.unix_millis() - then, 3_600_000);
}

#[test]
fn a_world_can_be_written_in_toml() {
    let text = "
        [files]
        '/acme/a' = { text = 'hello', mode = 0o600 }
        [repos.'/acme']
        head = 'c1'
        branches.main = 'c1'
        tags.v1 = { commit = 'c1', message = 'one' }
        commits.c1.files.a = { text = 'hello' }
        remotes.origin = { url = 'https://forge.test/x' }
        [docker.images.'sha256:1']
        tags = ['a:v1']
        [registries.'reg.test']
        users = { bot = 'hush' }
        [http]
        hosts = ['x:80']
        [[programs]]
        argv = ['make', '...']
        exit = 2
    ";
    let state: State = toml::from_str(text).unwrap();
    assert_eq!(state.files[Path::new("/acme/a")].mode, 0o600);
    let world = FakeWorld::from_state(state);
    let snapshot = world.snapshot();
    assert_eq!(snapshot, world.snapshot());
    assert!(!snapshot.to_string().contains("hush"));
    assert!(toml::from_str::<State>("[filse]").is_err());
}
