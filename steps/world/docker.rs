//! The port to the container engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Credentials, ImageRef, Output, PortResult};

/// The engine that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// The API version it speaks.
    pub api: String,
    /// Its own id.
    pub id: String,
}

/// An image of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `repository:tag` names.
    pub tags: Vec<String>,
    /// `repository@sha256:…` names.
    pub digests: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Bytes.
    pub size: u64,
    /// Volumes that the image declares.
    pub volumes: Vec<String>,
}

/// Which builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builder {
    /// The engine's own builder, through its API.
    #[default]
    Classic,
    /// BuildKit, through the buildx plugin of the docker program.
    Buildkit,
}

/// An image to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Folder of the context; absolute.
    pub context: PathBuf,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Tags for the result.
    pub tags: Vec<ImageRef>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Ignore the cache.
    pub no_cache: bool,
    /// `os/arch` names; empty for the engine's own.
    pub platforms: Vec<String>,
    /// Which builder.
    pub builder: Builder,
    /// What [`Docker::build_digest`] said: the engine's own builder stops where the context is not that any more.
    pub digest: Option<String>,
}

/// What a build gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Id of the image.
    pub image_id: String,
}

/// What a push or pull gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The manifest's digest as the engine reports it.
    pub digest: Option<String>,
}

/// Health as the engine judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerHealth {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// The last outputs of the check, newest last.
    pub log: Vec<String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// Id of its image.
    pub image_id: String,
    /// Reference it was made from.
    pub image: String,
    /// `created`, `running`, `restarting`, `exited`, …
    pub state: String,
    /// Exit code, once it ended.
    pub exit_code: Option<i64>,
    /// Health, where the image has a check.
    pub health: Option<ContainerHealth>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Networks, by name, with the address in each.
    pub networks: BTreeMap<String, String>,
    /// Ids of networks, by name: of those that it was given, though they may be gone while it does not run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network_ids: BTreeMap<String, String>,
    /// Names of volumes, by the path they are mounted at.
    #[serde(default)]
    pub volumes: BTreeMap<String, String>,
    /// Times it was restarted by the engine.
    pub restarts: u64,
    /// When it started, RFC 3339.
    pub started_at: String,
}

/// A volume that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The folder that holds it, where the engine is on this machine. Whoever may not be root can seldom read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PathBuf>,
}

/// Files that were found in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFiles {
    /// Their bytes, by the path below the folder that was looked at.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether all of the folder was looked at.
    pub whole: bool,
}

/// All that is needed to make a container once more, just as it was: names, image, configuration, networks, and the volumes that it
/// had, those without a name included. Holds what the container was told, secrets too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// Name without the slash.
    pub name: String,
    /// Reference or id that the image is found by when it is made again.
    pub image: String,
    /// Containers, by id or name, whose network, processes or volumes it shares.
    pub shares: Vec<String>,
    /// The rest, in the engine's own words.
    pub detail: Value,
}

impl Blueprint {
    /// The same for a container that leans on another one instead of `old`.
    #[must_use]
    pub fn leaning_on(&self, old: &str, new: &str) -> Self {
        let shares = self.shares.iter().map(|id| if id == old { new.to_owned() } else { id.clone() }).collect();
        Self { shares, detail: replaced(&self.detail, old, new), ..self.clone() }
    }
}

/// A value with a text replaced in all that it holds.
fn replaced(value: &Value, old: &str, new: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(old, new)),
        Value::Array(items) => Value::Array(items.iter().map(|item| replaced(item, old, new)).collect()),
        Value::Object(table) => Value::Object(table.iter().map(|(key, item)| (key.clone(), replaced(item, old, new))).collect()),
        other => other.clone(),
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The container engine, API 1.41 (20.10) and later. Names are validated before they become part of an address.
#[async_trait]
pub trait Docker: Send + Sync {
    /// Who answers.
    async fn engine(&self) -> PortResult<Engine>;
    /// An image by reference or id, None if there is none.
    async fn image(&self, reference: &str) -> PortResult<Option<Image>>;
    /// The content digest of a build: context (as `.dockerignore` leaves it), Dockerfile, arguments, target, platforms. `algorithm:hexadecimal`.
    async fn build_digest(&self, build: &Build) -> PortResult<String>;
    /// Builds. Reads the stream to its end: an answer of 200 may still carry a failure.
    async fn build(&self, build: &Build, output: &dyn Output) -> PortResult<Built>;
    /// Gives an image another name.
    async fn tag(&self, image: &str, name: &ImageRef) -> PortResult<()>;
    /// Takes a name away, and with the last name the image itself; fine if it is not there. Never forced.
    async fn untag(&self, name: &ImageRef) -> PortResult<()>;
    /// Pushes one name.
    async fn push(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer>;
    /// Pulls one reference.
    async fn pull(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer>;
    /// Containers that bear all these labels (an empty value matches any), stopped ones included, by name.
    async fn containers(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Container>>;
    /// Volumes that bear all these labels (an empty value matches any), by name.
    async fn volumes(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Volume>>;
    /// One container by name or id.
    async fn container(&self, name: &str) -> PortResult<Option<Container>>;
    /// The last `lines` lines of a container's output.
    async fn logs(&self, container: &str, lines: usize) -> PortResult<String>;
    /// Files below a folder in a container, which need not run: those whose path below it is `ending` or ends with it after a slash. The
    /// engine hands out all that is in the folder; after `limit` bytes of it the look ends.
    async fn find_files(&self, container: &str, folder: &str, ending: &str, limit: u64) -> PortResult<FoundFiles>;
    /// Removes a container; fine if there is none.
    async fn remove_container(&self, container: &str, force: bool) -> PortResult<()>;
    /// What is needed to make a container again, None if there is none.
    async fn blueprint(&self, container: &str) -> PortResult<Option<Blueprint>>;
    /// Makes a container, and does not start it; its id. `Conflict` where the name is taken, `NotFound` where the image is gone.
    async fn create_container(&self, blueprint: &Blueprint) -> PortResult<String>;
    /// Starts a container; fine if it runs.
    async fn start_container(&self, container: &str) -> PortResult<()>;
    /// Stops a container as itself says it wants to be stopped; fine if it does not run or there is none.
    async fn stop_container(&self, container: &str) -> PortResult<()>;
    /// Gives a container another name.
    async fn rename_container(&self, container: &str, name: &str) -> PortResult<()>;
    /// Images with a name in that repository, by id.
    async fn images(&self, repository: &str) -> PortResult<Vec<Image>>;
    /// Networks that bear all these labels, by name.
    async fn networks(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Network>>;
    /// Removes a network; fine if there is none, `Conflict` where containers are in it.
    async fn remove_network(&self, network: &str) -> PortResult<()>;
}
