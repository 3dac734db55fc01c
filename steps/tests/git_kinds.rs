//! The git kinds with the real git program and a remote in a folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its repositories has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use formula_steps::contract::{Class, Context, Probe, StepError, StepType};
use formula_steps::git_checkout::GitCheckout;
use formula_steps::git_fetch::GitFetch;
use formula_steps::git_push::GitPush;
use formula_steps::git_tag::GitTag;
use formula_steps::world::fake::FakeWorld;
use formula_steps::world::real::{RealFiles, RealGit};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A repository `work` with the bare one `mirror` as its remote `origin`.
struct Place {
    _folder: TempDir,
    root: PathBuf,
    env: BTreeMap<String, String>,
    cx: Context,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir(root.join("scratch")).unwrap();
    fs::write(root.join("config"), "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let env = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME".to_owned(), text(&root)),
        ("GIT_CONFIG_GLOBAL".to_owned(), text(&root.join("config"))),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
    ]);
    let mut world = FakeWorld::new().world();
    world.git = Arc::new(RealGit::new(env.clone()));
    world.files = Arc::new(RealFiles::default());
    let mut cx = Context::bare(world, &root.join("work"));
    cx.scratch = Arc::from(root.join("scratch"));
    let place = Place { _folder: folder, root, env, cx };
    place.git_in("", &["init", "--quiet", "work"]);
    place.git_in("", &["init", "--quiet", "--bare", "mirror"]);
    place.git(&["remote", "add", "origin", "../mirror"]);
    place.commit("file", "one\n");
    place
}

impl Place {
    fn git(&self, args: &[&str]) -> String {
        self.git_in("work", args)
    }

    fn git_in(&self, folder: &str, args: &[&str]) -> String {
        let done = Command::new("git").args(args).current_dir(self.root.join(folder)).env_clear().envs(&self.env).output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.join("work").join(path)
    }

    fn commit(&self, path: &str, text: &str) -> String {
        fs::write(self.file(path), text).unwrap();
        self.git(&["add", path]);
        self.git(&["commit", "--quiet", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Everything that can be seen: refs here and there, HEAD, and what differs from it.
    fn seen(&self) -> String {
        let head = fs::read_to_string(self.file(".git/HEAD")).unwrap();
        let status = self.git(&["status", "--porcelain", "--ignored"]);
        [self.git(&["show-ref"]), self.git_in("", &["ls-remote", "mirror"]), head, status].join("\n")
    }

    async fn probe(&self, step: &dyn StepType, params: &Value) -> Result<Probe<Value, Value>, StepError> {
        step.probe(&self.cx, params).await
    }

    async fn before(&self, step: &dyn StepType, params: &Value) -> Value {
        match self.probe(step, params).await.unwrap() {
            Probe::Absent { before, .. } => before,
            other => panic!("the probe answers {other:?}"),
        }
    }

    /// Probes, runs, and proves that it is there.
    async fn run(&self, step: &dyn StepType, params: &Value) -> (Value, Value) {
        let before = self.before(step, params).await;
        let output = step.run(&self.cx, params, Some(&before)).await.unwrap();
        assert_eq!(self.probe(step, params).await.unwrap().name(), "present");
        (before, output)
    }
}

#[tokio::test]
async fn a_tag_is_made_pushed_and_taken_back() {
    let place = place();
    let start = place.seen();
    let params = json!({ "tag": "v1", "message": "Release v1", "remote": "origin" });
    let (before, output) = place.run(&GitTag, &params).await;
    assert_eq!(output["commit"], place.git(&["rev-parse", "HEAD"]).as_str());
    assert_eq!(output["tag_object"], place.git_in("mirror", &["rev-parse", "refs/tags/v1"]).as_str());
    assert_eq!(place.git(&["for-each-ref", "--format=%(contents:subject)", "refs/tags/v1"]), "Release v1");
    for output in [Some(&output), None] {
        GitTag.undo(&place.cx, &params, Some(&before), output).await.unwrap();
        assert_eq!(place.seen(), start);
    }
}

#[tokio::test]
async fn a_tag_elsewhere_is_never_moved_and_one_that_only_the_remote_has_is_fetched() {
    let place = place();
    let params = json!({ "tag": "v1", "remote": "origin" });
    place.git(&["tag", "-a", "v1", "-m", "theirs"]);
    place.git(&["push", "--quiet", "origin", "v1"]);
    let object = place.git(&["rev-parse", "refs/tags/v1"]);
    place.git(&["tag", "-d", "v1"]);
    let start = place.seen();
    let (before, output) = place.run(&GitTag, &params).await;
    assert_eq!(output["tag_object"], object.as_str());
    assert_eq!(place.git(&["rev-parse", "refs/tags/v1"]), object);
    GitTag.undo(&place.cx, &params, Some(&before), Some(&output)).await.unwrap();
    assert_eq!(place.seen(), start, "the remote's tag stays");

    place.commit("file", "two\n");
    let now = place.seen();
    assert_eq!(place.probe(&GitTag, &params).await.unwrap().name(), "diverged");
    assert_eq!(GitTag.run(&place.cx, &params, Some(&before)).await.unwrap()["tag_object"], object.as_str(), "the commit that was planned");
    place.git(&["tag", "-d", "v1"]);
    assert_eq!(GitTag.run(&place.cx, &params, None).await.unwrap_err().class, Class::Conflict);
    assert_eq!(place.seen(), now);
}

#[tokio::test]
async fn refs_are_pushed_and_deleted_again() {
    let place = place();
    place.git(&["tag", "-a", "v1", "-m", "one"]);
    place.git(&["tag", "unwanted"]);
    place.git(&["branch", "side"]);
    let start = place.seen();
    let params = json!({ "remote": "origin", "refs": ["v1", "refs/heads/side"], "undo": "delete" });
    let (before, _) = place.run(&GitPush, &params).await;
    assert!(!place.git_in("mirror", &["show-ref"]).contains("unwanted"));
    for _ in 0..2 {
        GitPush.undo(&place.cx, &params, Some(&before), None).await.unwrap();
    }
    assert_eq!(place.seen(), start);
}

#[tokio::test]
async fn a_branch_goes_forward_only_unless_forced() {
    let place = place();
    let params = json!({ "remote": "origin", "refs": ["refs/heads/main"] });
    place.run(&GitPush, &params).await;
    let pushed = place.commit("file", "two\n");
    place.run(&GitPush, &params).await;
    place.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    place.commit("file", "other\n");
    let before = place.before(&GitPush, &params).await;
    assert_eq!(GitPush.run(&place.cx, &params, Some(&before)).await.unwrap_err().class, Class::Conflict);
    assert_eq!(place.git_in("mirror", &["rev-parse", "main"]), pushed);
    let forced = json!({ "remote": "origin", "refs": ["refs/heads/main"], "force": true, "undo": "delete" });
    let (before, output) = place.run(&GitPush, &forced).await;
    GitPush.undo(&place.cx, &forced, Some(&before), Some(&output)).await.unwrap();
    assert_eq!(place.git_in("mirror", &["rev-parse", "main"]), pushed);
}

#[tokio::test]
async fn a_fetched_tag_must_be_the_same_here_and_there() {
    let place = place();
    place.git(&["tag", "-a", "v1", "-m", "one"]);
    place.git(&["push", "--quiet", "origin", "v1", "main"]);
    let object = place.git(&["rev-parse", "v1"]);
    place.git(&["tag", "-d", "v1"]);
    let params = json!({ "verify": "v1" });
    let output = GitFetch.run(&place.cx, &params, None).await.unwrap();
    assert_eq!(output["tag_object"], object.as_str());
    let branch = GitFetch.run(&place.cx, &json!({ "branch": "main" }), None).await.unwrap();
    assert_eq!(branch["commit"], place.git(&["rev-parse", "HEAD"]).as_str());
    place.git(&["tag", "-f", "-a", "v1", "-m", "moved"]);
    let error = GitFetch.run(&place.cx, &params, None).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains(&object), "{error}");
    let unsigned = json!({ "verify": "v1", "signature": "required" });
    place.git(&["push", "--quiet", "--force", "origin", "v1"]);
    assert!(GitFetch.run(&place.cx, &unsigned, None).await.unwrap_err().message.contains("signature"));
    assert!(GitFetch.run(&place.cx, &json!({ "verify": "v9" }), None).await.unwrap_err().message.contains("no tag `v9`"));
}

/// A box whose `.env` and compose file were tracked once and are its own now.
fn drifted_box() -> Place {
    let place = place();
    place.commit(".env", "K=example\n");
    place.commit("docker-compose.yml", "old\n");
    place.commit("data", "x\n");
    place.git(&["tag", "v1"]);
    place.git(&["rm", "--quiet", ".env", "docker-compose.yml", "data"]);
    place.commit(".gitignore", ".env\ndocker-compose.yml\n");
    place.commit("file", "two\n");
    place.git(&["tag", "v2"]);
    place.git(&["checkout", "--quiet", "-b", "box", "v1"]);
    fs::write(place.file(".env"), "K=mine\n").unwrap();
    fs::set_permissions(place.file(".env"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(place.file("data"), fs::Permissions::from_mode(0o640)).unwrap();
    place
}

#[tokio::test]
async fn kept_files_survive_a_checkout_there_and_back() {
    let place = drifted_box();
    let start = place.seen();
    assert!(place.probe(&GitCheckout, &json!({ "ref": "v2" })).await.unwrap_err().message.contains("`.env`"));
    let params = json!({ "ref": "v2", "keep": [".env", "docker-compose.yml", "none"] });
    let (before, output) = place.run(&GitCheckout, &params).await;
    let read = |path: &str| fs::read_to_string(place.file(path)).ok();
    let mode = |path: &str| fs::metadata(place.file(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((read("file").as_deref(), read("data")), (Some("two\n"), None));
    assert_eq!((read(".env").as_deref(), mode(".env")), (Some("K=mine\n"), 0o600));
    assert_eq!(read("docker-compose.yml").as_deref(), Some("old\n"));
    let remembered = fs::read_dir(&place.cx.scratch).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(remembered.into_iter().all(|name| name.starts_with("git-checkout-from-")), "nothing is left set aside");
    for output in [Some(&output), None] {
        GitCheckout.undo(&place.cx, &params, Some(&before), output).await.unwrap();
        assert_eq!(place.seen(), start);
        assert_eq!((read(".env").as_deref(), mode(".env"), mode("data")), (Some("K=mine\n"), 0o600, 0o640));
    }
}

#[tokio::test]
async fn a_checkout_that_git_refuses_changes_nothing() {
    let place = drifted_box();
    fs::write(place.file("file"), "mine\n").unwrap();
    let start = place.seen();
    let params = json!({ "ref": "v2", "keep": [".env"], "require_clean": false });
    let before = place.before(&GitCheckout, &params).await;
    let error = GitCheckout.run(&place.cx, &params, Some(&before)).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert_eq!(place.seen(), start);
    assert_eq!(fs::read_to_string(place.file(".env")).unwrap(), "K=mine\n");
}

#[tokio::test]
async fn a_box_on_the_new_release_can_go_back_to_a_commit_that_tracks_its_files() {
    let place = drifted_box();
    place.git(&["checkout", "--quiet", "--force", "v2"]);
    fs::write(place.file(".env"), "K=mine\n").unwrap();
    let start = place.seen();
    let params = json!({ "ref": "v1", "keep": [".env"] });
    let (before, output) = place.run(&GitCheckout, &params).await;
    assert_eq!(fs::read_to_string(place.file(".env")).unwrap(), "K=mine\n");
    assert_eq!(place.git(&["status", "--porcelain"]), " M .env");
    GitCheckout.undo(&place.cx, &params, Some(&before), Some(&output)).await.unwrap();
    assert_eq!(place.seen(), start);
    assert_eq!(fs::read_to_string(place.file(".env")).unwrap(), "K=mine\n");
}
