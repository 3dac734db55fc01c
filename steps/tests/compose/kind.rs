//! The kind on real files, a real repository and the real compose program, if there is one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use formula_steps::compose_regen::ComposeRegen;
use formula_steps::contract::{Change, Class, Context, Probe, StepError, StepType};
use formula_steps::world::OutputBuffer;
use formula_steps::world::fake::FakeWorld;
use formula_steps::world::real::{RealCompose, RealFiles, RealGit, RealProcess};
use serde_json::{Value, json};

use super::{HARB, agent, harb};

const TEMPLATE: &str = "services:\n  web:\n    image: web:{{runtime \"VERSION\" \"v1\"}}\n";
const OUTPUT: &str = "docker-compose.yml";

/// A box's folder, which is a repository.
struct Place {
    _folder: tempfile::TempDir,
    work: PathBuf,
    env: BTreeMap<String, String>,
    cx: Context,
    log: Arc<OutputBuffer>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    let work = root.join("work");
    fs::create_dir_all(work.join("projects")).unwrap();
    fs::create_dir(root.join("scratch")).unwrap();
    fs::write(root.join("config"), "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n").unwrap();
    let env = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME".to_owned(), root.to_str().unwrap().to_owned()),
        ("GIT_CONFIG_GLOBAL".to_owned(), root.join("config").to_str().unwrap().to_owned()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
    ]);
    let mut world = FakeWorld::new().world();
    world.git = Arc::new(RealGit::new(env.clone()));
    world.files = Arc::new(RealFiles::default());
    world.compose = Arc::new(RealCompose::new(Arc::new(RealProcess::new()), BTreeMap::new()));
    let mut cx = Context::bare(world, &work);
    cx.scratch = Arc::from(root.join("scratch"));
    let log = Arc::new(OutputBuffer::new());
    cx.output = log.clone();
    let place = Place { _folder: folder, work, env, cx, log };
    place.git(&["init", "--quiet"]);
    place.put("docker-compose.yml.hbs", TEMPLATE);
    place
}

impl Place {
    fn git(&self, args: &[&str]) {
        let done = Command::new("git").args(args).current_dir(&self.work).env_clear().envs(&self.env).output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self, tag: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", tag]);
        self.git(&["tag", "-a", tag, "-m", tag]);
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.work.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work.join(name)).unwrap()
    }

    /// Names and contents of all files, permissions too.
    fn files(&self) -> BTreeMap<String, (Vec<u8>, u32)> {
        fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, (Vec<u8>, u32)>) {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().is_some_and(|name| name == ".git") {
                    continue;
                }
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, (fs::read(&path).unwrap(), mode));
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.work, &self.work, &mut found);
        found
    }

    async fn probe(&self, params: &Value) -> Result<Probe<Value, Value>, StepError> {
        StepType::probe(&ComposeRegen, &self.cx, params).await
    }

    async fn absent(&self, params: &Value) -> (Value, Vec<Change>) {
        match self.probe(params).await.unwrap() {
            Probe::Absent { before, changes } => (before, changes),
            other => panic!("the probe answers {other:?}"),
        }
    }

    /// Looks and runs; gives checkpoint and output.
    async fn regen(&self, params: &Value) -> Result<(Value, Value), StepError> {
        let (before, _) = self.absent(params).await;
        let output = StepType::run(&ComposeRegen, &self.cx, params, Some(&before)).await?;
        Ok((before, output))
    }

    async fn undo(&self, params: &Value, before: &Value, output: &Value) -> Result<(), StepError> {
        StepType::undo(&ComposeRegen, &self.cx, params, Some(before), Some(output)).await
    }
}

fn projects() -> Value {
    json!({ "data": { "projects": "projects/*.toml" }, "template": "shipped/docker-compose.yml.hbs" })
}

/// Probe and run are refused, and not a byte changes.
async fn refuses(place: &Place, params: &Value, expected: &str) {
    let before = place.files();
    let probed = place.probe(params).await.unwrap_err();
    assert_eq!(probed.class, Class::Refused, "{probed}");
    assert!(probed.message.contains(expected), "{probed}");
    let ran = StepType::run(&ComposeRegen, &place.cx, params, None).await.unwrap_err();
    assert_eq!(ran.message, probed.message);
    assert_eq!(place.files(), before);
}

#[tokio::test]
async fn c11_duplicates_leave_file_and_prev_untouched() {
    let place = place();
    place.put(OUTPUT, "old");
    place.put("docker-compose.yml.prev", "older");
    place.put("projects/a.toml", &harb(&agent("llama", "user-a")));
    place.put("projects/b.toml", &harb(&agent("llama", "user-b")));
    refuses(&place, &projects(), "by `[agents.llama]` in `projects/a.toml` line 5 and by `[agents.llama]` in `projects/b.toml` line 5")
        .await;
}

#[tokio::test]
async fn c12_the_legacy_flag_writes_nothing() {
    let place = place();
    place.put("projects/a.toml", &harb(&agent("llama", "user-a")));
    let mut params = projects();
    params["values"] = json!({ "ENABLE_LLAMA_AGENT": "1" });
    refuses(&place, &params, "ENABLE_LLAMA_AGENT is no longer read").await;
}

#[tokio::test]
async fn c21_a_broken_project_file_is_told_with_file_and_line() {
    let place = place();
    place.put(OUTPUT, "old");
    place.put("projects/a.toml", "name = \"x\"\n[agents.llama\n");
    refuses(&place, &projects(), "`projects/a.toml` line 2, column ").await;
}

#[tokio::test]
async fn c22_a_template_that_fails_half_way_leaves_no_trace() {
    let place = place();
    place.regen(&json!({})).await.unwrap();
    place.put("docker-compose.yml.hbs", &format!("{TEMPLATE}  more: {{{{fail \"injected\"}}}}\n"));
    refuses(&place, &json!({}), "`docker-compose.yml.hbs` line 4, column 9: injected").await;
    assert!(!place.work.join("docker-compose.yml.prev").exists());
}

#[tokio::test]
async fn c23_unchanged_inputs_write_nothing() {
    let place = place();
    place.regen(&json!({})).await.unwrap();
    let facts = |name: &str| fs::metadata(place.work.join(name)).map(|found| (found.ino(), found.mtime_nsec(), found.mtime())).ok();
    let before = (facts(OUTPUT), place.files());
    place.cx.forget("compose-regen").await.unwrap();
    let Probe::Present { output } = place.probe(&json!({})).await.unwrap() else { panic!("not present") };
    let ran = StepType::run(&ComposeRegen, &place.cx, &json!({}), None).await.unwrap();
    assert_eq!(ran, output);
    assert_eq!((&output["changed"], &output["diff"]), (&json!(false), &json!([])));
    assert_eq!((facts(OUTPUT), place.files()), before);
    assert!(!place.work.join("docker-compose.yml.prev").exists());
}

#[tokio::test]
async fn c24_what_was_there_is_kept_and_removals_come_first() {
    let place = place();
    place.put("docker-compose.yml.hbs", &format!("{TEMPLATE}    restart: always\n    volumes: ['./x:/x']\n  old:\n    image: old\n"));
    place.regen(&json!({})).await.unwrap();
    fs::set_permissions(place.work.join(OUTPUT), fs::Permissions::from_mode(0o640)).unwrap();
    let old = place.read(OUTPUT);
    place.put("docker-compose.yml.hbs", &TEMPLATE.replace("web:{{", "other:{{"));
    let start = place.files();
    let (_, changes) = place.absent(&json!({})).await;
    let told: Vec<_> = changes.iter().map(|change| change.summary.as_str()).collect();
    let expected = [
        "change `docker-compose.yml` (from `docker-compose.yml.hbs`, pinned)",
        "remove service `old`",
        "remove mount `/x` of service `web`",
        "remove `restart` of service `web`",
        "change `image` of service `web`: `other:${VERSION:-v1}` instead of `web:${VERSION:-v1}`",
    ];
    assert_eq!(told, expected);
    assert!(changes[0].diff.as_ref().unwrap().contains("-    restart: always\n"));
    let (before, output) = place.regen(&json!({})).await.unwrap();
    assert_eq!(output["diff"][0], json!("- service `old`"));
    assert_eq!(place.read("docker-compose.yml.prev"), old);
    for name in [OUTPUT, "docker-compose.yml.prev"] {
        assert_eq!(fs::metadata(place.work.join(name)).unwrap().permissions().mode() & 0o7777, 0o640, "{name}");
    }
    place.undo(&json!({}), &before, &output).await.unwrap();
    assert_eq!(place.files(), start);
}

#[tokio::test]
async fn a_hand_edit_is_not_overwritten_unless_accepted() {
    let place = place();
    place.regen(&json!({})).await.unwrap();
    place.put(OUTPUT, &format!("{}    restart: always\n", place.read(OUTPUT)));
    let edited = place.files();
    for changed in [false, true] {
        if changed {
            place.put("docker-compose.yml.hbs", &TEMPLATE.replace("v1", "v2"));
        }
        refuses(&place, &json!({}), "`docker-compose.yml` was edited by hand since it was made").await;
        let error = place.probe(&json!({})).await.unwrap_err();
        assert!(error.hint.as_ref().unwrap().contains("what would go: - `restart` of service `web`"), "{error:?}");
        assert_eq!(place.files()[OUTPUT], edited[OUTPUT]);
    }
    let (_, output) = place.regen(&json!({ "accept_hand_edits": true })).await.unwrap();
    assert_eq!(output["diff"][0], json!("- `restart` of service `web`"));
    assert_eq!(place.read("docker-compose.yml.prev").as_bytes(), edited[OUTPUT].0);
}

#[tokio::test]
async fn the_mode_stays_until_another_is_asked_for() {
    let place = place();
    let template = "services:\n  web:\n    image: web\n{{#if (eq mode \"build\")}}\n    build: .\n{{/if}}\n";
    place.put("docker-compose.yml.hbs", template);
    place.regen(&json!({ "mode": "build" })).await.unwrap();
    assert!(place.read(OUTPUT).contains("build: .") && place.read(OUTPUT).contains("mode=build"));
    place.cx.forget("compose-regen").await.unwrap();
    let Probe::Present { output } = place.probe(&json!({})).await.unwrap() else { panic!("not present") };
    assert_eq!(output["mode"], json!("build"));
    let (_, changes) = place.absent(&json!({ "mode": "pinned" })).await;
    assert_eq!(changes[0].summary, "change the mode of `docker-compose.yml` (from `docker-compose.yml.hbs`, pinned)");
    let problems = StepType::check(&ComposeRegen, &json!({ "mode": "both", "ref": "-x", "data": { "a.b": "x" } }));
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[tokio::test]
async fn u3_a_tracked_file_moves_on_to_a_generated_one_if_nobody_touched_it() {
    let place = place();
    let tracked = "services:\n  web:\n    image: web:v0\n";
    fs::remove_file(place.work.join("docker-compose.yml.hbs")).unwrap();
    place.put(OUTPUT, tracked);
    place.commit("v0.2.0");
    place.git(&["rm", "--quiet", OUTPUT]);
    place.put("docker-compose.yml.hbs", TEMPLATE);
    place.commit("v0.3.0");
    // A plan, before the checkout: the template is the new version's.
    place.git(&["checkout", "--quiet", "v0.2.0"]);
    let params = json!({ "ref": "v0.3.0" });
    let (_, changes) = place.absent(&params).await;
    assert_eq!(changes[0].summary, "replace `docker-compose.yml` (from `docker-compose.yml.hbs of v0.3.0`, pinned)");
    // After it, with the old file kept.
    place.git(&["checkout", "--quiet", "v0.3.0"]);
    place.put(OUTPUT, tracked);
    let start = place.files();
    let (before, output) = place.regen(&params).await.unwrap();
    assert!(place.read(OUTPUT).contains("web:${VERSION:-v1}"));
    assert_eq!(place.read("docker-compose.yml.prev"), tracked);
    place.undo(&params, &before, &output).await.unwrap();
    assert_eq!(place.files(), start);
    // The same with a single byte more.
    place.put(OUTPUT, &format!("{tracked}\n"));
    refuses(&place, &params, "was not made by this program, and no commit in the history of HEAD holds it").await;
}

#[tokio::test]
async fn without_a_template_the_shipped_one_stands_in_under_its_name_alone() {
    let place = place();
    place.put("projects/a.toml", HARB);
    let (_, changes) = place.absent(&projects()).await;
    assert_eq!(changes[0].summary, "make `docker-compose.yml` (from `docker-compose.yml.hbs of this program`, pinned)");
    refuses(&place, &json!({ "template": "compose.hbs" }), "there is no template `compose.hbs`").await;
    place.commit("v1");
    refuses(&place, &json!({ "template": "compose.hbs", "ref": "v1" }), "there is no template `compose.hbs of v1`").await;
    refuses(&place, &json!({ "ref": "v9" }), "there is no commit `v9` to take the template from").await;
    refuses(&place, &json!({ "data": { "x": "none.toml" } }), "the data `x` is to come from `none.toml`, which is not there").await;
    refuses(&place, &json!({ "output": "../x" }), "leaves the working directory").await;
}

#[tokio::test]
async fn a_change_by_somebody_else_is_not_undone() {
    let place = place();
    let (before, output) = place.regen(&json!({})).await.unwrap();
    place.put(OUTPUT, "theirs");
    let error = place.undo(&json!({}), &before, &output).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert_eq!(place.read(OUTPUT), "theirs");
}

#[tokio::test]
async fn what_the_template_has_to_say_is_told() {
    let place = place();
    place.put("projects/a.toml", &harb("[agents.half]\nbase_url = 'x'\n"));
    let (before, changes) = place.absent(&projects()).await;
    let note = "`[agents.half]` in `projects/a.toml` line 5 has `base_url` but no `model`: no service is made of it";
    assert_eq!(changes.last().unwrap().summary, format!("note: {note}"));
    place.put(".env", "DISINTO_VERSION=v1\n");
    StepType::run(&ComposeRegen, &place.cx, &projects(), Some(&before)).await.unwrap();
    assert!(place.log.text().contains(note), "{}", place.log.text());
}
