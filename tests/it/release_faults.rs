//! What stands in the way of a release, and what breaks underneath it: every problem is said at once, before anything is made; and a disk or a
//! journal that fails never looks like success.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::release::assert_released;
use crate::support::{Program, RegistryOptions, Sandbox, Shop, engine_or_skip, formula, may_mount};

#[test]
fn every_problem_is_said_at_once_and_nothing_is_made() {
    engine_or_skip!("every_problem_is_said_at_once_and_nothing_is_made");
    let sandbox = Sandbox::new();
    let mut shop = Shop::new(&sandbox);
    shop.git.commit("more", "more", "More");
    shop.git.git(&["push", "--quiet", "origin", "main"]);
    let before = shop.outside();
    let git = |args: &[&str]| drop(shop.git.git(args));

    sandbox.write("more", "changed");
    shop.release().run().exits(11).stderr_has("a file is changed and not committed: `more`");
    git(&["checkout", "--quiet", "more"]);

    git(&["switch", "--quiet", "--create", "side"]);
    shop.release().run().exits(11).stderr_has("HEAD is on branch `side`, releases are cut from `main`");
    git(&["switch", "--quiet", "main"]);

    git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    shop.release().run().exits(11).stderr_has("HEAD is 1 commit behind `origin/main`");
    git(&["reset", "--quiet", "--hard", "HEAD@{1}"]);

    shop.release().args(["--mirrors", "nowhere"]).run().exits(11).stderr_has("there is no remote `nowhere`");
    assert_eq!((shop.outside(), shop.image_id()), (before.clone(), None));

    // All of it together.
    git(&["switch", "--quiet", "side"]);
    git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    git(&["tag", "v0.3.0", "HEAD~1"]);
    sandbox.write("VERSION", "0.2.9\n");
    shop.registry.stop();
    let ran = shop.release().args(["--mirrors", "nowhere"]).run();
    ran.exits(11).stderr_has("7 problems").stderr_has("`VERSION` holds `0.2.9`").stderr_has("not committed: `VERSION`");
    ran.stderr_has("on branch `side`")
        .stderr_has("`origin/main`")
        .stderr_has("tag `v0.3.0` is here already")
        .stderr_has("no remote `nowhere`");
    ran.stderr_has("cannot be pushed").stderr_has("refused before anything was changed");
    shop.registry.restart();
    let git = |args: &[&str]| drop(shop.git.git(args));
    git(&["tag", "--delete", "v0.3.0"]);
    git(&["checkout", "--quiet", "--force", "main"]);
    assert_eq!((shop.outside(), shop.image_id()), (before, None));
}

#[test]
fn a_wrong_password_is_refused_before_anything_is_made() {
    engine_or_skip!("a_wrong_password_is_refused_before_anything_is_made");
    let sandbox = Sandbox::new();
    let shop = Shop::with(&sandbox, RegistryOptions { login: Some(("ada".into(), "right-password".into())), keeps_all: false });
    let before = shop.outside();
    let named = ["--registry-user", "ada", "--registry-secret", "REGISTRY_TOKEN"];
    let ran = shop.release().args(named).env("REGISTRY_TOKEN", "wrong-password").run();
    ran.exits(11).stderr_has("the secret `REGISTRY_TOKEN`").never_says("wrong-password");
    assert_eq!((shop.outside(), shop.image_id()), (before, None));
}

#[test]
fn a_build_that_fails_inside_its_stream_is_a_failed_step() {
    engine_or_skip!("a_build_that_fails_inside_its_stream_is_a_failed_step");
    let sandbox = Sandbox::new();
    let shop = Shop::new(&sandbox);
    let sound = sandbox.read("image/Dockerfile");
    let commit = |text: &str| {
        let commit = shop.git.commit("image/Dockerfile", text, "Dockerfile");
        shop.git.git(&["push", "--quiet", "origin", "main"]);
        commit
    };
    commit(&format!("{sound}COPY missing /missing\n"));
    let before = shop.outside();
    let held = shop.release().args(["--json"]).run();
    held.exits(20);
    let verdict = held.verdict();
    assert_eq!((&verdict["failed_step"], &verdict["class"]), (&json!("build"), &json!("permanent")));
    let message = verdict["message"].as_str().expect("words");
    assert!(message.contains("COPY failed") && message.contains("missing"), "the engine's own words: {message}");
    assert_eq!((shop.outside(), shop.image_id()), (before, None));

    // This run stays with its commit: the tag would stand on it, whatever the image is made from.
    commit(&sound);
    let before = shop.outside();
    shop.release().run().exits(20).stderr_has("COPY failed").stderr_has("HEAD has moved on");
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(0);
    let ran = shop.release().args(["--json"]).run();
    ran.exits(0);
    assert_released(&shop, &before, &ran.run_id(), &["codeberg", "github"], &[]);
}

/// A formula whose second step fills the state directory, the first time it runs.
const FILLS: &str = r#"
name = "fills"

[[steps]]
id = "first"
uses = "write-file"
with = { path = "first.txt", content = "1" }

[[steps]]
id = "fill"
uses = "shell"
with = { idempotent = true, script = '''
[ -e filled ] || { touch filled; cat /dev/zero >state/filler || true; }''' }

[[steps]]
id = "last"
uses = "write-file"
with = { path = "last.txt", content = "2" }
"#;

#[test]
fn a_full_disk_stops_the_run_and_room_lets_it_go_on() {
    if !may_mount("a_full_disk_stops_the_run_and_room_lets_it_go_on") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("fills.toml", FILLS);
    fs::create_dir(sandbox.work().join("state")).expect("the sandbox is writable");
    let program = env!("CARGO_BIN_EXE_formula");
    let script = format!(
        "mount -t tmpfs -o size=1m,mode=700 tmpfs state
         run() {{ {program} --state-dir state run ./fills.toml; }}
         run 2>full || echo full $?
         [ -e first.txt ] && ! [ -e last.txt ] && echo stopped
         cat /dev/zero >state/more 2>/dev/null || true # letting go of the journal gave some room back
         run 2>still || echo still $?
         rm state/filler state/more
         run 2>room && cat first.txt last.txt && echo
         run 2>again && cat again"
    );
    let ran = Program::new(&sandbox, "unshare").args(["--mount", "sh", "-c", &script]).run();
    ran.stdout_is("full 74\nstopped\nstill 74\n12\n✓ nothing to do: nothing was changed run [RUN]\n");
    let said = sandbox.read("full");
    assert!(said.contains("cannot write the journal") && said.contains("make room"), "{said}");
    assert!(sandbox.read("room").contains("carrying on with run"), "{}", sandbox.read("room"));
}

/// Nobody could tell by looking whether this took effect, and it must not be repeated.
const FILLS_ONCE: &str = r#"
name = "once"
description = "Fill the disk in a step that cannot be asked"

[[steps]]
id = "fill"
uses = "shell"
with = { script = "echo ran >>ledger; echo n=$(printf %01000d 7) >>$FORMULA_OUTPUT; cat /dev/zero >state/filler || true", outputs = ["n"] }

[[steps]]
id = "last"
uses = "write-file"
with = { path = "last.txt", content = "{{ steps.fill.outputs.n }}" }
"#;

#[test]
fn a_result_that_a_full_disk_did_not_take_is_known_to_the_next_command() {
    if !may_mount("a_result_that_a_full_disk_did_not_take_is_known_to_the_next_command") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("once.toml", FILLS_ONCE);
    fs::create_dir(sandbox.work().join("state")).expect("the sandbox is writable");
    let program = env!("CARGO_BIN_EXE_formula");
    let script = format!(
        "mount -t tmpfs -o size=1m,mode=700 tmpfs state
         run() {{ {program} --state-dir state run ./once.toml; }}
         run 2>full || echo full $?
         ls $HOME/.local/state/formula | grep -c recover
         rm state/filler
         run 2>room || echo room $?
         ls $HOME/.local/state/formula | grep -c recover
         cat ledger"
    );
    let ran = Program::new(&sandbox, "unshare").args(["--mount", "sh", "-c", &script]).run();
    ran.stdout_is("full 74\n1\n0\nran\n");
    let said = sandbox.read("full");
    assert!(said.contains("how `fill` ended is kept in `") && said.contains("that command takes it up"), "{said}");
    assert_eq!(sandbox.read("last.txt"), format!("{:01000}", 7));
}

#[test]
fn a_state_directory_that_cannot_be_used_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "no folder");
    sandbox.write("open/file", "");
    fs::set_permissions(sandbox.work().join("open"), fs::Permissions::from_mode(0o777)).expect("the folder is ours");
    let run = |state: &str| formula(&sandbox).args(["--state-dir", state, "run", "hello"]).run();
    run("file/state").exits(74).stderr_has("cannot use the state directory: `[WORK]/file/state`");
    run("file").exits(74).stderr_has("it is not a directory");
    run("open").exits(74).stderr_has("others may write to it");
    if may_mount("a_state_directory_that_cannot_be_used_is_refused") {
        fs::create_dir(sandbox.work().join("read-only")).expect("the sandbox is writable");
        let program = env!("CARGO_BIN_EXE_formula");
        let script = format!("mount -t tmpfs -o ro,mode=700 tmpfs read-only; {program} --state-dir read-only run hello");
        let ran = Program::new(&sandbox, "unshare").args(["--mount", "sh", "-c", &script]).run();
        ran.exits(74).stderr_has("Read-only file system").never_says("Hello");
    }
}

/// A sandbox in which `hello` has run, and its journal.
fn after_hello() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    formula(&sandbox).args(["run", "hello"]).run().exits(0);
    let journal = sandbox.work().join(".formula/journal.db");
    for beside in ["journal.db-wal", "journal.db-shm"] {
        assert!(!journal.with_file_name(beside).exists(), "the last one to close it leaves one file");
    }
    (sandbox, journal)
}

/// Every command that reads the journal ends with 74 and says why.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, why: &str) {
    for command in [&["run", "hello"][..], &["resume"], &["rollback", "--yes"], &["approve"], &["cancel"]] {
        let ran = formula(sandbox).args(command.iter().copied()).run();
        ran.exits(74).stderr_has(why).never_says("Hello");
    }
}

#[test]
fn a_damaged_journal_is_refused() {
    let (sandbox, journal) = after_hello();
    let sound = fs::read(&journal).expect("a journal");
    let size = fs::metadata(&journal).expect("a journal").len() as usize;
    // Its header, and its pages but for the header.
    for (from, to) in [(0, 100), (100, size)] {
        let mut bytes = sound.clone();
        bytes[from..to].fill(0xa5);
        fs::write(&journal, &bytes).expect("the sandbox is writable");
        assert_refused(&sandbox, "is damaged");
        assert_eq!(fs::read(&journal).expect("a journal"), bytes, "nothing is mended in secret");
    }
    fs::write(&journal, &sound[..size / 2]).expect("the sandbox is writable");
    assert_refused(&sandbox, "is damaged");
    fs::write(&journal, "").expect("the sandbox is writable");
    assert_refused(&sandbox, "is damaged");
}

#[test]
fn a_journal_that_is_gone_is_not_taken_for_a_new_beginning() {
    let (sandbox, journal) = after_hello();
    fs::remove_file(&journal).expect("a journal");
    assert_refused(&sandbox, "is damaged: the file is gone, but logs of its runs are there");
    assert!(!journal.exists());
}

#[test]
fn a_journal_of_a_later_version_is_refused() {
    let (sandbox, journal) = after_hello();
    let mut bytes = fs::read(&journal).expect("a journal");
    // `user_version`, in the header of a SQLite file.
    bytes[60..64].copy_from_slice(&9_u32.to_be_bytes());
    fs::write(&journal, &bytes).expect("the sandbox is writable");
    assert_refused(&sandbox, "has format 9, this program reads up to 1");
    assert_eq!(fs::read(&journal).expect("a journal"), bytes);
}
