//! The port to the compose program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::Value;

use super::{Cancel, Output, PortResult};

/// One compose project: what is given to every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// The project's folder.
    pub dir: PathBuf,
    /// The compose file, absolute.
    pub file: PathBuf,
    /// Project name; compose's own default where None.
    pub project: Option<String>,
    /// The env file for interpolation, if not `.env` in the folder.
    pub env_file: Option<PathBuf>,
    /// Profiles that are on.
    pub profiles: Vec<String>,
    /// Variables added to the environment of the program.
    pub env: BTreeMap<String, String>,
}

/// A service as compose resolves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeService {
    /// Its name.
    pub name: String,
    /// The hash compose labels its container with.
    pub config_hash: String,
    /// Image reference, if any.
    pub image: Option<String>,
    /// Services it depends on.
    pub depends_on: Vec<String>,
    /// All of it, as `config --format json` prints it.
    pub config: Value,
}

/// What to bring up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Up {
    /// Services, with what they depend on; empty for all. Compose has a way to leave out what they depend on, but the container then
    /// bears another hash than the file gives it, and the next plain `up` makes it once more.
    pub services: Vec<String>,
    /// Recreate even what has not changed of these services.
    pub force_recreate: bool,
    /// Fail for an image that is not on the engine, instead of pulling it.
    pub no_pull: bool,
}

/// The reference implementation of compose, v2.
#[async_trait]
pub trait Compose: Send + Sync {
    /// Its version.
    async fn version(&self) -> PortResult<String>;
    /// The resolved project name and services, in file order; `Invalid` with compose's own words.
    async fn config(&self, file: &ComposeFile) -> PortResult<(String, Vec<ComposeService>)>;
    /// Containers of these services, and of those that they depend on, that `up` would make anew: by name, as compose itself says.
    async fn recreates(&self, file: &ComposeFile, services: &[String]) -> PortResult<Vec<String>>;
    /// `up -d`, without waiting for health.
    async fn up(&self, file: &ComposeFile, up: &Up, output: &dyn Output, cancel: &Cancel) -> PortResult<()>;
    /// Stops services without removing them.
    async fn stop(&self, file: &ComposeFile, services: &[String], output: &dyn Output, cancel: &Cancel) -> PortResult<()>;
}
