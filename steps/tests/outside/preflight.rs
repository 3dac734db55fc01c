//! What `preflight` finds, all at once.

use formula_steps::contract::{Class, Probe};
use formula_steps::world::fake::{FakeRef, FakeRegistry, Remote, Repo, State};
use serde_json::{Value, json};

use super::Bench;

fn repo(state: &mut State) -> &mut Repo {
    state.repos.get_mut(std::path::Path::new("/acme")).expect("it was put there")
}

fn ready(state: &mut State) {
    let mut repo = Repo::default();
    let old = repo.add_commit(&[], &[("VERSION", "0.2.9\n")]);
    let head = repo.add_commit(&[&old], &[("VERSION", "0.3.0\n"), ("a", "x\n")]);
    repo.head.clone_from(&head);
    repo.branch = Some("main".into());
    repo.branches.insert("main".into(), head.clone());
    for name in ["origin", "mirror"] {
        let mut remote = Remote { url: format!("https://{name}.test/shop"), ..Remote::default() };
        remote.refs.insert("refs/heads/main".into(), FakeRef::commit(&head));
        repo.remotes.insert(name.into(), remote);
    }
    state.repos.insert("/acme".into(), repo);
    state.check_out("/acme");
    state.registries.insert("r.test".into(), FakeRegistry::default());
}

fn params() -> Value {
    json!({
        "version": "v0.3.0", "version_file": "VERSION", "branch": "main", "remote": "origin", "tag": "v0.3.0",
        "mirrors": ["mirror"], "image": "r.test/shop",
    })
}

/// The problems that a world set up so has.
async fn problems(params: Value, change: impl FnOnce(&mut State)) -> String {
    let bench = Bench::new("preflight", |state| {
        ready(state);
        change(state);
    });
    let error = bench.probe(&params).await.expect_err("there is a problem");
    assert_eq!(error.class, Class::Refused, "{error}");
    assert_eq!(bench.run_from(&params, None).await.expect_err("the same when it runs").message, error.message);
    assert!(bench.fake.calls().iter().all(|call| !call.changes));
    error.message
}

#[tokio::test]
async fn all_is_ready() {
    let bench = Bench::new("preflight", ready);
    let Probe::Present { output } = bench.probe(&params()).await.unwrap() else { panic!("it is ready") };
    let head = bench.fake.edit(|state| repo(state).head.clone());
    let expected = json!({ "commit": head, "short": head[..12], "branch": "main", "version": "v0.3.0", "number": "0.3.0", "notes": [] });
    assert_eq!(output, expected);
    // A second release of the same version finds its own tag.
    bench.fake.edit(|state| {
        let repo = repo(state);
        repo.tags.insert("v0.3.0".into(), FakeRef::annotated("0b1ec7", &head, ""));
        repo.remotes.get_mut("origin").unwrap().refs.insert("refs/tags/v0.3.0".into(), FakeRef::annotated("0b1ec7", &head, ""));
    });
    assert_eq!(bench.run(&params()).await.unwrap(), expected);
}

#[tokio::test]
async fn every_problem_is_told_at_once() {
    let mut wrong = params();
    wrong["mirrors"] = json!(["mirror", "nowhere"]);
    let told = problems(wrong, |state| {
        state.put("/acme/VERSION", "0.2.9\n");
        state.registries.get_mut("r.test").unwrap().users.insert("bot".into(), "x".into());
        state.docker.down = true;
        let repo = repo(state);
        let old = repo.add_commit(&[], &[("VERSION", "0.2.9\n")]);
        repo.branch = Some("next".into());
        repo.remotes.get_mut("mirror").unwrap().refs.insert("refs/tags/v0.3.0".into(), FakeRef::annotated("0b1ec7", &old, ""));
        repo.tags.insert("v0.3.0".into(), FakeRef::commit(&old));
    })
    .await;
    for part in [
        "8 problems:\n- ",
        "`VERSION` holds `0.2.9`, the release is `0.3.0`",
        "a file is changed and not committed: `VERSION`",
        "HEAD is on branch `next`, releases are cut from `main`",
        "tag `v0.3.0` is here already, on ",
        "tag `v0.3.0` is on `mirror` already",
        "there is no remote `nowhere`",
        "the container engine does not answer",
        "`r.test/shop` cannot be pushed",
        "docker login r.test",
    ] {
        assert!(told.contains(part), "{part} in:\n{told}");
    }
}

#[tokio::test]
async fn how_far_the_branch_is_from_the_remote_is_told() {
    let at = |state: &mut State, commit: String| {
        let main = FakeRef::commit(&commit);
        repo(state).remotes.get_mut("origin").unwrap().refs.insert("refs/heads/main".into(), main);
    };
    let ahead = problems(params(), |state| {
        let head = repo(state).head.clone();
        let old = repo(state).commits[&head].parents[0].clone();
        at(state, old);
    });
    assert!(ahead.await.contains("HEAD is 1 commit ahead of `origin/main`: `git push origin main`"));
    let behind = problems(params(), |state| {
        let head = repo(state).head.clone();
        let one = repo(state).add_commit(&[&head], &[]);
        let two = repo(state).add_commit(&[&one], &[("b", "")]);
        at(state, two);
    });
    assert!(behind.await.contains("HEAD is 2 commits behind `origin/main`: `git pull --ff-only origin main`"));
    let apart = problems(params(), |state| at(state, "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00".into()));
    assert!(apart.await.contains("are apart: `git fetch origin`"));
    let missing = problems(params(), |state| repo(state).remotes.get_mut("origin").unwrap().refs.clear());
    assert!(missing.await.contains("remote `origin` has no branch `main`"));
    let detached = problems(params(), |state| repo(state).branch = None);
    assert!(detached.await.contains("HEAD is detached"));
}

#[tokio::test]
async fn a_mirror_that_is_down_is_noted_and_the_main_remote_is_needed() {
    let bench = Bench::new("preflight", |state| {
        ready(state);
        repo(state).remotes.get_mut("mirror").unwrap().down = true;
    });
    let output = bench.run(&params()).await.unwrap();
    assert!(output["notes"][0].as_str().unwrap().contains("mirror `mirror` does not answer"));
    let told = problems(params(), |state| repo(state).remotes.get_mut("origin").unwrap().down = true).await;
    assert!(told.contains("remote `origin` does not answer"), "{told}");
}

#[tokio::test]
async fn clean_is_what_the_formula_says_it_is() {
    let untracked = |state: &mut State| {
        for number in 0..12 {
            state.put(format!("/acme/new{number:02}"), "");
        }
    };
    let bench = Bench::new("preflight", |state| {
        ready(state);
        untracked(state);
    });
    bench.run(&params()).await.expect("untracked files are nobody's business");
    let mut strict = params();
    strict["clean"] = "strict".into();
    let told = problems(strict, untracked).await;
    assert!(told.contains("12 files not tracked by git: `new00`") && told.ends_with("`new09` and 2 more"), "{told}");
    let mut any = params();
    any["clean"] = false.into();
    bench.fake.edit(|state| state.put("/acme/a", "changed"));
    bench.run(&any).await.unwrap();
}

#[tokio::test]
async fn versions_are_judged_by_the_pattern() {
    for (version, pattern, fits) in [
        ("v1.2.3", "", true),
        ("1.2.3", "", false),
        ("v1.2", "", false),
        ("v1.2.3-rc.1", "", true),
        ("v1.2.3-rc.1", r"v\d+\.\d+\.\d+", false),
        ("2026.1", r"\d{4}\.\d+", true),
    ] {
        let bench = Bench::new("preflight", ready);
        let found = bench.probe(&json!({ "version": version, "pattern": pattern })).await;
        assert_eq!(found.is_ok(), fits, "{version} against {pattern}: {found:?}");
    }
    let bench = Bench::new("preflight", |_| {});
    assert!(bench.check(&json!({ "pattern": "(" }))[0].contains("pattern"));
    assert!(bench.check(&json!({ "image": "UPPER" }))[0].contains("UPPER"));
}
