//! `formula run release` with the real git, engine, registry and compose: what it makes, refuses, and finds done.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    ComposeProject, GitFixture, Image, Outside, Program, RegistryOptions, Sandbox, Shop, docker, engine_or_skip, formula,
};

const MIRRORS: [&str; 2] = ["codeberg", "github"];
const RECORD: &str = "release/v0.3.0.json";

/// The release is out, and nothing else: one annotated tag on HEAD here and on the remotes, the image under its tags at the registry, and a
/// record that says so.
#[track_caller]
pub fn assert_released(shop: &Shop<'_>, before: &Outside, run: &str, mirrors: &[&str], floating: &[&str]) {
    let (mut now, head) = (shop.outside(), shop.git.head());
    let record = now.files.remove(RECORD).expect("a record");
    assert_eq!(now.files, before.files);

    let object = now.tags.get(Shop::VERSION).expect("a tag").clone();
    assert_eq!(now.tags.len(), 1);
    assert_eq!(shop.git.git(&["cat-file", "-t", &object]), "tag", "an annotated one");
    assert_eq!(shop.git.git(&["rev-parse", "v0.3.0^{commit}"]), head);
    for remote in GitFixture::REMOTES {
        let mut expected = before.remotes[remote].clone();
        if remote == "origin" || mirrors.contains(&remote) {
            expected.insert("refs/tags/v0.3.0".into(), object.clone());
            expected.insert("refs/tags/v0.3.0^{}".into(), head.clone());
        }
        assert_eq!(now.remotes[remote], expected, "{remote}");
    }

    let mut tags: Vec<&str> = [&[Shop::VERSION], floating].concat();
    tags.sort_unstable();
    assert_eq!(now.registry.keys().collect::<Vec<_>>(), tags);
    let (id, digest) = (shop.image_id(), &now.registry[Shop::VERSION]);
    for tag in tags {
        assert_eq!((shop.pushed_image(tag), &now.registry[tag]), (id.clone(), digest), "{tag}");
    }
    let labels = docker(&["image", "inspect", "--format", "{{json .Config.Labels}}", &id.expect("an image")]);
    let labels: Value = serde_json::from_str(&labels).expect("labels are JSON");
    assert_eq!(labels["org.opencontainers.image.version"], "v0.3.0");
    assert_eq!(labels["org.opencontainers.image.revision"], head);

    let mut record: serde_json::Map<String, Value> = serde_json::from_str(&record).expect("the record is JSON");
    assert_eq!(record.remove("run"), Some(json!(run)));
    assert!(record.remove("started").is_some_and(|started| started.as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z'))));
    assert_eq!(Value::Object(record), shop.expected_record(&now, mirrors, floating));
}

/// Files below a folder that hold one of these texts.
fn files_with(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else {
            let content = fs::read(&path).expect("a file");
            let holds = |text: &&str| content.windows(text.len()).any(|window| window == text.as_bytes());
            found.extend(texts.iter().filter(|text| holds(text)).map(|text| format!("{}: {text}", path.display())));
        }
    }
    found
}

#[test]
fn a_clean_repository_is_released_and_a_second_time_there_is_nothing_to_do() {
    engine_or_skip!("a_clean_repository_is_released_and_a_second_time_there_is_nothing_to_do");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    let ran = shop.release().args(["--floating", "latest", "--json"]).run();
    ran.exits(0);
    let verdict = ran.verdict();
    assert_eq!((&verdict["outcome"], &verdict["changed"], &verdict["one_way_crossed"]), (&json!("done"), &json!(true), &json!(false)));
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &["latest"]);
    let mirrors = ["mirror[codeberg]", "mirror[github]"];
    let mut attempts = ran.steps("attempt_started");
    attempts[3..5].sort_unstable();
    assert_eq!(attempts, ["build", "push", "tag", mirrors[0], mirrors[1], "floating", "record"], "in this order, and each once");
    let mut ends = ran.steps("attempt_succeeded");
    ends[3..5].sort_unstable();
    assert_eq!(ends, attempts);

    let after = shop.outside();
    let again = shop.release().args(["--floating", "latest", "--json"]).run();
    again.exits(0);
    assert_eq!((&again.verdict()["outcome"], &again.verdict()["changed"]), (&json!("done"), &json!(false)));
    assert_eq!(again.run_id(), ran.run_id());
    assert_eq!(again.steps("attempt_started"), [""; 0]);
    assert_eq!(shop.outside(), after);
    shop.release().args(["--floating", "latest"]).run().exits(0).stderr_is("✓ nothing to do: nothing was changed run [RUN]\n");

    // Without the journal that knows of it, everything is found as it should be but the record, which names its run.
    fs::remove_dir_all(sandbox.work().join(".formula")).expect("a state directory");
    let anew = shop.release().args(["--floating", "latest", "--json"]).run();
    anew.exits(0);
    assert_eq!(anew.steps("attempt_started"), ["record"]);
    assert_released(&shop, &before, &anew.run_id(), &MIRRORS, &["latest"]);
}

#[test]
fn credentials_come_from_the_docker_configuration_or_from_a_secret_that_is_never_shown() {
    engine_or_skip!("credentials_come_from_the_docker_configuration_or_from_a_secret_that_is_never_shown");
    const PASSWORD: &str = "pass>word?correct-horse";
    const IN_BASE64: &str = "cGFzcz53b3JkP2NvcnJlY3QtaG9yc2";
    let sandbox = Sandbox::new();
    let login = Some(("ada".to_owned(), PASSWORD.to_owned()));
    let shop = Shop::with(&sandbox, RegistryOptions { login, keeps_all: false });
    let before = shop.outside();
    shop.release().run().exits(11).stderr_has("cannot be pushed").stderr_has("docker login");
    assert_eq!(shop.outside(), before);

    // The programs that are started are looked over the shoulder.
    let shims = sandbox.root().join("shims");
    fs::create_dir(&shims).expect("the sandbox is writable");
    for program in ["git", "docker", "docker-compose", "sh"] {
        let real = Program::new(&sandbox, "/bin/sh").args(["-c", &format!("command -v {program} || true")]).run();
        let seen = shims.join("seen");
        let text = format!("#!/bin/bash\nprintf '%s\\n' \"$@\" >>{}\nexec {} \"$@\"\n", seen.display(), real.stdout.trim());
        fs::write(shims.join(program), text).expect("the sandbox is writable");
        fs::set_permissions(shims.join(program), fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
    let path = sandbox.environment().into_iter().find(|(name, _)| name == "PATH").expect("a search path").1;
    let path = format!("{}:{path}", shims.display());
    let named = ["--registry-user", "ada", "--registry-secret", "REGISTRY_TOKEN", "--json", "-v"];
    shop.release().args(named).env("REGISTRY_TOKEN", "not-the-right-one").run().exits(11).never_says("not-the-right-one");
    let ran = shop.release().args(named).env("REGISTRY_TOKEN", PASSWORD).env("PATH", &path).run();
    ran.exits(0).never_says(PASSWORD).never_says(IN_BASE64);
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
    assert_eq!(files_with(&sandbox.work().join(".formula"), &[PASSWORD, IN_BASE64]), [""; 0]);
    assert_eq!(files_with(&shims, &[PASSWORD, IN_BASE64]), [""; 0], "in no argument of a program");
    assert!(!files_with(&shims, &["refs/tags/v0.3.0"]).is_empty(), "the programs were seen");
    let gone = formula(&sandbox).args(["rollback", "--yes"]).env("REGISTRY_TOKEN", PASSWORD).run();
    gone.exits(0);
    assert_eq!(shop.outside(), before);

    let host = shop.registry.host();
    let login = Program::new(&sandbox, "docker").args(["login", "--username=ada", "--password-stdin", &host]).stdin(PASSWORD).run();
    login.exits(0);
    let ran = shop.release().args(["--json"]).run();
    ran.exits(0).never_says(PASSWORD).never_says(IN_BASE64);
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
    assert_eq!(files_with(&sandbox.work().join(".formula"), &[PASSWORD, IN_BASE64]), [""; 0]);
}

#[test]
fn a_version_that_the_file_does_not_hold_is_refused() {
    engine_or_skip!("a_version_that_the_file_does_not_hold_is_refused");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    shop.git.commit("VERSION", "0.2.9\n", "Another version");
    shop.git.git(&["push", "--quiet", "origin", "main"]);
    let before = shop.outside();
    let ran = shop.release().run();
    ran.exits(11).stderr_has("`VERSION` holds `0.2.9`, the release is `0.3.0`");
    assert_eq!((shop.outside(), shop.image_id()), (before, None));
}

#[test]
fn a_tag_on_another_commit_is_refused_wherever_it_is() {
    engine_or_skip!("a_tag_on_another_commit_is_refused_wherever_it_is");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    shop.git.git(&["tag", "--annotate", "--message=Early", "v0.3.0", "HEAD~1"]);
    let before = shop.outside();
    shop.release().run().exits(11).stderr_has("tag `v0.3.0` is here already, on");
    assert_eq!((shop.outside(), shop.image_id()), (before, None));

    shop.git.git(&["push", "--quiet", "origin", "v0.3.0"]);
    shop.git.git(&["push", "--quiet", "github", "v0.3.0"]);
    shop.git.git(&["tag", "--delete", "v0.3.0"]);
    let before = shop.outside();
    let ran = shop.release().run();
    ran.exits(11).stderr_has("tag `v0.3.0` is on `origin` already, on").stderr_has("tag `v0.3.0` is on `github` already, on");
    assert_eq!((shop.outside(), shop.image_id()), (before, None));
}

#[test]
fn a_tag_on_the_same_commit_is_taken_as_it_is() {
    engine_or_skip!("a_tag_on_the_same_commit_is_taken_as_it_is");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    shop.git.git(&["tag", "--annotate", "--message=By hand", "v0.3.0"]);
    let object = shop.outside().tags["v0.3.0"].clone();
    let ran = shop.release().args(["--json"]).run();
    ran.exits(0);
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
    assert_eq!(shop.outside().tags["v0.3.0"], object);
    // It was there before, so going back leaves it.
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    let tags = BTreeMap::from([("v0.3.0".to_owned(), object)]);
    assert_eq!(shop.outside(), Outside { tags, ..before });
}

#[test]
fn a_registry_that_stops_before_the_push_holds_the_run_until_it_is_back() {
    engine_or_skip!("a_registry_that_stops_before_the_push_holds_the_run_until_it_is_back");
    let sandbox = Sandbox::new();
    let mut shop = Shop::new(&sandbox);
    let before = shop.outside();
    // The gate stands between build and push.
    shop.release().arg("--gate").run().exits(20);
    let image = shop.image_id().expect("it was built");
    shop.registry.stop();
    let held = shop.release().args(["--gate", "--yes", "--json"]).run();
    held.exits(20);
    // Two drives, two verdicts: at the gate, and at the push.
    let verdict = held.verdict();
    assert_eq!((&verdict["failed_step"], &verdict["class"], &verdict["retry_safe"]), (&json!("push"), &json!("transient"), &json!(true)));
    assert_eq!(held.steps("attempt_failed"), ["push"; 3], "tried as often as the formula says");
    assert_eq!(held.steps("attempt_started"), [""; 0], "nobody pushes to a registry that does not answer");
    assert_eq!(shop.git.git(&["tag"]), "");
    assert_eq!(sandbox.files(), before.files);

    shop.registry.restart();
    assert_eq!(shop.outside(), before);
    let ran = shop.release().args(["--gate", "--json"]).run();
    ran.exits(0);
    let attempts = ran.steps("attempt_started");
    assert_eq!((&attempts[..2], attempts.len()), (&["push".to_owned(), "tag".to_owned()][..], 5), "{attempts:?}");
    assert_eq!(shop.image_id(), Some(image));
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
}

#[test]
fn a_mirror_that_is_down_fails_alone_and_the_same_command_finishes() {
    engine_or_skip!("a_mirror_that_is_down_fails_alone_and_the_same_command_finishes");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    let (up, down) = (shop.git.remote("github"), sandbox.root().join("github.down"));
    fs::rename(&up, &down).expect("the sandbox is writable");
    let held = shop.release().args(["--json"]).run();
    held.exits(20);
    assert_eq!(held.verdict()["failed_step"], "mirror[github]");
    assert_eq!(held.steps("attempt_failed"), ["mirror[github]"]);
    assert!(!sandbox.work().join(RECORD).exists(), "nothing is recorded as released");
    let codeberg = shop.git.refs("codeberg");
    assert_eq!(codeberg.get("refs/tags/v0.3.0^{}"), Some(&shop.git.head()), "the other mirror has it");

    fs::rename(&down, &up).expect("the sandbox is writable");
    let ran = shop.release().args(["--json"]).run();
    ran.exits(0);
    assert_eq!(ran.run_id(), held.run_id());
    assert_eq!(ran.steps("attempt_started"), ["mirror[github]", "record"]);
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
}

#[test]
fn a_plan_changes_nothing_anywhere() {
    engine_or_skip!("a_plan_changes_nothing_anywhere");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let everything = || {
        let catalog = shop.registry.request("GET", "/v2/_catalog").2;
        let images = docker(&["image", "ls", "--all", "--quiet", &shop.image()]);
        let home: Vec<_> = fs::read_dir(sandbox.home()).expect("a home").flatten().map(|entry| entry.file_name()).collect();
        let refs = shop.git.git(&["for-each-ref"]) + &shop.git.git(&["status", "--porcelain"]);
        (shop.outside(), catalog, images, home, refs, sandbox.work().join(".formula").exists())
    };
    let before = everything();
    let planned = shop.formula("plan").args(["--floating", "latest", "--gate"]).run();
    planned.exits(0).stdout_has("+ build").stdout_has("? approve").stdout_has("push").stdout_has("+ tag  git-tag  create tag `v0.3.0`");
    planned.stdout_has("mirror[github]").stdout_has("floating").stdout_has("record").stderr_is("");
    let data = shop.formula("plan").args(["--json"]).run();
    data.exits(0).stderr_is("");
    let steps = data.json()[0]["preview"]["steps"].as_array().expect("steps").len();
    assert_eq!(steps, 10);
    assert_eq!(everything(), before);
}

#[test]
fn a_service_is_brought_up_with_the_released_image() {
    engine_or_skip!("a_service_is_brought_up_with_the_released_image");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let project = ComposeProject::new(&sandbox);
    Image::write_context(&sandbox, "image", "COPY marker /marker\n");
    let service = |name: &str| {
        let check = "healthcheck: {test: [CMD, /bin/busybox, test, -s, /marker], interval: 1s, retries: 3}";
        format!(
            "  {name}:\n    image: {}:${{VERSION}}\n    init: true\n    command: [/bin/busybox, sleep, '600']\n    {check}\n",
            shop.image()
        )
    };
    let file = format!("name: {}\nservices:\n{}{}", project.name, service("web"), service("other"));
    sandbox.write("docker-compose.yml", file);
    sandbox.write(".env", "VERSION=v0.2.0\n");
    shop.git.git(&["add", "--all"]);
    shop.git.git(&["commit", "--quiet", "--message=Service"]);
    shop.git.git(&["push", "--quiet", "origin", "main"]);
    let before = shop.outside();

    let ran = shop.release().args(["--restart", "web", "--json"]).run();
    ran.exits(0);
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
    let running = project.list("container");
    assert_eq!(running.len(), 1, "that service and no other");
    let state = docker(&["container", "inspect", "--format", "{{.Image}} {{.State.Health.Status}}", &running[0]]);
    assert_eq!(state, format!("{} healthy", shop.image_id().expect("an image")));
    let again = shop.release().args(["--restart", "web", "--json"]).run();
    again.exits(0);
    assert_eq!(again.verdict()["changed"], false);
    assert_eq!(project.list("container"), running, "it was left alone");

    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    assert_eq!((shop.outside(), project.list("container")), (before, Vec::new()));
}

#[test]
fn nothing_is_published_before_a_person_approves() {
    engine_or_skip!("nothing_is_published_before_a_person_approves");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    let held = shop.release().arg("--gate").run();
    held.exits(20).stderr_has("next: formula approve [RUN] approve");
    assert_eq!(shop.outside(), before);
    // Asking again is no answer.
    let still = shop.release().args(["--gate", "--json"]).run();
    still.exits(20);
    assert!(still.verdict()["next"][0].as_str().is_some_and(|next| next.starts_with("formula approve ")), "{still:?}");
    assert_eq!(shop.outside(), before);

    formula(&sandbox).args(["approve", "--reason", "looked at it"]).run().exits(0);
    let ran = shop.release().args(["--gate", "--json"]).run();
    ran.exits(0);
    assert_eq!(ran.run_id(), still.run_id());
    assert_released(&shop, &before, &ran.run_id(), &MIRRORS, &[]);
    formula(&sandbox).args(["approve"]).run().exits(2).stderr_has("no such gate open");
}

#[test]
fn what_a_person_denies_is_not_published() {
    engine_or_skip!("what_a_person_denies_is_not_published");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let before = shop.outside();
    shop.release().arg("--gate").run().exits(20).stderr_has("next: formula approve [RUN] approve");
    formula(&sandbox).args(["approve", "--deny", "--reason", "too early"]).run().exits(0);
    let ran = shop.release().args(["--gate", "--json"]).run();
    ran.exits(20);
    // A denial is no answer for ever: it is asked again.
    assert_eq!(ran.steps("gate_opened"), ["approve"]);
    assert_eq!((ran.steps("attempt_started"), shop.outside()), (Vec::new(), before.clone()));
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    assert_eq!(shop.outside(), before);
    // Rolled back, the same command asks anew.
    shop.release().arg("--gate").run().exits(20).stderr_has("formula approve");
}
