//! A compose project that leaves nothing behind.

use super::Sandbox;
use super::docker::docker_quietly;

/// The name of a project; on drop its containers, networks and volumes are taken away.
pub struct ComposeProject {
    /// Name, unique to the sandbox.
    pub name: String,
}

impl ComposeProject {
    /// The project of that sandbox. Nothing is made.
    pub fn new(sandbox: &Sandbox) -> Self {
        Self { name: sandbox.name().to_owned() }
    }

    /// Ids or names of what the project has of a kind: `container`, `network` or `volume`.
    pub fn list(&self, kind: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let all: &[&str] = if kind == "container" { &["--all"] } else { &[] };
        let args = [&[kind, "ls", "--quiet", "--filter", &filter], all].concat();
        docker_quietly(&args).lines().map(str::to_owned).collect()
    }
}

impl Drop for ComposeProject {
    fn drop(&mut self) {
        for (kind, how) in [("container", &["rm", "--force", "--volumes"][..]), ("network", &["rm"]), ("volume", &["rm"])] {
            for id in self.list(kind) {
                docker_quietly(&[&[kind], how, &[&id]].concat());
            }
        }
    }
}
