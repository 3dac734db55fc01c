//! `formula doctor`, and the kind `survey`, on a whole box. Tests are named after the cases that they show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{BoxFixture, Program, Ran, Sandbox, docker, engine_or_skip, formula};

/// Severity by check, of those that are not as they should be.
fn drifted(ran: &Ran) -> BTreeMap<String, String> {
    let report = ran.json().remove(0);
    let checks = report["checks"].as_array().expect("a list of checks").iter().filter(|check| check["status"] == "drift");
    checks.map(|check| (text(&check["id"]), text(&check["severity"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn check(ran: &Ran, id: &str) -> Value {
    let report = ran.json().remove(0);
    let found = report["checks"].as_array().and_then(|checks| checks.iter().find(|check| check["id"] == id).cloned());
    found.unwrap_or_else(|| panic!("no check {id}"))
}

fn blockers(ran: &Ran) -> Vec<String> {
    drifted(ran).into_iter().filter(|(_, severity)| severity == "blocker").map(|(id, _)| id).collect()
}

/// The steps of the reset that are done, and those that are not.
fn reset(ran: &Ran) -> (Vec<String>, Vec<String>) {
    let report = ran.json().remove(0);
    let steps = report["reset"].as_array().expect("a list of steps").clone();
    let (done, left): (Vec<Value>, Vec<Value>) = steps.into_iter().partition(|step| step["done"] == true);
    let names = |steps: Vec<Value>| steps.iter().map(|step| text(&step["step"])).collect();
    (names(done), names(left))
}

const SURVEY: &str = "name = 'look'\nversion = 1\n[[steps]]\nid = 'survey'\nuses = 'survey'\n[steps.with]\n";

#[test]
fn d1_a_drifted_box_is_seen_through_and_left_alone() {
    engine_or_skip!("d1_a_drifted_box_is_seen_through_and_left_alone");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::build(&sandbox);
    fixture.baseline();
    fixture.drift();
    let before = (fixture.facts(), sandbox.files());
    let timed = || {
        let started = Instant::now();
        (formula(&sandbox).args(["doctor", "--json"]).run(), started.elapsed())
    };
    // Other tests may be at work: the fastest of three tells what the program takes.
    let [(ran, one), (_, two), (_, three)] = [timed(), timed(), timed()];
    let took = one.min(two).min(three);
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    ran.exits(30).never_says("s3cr3t").never_says("ghp-leaked").never_says("tok-");
    let expected = ["d1", "d11", "d12", "d13", "d14", "d3", "d4", "d5", "d6", "d7", "d8", "d9"];
    assert_eq!(drifted(&ran).keys().collect::<Vec<_>>(), expected, "{}", ran.stdout);
    assert_eq!(blockers(&ran), ["d1", "d11", "d12", "d13", "d7"]);
    assert_eq!((fixture.facts(), sandbox.files()), before, "it looks only");

    // D3: the box is stale, the reset is shown in order with how each step stands, and an upgrade is refused before anything changes.
    let order = ["down", "checkout", "config-dir", "credentials", "rotate", "images", "up", "verify"];
    assert_eq!(ran.json()[0]["stale"], true);
    assert_eq!(reset(&ran), (Vec::new(), order.map(str::to_owned).to_vec()));
    let plain = formula(&sandbox).args(["doctor"]).run();
    plain.exits(30).stdout_has("The box is stale").stdout_has("1. [to do] Stop the stack  (docs/client-box-bootstrap.md#down)");
    plain.stdout_has("`FORGE_TOKEN_DEV_QWEN` and `FORGE_PASS_DEV_QWEN` not set").stdout_has("d8 warn: ").stderr_has("5 blockers");
    // E12: the forbidden key is named, its value is not.
    plain.stdout_has("`GITHUB_TOKEN` must not be in `.env`").never_says("ghp-leaked");
    sandbox.write("formulas/look.toml", SURVEY);
    let refused = formula(&sandbox).args(["run", "look"]).run();
    refused.exits(11).stderr_has("5 blockers").stderr_has("d13 ").stderr_has("the box is stale").stderr_has("8. [to do] Verify");
}

#[test]
fn d2_a_box_with_key_credentials_and_link_has_no_blocker() {
    engine_or_skip!("d2_a_box_with_key_credentials_and_link_has_no_blocker");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::ready_box(&sandbox);
    fixture.append(".env", "DISINTO_VERSION=v0.2.0\n");
    let ran = formula(&sandbox).args(["doctor", "--json"]).run();
    ran.exits(0);
    assert_eq!(blockers(&ran), [""; 0]);
    assert_eq!(ran.json()[0]["stale"], false);

    // D6: the tag moves under one container.
    docker(&["tag", &fixture.image("depot", "v0.2.0"), &fixture.local_image()]);
    let ran = formula(&sandbox).args(["doctor", "--json"]).run();
    ran.exits(0);
    let moved = text(&check(&ran, "d5")["evidence"]);
    assert!(moved.starts_with("`agents` is of unknown vintage") && !moved.contains("edge") && !moved.contains("depot"), "{moved}");

    // D5: the key runs ahead of everything else.
    fixture.append(".env", "DISINTO_VERSION=v0.3.0\n");
    let ran = formula(&sandbox).args(["doctor", "--json"]).run();
    ran.exits(30);
    assert_eq!(blockers(&ran), ["d3"]);
    let evidence = text(&check(&ran, "d3")["evidence"]);
    for reading in ["VERSION 0.2.0", "git tag v0.2.0", "DISINTO_VERSION v0.3.0", "compose latest (agents) v0.2.0 (edge)", "running "] {
        assert!(evidence.contains(reading), "`{reading}` in {evidence}");
    }
    formula(&sandbox).args(["doctor", "--accept", "d3"]).run().exits(0).stdout_has("d3 accepted");
    formula(&sandbox).args(["doctor", "--accept", "d99"]).run().exits(10).stderr_has("`d99`");
}

#[test]
fn d14_a_password_in_a_clone_that_lies_in_a_volume_is_seen_and_not_shown() {
    engine_or_skip!("d14_a_password_in_a_clone_that_lies_in_a_volume_is_seen_and_not_shown");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::ready_box(&sandbox);
    let doctor = || formula(&sandbox).args(["doctor", "--json"]).run();
    assert_eq!(check(&doctor(), "d14")["status"], "ok", "{}", doctor().stdout);
    let clone = sandbox.root().join("mill");
    let remote = "[remote \"origin\"]\n\turl = http://dev-bot:s3cr3t@127.0.0.1:1/ada/mill.git\n";
    std::fs::create_dir_all(clone.join(".git")).expect("the sandbox is writable");
    std::fs::write(clone.join(".git/config"), remote).expect("the sandbox is writable");
    docker(&["cp", &clone.to_string_lossy(), &format!("{}-agents-1:/repos/mill", fixture.project.name)]);
    let before = fixture.facts();
    let ran = doctor();
    ran.never_says("s3cr3t");
    let found = check(&ran, "d14");
    assert_eq!((text(&found["status"]), text(&found["severity"])), ("drift".into(), "warn".into()), "{found}");
    let volume = format!("{}_project-repos", fixture.project.name);
    let evidence = text(&found["evidence"]);
    assert!(evidence.contains(&format!("`mill` in volume `{volume}` holds a password: http://***@127.0.0.1:1/ada/mill.git")), "{evidence}");
    assert!(text(&found["remedy"]).contains(&format!("CREDENTIALS_VOLUMES='{volume}'")), "{found}");
    assert_eq!(fixture.facts(), before, "it looks only");
}

#[test]
fn d4_the_printed_steps_bring_the_box_back() {
    engine_or_skip!("d4_the_printed_steps_bring_the_box_back");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::build(&sandbox);
    fixture.baseline();
    fixture.drift();
    let doctor = || formula(&sandbox).args(["doctor", "--json"]).run();
    let has = |ran: &Ran, id: &str, remedy: &str| {
        let told = text(&check(ran, id)["remedy"]);
        assert!(told.contains(remedy), "`{remedy}` in {told}");
    };
    let ran = doctor();
    let step = |script: &str| {
        Program::new(&sandbox, "sh").args(["-euc", script]).run().exits(0);
    };
    // down
    step(&format!("docker compose -p {} down --remove-orphans", fixture.project.name));
    assert_eq!(reset(&doctor()).0, ["down"]);
    // checkout
    for (id, remedy) in
        [("d1", "git stash push -- docker-compose.yml"), ("d8", "mv docker-compose.override.yml docker-compose.override.yml.old")]
    {
        has(&ran, id, remedy);
        step(remedy);
    }
    // config-dir: where it must lead is the box's own choice
    let shared = sandbox.home().join("shared/config");
    fixture.append(".env", &format!("\nCLAUDE_CONFIG_DIR={}\n", shared.display()));
    step(&text(&check(&doctor(), "d13")["remedy"]));
    assert!(shared.join("settings.json").is_file(), "what was there is in the shared place");
    // credentials
    has(&ran, "d14", "git remote set-url forgejo http://127.0.0.1:1/ada/mill.git");
    step("git remote set-url forgejo http://127.0.0.1:1/ada/mill.git");
    // rotate
    has(&ran, "d11", "chmod 600 .env");
    step(
        "sed -i -e '/^ENABLE_LLAMA_AGENT=/d' -e '/^FORGE_TOKEN_LLAMA=/d' -e '/^GITHUB_TOKEN=/d' -e '0,/^FORGE_TOKEN=/{/^FORGE_TOKEN=/d}' .env && chmod 600 .env",
    );
    has(&ran, "d12", "set FORGE_TOKEN_DEV_QWEN and FORGE_PASS_DEV_QWEN in .env");
    fixture.append(".env", "FORGE_TOKEN_DEV_QWEN=tok-qwen\nFORGE_PASS_DEV_QWEN=pw-qwen\n");
    let left = reset(&doctor()).1;
    assert_eq!(left, ["images", "up", "verify"], "{}", doctor().stdout);
    // up
    fixture.compose(&["up", "--detach", "--wait"]);
    let ran = doctor();
    ran.exits(0);
    assert_eq!((blockers(&ran).len(), ran.json()[0]["stale"].as_bool()), (0, Some(false)));
    sandbox.write("formulas/look.toml", SURVEY);
    formula(&sandbox).args(["run", "look"]).run().exits(0);
    assert_eq!(fixture.facts().sentinel.as_deref(), Some(BoxFixture::SENTINEL));
}

#[test]
fn e11_missing_credentials_and_unfinished_runs_refuse() {
    engine_or_skip!("e11_missing_credentials_and_unfinished_runs_refuse");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::ready_box(&sandbox);
    let env = sandbox.read(".env");
    sandbox.write(".env", env.replace("FORGE_TOKEN_DEV_QWEN=tok-qwen\nFORGE_PASS_DEV_QWEN=pw-qwen\n", ""));
    fixture.chmod(".env", 0o600);
    let before = fixture.facts();
    let after = "[[steps]]\nid = 'touch'\nuses = 'shell'\n[steps.with]\ncommand = ['false']\n";
    sandbox.write("formulas/look.toml", format!("{SURVEY}health_urls = ['{}']\n{after}", fixture.health_url()));
    let ran = formula(&sandbox).args(["run", "look"]).run();
    ran.exits(11).stderr_has("`FORGE_TOKEN_DEV_QWEN` and `FORGE_PASS_DEV_QWEN` not set");
    assert_eq!(fixture.facts().ids(), before.ids());

    // d18: a run that is held is in the way of every run but itself.
    sandbox.write(".env", env);
    fixture.chmod(".env", 0o600);
    let ran = formula(&sandbox).args(["run", "look", "--json"]).run();
    ran.exits(20);
    let survey = ran.events("attempt_succeeded");
    assert!(survey.iter().all(|event| event["step"] != "touch"), "{survey:?}");
    let ran = formula(&sandbox).args(["doctor", "--json"]).run();
    ran.exits(30);
    assert_eq!(blockers(&ran), ["d18"]);
    formula(&sandbox).args(["run", "look"]).run().exits(20);
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    formula(&sandbox).args(["doctor"]).run().exits(0).stdout_has("d18 ok");
}

#[test]
fn a_box_of_another_kind_describes_itself() {
    let sandbox = Sandbox::new();
    sandbox.write("box.toml", "[env]\nforbiden = ['X']\n");
    let ran = formula(&sandbox).args(["doctor"]).run();
    ran.exits(10).stderr_has("`box.toml`:2:1: unknown field `forbiden`");
    sandbox.write("other.toml", "[env]\nforbidden = ['KEY']\n");
    sandbox.write(".env", "KEY=value-of-it\n");
    let ran = formula(&sandbox).args(["doctor", "--box", "other.toml"]).run();
    ran.exits(30).stdout_has("`KEY` must not be in `.env`").stdout_has("d13 ok").stdout_has("d2 blocker").never_says("value-of-it");
    formula(&sandbox).args(["doctor", "--box", "none.toml"]).run().exits(10).stderr_has("there is no `none.toml`");
}

#[test]
fn every_anchor_of_the_reset_is_in_the_runbook() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let kind = formula_steps::drift::KindOfBox::parse(formula_steps::drift::SHIPPED, "box.toml").expect("it is sound");
    let page = std::fs::read_to_string(root.join(&kind.runbook)).expect("the runbook is there");
    let found: Vec<usize> = kind
        .reset
        .iter()
        .map(|step| page.find(&format!("<a id=\"{}\"></a>", step.id)).unwrap_or_else(|| panic!("the runbook lacks `{}`", step.id)))
        .collect();
    assert!(found.is_sorted(), "the runbook tells the steps in the order of the reset");
}

#[test]
fn bootstrap_asks_before_it_touches_credentials_or_data_and_brings_the_box_back() {
    engine_or_skip!("bootstrap_asks_before_it_touches_credentials_or_data_and_brings_the_box_back");
    let sandbox = Sandbox::new();
    let fixture = BoxFixture::build(&sandbox);
    fixture.baseline();
    fixture.drift();
    let shared = sandbox.home().join("shared/config").to_string_lossy().into_owned();
    let run = || formula(&sandbox).args(["run", "bootstrap", "--version", "v0.3.0", "--config-dir", &shared, "--remote", "origin"]).run();
    let link = sandbox.home().join(".claude");
    for gate in ["approve-config-dir", "approve-credentials", "approve-rotate", "approve-data"] {
        let ran = run();
        ran.exits(20).stderr_has(gate).never_says("s3cr3t").never_says("ghp-leaked");
        match gate {
            "approve-config-dir" => assert!(!link.is_symlink()),
            "approve-credentials" => assert!(link.is_symlink() && fixture.git(&["remote", "get-url", "forgejo"]).contains("s3cr3t")),
            "approve-rotate" => {
                assert_eq!(fixture.git(&["remote", "get-url", "forgejo"]), "http://127.0.0.1:1/ada/mill.git");
                assert!(sandbox.read(".env").contains("ENABLE_LLAMA_AGENT"));
                let keys = format!("\nFORGE_TOKEN_DEV_QWEN=tok-qwen\nFORGE_PASS_DEV_QWEN=pw-qwen\nCLAUDE_CONFIG_DIR={shared}\n");
                fixture.append(".env", &keys);
            }
            _ => assert_eq!(fixture.facts().containers.len(), 0, "the stack is down until its data may be touched"),
        }
        formula(&sandbox).args(["approve"]).run().exits(0);
    }
    run().exits(0);
    let facts = fixture.facts();
    assert_eq!((facts.release.as_str(), facts.answers.as_deref()), ("v0.3.0", Some("v0.3.0")));
    assert_eq!(facts.sentinel.as_deref(), Some(BoxFixture::SENTINEL), "the data is there");
    assert_eq!(facts.containers.keys().collect::<Vec<_>>(), ["agents", "agents-dev-qwen", "depot", "edge"]);
    assert_eq!(facts.migrated, ["v0.2.1", "v0.2.2", "v0.3.0"]);
    let helper = "printf 'protocol=http\\nhost=127.0.0.1:1\\n\\n' | git credential fill";
    Program::new(&sandbox, "sh").args(["-euc", helper]).run().exits(0).stdout_has("username=dev-bot\npassword=p|a&s\\s\n");
    let ran = formula(&sandbox).args(["doctor", "--json"]).run();
    ran.exits(0);
    let drifted = drifted(&ran);
    assert!(drifted.keys().all(|id| ["d3", "d11"].contains(&id.as_str())), "{drifted:?}");
}
