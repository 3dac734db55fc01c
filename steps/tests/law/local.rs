//! Cases of the kinds that work on files, on a repository and on programs.

use std::collections::BTreeMap;
use std::path::Path;

use formula_steps::migrations::Place;
use formula_steps::world::fake::{FakeFile, FakeProgram, FakeRef, Remote, Repo, State};
use serde_json::{Value, json};

use formula_steps::laws::Case;

fn case(kind: &'static str, name: &'static str, params: Value, set_up: impl FnOnce(&mut State)) -> Case {
    let mut state = State::default();
    set_up(&mut state);
    Case { kind, name, state, params }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(env_set());
    cases.extend(git_checkout());
    cases.extend(git_fetch());
    cases.extend(git_push());
    cases.extend(git_tag());
    cases.extend(migrate());
    cases.extend(shell());
    cases.extend(write_file());
    cases
}

fn write_file() -> Vec<Case> {
    vec![
        case("write-file", "new", json!({ "path": "a/b.txt", "content": "hello", "mode": "0600" }), |_| {}),
        case("write-file", "changed", json!({ "path": "a", "content": { "n": 1 }, "mode": "0600" }), |state| {
            state.files.insert("/acme/a".into(), FakeFile::new("old").mode(0o640));
        }),
    ]
}

fn env_set() -> Vec<Case> {
    let params = json!({ "set": { "K": "new value", "B": 2 }, "unset": ["GONE"] });
    vec![
        case("env-set", "new file", json!({ "set": { "K": "1" } }), |_| {}),
        case("env-set", "changed", params.clone(), |state| {
            let text = "A=1\nK=old # why\nGONE=x\nK='a b'";
            state.files.insert("/acme/.env".into(), FakeFile::new(text).mode(0o640));
        }),
        case("env-set", "other names", json!({ "values": ["K=v2"], "aliases": ["TAG", "IMAGE", "NONE"] }), |state| {
            state.put("/acme/.env", "K=v1\nTAG=v1\nIMAGE=host:5000/a:v1\n");
        }),
        case("env-set", "through a link", params, |state| {
            state.files.insert("/acme/.env".into(), FakeFile::link("shared/env"));
            state.put("/acme/shared/env", "GONE=1\n");
        }),
    ]
}

/// A repository with two commits, a branch, a tag and a remote that has neither.
fn repository(state: &mut State) -> &mut Repo {
    let mut repo = Repo::default();
    let old = repo.add_commit(&[], &[("a", "1\n")]);
    let head = repo.add_commit(&[&old], &[("a", "2\n")]);
    repo.head.clone_from(&head);
    repo.branch = Some("main".into());
    repo.branches.insert("main".into(), head.clone());
    repo.tags.insert("v1".into(), FakeRef::annotated("0b1ec7", &head, "one"));
    repo.remotes.insert("origin".into(), Remote { url: "https://forge.test/x".into(), ..Remote::default() });
    state.repos.insert("/acme".into(), repo);
    state.check_out("/acme");
    state.repos.get_mut(Path::new("/acme")).expect("it was put there")
}

fn there(repo: &mut Repo, name: &str, found: FakeRef) {
    repo.remotes.get_mut("origin").expect("it was put there").refs.insert(name.to_owned(), found);
}

fn git_checkout() -> Vec<Case> {
    let tracked = |state: &mut State| {
        let repo = repository(state);
        let old = repo.add_commit(&[], &[("a", "1\n"), (".env", "K=example\n"), ("data", "x\n")]);
        repo.tags.insert("old".into(), FakeRef::commit(&old));
    };
    vec![
        case("git-checkout", "a tag", json!({ "ref": "old" }), tracked),
        case("git-checkout", "a branch", json!({ "ref": "side" }), |state| {
            let repo = repository(state);
            repo.branches.insert("side".into(), repo.head.clone());
        }),
        case("git-checkout", "to a commit that tracks what is kept", json!({ "ref": "old", "keep": [".env", "none"] }), |state| {
            tracked(state);
            state.files.insert("/acme/.env".into(), FakeFile::new("K=mine\n").mode(0o600));
        }),
        case("git-checkout", "from a commit that tracks what is kept", json!({ "ref": "main", "keep": [".env"] }), |state| {
            tracked(state);
            let repo = state.repos.get_mut(Path::new("/acme")).expect("it was put there");
            repo.head = repo.tags["old"].commit.clone();
            repo.branch = None;
            state.check_out("/acme");
            state.files.insert("/acme/.env".into(), FakeFile::new("K=mine\n").mode(0o600));
            state.files.insert("/acme/data".into(), FakeFile::new("x\n").mode(0o600));
        }),
    ]
}

fn git_fetch() -> Vec<Case> {
    vec![
        case("git-fetch", "all", json!({}), |state| {
            repository(state);
        }),
        case("git-fetch", "a tag", json!({ "verify": "v2" }), |state| {
            let repo = repository(state);
            let head = repo.head.clone();
            there(repo, "refs/tags/v2", FakeRef::annotated("0b1ec8", &head, "two"));
        }),
    ]
}

fn git_push() -> Vec<Case> {
    vec![
        case("git-push", "one way", json!({ "remote": "origin", "refs": ["v1"] }), |state| {
            repository(state);
        }),
        case("git-push", "new refs", json!({ "remote": "origin", "refs": ["v1", "refs/heads/main"], "undo": "delete" }), |state| {
            repository(state);
        }),
        case("git-push", "forced", json!({ "remote": "origin", "refs": ["v1"], "undo": "delete", "force": true }), |state| {
            let repo = repository(state);
            let old = repo.head.clone();
            there(repo, "refs/tags/v1", FakeRef::commit(&old));
        }),
    ]
}

fn git_tag() -> Vec<Case> {
    vec![
        case("git-tag", "here", json!({ "tag": "v2" }), |state| {
            repository(state);
        }),
        case("git-tag", "here and there", json!({ "tag": "v2", "message": "two", "remote": "origin" }), |state| {
            repository(state);
        }),
        case("git-tag", "pushed only", json!({ "tag": "v1", "remote": "origin" }), |state| {
            repository(state);
        }),
        case("git-tag", "fetched", json!({ "tag": "v2", "remote": "origin" }), |state| {
            let repo = repository(state);
            let head = repo.head.clone();
            there(repo, "refs/tags/v2", FakeRef::annotated("0b1ec8", &head, "two"));
        }),
    ]
}

/// Two migrations that are formulas, and a program that plays their runs.
fn by_formulas(state: &mut State) {
    state.put("/acme/.env", "A=1\nLAST=v0.2.0\n");
    for (version, path) in [("v0.2.1", "v0.2.1.toml"), ("v0.2.2", "v0.2.2/pre.toml")] {
        state.put(format!("/acme/migrations/{path}"), "description = \"moves something\"");
        let env = BTreeMap::from([("FORMULA_MIGRATION".to_owned(), version.to_owned())]);
        let says = |words: &[&str]| FakeProgram { env: env.clone(), ..FakeProgram::new([&["formula"], words, &["..."]].concat()) };
        let journal = format!("/.scratch/journal-{version}");
        let done = r#"{"formula_digest":"","verdict":{"outcome":"done"}}"#;
        state.programs.extend([
            says(&["show", "--json"]).when(&journal).output(done),
            says(&["show", "--json"]).exit(2),
            says(&["run", &format!("./migrations/{path}")]).writes(version, "${FORMULA_VAR_FROM} ${FORMULA_VAR_TO}").writes(&journal, "x"),
            says(&["rollback", "--yes"]).removes(version).removes(&journal),
        ]);
    }
}

fn migrate() -> Vec<Case> {
    let folder = |state: &mut State| {
        for (path, text) in [
            ("v0.2.1/pre.sh", "one"),
            ("v0.2.1/down.sh", "not one"),
            ("v0.2.2/pre.sh", "two"),
            ("v0.2.2/post.sh", "two, later"),
            ("v0.2.2/down.sh", "not two"),
            ("v0.3.1.sh", "too new"),
        ] {
            state.put(format!("/acme/migrations/{path}"), text);
        }
        let script = |path: &str| FakeProgram::new(["sh".to_owned(), format!("/acme/migrations/{path}")]);
        state.programs = vec![
            script("v0.2.1/pre.sh").writes("one", "${FORMULA_FROM} ${FORMULA_TO} ${FORMULA_MIGRATION} ${FORMULA_PHASE}"),
            script("v0.2.1/down.sh").removes("one"),
            script("v0.2.2/pre.sh").writes("two-pre", "${FORMULA_ENV_FILE}"),
            script("v0.2.2/post.sh").writes("two-post", "2"),
            script("v0.2.2/down.sh").removes("two-${FORMULA_PHASE}"),
        ];
    };
    let keyed = |state: &mut State| {
        folder(state);
        state.files.insert("/acme/.env".into(), FakeFile::new("A=1\nLAST=v0.2.0 # here\nB='2'").mode(0o640));
    };
    let applied = |state: &mut State| {
        keyed(state);
        let row = |row: &str, version: &str, phase: &str, rest: &str| {
            format!(r#"{{"v":1,"at":"2026-01-01T00:00:00Z","who":"run A step m","row":"{row}","version":"{version}"{phase}{rest}}}"#)
        };
        let mut lines = vec![row("baseline", "v0.2.0", "", r#","source":"person""#)];
        for (version, phase) in [("v0.2.1", "pre"), ("v0.2.2", "pre"), ("v0.2.2", "post")] {
            let phase = format!(r#","phase":"{phase}""#);
            lines.push(row("began", version, &phase, r#","digest":"","back":"down","from":null,"to":"v0.3.0""#));
            lines.push(row("ended", version, &phase, r#","digest":"","began":"","exit":"0","ok":true"#));
        }
        let place = Place::new(Path::new("/acme"), Path::new("/.state"));
        let (root, path) = place.ledger().expect("a place of its own");
        state.put(root.join(path), lines.join("\n"));
        for (path, text) in [("one", "v0.2.0 v0.2.2 v0.2.1 pre"), ("two-pre", "/acme/.env"), ("two-post", "2")] {
            state.put(format!("/acme/{path}"), text);
        }
        let key = state.text("/acme/.env").expect("it was put there").replace("v0.2.0", "v0.2.2");
        state.files.insert("/acme/.env".into(), FakeFile::new(key).mode(0o640));
    };
    vec![
        case("migrate", "from a release", json!({ "to": "v0.3.0", "phase": "pre" }), |state| {
            let repo = repository(state);
            let head = repo.head.clone();
            repo.tags.insert("v0.2.0".into(), FakeRef::annotated("0b1ec9", &head, "two"));
            folder(state);
        }),
        case("migrate", "with a key", json!({ "to": "v0.3.0", "phase": "pre", "key": "LAST" }), keyed),
        case("migrate", "afterwards", json!({ "to": "v0.3.0", "phase": "post", "key": "LAST", "from": "v0.2.0" }), keyed),
        case("migrate", "by formulas", json!({ "to": "v0.3.0", "phase": "pre", "key": "LAST" }), by_formulas),
        case("migrate", "back", json!({ "to": "v0.2.0", "phase": "down", "key": "LAST" }), applied),
        case("migrate", "back without a ledger", json!({ "to": "v0.2.0", "phase": "down", "key": "LAST" }), |state| {
            applied(state);
            state.files.retain(|path, _| !path.starts_with("/.state"));
        }),
    ]
}

fn shell() -> Vec<Case> {
    let programs = |state: &mut State| {
        let make = FakeProgram::new(["make"]).output("made\n").writes("made", "x").writes("${FORMULA_OUTPUT}", "size=1\n");
        state.programs = vec![
            make,
            FakeProgram::new(["clean"]).removes("made"),
            FakeProgram::new(["is-made"]).when("made").writes("${FORMULA_OUTPUT}", "{\"size\": \"1\"}"),
            FakeProgram::new(["is-made"]).exit(1),
            FakeProgram::new(["sh", "-eu", "-c", "make && true", "sh"]).writes("made", "x"),
            FakeProgram::new(["look"]).output("seen"),
        ];
    };
    vec![
        case("shell", "one way", json!({ "command": ["make"] }), programs),
        case("shell", "read only", json!({ "command": ["look"], "read_only": true }), programs),
        case("shell", "idempotent", json!({ "script": "make && true", "idempotent": true }), programs),
        case(
            "shell",
            "reversible",
            json!({ "command": ["make"], "probe": ["is-made"], "undo": ["clean"], "outputs": ["size"], "idempotent": true }),
            programs,
        ),
    ]
}
