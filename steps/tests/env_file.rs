//! `env-set` on real files, read back by the real readers: a shell that sources the file, and docker compose.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use formula_steps::contract::{Context, Probe, StepType};
use formula_steps::dotenv::{EnvFile, Reading};
use formula_steps::env_set::EnvSet;
use formula_steps::world::fake::FakeWorld;
use formula_steps::world::real::RealFiles;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;

fn context(dir: &TempDir) -> Context {
    let mut world = FakeWorld::new().world();
    world.files = Arc::new(RealFiles::default());
    let workdir = fs::canonicalize(dir.path()).unwrap();
    let mut cx = Context::bare(world, &workdir);
    cx.scratch = Arc::from(workdir.join("scratch"));
    fs::create_dir_all(&cx.scratch).unwrap();
    cx
}

async fn set(cx: &Context, params: &Value) -> Value {
    match StepType::probe(&EnvSet, cx, params).await.unwrap() {
        Probe::Absent { before, .. } => {
            StepType::run(&EnvSet, cx, params, Some(&before)).await.unwrap();
            before
        }
        other => panic!("the probe answers {}", other.name()),
    }
}

fn folder(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".env"), text).unwrap();
    dir
}

#[tokio::test]
async fn an_existing_file_keeps_its_mode_and_its_other_lines() {
    let lines: String = (0..30).fold(String::new(), |mut text, n| {
        writeln!(text, "# line {n}\nV{n}=\"value {n}\" # note").unwrap();
        text
    });
    let dir = folder(&lines);
    let path = dir.path().join(".env");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let cx = context(&dir);
    let before = set(&cx, &json!({ "set": { "V7": "other" } })).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.replace("V7=\"value 7\" # note", "V7=other # note"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    StepType::undo(&EnvSet, &cx, &json!({ "set": { "V7": "other" } }), Some(&before), None).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), lines);
}

#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let dir = folder("A=1\nB='two words'\n");
    let path = dir.path().join(".env");
    let stamp = |path: &Path| fs::metadata(path).map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec())).unwrap();
    let then = stamp(&path);
    let cx = context(&dir);
    let params = json!({ "set": { "A": 1, "B": "two words" } });
    assert!(matches!(StepType::probe(&EnvSet, &cx, &params).await.unwrap(), Probe::Present { .. }));
    StepType::run(&EnvSet, &cx, &params, None).await.unwrap();
    assert_eq!(stamp(&path), then);
}

#[tokio::test]
async fn a_new_file_is_for_the_user_alone_and_a_link_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let cx = context(&dir);
    let params = json!({ "file": "shared/env", "set": { "A": 1 } });
    let before = set(&cx, &params).await;
    let target = dir.path().join("shared/env");
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o600);
    symlink("shared/env", dir.path().join(".env")).unwrap();
    set(&cx, &json!({ "set": { "B": 2 } })).await;
    assert!(fs::symlink_metadata(dir.path().join(".env")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "A=1\nB=2\n");
    fs::write(&target, "A=1\n").unwrap();
    StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
    assert!(!target.exists());
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let dir = folder("FIRST=1\n");
    let writer = |name: &'static str| {
        let cx = context(&dir);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                for n in 0..100 {
                    StepType::run(&EnvSet, &cx, &json!({ "set": { format!("{name}_{n}"): n } }), None).await.unwrap();
                }
            });
        })
    };
    for writer in [writer("ONE"), writer("OTHER")] {
        writer.join().unwrap();
    }
    let text = fs::read_to_string(dir.path().join(".env")).unwrap();
    assert_eq!(EnvFile::parse(&text).unwrap().keys().len(), 201);
    assert_eq!(text.lines().count(), 201);
}

/// Texts that are hard on readers: few letters, many signs.
fn hard_text() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec![
        "a", "Z", "7", " ", "\t", "\n", "'", "\"", "\\", "$", "`", "#", " #", "&", "|", "/", ";", "=", ":", "~", "!", "*", "?", "{", "}",
        "${A}", "$$", "\\n", "\\0", "\\'", "(", "<", "%", "é", "\u{a0}", "😀", "export ",
    ]);
    prop::collection::vec(sign, 0..9).prop_map(|signs| signs.concat())
}

fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Sets each of many texts under a key of its own, and gives the file and the texts that could be written.
fn many_set(count: usize) -> (String, BTreeMap<String, String>) {
    let mut runner = runner();
    let mut file = EnvFile::parse("# the beginning\nexport A='outside'\n").unwrap();
    let mut written = BTreeMap::new();
    let mut refused = 0;
    for n in 0..count {
        let text = hard_text().new_tree(&mut runner).unwrap().current();
        let key = format!("K{n}");
        match file.set(&key, &text) {
            Ok(()) => written.insert(key, text).map_or((), |_| ()),
            Err(_) => refused += 1,
        }
    }
    // Once more, so that every line is also written in place of another.
    for (key, text) in &written {
        file.set(key, "between").unwrap();
        file.set(key, text).unwrap();
        assert_eq!(file.read(key), Reading::Value(text.to_owned()));
    }
    assert!(refused * 5 < count, "{refused} of {count} texts were refused");
    (file.to_string(), written)
}

/// Lines as people write them, and what we say that every reader sees in them. Lines of which we say nothing are left out.
fn many_found(count: usize) -> (String, BTreeMap<String, String>) {
    let mut runner = runner();
    let before = prop::sample::select(vec!["", "", "export ", "  ", "\t export  "]);
    let around = prop::sample::select(vec!["", "", "'", "\""]);
    let behind = prop::sample::select(vec!["", "", " # note", " #", "  # it's", " "]);
    let line = (before, around, hard_text(), behind);
    let (mut text, mut known) = ("A=outside\n".to_owned(), BTreeMap::new());
    for n in 0..count {
        let (before, around, value, behind) = line.new_tree(&mut runner).unwrap().current();
        let key = format!("K{n}");
        let line = format!("{before}{key}={around}{value}{around}{behind}\n");
        let Ok(file) = EnvFile::parse(&line) else { continue };
        // Alone in the text, so that no line leans on the next one.
        if file.raw(&key).first().is_none_or(|(_, raw)| *raw != line) {
            continue;
        }
        let mut edited = file.clone();
        if edited.set(&key, "it's new").is_ok() {
            assert_eq!(edited.read(&key), Reading::Value("it's new".to_owned()), "{line:?}");
            text.push_str(&edited.to_string().replace(&key, &format!("NEW{n}")));
            known.insert(format!("NEW{n}"), "it's new".to_owned());
        }
        if let Reading::Value(value) = file.read(&key) {
            text.push_str(&line);
            known.insert(key, value);
        }
    }
    assert!(known.len() > count, "only {} of {count} lines are understood", known.len());
    (text, known)
}

fn shell_reads(text: &str, expected: &BTreeMap<String, String>) {
    for shell in ["sh", "bash"] {
        let dir = folder(text);
        let names: String = expected.keys().fold(String::new(), |mut names, key| {
            write!(names, " \"${key}\"").unwrap();
            names
        });
        fs::write(dir.path().join("read.sh"), format!("set -eu\n. ./.env\nprintf '%s\\0'{names}\n")).unwrap();
        let run = Command::new(shell).arg("read.sh").current_dir(dir.path()).env_clear().env("PATH", "/usr/bin:/bin").output();
        let Ok(run) = run else {
            assert_ne!(shell, "sh");
            continue;
        };
        assert!(run.status.success(), "{shell}: {}", String::from_utf8_lossy(&run.stderr));
        let read: Vec<_> = run.stdout.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        for ((key, value), found) in expected.iter().zip(&read) {
            assert_eq!(found, value, "{shell} reads {key} in {:?}", EnvFile::parse(text).unwrap().raw(key));
        }
        assert_eq!(read.len(), expected.len() + 1);
    }
}

fn compose_reads(test: &str, text: &str, expected: &BTreeMap<String, String>) {
    let home = std::env::home_dir().unwrap_or_default();
    let compose = || {
        let mut command = Command::new("docker");
        command.arg("compose").env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &home);
        command
    };
    if !compose().arg("version").output().is_ok_and(|out| out.status.success()) {
        skipped(&format!("{test}: docker compose is not installed"));
        return;
    }
    let dir = folder(text);
    let mut file = "services:\n  x:\n    image: x\n    environment:\n".to_owned();
    for key in expected.keys() {
        writeln!(file, "      {key}: \"${{{key}}}\"").unwrap();
    }
    fs::write(dir.path().join("docker-compose.yml"), file).unwrap();
    let run = compose().args(["config", "--format", "json"]).current_dir(dir.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let read: Value = serde_json::from_slice(&run.stdout).unwrap();
    for (key, value) in expected {
        // What compose prints is meant to be read by compose: a dollar is doubled.
        let found = read["services"]["x"]["environment"][key].as_str().unwrap().replace("$$", "$");
        assert_eq!(&found, value, "compose reads {key} in {:?}", EnvFile::parse(text).unwrap().raw(key));
    }
}

#[test]
fn a_shell_reads_back_every_value() {
    let (text, written) = many_set(5000);
    shell_reads(&text, &written);
}

#[test]
fn compose_reads_back_every_value() {
    let (text, written) = many_set(5000);
    compose_reads("compose_reads_back_every_value", &text, &written);
}

#[test]
fn a_shell_sees_what_we_say_it_sees() {
    let (text, known) = many_found(10_000);
    shell_reads(&text, &known);
}

#[test]
fn compose_sees_what_we_say_it_sees() {
    let (text, known) = many_found(10_000);
    compose_reads("compose_sees_what_we_say_it_sees", &text, &known);
}

/// Says that a test had nothing to test with; fails where that is not allowed.
#[expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a skipped test must be seen, and the environment says whether it may be"
)]
fn skipped(why: &str) {
    assert!(std::env::var_os("FORMULA_TEST_REQUIRE_DOCKER").is_none(), "{why}");
    eprintln!("SKIPPED {why}");
}
