//! The kinds round images and compose on the real engine, a real registry, the real git and compose programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use formula_steps::contract::{Class, Context, Probe, StepError, StepType};
use formula_steps::world::real::world;
use formula_steps::world::{ImageRef, OutputBuffer, Secret};
use serde_json::{Value, json};

use crate::support::{Folder, RegistryServer, Tags, docker, docker_quietly, engine_or_skip, program_answers};

const DOCKERFILE: &str = "FROM scratch\nCOPY greeting /\nCOPY busybox /bin/busybox\nVOLUME /data\nLABEL formula.test=1\n";

/// A step in the real world.
pub struct Bench {
    pub cx: Context,
    pub log: Arc<OutputBuffer>,
    pub state: Folder,
}

impl Bench {
    pub fn new(workdir: &Path) -> Self {
        let log = Arc::new(OutputBuffer::new());
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        #[expect(clippy::disallowed_methods, reason = "the compose plugin lies in the tester's home")]
        let home = std::env::var("HOME").unwrap_or_default();
        let workdir = std::fs::canonicalize(workdir).expect("it is there");
        let mut cx = Context::bare(world(&BTreeMap::from([("PATH".to_owned(), path), ("HOME".to_owned(), home)])), &workdir);
        cx.output = log.clone();
        let state = Folder::with(&[]);
        cx.state = state.path().into();
        cx.locks = state.path().join("locks").into();
        Self { cx, log, state }
    }

    fn kind(kind: &str) -> &'static dyn StepType {
        formula_steps::find(kind).expect("it is built in")
    }

    pub async fn probe(&self, kind: &str, params: &Value) -> Probe<Value, Value> {
        Self::kind(kind).probe(&self.cx, params).await.expect("an answer")
    }

    pub async fn run(&self, kind: &str, params: &Value) -> Result<(Option<Value>, Value), StepError> {
        let before = match Self::kind(kind).probe(&self.cx, params).await? {
            Probe::Absent { before, .. } => Some(before),
            _ => None,
        };
        let output = Self::kind(kind).run(&self.cx, params, before.as_ref()).await?;
        Ok((before, output))
    }

    pub async fn undo(&self, kind: &str, params: &Value, done: &(Option<Value>, Value)) -> Result<(), StepError> {
        Self::kind(kind).undo(&self.cx, params, done.0.as_ref(), Some(&done.1)).await
    }
}

#[track_caller]
fn git(dir: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").arg("-C").arg(dir).args(who).args(args).output().expect("`git` starts");
    assert!(output.status.success(), "$ git {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository whose image greets.
fn repository(greeting: &str) -> Folder {
    let folder = Folder::with_busybox(&[("Dockerfile", DOCKERFILE), ("greeting", greeting)]);
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "--quiet", "-m", "one"]);
    folder
}

fn id_of(name: &str) -> String {
    docker_quietly(&["image", "inspect", "--format", "{{.Id}}", name])
}

#[tokio::test]
async fn a_clean_build_is_the_commit_and_is_made_once() {
    engine_or_skip!("a_clean_build_is_the_commit_and_is_made_once");
    let (folder, tags) = (repository("hello"), Tags::default());
    let (name, second) = (tags.local(), tags.local());
    let commit = git(folder.path(), &["rev-parse", "HEAD"]);
    folder.write("greeting", b"changed and not committed");
    let bench = Bench::new(folder.path());
    let params = json!({
        "tags": [name.to_string(), second.to_string()], "version": "v1", "revision": commit, "clean": true, "volumes": ["/data"],
    });
    assert!(matches!(bench.probe("docker-build", &params).await, Probe::Absent { .. }));
    let (_, output) = bench.run("docker-build", &params).await.expect("a build");
    assert_eq!((output["image_id"].as_str(), output["version_label"].as_str()), (Some(&*id_of(&name.to_string())), Some("v1")));
    assert_eq!(id_of(&second.to_string()), output["image_id"]);
    let said = docker(&["run", "--rm", "--label", "formula.test=1", &name.to_string(), "/bin/busybox", "cat", "/greeting"]);
    assert_eq!(said, "hello");
    assert_eq!(bench.probe("docker-build", &params).await, Probe::Present { output: output.clone() });
    assert_eq!(bench.run("docker-build", &params).await.expect("nothing to do").1, output);

    let mut dirty = params.clone();
    dirty["clean"] = false.into();
    assert!(matches!(bench.probe("docker-build", &dirty).await, Probe::Absent { .. }), "the working tree is other content");
    let mut wanting = params;
    wanting["volumes"] = json!(["/data", "/state"]);
    let error = bench.run("docker-build", &wanting).await.expect_err("it declares one of them");
    assert!(error.message.contains("`/state`") && !error.message.contains("`/data`"), "{error}");
}

#[tokio::test]
async fn a_push_is_proved_resumed_and_taken_back() {
    engine_or_skip!("a_push_is_proved_resumed_and_taken_back");
    let (mut server, tags) = (RegistryServer::closed("bot", "s3cret-s3cret"), Tags::default());
    let (old, new) = (repository("old"), repository("new"));
    let (old_name, new_name) = (tags.local(), tags.local());
    let target = tags.at(&server.host());
    let latest = tags.watch(&target.with_tag("latest"));
    for (folder, name) in [(&old, &old_name), (&new, &new_name)] {
        Bench::new(folder.path()).run("docker-build", &json!({ "tags": [name.to_string()] })).await.expect("a build");
    }
    let mut bench = Bench::new(new.path());
    let push = |name: &ImageRef, tag: &ImageRef| {
        json!({
            "image": id_of(&name.to_string()), "tags": [tag.to_string()], "undo": "delete",
            "registry_auth": { "username": "bot", "secret": "TOKEN" },
        })
    };
    let error = bench.run("image-push", &push(&old_name, &latest)).await.expect_err("the step has no such secret");
    assert_eq!(error.class, Class::Refused, "{error}");
    bench.cx.secrets = Arc::new(BTreeMap::from([("TOKEN".to_owned(), Secret::new("wrong-wrong"))]));
    let error = bench.run("image-push", &push(&old_name, &latest)).await.expect_err("not let in");
    assert!(error.class == Class::Permanent && error.hint.as_ref().is_some_and(|hint| hint.contains("`TOKEN`")), "{error:?}");
    bench.cx.secrets = Arc::new(BTreeMap::from([("TOKEN".to_owned(), Secret::new("s3cret-s3cret"))]));
    let before = bench.run("image-push", &push(&old_name, &latest)).await.expect("a push").1;

    let mut moving = push(&new_name, &target);
    moving["move_last"] = json!(["latest"]);
    let checkpoint = bench.probe("image-push", &moving).await;
    server.stop();
    let error = bench.run("image-push", &moving).await.expect_err("nobody there");
    assert_eq!(error.class, Class::Transient, "{error}");
    server.restart();
    assert_eq!(bench.probe("image-push", &moving).await, checkpoint, "nothing happened");
    let done = bench.run("image-push", &moving).await.expect("a push");
    let digest = done.1["digest"].as_str().expect("a digest");
    assert_ne!(digest, before["digest"]);
    assert_eq!(done.1["reference"], format!("{}@{digest}", target.name()));
    assert_eq!(done.1["tags"][latest.to_string()], digest);
    assert_eq!(bench.probe("image-push", &moving).await, Probe::Present { output: done.1.clone() });
    assert!(matches!(bench.probe("image-push", &push(&old_name, &target)).await, Probe::Diverged { .. }));

    for _ in ["once", "twice"] {
        bench.undo("image-push", &moving, &done).await.expect("taken back");
        assert_eq!(bench.probe("image-push", &push(&old_name, &latest)).await, Probe::Present { output: before.clone() });
        assert_eq!(bench.probe("image-push", &moving).await, checkpoint, "the world is as it was");
    }
    assert!(!bench.log.text().contains("s3cret"), "{}", bench.log.text());

    let again = bench.run("image-push", &moving).await.expect("its blobs are there still");
    assert_eq!(again.1, done.1);
    docker(&["image", "rm", &target.to_string(), &latest.to_string()]);
    let pull = json!({ "images": [latest.to_string()], "registry_auth": { "username": "bot", "secret": "TOKEN" } });
    let pulled = bench.run("image-pull", &pull).await.expect("a pull").1;
    assert_eq!(pulled["images"][latest.to_string()]["digest"], done.1["digest"]);
    assert_eq!(bench.probe("image-pull", &pull).await, Probe::Present { output: pulled });
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_says_so() {
    engine_or_skip!("a_registry_that_deletes_nothing_says_so");
    let (server, tags, folder) = (RegistryServer::keeping_all(), Tags::default(), repository("kept"));
    let target = tags.at(&server.host());
    let bench = Bench::new(folder.path());
    bench.run("docker-build", &json!({ "tags": [target.to_string()] })).await.expect("a build");
    let push = json!({ "image": target.to_string(), "tags": [target.to_string()], "undo": "delete" });
    let done = bench.run("image-push", &push).await.expect("a push");
    let error = bench.undo("image-push", &push, &done).await.expect_err("it keeps everything");
    assert!(error.class == Class::Permanent && error.hint.is_some(), "{error:?}");
    assert!(matches!(bench.probe("image-push", &push).await, Probe::Present { .. }));
}

#[tokio::test]
async fn services_are_restarted_judged_and_brought_back() {
    engine_or_skip!("services_are_restarted_judged_and_brought_back");
    if !program_answers("services_are_restarted_judged_and_brought_back", "docker", &["compose", "version"]) {
        return;
    }
    let (folder, tags) = (repository("one"), Tags::default());
    let base = tags.local();
    let names: Vec<ImageRef> = ["v1", "v2", "v3"].iter().map(|tag| tags.watch(&base.with_tag(tag))).collect();
    let bench = Bench::new(folder.path());
    for (number, name) in names.iter().enumerate() {
        folder.write("greeting", number.to_string().as_bytes());
        bench.run("docker-build", &json!({ "tags": [name.to_string()] })).await.expect("a build");
    }
    let project = format!("formula-test-kinds-{}", std::process::id());
    let file = format!(
        "services:\n  web: &web\n    image: {}:${{TAG:-v1}}\n    init: true\n    stop_grace_period: 0s\n    labels: {{formula.test: \"1\"}}\n    \
         command: [\"/bin/busybox\", \"sh\", \"-c\", \"grep -q 2 /greeting && exit 3; echo polling; exec /bin/busybox sleep 1000\"]\n  \
         other:\n    <<: *web\n    command: [\"/bin/busybox\", \"sleep\", \"1000\"]\n",
        base.name()
    );
    folder.write("docker-compose.yml", file.replace("grep", "/bin/busybox grep").as_bytes());
    let _down = Down(project.clone());
    let up = |tag: &str| json!({ "project": project, "services": ["web"], "variables": [format!("TAG={tag}")], "timeout": "20s" });
    let container = |output: &Value| output["services"]["web"]["container"].as_str().expect("an id").to_owned();

    let first = bench.run("compose-restart", &up("v1")).await.expect("it comes up");
    assert_eq!(bench.probe("compose-restart", &up("v1")).await, Probe::Present { output: first.1.clone() });
    assert_eq!(container(&bench.run("compose-restart", &up("v1")).await.expect("it is up").1), container(&first.1));
    let checks = json!({
        "interval": "200ms", "stable_for": "1s", "deadline": "20s",
        "checks": [
            { "type": "compose", "project": project, "services": ["web"] },
            { "type": "container", "container": format!("{project}-web-1"), "image_id": id_of(&names[0].to_string()) },
            { "type": "log", "container": format!("{project}-web-1"), "pattern": "^polling$" },
            { "type": "command", "command": ["sh", "-c", "exit 0"] },
        ],
    });
    bench.run("health-check", &checks).await.expect("all is well");

    let second = bench.run("compose-restart", &up("v2")).await.expect("it comes up");
    assert_eq!(second.1["services"]["web"]["image_id"], id_of(&names[1].to_string()));
    let error = bench.run("health-check", &json!({ "checks": checks["checks"], "deadline": "3s" })).await.expect_err("another image");
    assert!(error.message.contains("runs image") && !error.message.contains("command"), "{error}");
    for _ in ["once", "twice"] {
        bench.undo("compose-restart", &up("v2"), &second).await.expect("brought back");
        bench.run("health-check", &checks).await.expect("the old image runs again");
    }
    assert_eq!(id_of(&names[1].to_string()), second.1["services"]["web"]["image_id"], "its own name stands for the new image");

    let error = bench.run("compose-restart", &up("v3")).await.expect_err("it crashes");
    assert!(error.message.contains("`web` exited with code 3"), "{error}");
    let running = docker(&["ps", "--all", "--quiet", "--filter", &format!("label=com.docker.compose.project={project}")]);
    assert_eq!(running.lines().count(), 1, "the other service is nobody's business");
}

/// Takes a project down.
pub struct Down(pub String);

impl Down {
    /// Takes it down at once.
    pub fn now(&self) {
        let of_project = format!("com.docker.compose.project={}", self.0);
        for id in docker_quietly(&["ps", "--all", "--quiet", "--filter", &format!("label={of_project}")]).lines() {
            docker_quietly(&["rm", "--force", "--volumes", id]);
        }
        for id in docker_quietly(&["network", "ls", "--quiet", "--filter", &format!("label={of_project}")]).lines() {
            docker_quietly(&["network", "rm", id]);
        }
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.now();
    }
}

#[tokio::test]
async fn a_port_that_only_the_proxy_of_the_engine_answers_is_red() {
    engine_or_skip!("a_port_that_only_the_proxy_of_the_engine_answers_is_red");
    let (folder, tags) = (repository("port"), Tags::default());
    let name = tags.local();
    let bench = Bench::new(folder.path());
    bench.run("docker-build", &json!({ "tags": [name.to_string()] })).await.expect("a build");
    let container = format!("formula-test-port-{}", std::process::id());
    struct Remove(String);
    impl Drop for Remove {
        fn drop(&mut self) {
            docker_quietly(&["rm", "--force", "--volumes", &self.0]);
        }
    }
    let _remove = Remove(container.clone());
    let command = ["/bin/busybox", "sleep", "1000"];
    let name = name.to_string();
    let mut args =
        vec!["run", "--detach", "--init", "--label", "formula.test=1", "--name", &container, "--publish", "127.0.0.1::80", &name];
    args.extend(command);
    docker(&args);
    let address = docker(&["port", &container, "80/tcp"]);
    let check = json!({ "checks": [{ "type": "tcp", "address": address }], "interval": "200ms", "deadline": "2s" });
    let error = bench.run("health-check", &check).await.expect_err("nobody listens behind the proxy");
    assert!(error.message.contains(&address), "{error}");
    let check = json!({ "checks": [{ "type": "container", "container": container }], "interval": "200ms" });
    bench.run("health-check", &check).await.expect("it runs");
}
