//! Real files and real programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::model::OnFailure;

/// A working directory with a folder for programs that is first on PATH.
struct Desk {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().join("bin").display());
        Self { dir, env: BTreeMap::from([("PATH".to_owned(), path)]) }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn plan(&self, secrets: &[(&str, &[SecretSource])], optional: &[&str]) -> Plan {
        Plan {
            v: 1,
            formula: "f".to_owned(),
            formula_version: 1,
            formula_digest: String::new(),
            formula_source: String::new(),
            formula_path: "f.toml".into(),
            workdir: self.dir.path().into(),
            on_failure: OnFailure::Hold,
            max_parallel: 1,
            lock: "workdir".to_owned(),
            scopes: Vec::new(),
            secrets: secrets.iter().map(|(name, sources)| ((*name).to_owned(), sources.to_vec())).collect(),
            optional_secrets: optional.iter().map(|name| (*name).to_owned()).collect(),
            steps: Vec::new(),
            fingerprint: String::new(),
            command: None,
        }
    }

    fn found(&self, source: SecretSource) -> String {
        let resolved = resolve(&self.plan(&[("S", &[source])], &[]), &self.env).unwrap_or_else(|missing| panic!("{missing:?}"));
        resolved.secrets["S"].expose().to_owned()
    }

    fn reason(&self, source: SecretSource) -> String {
        let missing = resolve(&self.plan(&[("S", &[source])], &[]), &self.env).expect_err("must not be found");
        missing[0].tried[0].clone()
    }
}

fn env(name: &str) -> SecretSource {
    SecretSource::Env(name.to_owned())
}

fn file(path: &str) -> SecretSource {
    SecretSource::File(path.to_owned())
}

fn command(argv: &[&str]) -> SecretSource {
    SecretSource::Command(argv.iter().map(|arg| (*arg).to_owned()).collect())
}

#[test]
fn the_first_source_that_has_it_wins_and_line_ends_go() {
    let mut world = Desk::new();
    world.file("token", "from-file\r\n", 0o600);
    let sources = [env("TOKEN"), file("nowhere"), file("token"), command(&["echo", "from-command"])];
    let plan = world.plan(&[("S", &sources)], &[]);
    assert_eq!(resolve(&plan, &world.env).unwrap().secrets["S"].expose(), "from-file");
    world.env.insert("TOKEN".to_owned(), "from-env".to_owned());
    assert_eq!(resolve(&plan, &world.env).unwrap().secrets["S"].expose(), "from-env");
    assert_eq!(world.found(command(&["printf", "two\\nlines\\n\\n"])), "two\nlines\n");
    world.file("many", "-----BEGIN\nkey\n-----END\n", 0o600);
    assert_eq!(world.found(file("many")), "-----BEGIN\nkey\n-----END");
}

#[test]
fn all_missing_ones_are_told_with_every_source() {
    let mut world = Desk::new();
    world.env.insert("BLANK".to_owned(), " ".to_owned());
    world.file("binary", [0xff, 0xfe], 0o600);
    let plan = world.plan(
        &[
            ("A", &[env("A"), file("a/b"), command(&["no-such-program", "x"])]),
            ("B", &[env("BLANK"), file("binary"), file("../b"), file(".")]),
            ("C", &[]),
            ("OPTIONAL", &[env("NOT_THERE")]),
        ],
        &["OPTIONAL"],
    );
    let missing = resolve(&plan, &world.env).unwrap_err();
    let told: Vec<_> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "secret `A` was not found: `env:A` is not set; `file:a/b` does not exist; `command:no-such-program` cannot be asked: there is no program `no-such-program`",
            "secret `B` was not found: `env:BLANK` is empty; `file:binary` is not UTF-8; `file:../b` leaves the working directory; write an absolute path; `file:.` is not a file",
            "secret `C` has no sources; add `from = [\"env:C\"]` to [secrets.C]",
        ]
    );
    let only = world.plan(&[("OPTIONAL", &[env("NOT_THERE")])], &["OPTIONAL"]);
    assert!(resolve(&only, &world.env).unwrap().secrets.is_empty());
}

#[test]
fn sops_and_age_are_asked_for_the_whole_path() {
    let mut world = Desk::new();
    world.file("bin/sops", "#!/bin/sh\nprintf '%s\\n' \"$*\"\n", 0o755);
    world.file("bin/age", "#!/bin/sh\nprintf '%s\\n' \"$*\"\n", 0o755);
    world.file("-s.yaml", "x", 0o600);
    let path = world.dir.path().join("-s.yaml").display().to_string();
    let sops = |key: Option<&str>| SecretSource::Sops { file: "-s.yaml".to_owned(), key: key.map(str::to_owned) };
    assert_eq!(world.found(sops(Some("forge.to\"ken"))), format!("--decrypt --extract [\"forge\"][\"to\\\"ken\"] {path}"));
    assert_eq!(world.found(sops(None)), format!("--decrypt {path}"));
    assert_eq!(world.found(SecretSource::Age("-s.yaml".to_owned())), format!("--decrypt {path}"));
    world.env.insert("AGE_IDENTITY".to_owned(), "/keys".to_owned());
    assert_eq!(world.found(SecretSource::Age("-s.yaml".to_owned())), format!("--decrypt --identity /keys {path}"));
    assert_eq!(world.reason(SecretSource::Age("gone.age".to_owned())), "`age:gone.age` does not exist");
}

#[test]
fn programs_get_the_environment_we_were_given_and_failures_say_why() {
    let mut world = Desk::new();
    world.env.insert("GIVEN".to_owned(), "value-given".to_owned());
    assert_eq!(world.found(command(&["sh", "-c", "echo $GIVEN${CARGO_PKG_NAME}"])), "value-given");
    let reason = world.reason(command(&["sh", "-c", "echo no; echo 'first' >&2; printf 'locked\\033[1m\\n' >&2; exit 3"]));
    assert_eq!(reason, "`command:sh` failed with exit status: 3: locked[1m");
    assert_eq!(world.reason(command(&["true"])), "`command:true` is empty");
    assert_eq!(world.reason(command(&["printf", "a\\000b"])), "`command:printf` holds a zero byte, which no environment can carry");
    assert_eq!(world.reason(command(&["head", "-c", "100000", "/dev/zero"])), "`command:head` printed more than 65536 bytes");
    world.file("large", vec![b'x'; LONGEST + 1], 0o600);
    assert_eq!(world.reason(file("large")), "`file:large` has more than 65536 bytes");
}

#[test]
fn a_program_that_does_not_end_is_ended_with_all_it_started() {
    let world = Desk::new();
    let resolver = Resolver { workdir: world.dir.path(), env: &world.env, patience: Duration::from_millis(300) };
    let began = Instant::now();
    let tried = resolver.first(&[command(&["sh", "-c", "sleep 60 & echo $! > pid; wait"])], &mut Vec::new()).unwrap_err();
    assert_eq!(tried, ["`command:sh` gave no answer within 0.3 s"]);
    assert!(began.elapsed() < Duration::from_secs(10));
    let pid = fs::read_to_string(world.dir.path().join("pid")).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let gone = |state: &str| state.is_empty() || state.contains(") Z ");
    // The signal was sent; the kernel delivers it when it comes to it.
    while !gone(&state()) {
        assert!(began.elapsed() < Duration::from_secs(10), "the child's child lives on: {}", state());
        std::thread::yield_now();
    }
}

#[test]
fn short_values_and_open_files_are_warned_of_and_nothing_shows_a_value() {
    let mut world = Desk::new();
    world.env.insert("PIN".to_owned(), "12345".to_owned());
    world.file("token", "hunter2hunter2", 0o644);
    let resolved = resolve(&world.plan(&[("PIN", &[env("PIN")]), ("T", &[file("token")])], &[]), &world.env).unwrap();
    assert_eq!(
        resolved.warnings,
        [
            "secret `PIN` has fewer than 6 characters and cannot be masked in output; use a longer one",
            "secret file `token` can be read by others (mode 644); `chmod 600 token` closes it",
        ]
    );
    let shown = format!("{resolved:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("12345"));
}
