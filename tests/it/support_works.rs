//! The tools themselves, so that a test which fails for want of a tool is not taken for a defect of `formula`.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::support::{BoxFixture, ComposeProject, GitFixture, Image, Program, Redactor, RegistryOptions, RegistryServer, Sandbox};
use crate::support::{docker, engine_or_skip, formula};

fn shell<'a>(sandbox: &'a Sandbox, script: &str) -> Program<'a> {
    Program::new(sandbox, "sh").args(["-c", script])
}

/// The message of a failing assertion.
fn complaint<T>(assertion: impl FnOnce() -> T) -> String {
    let checked = std::panic::AssertUnwindSafe(|| drop(assertion()));
    let panic = std::panic::catch_unwind(checked).expect_err("the assertion holds");
    panic.downcast_ref::<String>().cloned().expect("assertions say why")
}

#[test]
fn a_program_sees_nothing_of_the_tester() {
    let sandbox = Sandbox::new();
    let ran = shell(&sandbox, "env | grep -v -e ^PATH= -e ^DOCKER_HOST= -e ^_= -e ^SHLVL= | sort; pwd").env("EXTRA", "1").run();
    ran.exits(0).stderr_is("").stdout_is(
        "DOCKER_CONFIG=[SANDBOX]/home/.docker\nEXTRA=1\nFORMULA_TEST_SANDBOX=[SANDBOX]\nGIT_CONFIG_NOSYSTEM=1\nGIT_TERMINAL_PROMPT=0\n\
         HOME=[SANDBOX]/home\nLANG=C.UTF-8\nPWD=[WORK]\nTMPDIR=[SANDBOX]/tmp\nTZ=UTC\nUSER=ada\n[WORK]\n",
    );
    assert_eq!(sandbox.files(), BTreeMap::new());
}

#[test]
fn the_program_under_test_starts() {
    let sandbox = Sandbox::in_memory();
    let ran = formula(&sandbox).args(["--version"]).run();
    ran.exits(0);
}

#[test]
fn assertions_on_what_a_program_did_say_what_differs() {
    let sandbox = Sandbox::new();
    sandbox.write("sub/in.txt", "two\n");
    let ran = shell(&sandbox, "echo one; cat in.txt; cat; echo told >&2; exit 3").folder("sub").stdin("three\n").run();
    ran.exits(3).stdout_is("one\ntwo\nthree\n").stderr_is("told\n").stdout_has("two").stderr_has("told").never_says("secret");
    assert_eq!(sandbox.read("sub/in.txt"), "two\n");

    let story = "$ sh -c echo one; cat in.txt; cat; echo told >&2; exit 3\n--- stdout\none\ntwo\nthree\n--- stderr\ntold\n--- exit code 3";
    assert_eq!(complaint(|| ran.exits(0)), format!("expected exit code 0\n{story}"));
    let differs = "stdout differs (- expected, + found)\n  one\n- 2\n+ two\n  three\n";
    assert_eq!(complaint(|| ran.stdout_is("one\n2\nthree\n")), format!("{differs}{story}"));
    let differs = "stderr differs (- expected, + found)\n- told⏎ missing\n+ told\n";
    assert_eq!(complaint(|| ran.stderr_is("told")), format!("{differs}{story}"));
    assert!(complaint(|| ran.never_says("told")).starts_with("`told` was printed\n"));
    assert!(complaint(|| ran.was_killed()).starts_with("expected to be killed\n"));
    assert!(complaint(|| ran.json()).starts_with("no JSON (expected value at line 1 column 1): one\n"));
}

#[test]
fn json_lines_are_read() {
    let sandbox = Sandbox::new();
    let ran = shell(&sandbox, r#"echo '{"seq":1}'; echo '{"seq":2}'"#).run();
    let numbers: Vec<_> = ran.json().iter().map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let mut redactor = Redactor::new();
    redactor.literal("127.0.0.1:40123", "[REGISTRY]");
    for (text, expected) in [
        ("run 01JB2M4T8ZQX3V5W7Y9A1C3E5G held", "run [RUN] held"),
        ("at 2026-01-02T03:04:05.678Z.", "at [TIME]."),
        ("12:30:01 build", "[TIME] build"),
        ("build ok (1.2s), push ok (340ms), all (1h 2m 3s)", "build ok ([DURATION]), push ok ([DURATION]), all ([DURATION])"),
        ("127.0.0.1:40123/app:v1.2.0", "[REGISTRY]/app:v1.2.0"),
        ("3 steps, 2 skipped, version v1.2.3", "3 steps, 2 skipped, version v1.2.3"),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
}

#[test]
fn a_program_is_killed_at_a_line_and_what_it_left_is_found() {
    let sandbox = Sandbox::new();
    let script = "sleep 600 & echo ready; echo begin >&2; wait; echo after";
    let mut running = shell(&sandbox, script).env("A", "b").start();
    assert!(running.wait_for_line(|line| line == "begin"));
    assert!(running.wait_for_lines(2, |line| line == "ready" || line == "begin"));
    running.kill();
    running.finish().was_killed().stdout_is("ready\n").stderr_is("begin\n");
    // The shell is gone, the child that it had started is not, and goes with the sandbox.
    let survivors = sandbox.survivors();
    assert_eq!(survivors.len(), 1, "{survivors:?}");
    drop(sandbox);
    let left = format!("/proc/{}/stat", survivors[0]);
    let state = std::fs::read_to_string(left).unwrap_or_default();
    assert!(state.is_empty() || state.contains(" Z "), "{state}");
}

#[test]
fn a_program_that_ends_before_its_line_was_not_killed() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "echo one; echo two; exit 7").run_and_kill_at(|line| line == "three").exits(7).stdout_is("one\ntwo\n");
    shell(&sandbox, "echo one; while :; do sleep 1; done").run_and_kill_at(|line| line == "one").was_killed();
}

#[test]
fn a_signal_reaches_the_program() {
    let sandbox = Sandbox::new();
    let mut running = shell(&sandbox, "trap 'echo stopped; exit 143' TERM; echo ready; while :; do sleep 0.05; done").start();
    assert!(running.wait_for_line(|line| line == "ready"));
    running.signal(Signal::TERM);
    running.finish().exits(143).stdout_is("ready\nstopped\n");
}

#[test]
fn a_repository_has_an_origin_and_two_mirrors() {
    let sandbox = Sandbox::new();
    let git = GitFixture::new(&sandbox);
    let head = git.head();
    for remote in GitFixture::REMOTES {
        assert_eq!(git.refs(remote), BTreeMap::from([("refs/heads/main".to_owned(), head.clone())]));
    }
    assert_eq!(git.git(&["status", "--porcelain", "--branch"]), "## main...origin/main");
    assert_eq!(sandbox.files(), BTreeMap::from([("VERSION".to_owned(), "v0.1.0\n".to_owned())]));

    let next = git.commit("src/a.txt", "a", "Add a");
    git.git(&["tag", "--annotate", "--message=Next", "v0.2.0"]);
    git.git(&["push", "--quiet", "origin", "v0.2.0"]);
    let refs = git.refs("origin");
    assert_eq!(refs["refs/tags/v0.2.0^{}"], next);
    assert_ne!(refs["refs/tags/v0.2.0"], next);

    git.refuse_pushes("codeberg", Some("closed today"));
    Program::new(&sandbox, "git").args(["push", "--quiet", "codeberg", "main"]).run().exits(1).stderr_has("remote: closed today");
    git.refuse_pushes("codeberg", None);
    git.git(&["push", "--quiet", "codeberg", "main"]);
    assert_eq!(git.refs("codeberg")["refs/heads/main"], next);
}

#[test]
fn an_image_is_built_pushed_and_taken_away() {
    engine_or_skip!("an_image_is_built_pushed_and_taken_away");
    let sandbox = Sandbox::new();
    let mut registry = RegistryServer::start(&sandbox);
    let (name, host) = (sandbox.name().to_owned(), registry.host());
    let reference = format!("{host}/{name}:v1");
    let image = Image::build(&sandbox, &reference, "one");
    assert!(image.id().is_some());
    assert_eq!(docker(&["run", "--rm", &reference, "/bin/busybox", "cat", "/marker"]), "one");
    docker(&["push", "--quiet", &reference]);
    assert_eq!(registry.tags(&name), ["v1"]);
    let digest = registry.digest(&name, "v1").expect("it was just pushed");
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(registry.digest(&name, "v2"), None);

    registry.stop();
    std::net::TcpStream::connect(&host).expect_err("nothing listens there any more");
    registry.restart();
    assert_eq!((registry.host(), registry.digest(&name, "v1")), (host, Some(digest.clone())));
    assert_eq!(registry.request("DELETE", &format!("/v2/{name}/manifests/{digest}")).0, 202);
    assert_eq!(registry.digest(&name, "v1"), None);

    drop(image);
    assert_eq!(Image::adopt(&reference).id(), None);
}

#[test]
fn a_registry_may_want_a_login_and_keep_everything() {
    engine_or_skip!("a_registry_may_want_a_login_and_keep_everything");
    let sandbox = Sandbox::new();
    let login = Some(("ada".to_owned(), "pass>word?é".to_owned()));
    let registry = RegistryServer::with(&sandbox, RegistryOptions { login, keeps_all: true });
    let (name, host) = (sandbox.name().to_owned(), registry.host());
    let image = Image::build(&sandbox, &format!("{host}/{name}:v1"), "closed");
    let push = || Program::new(&sandbox, "docker").args(["push", &image.reference]).run();
    push().exits(1).stderr_has("no basic auth credentials");
    let wrong = Program::new(&sandbox, "docker").args(["login", "--username=ada", "--password-stdin", &host]).stdin("wrong").run();
    wrong.exits(1);
    let right = Program::new(&sandbox, "docker").args(["login", "--username=ada", "--password-stdin", &host]).stdin("pass>word?é").run();
    right.exits(0);
    push().exits(0);
    let digest = registry.digest(&name, "v1").expect("it was just pushed");
    assert_eq!(registry.request("DELETE", &format!("/v2/{name}/manifests/{digest}")).0, 405);
}

#[test]
fn a_compose_project_leaves_nothing_behind() {
    engine_or_skip!("a_compose_project_leaves_nothing_behind");
    let sandbox = Sandbox::new();
    let project = ComposeProject::new(&sandbox);
    let image = Image::build(&sandbox, &format!("{}:v1", sandbox.name()), "compose");
    let file = format!(
        "services: {{one: {{image: '{}', init: true, command: [/bin/busybox, sleep, '600'], volumes: ['data:/data']}}}}\nvolumes: {{data: {{}}}}\n",
        image.reference
    );
    sandbox.write("compose.yml", file);
    Program::new(&sandbox, "docker").args(["compose", "--project-name", &project.name, "up", "--detach"]).run().exits(0);
    let kinds = ["container", "network", "volume"];
    assert_eq!(kinds.map(|kind| project.list(kind).len()), [1, 1, 1]);
    drop(project);
    assert_eq!(kinds.map(|kind| ComposeProject::new(&sandbox).list(kind).len()), [0, 0, 0]);
}

#[test]
fn a_box_is_installed_drifts_and_leaves_nothing_behind() {
    engine_or_skip!("a_box_is_installed_drifts_and_leaves_nothing_behind");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::ready_box(&sandbox);
    let first = fixture.facts();
    assert_eq!((first.release.as_str(), first.dirty.len(), first.migrated.len()), ("v0.2.0", 0, 0));
    assert_eq!(first.containers.keys().collect::<Vec<_>>(), ["agents", "depot", "edge"]);
    assert!(first.containers.values().all(|container| container.state == "running"), "{first:?}");
    assert_eq!(first.volumes, ["agent-data", "depot-data", "project-repos"]);
    assert_eq!((first.answers.as_deref(), first.sentinel.as_deref()), (Some("v0.2.0"), Some(BoxFixture::SENTINEL)));
    for service in ["depot", "agents", "edge"] {
        assert_eq!(fixture.registry.tags(&format!("mill/{service}")), ["v0.2.0", "v0.3.0", "v0.3.1", "v0.3.2"]);
    }
    assert_eq!(fixture.health_url(), format!("http://127.0.0.1:{}/api/version", fixture.port));
    fixture.git(&["checkout", "--quiet", "v0.2.1"]);
    let migrate = || Program::new(&sandbox, "./migrations/v0.2.1.sh").run();
    fixture.fail_migration(Some("v0.2.1"));
    migrate().exits(7);
    fixture.fail_migration(None);
    migrate().exits(0);
    fixture.git(&["checkout", "--quiet", "v0.2.0"]);
    assert_eq!(fixture.facts().migrated, ["v0.2.1"]);
    fixture.unpublish("agents", "v0.3.0");
    assert_eq!(fixture.registry.tags("mill/agents"), ["v0.2.0", "v0.3.1", "v0.3.2"]);

    fixture.drift();
    let later = fixture.facts();
    assert_eq!(later.dirty, ["M docker-compose.yml", "?? NOTES.txt"]);
    assert_eq!(later.containers.keys().collect::<Vec<_>>(), ["agents", "agents-llama", "depot", "edge"]);
    assert_eq!((first.ids()["depot"], first.images()["depot"]), (later.ids()["depot"], later.images()["depot"]));
    let (project, local) = (fixture.project.name.clone(), fixture.local_image());
    drop(fixture);
    for kind in ["container", "network", "volume"] {
        assert_eq!(docker(&[kind, "ls", "--quiet", "--filter", &format!("label=com.docker.compose.project={project}")]), "");
    }
    assert_eq!(docker(&["image", "ls", "--quiet", &local]), "");
}
