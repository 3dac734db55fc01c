//! The checks of a survey, each on a box that is well but for one thing.

use std::collections::BTreeMap;

use formula_steps::compose_file::{self, Inputs, Template};
use formula_steps::contract::{Records, UnfinishedRun};
use formula_steps::drift::{self, Finding, Report, Severity, Status, Subject};
use formula_steps::world::fake::{FakeFile, FakeImage, FakeRef, FakeRun, Remote, Repo, State};
use formula_steps::world::{Container, Volume};

use super::Bench;

const BOX: &str = "\
runbook = 'book.md'
[images]
first_party = ['shop/*']
floating_tags = ['latest']
version_label = 'version'
[env]
version_key = 'TAG'
version_key_aliases = ['IMAGE']
migration_key = 'LEVEL'
[agents]
table = 'agents'
when = ['url', 'model']
user = 'user'
default_user = '{name}-bot'
credentials = ['T_{suffix}', 'P_{suffix}']
[[heartbeats]]
services = ['w*']
pattern = '^polling'
[[reset]]
id = 'all'
title = 'Everything'
checks = ['d12']
";
const COMPOSE: &str =
    "name: shop\nservices:\n  web:\n    image: hub.test/shop/web:v1.0.0\n    volumes: ['data:/data']\nvolumes: {data: {}}\n";
const IMAGE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A box without drift.
fn well(state: &mut State) {
    state.put("/acme/box.toml", BOX);
    state.files.insert("/acme/.env".into(), FakeFile::new("TAG=v1.0.0\nT_DEV_BOT=t\nP_DEV_BOT=p\n").mode(0o600));
    state.put("/acme/projects/a.toml", "[agents.dev]\nurl = 'u'\nmodel = 'm'\n");
    let mut repo = Repo::default();
    repo.head = repo.add_commit(&[], &[("docker-compose.yml", COMPOSE), ("VERSION", "1.0.0\n")]);
    repo.tags.insert("v1.0.0".into(), FakeRef::commit(&repo.head));
    repo.ignored = vec![".env".into(), "box.toml".into(), "projects/*".into(), "template".into(), "migrations/*".into()];
    repo.remotes.insert("origin".into(), Remote { url: "https://forge.test/shop".into(), ..Remote::default() });
    state.repos.insert("/acme".into(), repo);
    state.check_out("/acme");
    let mut image = FakeImage::tagged(&["hub.test/shop/web:v1.0.0"]);
    image.labels.insert("version".into(), "v1.0.0".into());
    image.digests.push("hub.test/shop/web@sha256:1111111111111111111111111111111111111111111111111111111111111111".into());
    state.registries.entry("hub.test".into()).or_default().repositories.entry("shop/web".into()).or_default().put("v1.0.0", IMAGE, &image);
    state.docker.images.insert(IMAGE.into(), image);
    state.docker.runs.insert("hub.test/shop/web:v1.0.0".into(), FakeRun { log: "polling\n".into(), ..FakeRun::default() });
    let labels = [("project", "shop"), ("service", "web"), ("project.working_dir", "/acme")];
    let container = Container {
        id: "c1".into(),
        name: "shop-web-1".into(),
        image_id: IMAGE.into(),
        image: "hub.test/shop/web:v1.0.0".into(),
        state: "running".into(),
        exit_code: None,
        health: None,
        labels: labels.iter().map(|(key, value)| (format!("com.docker.compose.{key}"), (*value).to_owned())).collect(),
        networks: BTreeMap::new(),
        network_ids: BTreeMap::new(),
        volumes: BTreeMap::from([("/data".to_owned(), "shop_data".to_owned())]),
        restarts: 0,
        started_at: String::new(),
    };
    state.docker.containers.insert("c1".into(), container);
    state.docker.volumes.push(volume("shop", "data"));
}

fn volume(project: &str, key: &str) -> Volume {
    let labels = [("project", project), ("volume", key)].map(|(name, value)| (format!("com.docker.compose.{name}"), value.to_owned()));
    Volume { name: format!("{project}_{key}"), labels: labels.into(), place: None }
}

async fn report(change: impl FnOnce(&mut State)) -> Report {
    let bench = Bench::new("survey", |state| {
        well(state);
        change(state);
    });
    drift::survey(&bench.cx, &Subject::default()).await.expect("it looks")
}

fn find<'a>(report: &'a Report, id: &str) -> &'a Finding {
    report.checks.iter().find(|finding| finding.id == id).expect("every check is made")
}

/// What the check says, which is the only one that is not as it should be.
async fn only(id: &str, severity: Severity, change: impl FnOnce(&mut State)) -> String {
    let report = report(change).await;
    let others: Vec<_> = report.checks.iter().filter(|finding| finding.status != Status::Ok && finding.id != id).collect();
    assert!(others.is_empty(), "{others:#?}");
    let finding = find(&report, id);
    assert_eq!((finding.status, finding.severity), (Status::Drift, severity), "{finding:#?}");
    finding.evidence.clone()
}

fn container(state: &mut State) -> &mut Container {
    state.docker.containers.get_mut("c1").expect("it is there")
}

fn append(state: &mut State, path: &str, text: &str) {
    state.files.get_mut(std::path::Path::new(path)).expect("it is there").bytes.extend_from_slice(text.as_bytes());
}

#[tokio::test]
async fn a_box_that_is_well_has_eighteen_checks_and_no_drift() {
    let report = report(|_| {}).await;
    let ids: Vec<String> = (1..=18).map(|number| format!("d{number}")).collect();
    assert_eq!(report.checks.iter().map(|finding| finding.id.clone()).collect::<Vec<_>>(), ids);
    let drifted: Vec<_> = report.checks.iter().filter(|finding| finding.status != Status::Ok).collect();
    assert!(drifted.is_empty() && !report.stale && report.refusal().is_none(), "{drifted:#?}");
    assert_eq!((report.readings.project.as_str(), report.readings.release.as_str()), ("shop", "v1.0.0"));
    assert_eq!(report.readings.images, BTreeMap::from([("web".to_owned(), IMAGE.to_owned())]));
}

#[tokio::test]
async fn d2_off_a_release_blocks_only_where_the_level_is_unknown() {
    let beyond = |state: &mut State| {
        let repo = state.repos.get_mut(std::path::Path::new("/acme")).expect("it is there");
        let head = repo.head.clone();
        repo.head = repo.add_commit(&[&head], &[("docker-compose.yml", COMPOSE), ("VERSION", "1.0.0\n"), ("more", "x\n")]);
        state.check_out("/acme");
    };
    let report = report(beyond).await;
    let finding = find(&report, "d2");
    assert!(finding.severity == Severity::Blocker && finding.evidence.contains("1 commit after v1.0.0"), "{finding:#?}");
    assert!(finding.remedy.contains("git checkout v1.0.0") && report.stale);
    let said = only("d2", Severity::Warn, |state| {
        beyond(state);
        append(state, "/acme/.env", "LEVEL=v1.0.0\n");
    });
    assert!(said.await.contains("1 commit after v1.0.0"));
}

#[tokio::test]
async fn d3_another_name_of_the_version_key_must_agree() {
    let said = only("d3", Severity::Blocker, |state| append(state, "/acme/.env", "IMAGE=hub.test/shop/web:v2\n")).await;
    assert!(said.contains("`IMAGE` says v2, `TAG` says v1.0.0"), "{said}");
}

#[tokio::test]
async fn d7_a_generated_file_is_held_against_its_header_and_its_inputs() {
    let template = format!("# data: {{{{#each data.projects}}}}{{{{_file}}}}{{{{/each}}}}\n{COMPOSE}");
    let made = |template: &str| {
        let mut data = compose_file::Data::default();
        data.list("projects");
        data.push("projects", "projects/a.toml", "[agents.dev]\nurl = 'u'\nmodel = 'm'\n").expect("it is TOML");
        let inputs = Inputs { data, ..Inputs::default() };
        compose_file::render(&Template { name: "docker-compose.yml.hbs", text: template }, &inputs).expect("it renders").text
    };
    let generated = |state: &mut State, text: String| {
        let repo = state.repos.get_mut(std::path::Path::new("/acme")).expect("it is there");
        repo.head = repo.add_commit(&[], &[("VERSION", "1.0.0\n"), ("docker-compose.yml.hbs", &template)]);
        repo.tags.insert("v1.0.0".into(), FakeRef::commit(&repo.head));
        repo.ignored.push("docker-compose.yml".into());
        state.check_out("/acme");
        state.put("/acme/docker-compose.yml", text);
    };
    let report = report(|state| generated(state, made(&template))).await;
    assert_eq!(find(&report, "d7").status, Status::Ok, "{:#?}", find(&report, "d7"));
    let said = only("d7", Severity::Blocker, |state| generated(state, made(&template) + "# by hand\n")).await;
    assert_eq!(said, "`docker-compose.yml` was edited by hand since it was made");
    let said = only("d7", Severity::Blocker, |state| generated(state, COMPOSE.to_owned())).await;
    assert_eq!(said, "`docker-compose.yml` is neither tracked nor made by this program");
    let said = only("d7", Severity::Warn, |state| generated(state, made(&format!("# older\n{template}")))).await;
    assert!(said.contains("was made from other inputs"), "{said}");
}

#[tokio::test]
async fn d9_and_d10_volumes_are_known_by_where_they_are_mounted() {
    // Nobody mounts it, so nobody hands out what is in it: d14 says so.
    let orphan = report(|state| state.docker.volumes.push(volume("shop", "old"))).await;
    assert_eq!(find(&orphan, "d9").evidence, "no service mounts `shop_old`");
    let moved = |state: &mut State| {
        container(state).volumes.insert("/data".into(), "shared".into());
    };
    let moved = report(moved).await;
    assert_eq!((find(&moved, "d10").severity, find(&moved, "d14").severity), (Severity::Blocker, Severity::Info));
    assert_eq!(find(&moved, "d10").evidence, "`web` has `shared` at /data; coming up again it would get `shop_data`");
    let renamed = |state: &mut State| {
        state.docker.containers.clear();
        state.docker.volumes = vec![volume("old-name", "data")];
    };
    let report = report(renamed).await;
    assert!(find(&report, "d10").evidence.contains("`old-name` has all that it needs"), "{:#?}", find(&report, "d10"));
    let bench = Bench::new("survey", well);
    let subject = Subject { project: "another".into(), ..Subject::default() };
    let report = drift::survey(&bench.cx, &subject).await.expect("it looks");
    assert!(find(&report, "d10").evidence.contains("this folder runs `shop` as well, while `another` is asked for"), "{report:#?}");
}

#[tokio::test]
async fn d12_credentials_are_one_agents_own() {
    let said =
        only("d12", Severity::Blocker, |state| state.put("/acme/projects/b.toml", "[agents.two]\nurl='u'\nmodel='m'\nuser='dev-bot'\n"));
    assert!(
        said.await.contains("`[agents.dev]` in `projects/a.toml` and `[agents.two]` in `projects/b.toml` share the credentials of DEV_BOT")
    );
    let said = only("d12", Severity::Blocker, |state| state.put("/acme/projects/b.toml", "[agents.two]\nurl='u'\nmodel='m'\nuser='a.b'\n"));
    assert!(said.await.contains("`a.b` cannot be part of a key"));
    let said = only("d12", Severity::Blocker, |state| state.put("/acme/projects/b.toml", "a = 1\n[agents\n"));
    assert!(said.await.starts_with("`projects/b.toml` line 2: "));
    let said = only("d12", Severity::Warn, |state| {
        state.put("/acme/projects/a.toml", "[agents.dev]\nurl = 'u'\nmodel = 'm'\n[agents.half]\nurl = 'u'\n");
        append(state, "/acme/.env", "T_GONE=x\n");
    });
    let said = said.await;
    assert!(said.contains("`[agents.half]` in `projects/a.toml` has only part") && said.contains("without an agent: `T_GONE`"), "{said}");
}

#[tokio::test]
async fn d14_clones_in_volumes_are_looked_at_and_what_was_not_is_told() {
    let put = |state: &mut State, path: &str, url: &str| {
        let config = format!("[remote \"origin\"]\n\turl = {url}\n");
        state.docker.contents.entry("shop_data".into()).or_default().insert(path.into(), config);
    };
    let clean = report(|state| put(state, "repos/a/.git/config", "http://h/a.git")).await;
    let finding = find(&clean, "d14");
    assert_eq!(
        (finding.status, finding.evidence.as_str()),
        (Status::Ok, "1 remote here and 1 in 1 volume without a password in the address")
    );
    let bad = report(|state| {
        put(state, "repos/a/.git/config", "http://bot:hidden@h/a.git");
        put(state, "not.git/config", "http://bot:hidden@h/b.git");
    });
    let bad = bad.await;
    let finding = find(&bad, "d14");
    assert_eq!((finding.status, finding.severity), (Status::Drift, Severity::Warn), "{finding:#?}");
    let said = "the address of `origin` in `repos/a` in volume `shop_data` holds a password: http://***@h/a.git; 1 volume with such clones: shop_data";
    assert_eq!(finding.evidence, said);
    let remedy = &finding.remedy;
    assert!(remedy.contains("CREDENTIALS_VOLUMES='shop_data' CREDENTIALS_IMAGE='hub.test/shop/web:v1.0.0'"), "{remedy}");

    // What was not looked at is not passed in silence, and is no reason to stop.
    let said = only("d14", Severity::Info, |state| {
        let big = "x".repeat(17 * 1024 * 1024);
        state.docker.contents.entry("shop_data".into()).or_default().insert("big".into(), big);
    });
    assert_eq!(said.await, "only the first 16 MiB of volume `shop_data` were looked at for clones");
    let report = report(|state| state.docker.volumes.push(volume("shop", "old"))).await;
    let finding = find(&report, "d14");
    assert_eq!(finding.severity, Severity::Info);
    assert!(finding.evidence.starts_with("clones in volume `shop_old` were not looked at: "), "{finding:#?}");
}

#[tokio::test]
async fn d15_to_d17_migrations_heartbeats_and_what_does_not_answer() {
    let said = only("d15", Severity::Info, |state| state.put("/acme/migrations/v1.1.0.sh", "true\n")).await;
    assert_eq!(said, "1 migration pending: `v1.1.0 (pre)`");
    let said = only("d16", Severity::Warn, |state| {
        state.docker.runs.insert("hub.test/shop/web:v1.0.0".into(), FakeRun { log: "idle\n".into(), ..FakeRun::default() });
    });
    assert!(said.await.contains("none of its last 200 lines fits `^polling`"));
    let said = only("d16", Severity::Warn, |state| container(state).state = "restarting".into()).await;
    assert!(said.starts_with("`web` is being restarted"), "{said}");
    let said = only("d17", Severity::Blocker, |state| state.registries.clear()).await;
    assert!(said.starts_with("the registry of `hub.test/shop/web:v1.0.0` does not answer"), "{said}");
    let report = report(|state| state.docker.down = true).await;
    assert!(find(&report, "d17").evidence.starts_with("the container engine does not answer"));
    let skipped: Vec<&str> = report.checks.iter().filter(|one| one.status == Status::Skipped).map(|one| one.id.as_str()).collect();
    assert_eq!(skipped, ["d5", "d6", "d9", "d10", "d16"]);
}

#[tokio::test]
async fn d18_the_run_that_asks_is_not_in_its_own_way() {
    struct Two;
    impl Records for Two {
        fn unfinished(&self) -> Result<Vec<UnfinishedRun>, String> {
            let run = |id: &str| UnfinishedRun { id: id.into(), formula: "upgrade".into(), state: "is held".into() };
            Ok(vec![run("own"), run("other")])
        }
    }
    let mut bench = Bench::new("survey", well);
    bench.cx.records = std::sync::Arc::new(Two);
    let mut run = bench.cx.run.as_ref().clone();
    run.id = "own".into();
    bench.cx.run = std::sync::Arc::new(run);
    let error = bench.probe(&serde_json::json!({})).await.expect_err("a run is in the way");
    assert_eq!(
        error.message,
        "the box has 1 blocker:\n- d18 no earlier run is unfinished: run other of `upgrade` is held\n    formula resume other, or formula rollback other"
    );
    bench.probe(&serde_json::json!({ "accept": ["d18"] })).await.expect("a person accepts it");
}
