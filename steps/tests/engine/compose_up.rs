//! `compose-up` on the real engine with the real compose program: what it touches, what it says, and the way back.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use formula_steps::contract::{Class, Probe};
use formula_steps::kit::recipe::{self, Recipe};
use formula_steps::world::real::{DockerSettings, RealCompose, RealDocker, RealProcess};
use formula_steps::world::{Cancel, CancelLevel, Compose as _, ComposeFile, Docker as _, ImageRef, Output, OutputBuffer, Up};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::kinds::{Bench, Down};
use crate::support::{Folder, Tags, docker, docker_quietly, engine_or_skip, program_answers};

const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY run /run\nCOPY mode /\nVOLUME /data\nLABEL formula.test=1\n\
    HEALTHCHECK --interval=300ms --timeout=2s --retries=2 CMD [\"/bin/busybox\",\"sh\",\"-c\",\"busybox echo it says $(busybox cat /mode); [ -e /well ]\"]\n\
    STOPSIGNAL SIGKILL\nENV PATH=/bin\nENTRYPOINT [\"/bin/busybox\",\"sh\",\"/run\"]\n";
const RUN: &str = "case $(busybox cat /mode) in\n  crash) echo boom; exit 3;;\n  sick) ;;\n  *) busybox touch /well;;\nesac\n\
    echo \"$(busybox cat /mode)\" >> /data/boots\nexec busybox sleep 1000\n";

/// A box: a folder with a compose file, images, a running project and a neighbour in another one.
struct Stack {
    bench: Bench,
    folder: Folder,
    scratch: Folder,
    project: String,
    images: BTreeMap<&'static str, ImageRef>,
    down: [Down; 2],
    _tags: Tags,
}

impl Stack {
    /// With an image for each mode; v1 and v2 are well.
    async fn new(name: &str, modes: &[&'static str]) -> Self {
        let (tags, folder) = (Tags::default(), Folder::with(&[]));
        let engine = RealDocker::new(DockerSettings::default());
        let mut images = BTreeMap::new();
        for &mode in modes {
            let context = Folder::with_busybox(&[("Dockerfile", DOCKERFILE), ("run", RUN), ("mode", &format!("{mode}\n"))]);
            let image = tags.local();
            engine.build(&context.build(&[&image]), &OutputBuffer::new()).await.expect("a build");
            images.insert(mode, image);
        }
        let project = format!("formula-test-{name}-{}", std::process::id());
        let down = [Down(project.clone()), Down(format!("{project}-next"))];
        let mut bench = Bench::new(folder.path());
        let scratch = Folder::with(&[]);
        bench.cx.scratch = scratch.path().into();
        Self { bench, scratch, folder, project, images, down, _tags: tags }
    }

    fn image(&self, mode: &str) -> String {
        self.images[mode].to_string()
    }

    /// The file: services as name, image and more lines.
    fn write(&self, services: &[(&str, &str, &str)]) {
        let mut text = "services:\n".to_owned();
        for (name, image, more) in services {
            let head = [format!("  {name}:"), format!("    image: {}", self.image(image)), "    labels: {formula.test: \"1\"}".to_owned()];
            text.push_str(&(head.join("\n") + "\n" + more));
        }
        self.folder.write("docker-compose.yml", (text + "volumes:\n  data:\n    labels: {formula.test: \"1\"}\n").as_bytes());
    }

    fn params(&self, more: Value) -> Value {
        let mut params = json!({ "project": self.project, "timeout": "60s" });
        params.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
        params
    }

    async fn up(&self, more: Value) -> (Option<Value>, Value) {
        let done =
            self.bench.run("compose-up", &self.params(more)).await.unwrap_or_else(|error| panic!("{error}\n{}", self.bench.log.text()));
        self.new_run();
        done
    }

    /// The next run has a scratch folder of its own.
    fn new_run(&self) {
        for file in std::fs::read_dir(self.scratch.path()).expect("a folder") {
            std::fs::remove_file(file.expect("a file").path()).expect("it goes");
        }
    }

    async fn plan(&self, more: Value) -> Vec<String> {
        match self.bench.probe("compose-up", &self.params(more)).await {
            Probe::Absent { changes, .. } => changes.into_iter().map(|change| change.summary).collect(),
            Probe::Present { .. } => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// Id by name of all containers of the project.
    fn ids(&self) -> BTreeMap<String, String> {
        self.each("{{.Names}} {{.ID}}")
    }

    fn each(&self, format: &str) -> BTreeMap<String, String> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let listed = docker(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", format]);
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, rest)| (name.trim_start_matches(&*self.project).trim_matches('-').to_owned(), rest.to_owned())).collect()
    }

    fn inspect(&self, service: &str, format: &str) -> String {
        docker(&["container", "inspect", "--format", format, &format!("{}-{service}-1", self.project)])
    }

    /// What compose itself would do now.
    fn compose_would_change(&self) -> String {
        let file = self.folder.path().join("docker-compose.yml");
        let args = ["compose", "--project-name", &self.project, "--file", file.to_str().expect("text"), "up", "--detach"];
        docker(&args);
        self.ids().into_values().collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let kept = docker_quietly(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "formula/keep"]);
        // The containers go first. A volume without a name that one of them was given again goes with none of them.
        let ids = self.ids().into_values().collect::<Vec<_>>();
        let volumes: Vec<String> = ids.iter().flat_map(|id| volumes_of(id)).collect();
        for down in &self.down {
            down.now();
        }
        for name in kept.lines().filter(|name| name.contains(&self.project)) {
            docker_quietly(&["image", "rm", name]);
        }
        for volume in volumes.iter().chain(&[format!("{}_data", self.project), format!("{}-next_data", self.project)]) {
            docker_quietly(&["volume", "rm", volume]);
        }
    }
}

/// Names of the volumes of a container.
pub fn volumes_of(container: &str) -> Vec<String> {
    let names = docker_quietly(&["container", "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", container]);
    names.split_whitespace().map(str::to_owned).collect()
}

fn id_of(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", image])
}

macro_rules! stack_or_skip {
    ($test:literal) => {
        engine_or_skip!($test);
        if !program_answers($test, "docker", &["compose", "version"]) {
            return;
        }
    };
}

const NEEDS_STORE: &str = "    depends_on: {store: {condition: service_healthy}}\n    volumes: [\"data:/data\"]\n";

#[tokio::test]
async fn only_what_changed_is_made_anew() {
    stack_or_skip!("only_what_changed_is_made_anew");
    let stack = Stack::new("change", &["v1", "v2"]).await;
    let store = ("store", "v1", "    volumes: [\"data:/data\"]\n");
    stack.write(&[store, ("web", "v1", NEEDS_STORE)]);
    let next = json!({ "project": format!("{}-next", stack.project) });
    stack.up(next.clone()).await;
    stack.up(json!({})).await;
    let first = stack.ids();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["store-1", "web-1"]);
    assert!(matches!(stack.bench.probe("compose-up", &stack.params(json!({}))).await, Probe::Present { .. }));
    let (before, output) = stack.up(json!({})).await;
    assert_eq!((before, &output["recreated"], stack.ids()), (None, &json!([]), first.clone()));

    stack.write(&[store, ("web", "v2", NEEDS_STORE)]);
    let plan = stack.plan(json!({})).await;
    let short = |mode: &str| id_of(&stack.image(mode))[7..19].to_owned();
    assert_eq!(plan, [format!("web: recreate (image {} → {}, another configuration)", short("v1"), short("v2")), "store: keep".to_owned()]);
    stack.up(json!({})).await;
    let second = stack.ids();
    assert_eq!(second["store-1"], first["store-1"]);
    assert_ne!(second["web-1"], first["web-1"]);

    // What others depend on changes; they keep their containers, and compose itself finds nothing left to do.
    stack.write(&[("store", "v2", store.2), ("web", "v2", NEEDS_STORE)]);
    let (before, output) = stack.up(json!({})).await;
    assert_eq!(output["recreated"], json!(["store"]));
    let third = stack.ids();
    assert_eq!(third["web-1"], second["web-1"]);
    assert_eq!(stack.compose_would_change(), third.values().cloned().collect::<String>());

    // A service more starts alone.
    stack.write(&[("store", "v2", store.2), ("web", "v2", NEEDS_STORE), ("more", "v1", "    volumes: [\"data:/data\"]\n")]);
    let (one_more, output_more) = stack.up(json!({})).await;
    assert_eq!(output_more["recreated"], json!(["more"]));
    let fourth = stack.ids();
    assert_eq!((&fourth["store-1"], &fourth["web-1"]), (&third["store-1"], &third["web-1"]));
    stack.bench.undo("compose-up", &stack.params(json!({})), &(one_more, output_more)).await.expect("it goes");
    assert_eq!(stack.ids(), third);
    stack.bench.undo("compose-up", &stack.params(json!({})), &(before, output)).await.expect("back to v1");
    assert_eq!(stack.inspect("store", "{{.Image}}"), id_of(&stack.image("v1")));
    assert_eq!(stack.ids()["web-1"], third["web-1"]);
    assert!(matches!(stack.bench.probe("compose-up", &stack.params(next)).await, Probe::Absent { .. }), "the neighbour is as it was");
    let neighbours = docker(&["ps", "--quiet", "--filter", &format!("label=com.docker.compose.project={}-next", stack.project)]);
    assert_eq!(neighbours.lines().count(), 2);
}

#[tokio::test]
async fn a_tag_that_moved_and_data_without_a_name_come_back() {
    stack_or_skip!("a_tag_that_moved_and_data_without_a_name_come_back");
    let stack = Stack::new("moved", &["v1", "v2"]).await;
    stack.write(&[("web", "v1", "")]);
    stack.up(json!({})).await;
    let (old, new) = (id_of(&stack.image("v1")), id_of(&stack.image("v2")));
    let seen = "{{.Image}} {{.Config.Image}} {{json .Config.Labels}} {{json .HostConfig.RestartPolicy}} {{range .Mounts}}{{.Name}}{{end}}";
    let before = stack.inspect("web", seen);
    docker(&["tag", &new, &stack.image("v1")]);
    let plan = stack.plan(json!({})).await;
    assert_eq!(plan[0], format!("web: recreate (image {} → {})", &old[7..19], &new[7..19]));
    assert!(plan[1].starts_with("web:/data is a volume"), "{plan:?}");
    let error = stack.bench.run("compose-up", &stack.params(json!({ "anonymous_volumes": "error" }))).await.expect_err("it is not mounted");
    assert!(error.class == Class::Refused && error.message.contains("`web:/data`"), "{error}");
    let done = stack.up(json!({})).await;
    assert_eq!(stack.inspect("web", "{{.Image}}"), new);
    assert_ne!(docker_quietly(&["image", "ls", "--quiet", "formula/keep"]), "");
    for _ in ["once", "twice"] {
        stack.bench.undo("compose-up", &stack.params(json!({})), &done).await.expect("brought back");
        assert_eq!(stack.inspect("web", seen), before);
        assert_eq!(id_of(&stack.image("v1")), new, "what moved the tag moves it back");
    }
    assert_eq!(stack.inspect("web", "{{.State.Health.Status}}"), "healthy");
    let boots = docker(&["exec", &format!("{}-web-1", stack.project), "busybox", "cat", "/data/boots"]);
    assert_eq!(boots, "v1\nv2\nv1", "the volume without a name is the same one all the way");
    docker(&["tag", &old, &stack.image("v1")]);
    let ids = stack.ids();
    assert_eq!(stack.compose_would_change(), ids.into_values().collect::<String>());
}

#[tokio::test]
async fn what_a_container_was_told_comes_back_and_is_in_no_checkpoint() {
    stack_or_skip!("what_a_container_was_told_comes_back_and_is_in_no_checkpoint");
    let stack = Stack::new("told", &["v1", "v2"]).await;
    let told = "    environment: {TOKEN: \"${TOKEN}\", ODD: \"a 'b' \\\"c\\\" $$d \\n\"}\n    volumes: [\"/one\", \"/two\", \"/three\"]\n";
    stack.folder.write(".env", b"TOKEN=of-the-old-one\n");
    stack.write(&[("web", "v1", told)]);
    stack.up(json!({})).await;
    let seen = "{{json .Config.Env}} {{json .HostConfig}} {{.Image}}";
    let before = stack.inspect("web", "{{json .Config.Env}} {{.Image}}");
    assert!(before.contains("TOKEN=of-the-old-one"), "{before}");
    // By the time of the upgrade, and on the way back, the file says something else.
    stack.folder.write(".env", b"TOKEN=of-the-new-one\n");
    stack.write(&[("web", "v2", told)]);
    let done = stack.up(json!({})).await;
    let after = stack.inspect("web", seen);
    assert!(after.contains("TOKEN=of-the-new-one"), "{after}");
    let checkpoint = format!("{done:?}");
    assert!(!checkpoint.contains("of-the-old-one") && !checkpoint.contains("of-the-new-one"), "{checkpoint}");
    let folder = stack.bench.state.path().join("containers");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    let kept = || std::fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path()).collect::<Vec<_>>();
    let [file] = &kept()[..] else { panic!("{:?}", kept()) };
    assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    assert!(std::fs::read_to_string(file).expect("text").contains("TOKEN=of-the-old-one"));

    let bytes = std::fs::read(file).expect("a file");
    std::fs::remove_file(file).expect("it goes");
    let step = formula_steps::find("compose-up").expect("it is built in");
    let params = stack.params(json!({}));
    let error = step.undo(&stack.bench.cx, &params, done.0.as_ref(), Some(&done.1)).await.expect_err("nothing to make it from");
    assert!(error.class == Class::Conflict && error.message.contains("is gone"), "{error}");
    assert_eq!(stack.inspect("web", seen), after, "it runs on");
    std::fs::write(file, bytes).expect("put back");
    stack.bench.undo("compose-up", &params, &done).await.expect("brought back");
    assert_eq!(stack.inspect("web", "{{json .Config.Env}} {{.Image}}"), before);
    assert_eq!(kept(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn what_wants_that_is_restarted_with_what_it_depends_on() {
    stack_or_skip!("what_wants_that_is_restarted_with_what_it_depends_on");
    let stack = Stack::new("restart", &["v1", "v2"]).await;
    let needs = |restart: bool| format!("    depends_on: {{store: {{condition: service_healthy, restart: {restart}}}}}\n");
    let (with, without) = (needs(true), needs(false));
    stack.write(&[("store", "v1", ""), ("web", "v1", &with), ("idle", "v1", &without)]);
    stack.up(json!({})).await;
    let facts = |service: &str| stack.inspect(service, "{{.Id}} {{.State.StartedAt}}");
    let (web, idle, store) = (facts("web"), facts("idle"), stack.inspect("store", "{{.Image}}"));
    stack.write(&[("store", "v2", ""), ("web", "v1", &with), ("idle", "v1", &without)]);
    let plan = stack.plan(json!({})).await;
    assert_eq!(plan[1], "web: restart (`store`, which it depends on, is made anew)", "{plan:?}");
    let done = stack.up(json!({})).await;
    let halves = |facts: &str| facts.split_once(' ').map(|(id, start)| (id.to_owned(), start.to_owned())).expect("two words");
    let ((id, first), (same, second)) = (halves(&web), halves(&facts("web")));
    assert!(id == same && first != second, "the same container, started again: {web} {}", facts("web"));
    assert_eq!(facts("idle"), idle);
    assert_eq!((stack.plan(json!({})).await, &done.1["recreated"]), (Vec::new(), &json!(["store"])));
    stack.bench.undo("compose-up", &stack.params(json!({})), &done).await.expect("brought back");
    let (same, third) = halves(&facts("web"));
    assert!(id == same && third != second && stack.inspect("store", "{{.Image}}") == store);
    assert_eq!(facts("idle"), idle);
}

#[tokio::test]
async fn what_lost_its_network_while_it_was_stopped_comes_up_again() {
    stack_or_skip!("what_lost_its_network_while_it_was_stopped_comes_up_again");
    let stack = Stack::new("network", &["v1"]).await;
    stack.write(&[("web", "v1", ""), ("other", "v1", "")]);
    stack.up(json!({})).await;
    let volume = stack.inspect("web", "{{range .Mounts}}{{.Name}}{{end}}");
    let network = format!("{}_default", stack.project);
    for service in ["web", "other"] {
        docker(&["stop", &format!("{}-{service}-1", stack.project)]);
    }
    docker(&["network", "rm", &network]);
    // Compose by itself makes a network of that name, and fails all the same.
    let file = stack.folder.path().join("docker-compose.yml");
    docker_quietly(&["compose", "--project-name", &stack.project, "--file", file.to_str().expect("text"), "up", "--detach"]);
    assert_ne!(stack.inspect("web", "{{.State.Status}}"), "running", "a later compose knows better: this test is not needed any more");
    let plan = stack.plan(json!({})).await;
    assert_eq!(plan[..2], ["other", "web"].map(|service| format!("{service}: recreate (its network `{network}` is gone)")));
    stack.up(json!({})).await;
    assert_eq!(stack.plan(json!({})).await, Vec::<String>::new());
    assert_eq!(stack.inspect("web", "{{range .Mounts}}{{.Name}}{{end}}"), volume, "with what is in its volume");
}

#[tokio::test]
async fn two_folders_that_name_one_project_take_turns() {
    stack_or_skip!("two_folders_that_name_one_project_take_turns");
    let stack = Stack::new("turns", &["v1"]).await;
    stack.write(&[("web", "v1", ""), ("store", "v1", "")]);
    let text = std::fs::read(stack.folder.path().join("docker-compose.yml")).expect("it was just written");
    let folder = Folder::with(&[]);
    folder.write("docker-compose.yml", &text);
    let mut other = Bench::new(folder.path());
    let scratch = Folder::with(&[]);
    (other.cx.scratch, other.cx.locks) = (scratch.path().into(), stack.bench.cx.locks.clone());
    let params = stack.params(json!({}));
    let (one, two) = tokio::join!(stack.bench.run("compose-up", &params), other.run("compose-up", &params));
    let (one, two) = (one.expect("it comes up").1, two.expect("it comes up").1);
    assert_eq!(one["services"]["web"]["container"], two["services"]["web"]["container"]);
    assert_eq!(stack.ids().len(), 2);
    let network = format!("name={}_default", stack.project);
    assert_eq!(docker(&["network", "ls", "--quiet", "--filter", &network]).lines().count(), 1);
}

#[tokio::test]
async fn what_never_gets_well_is_told_and_taken_back() {
    stack_or_skip!("what_never_gets_well_is_told_and_taken_back");
    let stack = Stack::new("sick", &["v1", "sick", "crash"]).await;
    let data = "    volumes: [\"data:/data\"]\n";
    let all = |mode: &'static str, more: &'static str| [("store", "v1", data), ("web", mode, more)];
    stack.write(&all("v1", NEEDS_STORE));
    stack.up(json!({})).await;
    let (first, hash) = (stack.ids(), "{{index .Config.Labels \"com.docker.compose.config-hash\"}} {{.Image}}");
    let before_web = stack.inspect("web", hash);
    let looping = "    restart: always\n    depends_on: {store: {condition: service_healthy}}\n    volumes: [\"data:/data\"]\n";
    for (mode, more, expected) in [
        ("sick", NEEDS_STORE, "`web` is unhealthy; its check said: it says sick"),
        ("crash", NEEDS_STORE, "`web` exited with code 3; it last wrote: boom"),
        ("crash", looping, "after it exited with code 3"),
    ] {
        stack.write(&all(mode, more));
        let params = stack.params(json!({ "timeout": if more == looping { "4s" } else { "60s" } }));
        let Probe::Absent { before, .. } = stack.bench.probe("compose-up", &params).await else { panic!("it has to change") };
        let step = formula_steps::find("compose-up").expect("it is built in");
        let error = step.run(&stack.bench.cx, &params, Some(&before)).await.expect_err("it cannot get well");
        assert!(error.message.contains(expected), "{error}");
        step.undo(&stack.bench.cx, &params, Some(&before), None).await.expect("brought back");
        assert_eq!(stack.inspect("web", hash), before_web);
        assert_eq!(stack.ids()["store-1"], first["store-1"]);
        assert_eq!(stack.inspect("web", "{{.State.Health.Status}}"), "healthy");
    }
}

#[tokio::test]
async fn services_that_go_and_what_leans_on_another_come_back() {
    stack_or_skip!("services_that_go_and_what_leans_on_another_come_back");
    let stack = Stack::new("lean", &["v1", "v2"]).await;
    let data = "    volumes: [\"data:/data\"]\n";
    let side = "    network_mode: \"service:web\"\n    volumes: [\"data:/data\"]\n";
    let llama = ("llama", "v1", "    volumes: [\"data:/data\"]\n    networks: {default: {aliases: [model]}}\n");
    stack.write(&[("web", "v1", data), ("side", "v1", side), llama, ("by-hand", "v1", data)]);
    stack.up(json!({})).await;
    let first = stack.ids();
    let (before, _) = stack.up(json!({})).await;
    assert_eq!((before, stack.ids()), (None, first.clone()), "one that shares a network is as it should be, too");
    std::fs::copy(stack.folder.path().join("docker-compose.yml"), stack.folder.path().join("old.yml")).expect("a file");
    stack.write(&[("web", "v2", data), ("side", "v1", side), ("by-hand", "v1", data)]);
    let text = std::fs::read_to_string(stack.folder.path().join("old.yml")).expect("a file");
    stack.folder.write("old.yml", text.replace("  by-hand:\n", "  another:\n").as_bytes());
    stack.write(&[("web", "v2", data), ("side", "v1", side)]);
    let more = json!({ "previous": "old.yml" });
    let plan = stack.plan(more.clone()).await;
    assert!(plan[0].starts_with("llama: remove") && plan.iter().any(|line| line.starts_with("side: recreate (it shares")), "{plan:?}");
    assert!(plan.iter().any(|line| line.starts_with("by-hand: left alone")), "{plan:?}");
    let done = stack.up(more.clone()).await;
    assert_eq!(done.1["removed"], json!(["llama"]));
    let second = stack.ids();
    assert_eq!(second.keys().collect::<Vec<_>>(), ["by-hand-1", "side-1", "web-1"]);
    assert_eq!(second["by-hand-1"], first["by-hand-1"]);
    assert_eq!(stack.inspect("side", "{{.HostConfig.NetworkMode}}"), format!("container:{}", second["web-1"]));
    assert!(matches!(stack.bench.probe("compose-up", &stack.params(more.clone())).await, Probe::Present { .. }));

    stack.bench.undo("compose-up", &stack.params(more), &done).await.expect("brought back");
    let third = stack.ids();
    assert_eq!(third.keys().collect::<Vec<_>>(), ["by-hand-1", "llama-1", "side-1", "web-1"]);
    assert_eq!(third["by-hand-1"], first["by-hand-1"]);
    assert_eq!(stack.inspect("side", "{{.HostConfig.NetworkMode}} {{.State.Status}}"), format!("container:{} running", third["web-1"]));
    assert!(stack.inspect("llama", "{{range .NetworkSettings.Networks}}{{json .Aliases}}{{end}}").contains("\"model\""));
    assert_eq!(stack.inspect("web", "{{.Image}}"), id_of(&stack.image("v1")));
}

#[tokio::test]
async fn what_compose_would_wait_for_without_end_is_given_up() {
    stack_or_skip!("what_compose_would_wait_for_without_end_is_given_up");
    let stack = Stack::new("hang", &["v1"]).await;
    let data = "    volumes: [\"data:/data\"]\n";
    let after = format!("    depends_on: {{job: {{condition: service_completed_successfully}}}}\n{data}");
    stack.write(&[("job", "v1", data), ("web", "v1", &after)]);
    let params = stack.params(json!({ "timeout": "4s" }));
    let Probe::Absent { before, .. } = stack.bench.probe("compose-up", &params).await else { panic!("it has to come up") };
    let step = formula_steps::find("compose-up").expect("it is built in");
    let error = step.run(&stack.bench.cx, &params, Some(&before)).await.expect_err("the job never ends");
    assert!(error.message.contains("of `web` was not done within"), "{error}");
    step.undo(&stack.bench.cx, &params, Some(&before), None).await.expect("taken back");
    assert_eq!(stack.ids(), BTreeMap::new());
    let networks = docker(&["network", "ls", "--quiet", "--filter", &format!("label=com.docker.compose.project={}", stack.project)]);
    assert_eq!(networks, "");
}

/// Kills whoever it listens to when a word comes by.
struct Trigger {
    word: &'static str,
    cancel: Cancel,
    buffer: OutputBuffer,
}

impl Output for Trigger {
    fn write(&self, bytes: &[u8]) {
        self.buffer.write(bytes);
        if self.buffer.text().contains(self.word) {
            self.cancel.raise(CancelLevel::Now);
        }
    }
}

/// What `compose-up` writes down before it lets compose begin.
async fn written_down(stack: &Stack, before: &Value) {
    let containers = before["containers"].as_array().expect("a list");
    let recipe = |was: &Value| Some((was["id"].as_str()?.to_owned(), Recipe::deserialize(&was["blueprint"]).ok()?));
    let recipes: Vec<(String, Recipe)> = containers.iter().filter_map(recipe).collect();
    let recipes = recipes.iter().map(|(id, recipe)| (id.as_str(), recipe));
    recipe::write_down(&stack.bench.cx, recipes).await.expect("files");
}

async fn killed_up(folder: &Path, project: &str) {
    let compose = RealCompose::new(std::sync::Arc::new(RealProcess::new()), BTreeMap::new());
    let file = ComposeFile {
        dir: folder.to_owned(),
        file: folder.join("docker-compose.yml"),
        project: Some(project.to_owned()),
        env_file: None,
        profiles: Vec::new(),
        env: BTreeMap::new(),
    };
    let trigger = Trigger { word: "Recreate", cancel: Cancel::new(), buffer: OutputBuffer::new() };
    let ended = compose.up(&file, &Up::default(), &trigger, &trigger.cancel).await;
    assert!(ended.is_err(), "it was killed");
}

#[tokio::test]
async fn an_up_that_was_killed_is_carried_on_and_taken_back() {
    stack_or_skip!("an_up_that_was_killed_is_carried_on_and_taken_back");
    let stack = Stack::new("killed", &["v1", "v2"]).await;
    // One that takes its time to stop, so that the kill comes before it has.
    let slow = "    stop_signal: SIGTERM\n    stop_grace_period: 2s\n";
    stack.write(&[("web", "v1", slow)]);
    stack.up(json!({})).await;
    let before_web = stack.inspect("web", "{{.Image}} {{range .Mounts}}{{.Name}}{{end}}");
    for back in [false, true] {
        stack.write(&[("web", if back { "v1" } else { "v2" }, slow)]);
        let params = stack.params(json!({}));
        let Probe::Absent { before, .. } = stack.bench.probe("compose-up", &params).await else { panic!("it has to change") };
        written_down(&stack, &before).await;
        killed_up(stack.folder.path(), &stack.project).await;
        let step = formula_steps::find("compose-up").expect("it is built in");
        if back {
            let running = stack.inspect("web", "{{.Image}}");
            step.undo(&stack.bench.cx, &params, Some(&before), None).await.expect("brought back");
            assert_eq!(stack.inspect("web", "{{.Image}} {{.State.Status}}"), format!("{running} running"));
        } else {
            step.run(&stack.bench.cx, &params, Some(&before)).await.expect("carried on");
            assert_eq!(stack.inspect("web", "{{.Image}}"), id_of(&stack.image("v2")));
            let volume = stack.inspect("web", "{{range .Mounts}}{{.Name}}{{end}}");
            assert!(before_web.ends_with(&volume), "the volume without a name is taken over");
        }
        assert_eq!(stack.ids().keys().collect::<Vec<_>>(), ["web-1"], "nothing is left over");
        stack.new_run();
    }
}
