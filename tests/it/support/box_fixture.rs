//! A client box on one machine: an origin with releases, a registry with their images, a compose stack with data in it, and months of
//! neglect on demand.
//!
//! The clone of the box is the sandbox's `work`. Versions: v0.2.0 is what the box was installed with, its compose file tracked; v0.2.1
//! and v0.2.2 bring migrations; with v0.3.0 the compose file becomes a generated one; the agents of v0.3.1 never become healthy, those of
//! v0.3.2 exit with code 3.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::box_images::{BoxImages, SERVICES, VERSIONS, remove_images};
use super::docker::{docker, docker_quietly};
use super::{ComposeProject, Program, RegistryServer, Sandbox};

const COMPOSE: &str = include_str!("box/compose.yml");
const TEMPLATE: &str = include_str!("box/compose.yml.hbs");
const IGNORED: &str = ".env\nprojects/*.toml\nsecrets/\nstate/\n*.prev\ndocker-compose.override.yml\n";
const PROJECT: &str = "\
name = \"mill\"
repo = \"ada/mill\"
forge_url = \"http://127.0.0.1:@PORT@\"
primary_branch = \"main\"

[ci]
woodpecker_repo_id = 3

[agents.dev-qwen]
base_url = \"http://10.0.0.1:8081\"
model = \"qwen\"
roles = [\"dev\"]
forge_user = \"dev-qwen\"
";
const MIGRATION: &str = "\
#!/bin/sh
if [ \"$(cat ../fail-migration 2>/dev/null)\" = @VERSION@ ]; then exit 7; fi
if [ -e ../fill-the-disk ]; then rm ../fill-the-disk; cat /dev/zero >.formula/filler 2>/dev/null || true; fi
echo @VERSION@ >>../migrations.log
";
const OVERRIDE: &str = "\
services:
  agents-llama:
    image: @PROJECT@-agents:latest
    volumes: [agent-data:/data, project-repos:/repos]
    environment:
      FORGE_TOKEN: ${FORGE_TOKEN_LLAMA:-}
";

/// The box. On drop its containers, networks, volumes, images and the registry go.
pub struct BoxFixture<'a> {
    /// The compose project that runs the box.
    pub project: ComposeProject,
    /// The registry; stop it to have it fail.
    pub registry: RegistryServer,
    /// The port of the loopback at which the box answers.
    pub port: u16,
    sandbox: &'a Sandbox,
    images: Arc<BoxImages>,
}

/// A container as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxContainer {
    /// Its id: another one after it was recreated.
    pub id: String,
    /// Id of its image.
    pub image_id: String,
    /// `running`, `exited`, …
    pub state: String,
}

/// What is so on the box: two of them compare before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxFacts {
    /// The release tag that is checked out, or the commit where it is none.
    pub release: String,
    /// Lines of `git status`.
    pub dirty: Vec<String>,
    /// Containers by service, stopped ones included.
    pub containers: BTreeMap<String, BoxContainer>,
    /// Volumes of the project, without its name.
    pub volumes: Vec<String>,
    /// What the box answers at its port; none where nobody does.
    pub answers: Option<String>,
    /// What was put into the depot on the first day.
    pub sentinel: Option<String>,
    /// Migrations that ran, in order.
    pub migrated: Vec<String>,
    /// Bytes of the env file.
    pub env: Option<String>,
    /// Bytes of the compose file.
    pub compose: Option<String>,
}

impl BoxFacts {
    /// The image id of each service.
    pub fn images(&self) -> BTreeMap<&str, &str> {
        self.containers.iter().map(|(service, container)| (service.as_str(), container.image_id.as_str())).collect()
    }

    /// The container id of each service.
    pub fn ids(&self) -> BTreeMap<&str, &str> {
        self.containers.iter().map(|(service, container)| (service.as_str(), container.id.as_str())).collect()
    }
}

impl<'a> BoxFixture<'a> {
    /// What was put into the depot on the first day.
    pub const SENTINEL: &'static str = "grain-42";

    /// Origin, registry and images; there is no box yet.
    pub fn build(sandbox: &'a Sandbox) -> Self {
        let fixture = Self {
            project: ComposeProject::new(sandbox),
            registry: RegistryServer::start(sandbox),
            port: free_port(),
            sandbox,
            images: BoxImages::shared(),
        };
        fixture.publish_images();
        fixture.make_origin();
        fixture
    }

    /// A box that `formula run upgrade` accepts: [`Self::build`], [`Self::baseline`], [`Self::ready`].
    pub fn ready_box(sandbox: &'a Sandbox) -> Self {
        let fixture = Self::build(sandbox);
        fixture.baseline();
        fixture.ready();
        fixture
    }

    /// The day v0.2.0 was installed: cloned, configured, running, with something in the depot.
    pub fn baseline(&self) {
        let origin = self.origin().to_string_lossy().into_owned();
        self.git(&["clone", "--quiet", &origin, "."]);
        self.git(&["checkout", "--quiet", "v0.2.0"]);
        self.sandbox.write("projects/mill.toml", self.filled(PROJECT));
        fs::create_dir(self.sandbox.work().join("state")).expect("the sandbox is writable");
        let port = self.port;
        self.sandbox.write(".env", format!("FORGE_URL=http://127.0.0.1:{port}\nFORGE_TOKEN=tok-main\nFORGE_PASS='p|a&s\\s'\n"));
        self.chmod(".env", 0o600);
        self.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        self.exec("depot", &format!("echo {} >/data/sentinel", Self::SENTINEL));
    }

    /// What a box needs before an upgrade may start: credentials of its agent, and the shared folder for its configuration.
    pub fn ready(&self) {
        let (shared, link) = (self.sandbox.home().join("shared/config"), self.sandbox.home().join(".claude"));
        fs::create_dir_all(&shared).expect("the sandbox is writable");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
        if link.is_dir() && !link.is_symlink() {
            fs::remove_dir_all(&link).expect("the folder is ours");
        }
        if !link.is_symlink() {
            symlink(&shared, &link).expect("the sandbox is writable");
        }
        let shared = shared.display();
        self.append(".env", &format!("FORGE_TOKEN_DEV_QWEN=tok-qwen\nFORGE_PASS_DEV_QWEN=pw-qwen\nCLAUDE_CONFIG_DIR={shared}\n"));
    }

    /// Months pass: a hand edit, an override with a bot of the old kind, legacy and duplicate and forbidden keys, an open env file, a
    /// password in a remote, a configuration folder where a link should be, a stray file, and `latest` moved under a running container.
    pub fn drift(&self) {
        self.append("docker-compose.yml", "\n# edited by hand on the box\n");
        self.sandbox.write("docker-compose.override.yml", self.filled(OVERRIDE));
        self.append(".env", "ENABLE_LLAMA_AGENT=1\nFORGE_TOKEN_LLAMA=tok-qwen\nFORGE_TOKEN=tok-main\nGITHUB_TOKEN=ghp-leaked");
        self.chmod(".env", 0o644);
        self.git(&["remote", "add", "forgejo", "http://dev-bot:s3cr3t@127.0.0.1:1/ada/mill.git"]);
        fs::create_dir_all(self.sandbox.home().join(".claude")).expect("the sandbox is writable");
        fs::write(self.sandbox.home().join(".claude/settings.json"), "{}\n").expect("the sandbox is writable");
        self.sandbox.write("NOTES.txt", "remember the milk\n");
        self.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        self.images.name_release("depot", "v0.2.0", &self.local_image());
    }

    /// What is so now.
    #[track_caller]
    pub fn facts(&self) -> BoxFacts {
        let read = |path: PathBuf| fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let migrated = read(self.sandbox.root().join("migrations.log")).unwrap_or_default();
        let prefix = format!("{}_", self.project.name);
        let mut volumes = self.project.list("volume");
        // A volume without a name is known by 64 digits, which say nothing.
        volumes.retain(|name| name.starts_with(&prefix));
        for name in &mut volumes {
            *name = name[prefix.len()..].to_owned();
        }
        volumes.sort();
        BoxFacts {
            release: self.git(&["describe", "--tags", "--always"]),
            dirty: self.git(&["status", "--porcelain"]).lines().map(|line| line.trim().to_owned()).collect(),
            containers: self.containers(),
            volumes,
            answers: self.answers(),
            sentinel: self.sentinel(),
            migrated: migrated.lines().map(str::to_owned).collect(),
            env: read(self.sandbox.work().join(".env")),
            compose: read(self.sandbox.work().join("docker-compose.yml")),
        }
    }

    /// Where the box says which version it serves.
    pub fn health_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/version", self.port)
    }

    /// The image of a service at a version, as the registry has it.
    pub fn image(&self, service: &str, version: &str) -> String {
        format!("{}/mill/{service}:{version}", self.registry.host())
    }

    /// The image that was built on the box.
    pub fn local_image(&self) -> String {
        format!("{}-agents:latest", self.project.name)
    }

    /// Takes an image out of the registry and out of the engine.
    pub fn unpublish(&self, service: &str, version: &str) {
        let repository = format!("mill/{service}");
        let digest = self.registry.digest(&repository, version).unwrap_or_else(|| panic!("there is no {service} {version}"));
        assert_eq!(self.registry.request("DELETE", &format!("/v2/{repository}/manifests/{digest}")).0, 202);
        docker_quietly(&["image", "rm", "--force", &self.image(service, version)]);
    }

    /// Makes the migration of that version fail, or (with none) all of them pass.
    pub fn fail_migration(&self, version: Option<&str>) {
        let path = self.sandbox.root().join("fail-migration");
        match version {
            Some(version) => fs::write(path, version).expect("the sandbox is writable"),
            None => fs::remove_file(path).expect("one was to fail"),
        }
    }

    /// Releases a version anew: with this file in it, and without that one. Only before the box is there.
    pub fn release_with(&self, version: &str, path: &str, text: &str, without: &str) {
        let source = self.sandbox.root().join("source");
        let origin = self.origin().to_string_lossy().into_owned();
        self.git_in("..", &["clone", "--quiet", "--branch", version, &origin, "source"]);
        fs::write(source.join(path), text).expect("the sandbox is writable");
        fs::remove_file(source.join(without)).expect("it is in that version");
        for args in [
            &["add", "--all"][..],
            &["commit", "--quiet", "--message", "anew"],
            &["tag", "--force", "--annotate", "--message", version, version],
            &["push", "--quiet", "--force", "origin", &format!("refs/tags/{version}")],
        ] {
            self.git_in("../source", args);
        }
        fs::remove_dir_all(source).expect("it is ours");
    }

    /// Forgets, here and in the ledger, which migrations ran: the box is as it was before any.
    pub fn forget_migrations(&self) {
        let _ = fs::remove_file(self.sandbox.root().join("migrations.log"));
        let _ = fs::remove_dir_all(self.sandbox.work().join(".formula/migrations"));
    }

    /// Runs git in the box, which must succeed, and answers what it prints, without the final line end.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(".", args)
    }

    /// Runs compose on the box by hand, override file and all, which must succeed.
    #[track_caller]
    pub fn compose(&self, args: &[&str]) {
        let name = &self.project.name;
        Program::new(self.sandbox, "docker").args(["compose", "--project-name", name]).args(args.iter().copied()).run().exits(0);
    }

    /// Runs a script in the container of a service and answers what it prints.
    #[track_caller]
    pub fn exec(&self, service: &str, script: &str) -> String {
        docker(&["exec", &format!("{}-{service}-1", self.project.name), "sh", "-c", script])
    }

    /// Adds to a file of the box.
    pub fn append(&self, path: &str, text: &str) {
        let path = self.sandbox.work().join(path);
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Sets the mode of a file of the box.
    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.sandbox.work().join(path), fs::Permissions::from_mode(mode)).expect("the file is ours");
    }

    /// Where the origin lies.
    pub fn origin(&self) -> PathBuf {
        self.sandbox.root().join("origin.git")
    }

    fn filled(&self, text: &str) -> String {
        let text = text.replace("@REGISTRY@", &self.registry.host()).replace("@PROJECT@", &self.project.name);
        text.replace("@PORT@", &self.port.to_string())
    }

    #[track_caller]
    fn git_in(&self, folder: &str, args: &[&str]) -> String {
        let ran =
            Program::new(self.sandbox, "git").folder(folder).args(["-c", "advice.detachedHead=false"]).args(args.iter().copied()).run();
        ran.exits(0);
        ran.stdout.trim_end().to_owned()
    }

    /// The registry gets all; the engine keeps those of the first day, so that a newer one has to be pulled.
    fn publish_images(&self) {
        for service in SERVICES {
            for (version, _) in VERSIONS {
                self.images.name_release(service, version, &self.image(service, version));
            }
            docker(&["push", "--quiet", "--all-tags", &format!("{}/mill/{service}", self.registry.host())]);
        }
        for (version, _) in &VERSIONS[1..] {
            remove_images(&format!("{}/mill/*:{version}", self.registry.host()));
        }
        self.images.name_local(&self.local_image());
    }

    fn make_origin(&self) {
        let source = self.sandbox.root().join("source");
        fs::create_dir_all(source.join("migrations")).expect("the sandbox is writable");
        let write = |path: &str, text: &str| fs::write(source.join(path), self.filled(text)).expect("the sandbox is writable");
        let git = |args: &[&str]| drop(self.git_in("../source", args));
        let release = |version: &str| {
            write("VERSION", &format!("{}\n", &version[1..]));
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", version]);
            git(&["tag", "--annotate", "--message", version, version]);
        };
        let migration = |version: &str| {
            let path = format!("migrations/{version}.sh");
            write(&path, &MIGRATION.replace("@VERSION@", version));
            fs::set_permissions(source.join(&path), fs::Permissions::from_mode(0o755)).expect("the file is ours");
        };
        git(&["init", "--quiet"]);
        write(".gitignore", IGNORED);
        write("docker-compose.yml", COMPOSE);
        release("v0.2.0");
        for version in ["v0.2.1", "v0.2.2"] {
            migration(version);
            release(version);
        }
        migration("v0.3.0");
        fs::remove_file(source.join("docker-compose.yml")).expect("it was just written");
        write(".gitignore", &format!("{IGNORED}docker-compose.yml\n"));
        write("docker-compose.yml.hbs", TEMPLATE);
        for version in ["v0.3.0", "v0.3.1", "v0.3.2"] {
            release(version);
        }
        let origin = self.origin().to_string_lossy().into_owned();
        git(&["init", "--quiet", "--bare", &origin]);
        git(&["push", "--quiet", &origin, "main", "--tags"]);
        fs::remove_dir_all(source).expect("it is ours");
    }

    fn containers(&self) -> BTreeMap<String, BoxContainer> {
        let ids = self.project.list("container");
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.Id}} {{.Image}} {{.State.Status}}";
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let lines = docker(&[&["inspect", "--format", format], ids.as_slice()].concat());
        let container = |line: &str| {
            let [service, id, image_id, state] = line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().ok()?;
            Some((service, BoxContainer { id, image_id, state }))
        };
        lines.lines().filter_map(container).collect()
    }

    fn answers(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(b"GET /api/version HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.trim().to_owned())
    }

    fn sentinel(&self) -> Option<String> {
        let container = format!("{}-depot-1", self.project.name);
        Some(docker_quietly(&["exec", &container, "cat", "/data/sentinel"])).filter(|text| !text.is_empty())
    }
}

impl Drop for BoxFixture<'_> {
    fn drop(&mut self) {
        // An image goes only after the containers that were made of it; the project, which is dropped after this, finds nothing left.
        for id in self.project.list("container") {
            docker_quietly(&["container", "rm", "--force", "--volumes", &id]);
        }
        remove_images(&format!("{}/mill/*", self.registry.host()));
        remove_images(&self.local_image());
        // What `compose-up` keeps for a way back that nobody goes any more.
        remove_images(&format!("formula/keep:{}.*", self.project.name));
    }
}

/// A port of the loopback that nobody listens on. Taken from below the range of which the kernel hands ports out, so that it stays free
/// until the box publishes it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
