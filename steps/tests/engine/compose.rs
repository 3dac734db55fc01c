//! The compose port on the real program and a real engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use formula_steps::world::real::RealCompose;
use formula_steps::world::real::RealProcess;
use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{
    Cancel, CancelLevel, Compose as _, ComposeFile, Container, Docker as _, Output, OutputBuffer, PortErrorKind, Up,
};

use crate::support::{Folder, Tags, docker_quietly, engine_or_skip, program_answers};

/// A project of its own, taken down at the end.
struct Project {
    folder: Folder,
    name: String,
    _tags: Tags,
}

const FILE: &str = "services:\n\
    \x20 web: &web\n    image: IMAGE\n    command: [\"/bin/busybox\", \"sleep\", \"1000\"]\n    init: true\n    stop_grace_period: 0s\n\
    \x20   labels: {formula.test: \"1\"}\n    environment: {GREETING: \"${GREETING:-none}\"}\n    depends_on: [base]\n\
    \x20 base:\n    <<: *web\n    environment: {}\n    depends_on: []\n\
    \x20 debug:\n    <<: *web\n    profiles: [debug]\n";

impl Project {
    async fn new(name: &str) -> Self {
        let tags = Tags::default();
        let image = tags.local();
        let folder = Folder::with_busybox(&[("Dockerfile", "FROM scratch\nCOPY busybox /bin/busybox\n"), (".env", "GREETING=from env\n")]);
        folder.write("compose.yml", FILE.replace("IMAGE", &image.to_string()).as_bytes());
        let engine = RealDocker::new(DockerSettings::default());
        engine.build(&folder.build(&[&image]), &OutputBuffer::new()).await.expect("a build");
        Self { folder, name: format!("formula-test-{name}-{}", std::process::id()), _tags: tags }
    }

    fn file(&self) -> ComposeFile {
        ComposeFile {
            dir: self.folder.path().to_owned(),
            file: self.folder.path().join("compose.yml"),
            project: Some(self.name.clone()),
            env_file: None,
            profiles: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    async fn containers(&self) -> BTreeMap<String, Container> {
        let labels = BTreeMap::from([("com.docker.compose.project".into(), self.name.clone())]);
        let found = RealDocker::new(DockerSettings::default()).containers(&labels).await.expect("an answer");
        found.into_iter().map(|container| (container.labels["com.docker.compose.service"].clone(), container)).collect()
    }

    async fn ids(&self) -> BTreeMap<String, String> {
        self.containers().await.into_iter().map(|(service, container)| (service, container.id)).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        docker_quietly(&["compose", "--project-name", &self.name, "down", "--timeout", "0", "--volumes"]);
    }
}

fn compose() -> RealCompose {
    RealCompose::new(Arc::new(RealProcess::new()), BTreeMap::new())
}

fn compose_answers(test: &str) -> bool {
    program_answers(test, "docker", &["compose", "version"])
}

/// An answer is kept for the same words in another place.
#[tokio::test]
async fn where_a_file_is_does_not_change_what_it_means() {
    engine_or_skip!("where_a_file_is_does_not_change_what_it_means");
    if !compose_answers("where_a_file_is_does_not_change_what_it_means") {
        return;
    }
    let folder = Folder::with_busybox(&[("Dockerfile", "FROM scratch\nCOPY busybox /bin/busybox\n"), (".env", "GREETING=from env\n")]);
    let words = "services:\n  web:\n    build: {context: ., dockerfile: ./Dockerfile}\n    environment: {GREETING: \"${GREETING:-none}\"}\n\
        \x20   volumes: [./data:/data, \"~/x:/x\", named:/named]\nvolumes: {named: {}}\n";
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut said = Vec::new();
    for file in [folder.path().join("compose.yml"), elsewhere.path().join("other.yml")] {
        std::fs::write(&file, words).expect("it is ours");
        let file = ComposeFile {
            dir: folder.path().to_owned(),
            file,
            project: Some("formula-test-place".into()),
            env_file: None,
            profiles: Vec::new(),
            env: BTreeMap::new(),
        };
        said.push(compose().config(&file).await.expect("compose reads it"));
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].1[0].config.to_string().contains(&folder.path().join("data").display().to_string()), "{:?}", said[0]);
}

#[tokio::test]
async fn a_file_is_resolved_as_compose_reads_it() {
    engine_or_skip!("a_file_is_resolved_as_compose_reads_it");
    if !compose_answers("a_file_is_resolved_as_compose_reads_it") {
        return;
    }
    assert!(compose().version().await.expect("a version").starts_with('2'));
    let project = Project::new("config").await;
    let (name, services) = compose().config(&project.file()).await.expect("a valid file");
    assert_eq!(name, project.name);
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["base", "web"], "the profile is off");
    let web = &services[1];
    assert_eq!(web.depends_on, ["base"]);
    assert_eq!(web.config["environment"]["GREETING"], "from env");
    assert_eq!(web.config_hash.len(), 64);

    let mut file = project.file();
    file.profiles = vec!["debug".into()];
    file.env = BTreeMap::from([("GREETING".into(), "from the call".into())]);
    let (_, services) = compose().config(&file).await.expect("a valid file");
    assert!(services.iter().any(|service| service.name == "debug"));
    let changed = services.iter().find(|service| service.name == "web").expect("web");
    assert_eq!(changed.config["environment"]["GREETING"], "from the call");
    assert_ne!(changed.config_hash, web.config_hash);

    project.folder.write("other.env", b"GREETING=from the other file\n");
    file.env_file = Some(project.folder.path().join("other.env"));
    file.env = BTreeMap::new();
    let (_, services) = compose().config(&file).await.expect("a valid file");
    let changed = services.iter().find(|service| service.name == "web").expect("web");
    assert_eq!(changed.config["environment"]["GREETING"], "from the other file");

    project.folder.write("compose.yml", b"services:\n  web:\n    nonsense: 1\n");
    let error = compose().config(&project.file()).await.expect_err("nonsense");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.message.contains("nonsense"), "{error}");
    file.file = project.folder.path().join("missing.yml");
    assert!(compose().config(&file).await.expect_err("missing").message.contains("missing.yml"));
}

#[tokio::test]
async fn up_changes_what_changed_and_nothing_else() {
    engine_or_skip!("up_changes_what_changed_and_nothing_else");
    if !compose_answers("up_changes_what_changed_and_nothing_else") {
        return;
    }
    let project = Project::new("up").await;
    let (compose, output, cancel) = (compose(), OutputBuffer::new(), Cancel::new());
    compose.up(&project.file(), &Up::default(), &output, &cancel).await.expect("up");
    let first = project.containers().await;
    assert_eq!(first.keys().collect::<Vec<_>>(), ["base", "web"]);
    assert!(first.values().all(|container| container.state == "running"));
    let (_, services) = compose.config(&project.file()).await.expect("a valid file");
    for service in &services {
        assert_eq!(first[&service.name].labels.get("com.docker.compose.config-hash"), Some(&service.config_hash), "{}", service.name);
    }
    assert!(output.text().contains("Started"), "{}", output.text());

    let ids = project.ids().await;
    compose.up(&project.file(), &Up::default(), &output, &cancel).await.expect("again");
    assert_eq!(project.ids().await, ids);

    project.folder.write(".env", b"GREETING=changed\n");
    let only_web = Up { services: vec!["web".into()], ..Up::default() };
    compose.up(&project.file(), &only_web, &output, &cancel).await.expect("up web");
    let changed = project.ids().await;
    assert_eq!(changed["base"], ids["base"]);
    assert_ne!(changed["web"], ids["web"]);
    let (_, services) = compose.config(&project.file()).await.expect("a valid file");
    let hash = project.containers().await["web"].labels["com.docker.compose.config-hash"].clone();
    assert!(services.iter().any(|service| service.name == "web" && service.config_hash == hash), "the hash that the file gives it");
    let both = ["web".to_owned(), "base".to_owned()];
    assert_eq!(compose.recreates(&project.file(), &both).await.expect("an answer"), [""; 0]);
    project.folder.write(".env", b"GREETING=once more\n");
    let anew = compose.recreates(&project.file(), &both).await.expect("an answer");
    assert_eq!(anew, [format!("{}-web-1", project.name)]);
    project.folder.write(".env", b"GREETING=changed\n");
    assert_eq!(project.ids().await, changed, "asking changes nothing");

    let base_again = Up { services: vec!["base".into()], force_recreate: true, no_pull: true };
    compose.up(&project.file(), &base_again, &output, &cancel).await.expect("up base");
    assert_ne!(project.ids().await["base"], ids["base"]);

    compose.stop(&project.file(), &["web".into()], &output, &cancel).await.expect("stop");
    let stopped = project.containers().await;
    assert_eq!((stopped["web"].state.as_str(), stopped["base"].state.as_str()), ("exited", "running"));
    let error = compose.up(&project.file(), &Up { services: vec!["nobody".into()], ..Up::default() }, &output, &cancel).await;
    assert!(error.expect_err("no such service").message.contains("nobody"));
}

/// Raises a cancel when a word comes by.
struct Trigger {
    word: &'static str,
    cancel: Cancel,
    buffer: OutputBuffer,
}

impl Output for Trigger {
    fn write(&self, bytes: &[u8]) {
        self.buffer.write(bytes);
        if self.buffer.text().contains(self.word) {
            self.cancel.raise(CancelLevel::Graceful(15));
        }
    }
}

#[tokio::test]
async fn up_can_be_stopped_and_tried_again() {
    engine_or_skip!("up_can_be_stopped_and_tried_again");
    if !compose_answers("up_can_be_stopped_and_tried_again") {
        return;
    }
    let project = Project::new("cancel").await;
    let trigger = Trigger { word: "Creating", cancel: Cancel::new(), buffer: OutputBuffer::new() };
    let error = compose().up(&project.file(), &Up::default(), &trigger, &trigger.cancel).await.expect_err("stopped");
    assert_eq!(error.kind, PortErrorKind::Cancelled, "{error}");
    // A first `up` that was cut off leaves nothing that a second one trips over.
    compose().up(&project.file(), &Up::default(), &OutputBuffer::new(), &Cancel::new()).await.expect("up");
    assert!(project.containers().await.values().all(|container| container.state == "running"));
}

#[tokio::test]
async fn without_an_engine_up_says_so() {
    if !compose_answers("without_an_engine_up_says_so") {
        return;
    }
    let folder = Folder::with(&[("compose.yml", "services:\n  web:\n    image: formula.test/none:none\n")]);
    let file = ComposeFile {
        dir: folder.path().to_owned(),
        file: folder.path().join("compose.yml"),
        project: Some("formula-test-nobody".into()),
        env_file: None,
        profiles: Vec::new(),
        env: BTreeMap::new(),
    };
    let env = BTreeMap::from([("DOCKER_HOST".into(), "unix:///nonexistent/docker.sock".into())]);
    let compose = RealCompose::new(Arc::new(RealProcess::new()), env);
    let error = compose.up(&file, &Up::default(), &OutputBuffer::new(), &Cancel::new()).await.expect_err("no engine");
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
}
