//! A box that is upgraded with one command, and put back when it is not well. The rows of its cases give the tests their names.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use crate::support::{BoxFacts, BoxFixture, Program, Ran, Sandbox, docker, engine_or_skip, formula};

/// `formula run upgrade` of a box.
pub fn upgrade<'a>(sandbox: &'a Sandbox, on: &BoxFixture<'_>, version: &str) -> Program<'a> {
    let health = on.health_url();
    formula(sandbox).args(["run", "upgrade", "--version", version, "--health-url", &health, "--health-version-pointer", "body"])
}

/// The box runs v0.3.0 everywhere, with its data, and what need not be touched was not.
#[track_caller]
pub fn assert_upgraded(on: &BoxFixture<'_>, before: &BoxFacts, after: &BoxFacts) {
    assert_eq!((after.release.as_str(), &after.dirty), ("v0.3.0", &Vec::new()));
    assert_eq!(after.answers.as_deref(), Some("v0.3.0"));
    assert_eq!(after.sentinel.as_deref(), Some(BoxFixture::SENTINEL), "the data is where it was");
    assert_eq!(after.migrated, ["v0.2.1", "v0.2.2", "v0.3.0"], "each once, in the order of their versions");
    let services: Vec<&str> = after.containers.keys().map(String::as_str).collect();
    assert_eq!(services, ["agents", "agents-dev-qwen", "depot", "edge"]);
    assert!(after.containers.values().all(|container| container.state == "running"), "{:?}", after.containers);
    for (service, image) in [("agents", "agents"), ("agents-dev-qwen", "agents"), ("edge", "edge")] {
        let wanted = docker(&["image", "inspect", "--format", "{{.Id}}", &on.image(image, "v0.3.0")]);
        assert_eq!(after.containers[service].image_id, wanted, "{service} runs the image of the version");
    }
    assert_eq!(after.containers["depot"], before.containers["depot"], "nothing changed about it, so it went on running");
    assert!(before.volumes.iter().all(|volume| after.volumes.contains(volume)), "{:?}", after.volumes);
    let env = after.env.clone().expect("an env file");
    assert!(env.starts_with(before.env.as_deref().expect("an env file")), "lines that are not concerned keep their bytes:\n{env}");
    assert!(env.contains("DISINTO_VERSION=v0.3.0\n") && env.contains("DISINTO_LAST_MIGRATION=v0.3.0\n"), "{env}");
}

/// The box is what it was; containers that had to be made anew run the images of before.
#[track_caller]
pub fn assert_as_before(before: &BoxFacts, after: &BoxFacts) {
    assert_eq!(after.images(), before.images());
    let states = |facts: &BoxFacts| facts.containers.values().map(|container| container.state.clone()).collect::<Vec<_>>();
    assert_eq!(states(after), states(before));
    let rest = |facts: &BoxFacts| BoxFacts { containers: BTreeMap::new(), volumes: Vec::new(), migrated: Vec::new(), ..facts.clone() };
    assert_eq!(rest(after), rest(before));
}

fn told(ran: &Ran, part: &str) {
    let verdict = ran.verdict().to_string();
    assert!(verdict.contains(part), "`{part}` is not in {verdict}");
}

#[test]
fn u1_u9_u11_one_command_brings_the_box_to_the_version_and_the_same_again_does_nothing() {
    engine_or_skip!("u1_u9_u11_one_command_brings_the_box_to_the_version_and_the_same_again_does_nothing");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    let planned = formula(&sandbox).args(["plan", "upgrade", "--version", "v0.3.0"]).run();
    planned.exits(0);
    assert_eq!(on.facts(), before, "a plan changes nothing");

    let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    ran.exits(0);
    let after = on.facts();
    assert_upgraded(&on, &before, &after);
    // What is in the container is what the key says.
    assert_eq!(on.exec("agents", "echo $DISINTO_VERSION $RELEASE"), "v0.3.0 v0.3.0");
    let record: serde_json::Value = serde_json::from_str(&sandbox.read("state/upgrades/v0.3.0.json")).expect("a record");
    assert_eq!((&record["version"], &record["from"], &record["run"]), (&json!("v0.3.0"), &json!("v0.2.0"), &json!(ran.run_id())));

    let again = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    again.exits(0);
    assert_eq!(again.verdict()["changed"], false);
    assert_eq!(on.facts(), after, "no container was touched");
    let fresh = upgrade(&sandbox, &on, "v0.3.0").args(["--fresh", "--record", "state/again.json"]).run();
    fresh.exits(0);
    assert_eq!(on.facts(), after, "a run that remembers nothing finds everything in place as well");
}

#[test]
fn u2_a_missing_tag_and_a_dirty_tree_are_refused_before_anything_changes() {
    engine_or_skip!("u2_a_missing_tag_and_a_dirty_tree_are_refused_before_anything_changes");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    upgrade(&sandbox, &on, "v0.9.9").run().exits(11).stderr_has("v0.9.9");
    assert_eq!(on.facts(), before);
    on.append("VERSION", "edited\n");
    let dirty = on.facts();
    upgrade(&sandbox, &on, "v0.3.0").run().exits(11).stderr_has("VERSION");
    assert_eq!(on.facts(), dirty);
    assert_eq!(dirty.ids(), before.ids());
}

#[test]
fn u4_an_image_that_is_not_there_fails_before_any_container_stops() {
    engine_or_skip!("u4_an_image_that_is_not_there_fails_before_any_container_stops");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    on.unpublish("edge", "v0.3.0");
    let before = on.facts();
    let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    ran.exits(22);
    assert_eq!(ran.verdict()["failed_step"], "pull");
    assert_eq!(on.facts(), before, "tree, env file, compose file and every container");
}

#[test]
fn u5_e10_what_never_becomes_healthy_is_taken_back_to_the_very_bytes_and_images() {
    engine_or_skip!("u5_e10_what_never_becomes_healthy_is_taken_back_to_the_very_bytes_and_images");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    let ran = upgrade(&sandbox, &on, "v0.3.1").args(["--json", "--health-timeout", "20s"]).run();
    ran.exits(22);
    assert_eq!(ran.verdict()["failed_step"], "up");
    told(&ran, "404");
    assert_as_before(&before, &on.facts());
}

#[test]
fn u6_what_crashes_is_taken_back_and_its_exit_code_told() {
    engine_or_skip!("u6_what_crashes_is_taken_back_and_its_exit_code_told");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    let ran = upgrade(&sandbox, &on, "v0.3.2").args(["--json"]).run();
    ran.exits(22);
    assert_eq!(ran.verdict()["failed_step"], "up");
    told(&ran, "code 3");
    told(&ran, "broken on purpose");
    assert_as_before(&before, &on.facts());

    // And the next version is as near as before.
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    assert_upgraded(&on, &before, &on.facts());
}

#[test]
fn u10_a_bot_of_the_old_kind_goes_by_name_and_its_volumes_stay() {
    engine_or_skip!("u10_a_bot_of_the_old_kind_goes_by_name_and_its_volumes_stay");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let local = on.local_image();
    let llama = format!("services:\n  agents-llama:\n    image: {local}\n    volumes: [agent-data:/data, project-repos:/repos]\n");
    sandbox.write("docker-compose.override.yml", llama);
    on.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
    fs::remove_file(sandbox.work().join("docker-compose.override.yml")).expect("it was just written");
    let before = on.facts();
    assert!(before.containers.contains_key("agents-llama"));

    upgrade(&sandbox, &on, "v0.3.0").args(["--remove", "agents-llama"]).run().exits(0);
    let after = on.facts();
    assert_upgraded(&on, &before, &after);
    for own in ["agents-dev-qwen-data", "project-repos-dev-qwen"] {
        assert!(after.volumes.iter().any(|volume| volume == own), "{own} is not among {:?}", after.volumes);
    }
}

#[test]
fn u12_a_migration_that_fails_stops_before_anything_is_recreated_and_is_the_next_to_run() {
    engine_or_skip!("u12_a_migration_that_fails_stops_before_anything_is_recreated_and_is_the_next_to_run");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    on.fail_migration(Some("v0.2.2"));
    let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]).run();
    ran.exits(22);
    assert_eq!(ran.verdict()["failed_step"], "migrate-pre");
    told(&ran, "v0.2.2");
    let after = on.facts();
    assert_eq!(after, BoxFacts { migrated: vec!["v0.2.1".into()], ..before.clone() }, "no container was touched");

    on.fail_migration(None);
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    assert_upgraded(&on, &before, &on.facts());
}

#[test]
fn e11_an_agent_without_credentials_is_refused_with_both_names() {
    engine_or_skip!("e11_an_agent_without_credentials_is_refused_with_both_names");
    let sandbox = Sandbox::new();
    let on = BoxFixture::build(&sandbox);
    on.baseline();
    let before = on.facts();
    let ran = upgrade(&sandbox, &on, "v0.3.0").run();
    ran.exits(11).stderr_has("FORGE_TOKEN_DEV_QWEN").stderr_has("FORGE_PASS_DEV_QWEN");
    assert_eq!(on.facts(), before);
}

#[test]
fn broken_and_contradicting_project_files_are_refused_with_their_places() {
    engine_or_skip!("broken_and_contradicting_project_files_are_refused_with_their_places");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    sandbox.write("projects/second.toml", "name = \"second\"\nrepo = [\n");
    upgrade(&sandbox, &on, "v0.3.0").run().exits(11).stderr_has("projects/second.toml").stderr_has("line");
    assert_eq!(on.facts(), before);
    let agent = "name = \"second\"\n[agents.dev-qwen]\nbase_url = \"http://x\"\nmodel = \"q\"\nroles = []\nforge_user = \"dev-qwen\"\n";
    sandbox.write("projects/second.toml", agent);
    let ran = upgrade(&sandbox, &on, "v0.3.0").run();
    assert!(matches!(ran.code, Some(11 | 22)), "{:?}", ran.code);
    ran.stderr_has("projects/mill.toml").stderr_has("projects/second.toml");
    assert_eq!(on.facts(), before);
}

#[test]
fn l4_a_new_agent_is_a_table_and_a_command_and_only_its_container_starts() {
    engine_or_skip!("l4_a_new_agent_is_a_table_and_a_command_and_only_its_container_starts");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    let before = on.facts();
    on.append(
        "projects/mill.toml",
        "\n[agents.review]\nbase_url = \"http://10.0.0.2:1\"\nmodel = \"m\"\nroles = [\"review\"]\nforge_user = \"rev\"\n",
    );
    on.append(".env", "FORGE_TOKEN_REV=t\nFORGE_PASS_REV=p\n");
    formula(&sandbox).args(["run", "agents"]).run().exits(0);
    let after = on.facts();
    assert_eq!(after.containers.get("agents-review").map(|container| container.state.as_str()), Some("running"));
    for (service, container) in &before.containers {
        assert_eq!(&after.containers[service], container, "{service} was not touched");
    }
    let again = formula(&sandbox).args(["run", "agents", "--json"]).run();
    again.exits(0);
    assert_eq!((&again.verdict()["changed"], on.facts()), (&json!(false), after));
}

/// One more release, that is as well as v0.3.0.
fn release_v0_3_3(sandbox: &Sandbox, on: &BoxFixture<'_>) {
    for service in ["agents", "edge"] {
        docker(&["pull", "--quiet", &on.image(service, "v0.3.0")]);
        docker(&["tag", &on.image(service, "v0.3.0"), &on.image(service, "v0.3.3")]);
        docker(&["push", "--quiet", &on.image(service, "v0.3.3")]);
    }
    let origin = on.origin().to_string_lossy().into_owned();
    let source = sandbox.root().join("source");
    let git = |args: &[&str]| {
        Program::new(sandbox, "git").args(["-C", &source.to_string_lossy()]).args(args.iter().copied()).run().exits(0);
    };
    Program::new(sandbox, "git").args(["clone", "--quiet", &origin, &source.to_string_lossy()]).run().exits(0);
    fs::write(source.join("VERSION"), "0.3.3\n").expect("the sandbox is writable");
    git(&["commit", "--quiet", "--all", "--message", "v0.3.3"]);
    git(&["tag", "--annotate", "--message", "v0.3.3", "v0.3.3"]);
    git(&["push", "--quiet", "origin", "main", "--tags"]);
}

/// The files of the state directory that hold a text, as it is or in base64.
fn files_that_hold(sandbox: &Sandbox, text: &str) -> Vec<PathBuf> {
    // What is the same wherever it begins among the groups of three bytes.
    let coded = (0..3).map(|lead| {
        let whole = STANDARD_NO_PAD.encode(format!("{}{text}", &"abc"[..lead]));
        let length = whole.len() - 1;
        whole.as_bytes()[[0, 2, 3][lead]..length].to_vec()
    });
    let needles: Vec<Vec<u8>> = coded.chain([text.as_bytes().to_vec()]).collect();
    let (mut found, mut open) = (Vec::new(), vec![sandbox.work().join(".formula")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                open.push(entry);
                continue;
            }
            let bytes = fs::read(&entry).expect("a file");
            if needles.iter().any(|needle| bytes.windows(needle.len()).any(|part| part == needle)) {
                found.push(entry);
            }
        }
    }
    found
}

#[test]
fn what_containers_were_told_is_in_private_files_alone_and_only_as_long_as_there_is_a_way_back() {
    engine_or_skip!("what_containers_were_told_is_in_private_files_alone_and_only_as_long_as_there_is_a_way_back");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let told = || docker(&["inspect", "--format", "{{json .Config.Env}}", &format!("{}-agents-1", on.project.name)]);
    let first = told();
    assert!(first.contains("FORGE_TOKEN=tok-main"), "{first}");
    // The container is not what the file says any more.
    let env = sandbox.read(".env").replace("FORGE_TOKEN=tok-main", "FORGE_TOKEN=tok-other");
    fs::write(sandbox.work().join(".env"), env).expect("the sandbox is writable");
    let before = on.facts();
    let both = ["tok-main", "tok-other"];

    for kill in [true, false] {
        let ran = upgrade(&sandbox, &on, "v0.3.0").args(["--json"]);
        if kill {
            let _ = ran.run_and_kill_at(|line| line.contains("\"attempt_succeeded\"") && line.contains("\"up\""));
        } else {
            ran.run().exits(0);
        }
        assert!(told().contains("FORGE_TOKEN=tok-other"), "{}", told());
        let held = files_that_hold(&sandbox, "tok-main");
        assert!(!held.is_empty() && files_that_hold(&sandbox, "tok-other").is_empty(), "{held:?}");
        for file in held {
            let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
            let folder = file.parent().expect("a folder");
            assert!(folder.ends_with(".formula/containers"), "{}", file.display());
            assert_eq!((mode(folder), mode(&file)), (0o700, 0o600));
        }
        formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
        assert_as_before(&before, &on.facts());
        assert_eq!(told(), first, "byte for byte what it was told on the first day");
        for text in both {
            assert_eq!(files_that_hold(&sandbox, text), Vec::<PathBuf>::new(), "{text}");
        }
        on.forget_migrations();
    }

    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    assert!(!files_that_hold(&sandbox, "tok-main").is_empty());
    formula(&sandbox).args(["prune", "--older-than", "0s", "--keep", "0"]).run().exits(0);
    for text in both {
        assert_eq!(files_that_hold(&sandbox, text), Vec::<PathBuf>::new(), "{text}");
    }
}

#[test]
fn s3_an_older_version_is_a_command_away() {
    engine_or_skip!("s3_an_older_version_is_a_command_away");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    release_v0_3_3(&sandbox, &on);
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    let before = on.facts();
    formula(&sandbox).args(["run", "upgrade", "--version", "v0.3.3"]).run().exits(0);
    let newer = on.facts();
    assert_eq!(newer.release, "v0.3.3");
    formula(&sandbox).args(["run", "rollback-to", "--version", "v0.3.0"]).run().exits(0);
    let after = on.facts();
    assert_eq!((&after.release, &after.sentinel, &after.compose), (&before.release, &before.sentinel, &before.compose));
    assert_eq!(after.images(), before.images());
    assert!(after.env.expect("an env file").contains("DISINTO_VERSION=v0.3.0\n"));
}

#[test]
fn s3_a_version_from_before_the_compose_file_was_generated_gets_its_own() {
    engine_or_skip!("s3_a_version_from_before_the_compose_file_was_generated_gets_its_own");
    let sandbox = Sandbox::new();
    let on = BoxFixture::ready_box(&sandbox);
    let before = on.facts();
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    formula(&sandbox).args(["run", "rollback-to", "--version", "v0.2.0"]).run().exits(0);
    let after = on.facts();
    assert_eq!((&after.release, &after.sentinel, &after.compose), (&before.release, &before.sentinel, &before.compose));
    assert_eq!((&after.dirty, after.images()), (&before.dirty, before.images()));
    upgrade(&sandbox, &on, "v0.3.0").run().exits(0);
    assert_eq!(on.facts().release, "v0.3.0", "and from there it goes on again");
}
