//! All real ports together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{RealClock, RealCompose, RealFiles, RealGit, RealHttp, RealProcess};
use crate::world::{Process, World};

/// The real world, as this environment describes it. Nothing is opened before it is used.
///
/// `env` is what git and compose see; `DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`, `DOCKER_CONFIG` and `HOME` of it say where the engine and
/// the user's credentials are.
#[cfg(feature = "docker")]
pub fn world(env: &BTreeMap<String, String>) -> World {
    use super::{DockerConfig, DockerSettings, RealDocker, RealRegistry};

    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let home = set("HOME").map(PathBuf::from);
    let config_dir = set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| home.map(|home| home.join(".docker")));
    let tls_dir = set("DOCKER_TLS_VERIFY").and_then(|_| set("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| config_dir.clone()));
    let settings = DockerSettings { host: set("DOCKER_HOST").cloned(), tls_dir, config_dir: config_dir.clone() };
    let process: Arc<dyn Process> = Arc::new(RealProcess::new());
    World {
        git: Arc::new(RealGit::new(env.clone())),
        docker: Arc::new(RealDocker::new(settings)),
        compose: Arc::new(RealCompose::new(process.clone(), env.clone())),
        registry: Arc::new(RealRegistry::new(DockerConfig::new(config_dir))),
        http: Arc::new(RealHttp::new()),
        files: Arc::new(RealFiles::new()),
        process,
        clock: Arc::new(RealClock::new()),
    }
}
