//! The container engine through its API. This file and the folder beside it are the only place that knows the client library.
//!
//! Names are validated before they become part of an address, since the library does not escape them. Every stream is read to its
//! end with a watchdog of ours: the engine answers 200 before it knows how things go.

mod again;
mod archive;
mod buildx;
mod classic;
mod connect;
mod error;
mod names;
mod objects;
mod text;
mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RenameContainerOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::build_context::{BuildContext, Known};
use super::credentials::DockerConfig;
use crate::world::{
    Blueprint, Build, Builder, Built, Container, Credentials, Docker, Engine, FoundFiles, Image, ImageRef, Network, Output, PortError,
    PortErrorKind, PortResult, Transfer, Volume,
};

/// More of a container's output than this is cut off at its beginning.
const MAX_LOGS: usize = 1024 * 1024;
/// A container may take as long as it likes to stop; the engine kills it when its own time is up.
const STOPPING: Duration = Duration::from_hours(1);
/// Containers that are inspected at a time.
const AT_A_TIME: usize = 8;

/// Where the engine is and what the user configured for it.
#[derive(Debug, Clone, Default)]
pub struct DockerSettings {
    /// As in `DOCKER_HOST`: `unix://`, `tcp://`, `http://`, `https://` or `ssh://`; None for the current context's or the default socket.
    pub host: Option<String>,
    /// As in `DOCKER_CERT_PATH`: folder with `ca.pem`, `cert.pem` and `key.pem`; None where TLS is not asked for.
    pub tls_dir: Option<PathBuf>,
    /// As in `DOCKER_CONFIG`, or `~/.docker`; None to ignore the user's configuration.
    pub config_dir: Option<PathBuf>,
}

impl DockerSettings {
    /// The variables with which the docker and compose programs reach the same engine with the same configuration.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: Option<&str>| variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        set("DOCKER_CONFIG", self.config_dir.as_ref().and_then(|dir| dir.to_str()));
        if let Some(host) = self.host.as_deref().filter(|host| !host.is_empty()) {
            set("DOCKER_HOST", Some(host));
            let tls = self.tls_dir.as_ref().and_then(|dir| dir.to_str());
            set("DOCKER_CERT_PATH", tls);
            set("DOCKER_TLS_VERIFY", tls.map(|_| "1"));
        }
        variables
    }
}

/// How long to wait for an engine that says nothing.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For the answer to a call, or its first byte.
    call: Duration,
    /// Between two words about a push or pull.
    transfer: Duration,
    /// Between two words of a build whose engine is alive: a `RUN` may be silent for long.
    build: Duration,
    /// How often a silent build's engine is asked whether it is alive.
    ping: Duration,
}

/// The engine. Cheap to make: connects with the first call.
#[derive(Debug)]
pub struct RealDocker {
    settings: DockerSettings,
    config: DockerConfig,
    patience: Patience,
    client: tokio::sync::OnceCell<bollard::Docker>,
    known: Arc<Known>,
}

impl RealDocker {
    /// Connects to nothing yet.
    pub fn new(settings: DockerSettings) -> Self {
        let config = DockerConfig::new(settings.config_dir.clone());
        let patience = Patience {
            call: Duration::from_mins(2),
            transfer: Duration::from_mins(5),
            build: Duration::from_hours(1),
            ping: Duration::from_secs(30),
        };
        Self { settings, config, patience, client: tokio::sync::OnceCell::new(), known: Arc::default() }
    }

    /// Waits at most that long for a call, and between two words of a stream.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Patience { call: patience, transfer: patience, build: patience, ping: patience / 4 };
        self
    }

    async fn client(&self) -> PortResult<&bollard::Docker> {
        self.client.get_or_try_init(|| connect::connect(&self.settings, &self.config, self.patience.call)).await
    }

    async fn inspect(&self, name: &str) -> PortResult<Option<Container>> {
        match self.client().await?.inspect_container(name, None).await {
            Ok(found) => Ok(Some(objects::container(found))),
            Err(error) => error::or_none(error, &format!("looking at container `{name}`")),
        }
    }
}

#[async_trait]
impl Docker for RealDocker {
    async fn engine(&self) -> PortResult<Engine> {
        let client = self.client().await?;
        let what = "asking the engine for its version";
        let version = client.version().await.map_err(|error| error::map(error, what))?;
        let info = client.info().await.map_err(|error| error::map(error, what))?;
        let known = |text: Option<String>| text.unwrap_or_default();
        Ok(Engine { version: known(version.version), api: known(version.api_version), id: known(info.id) })
    }

    async fn image(&self, reference: &str) -> PortResult<Option<Image>> {
        let name = names::image(reference)?;
        match self.client().await?.inspect_image(&name).await {
            Ok(found) => Ok(Some(objects::image(found))),
            Err(error) => error::or_none(error, &format!("looking at image `{reference}`")),
        }
    }

    async fn build_digest(&self, build: &Build) -> PortResult<String> {
        let build = build.clone();
        let known = Arc::clone(&self.known);
        blocking(move || known.digest(&BuildContext::open(&build)?, &build)).await
    }

    async fn build(&self, build: &Build, output: &dyn Output) -> PortResult<Built> {
        match build.builder {
            Builder::Classic => classic::build(self, build, output).await,
            Builder::Buildkit => buildx::build(&self.settings, build, output).await,
        }
    }

    async fn tag(&self, image: &str, name: &ImageRef) -> PortResult<()> {
        let source = names::image(image)?;
        let (repository, tag) = names::parts(name)?;
        let options = TagImageOptionsBuilder::default().repo(&repository).tag(&tag).build();
        let done = self.client().await?.tag_image(&source, Some(options)).await;
        done.map_err(|error| error::map(error, &format!("tagging `{image}` as `{name}`")))
    }

    async fn untag(&self, name: &ImageRef) -> PortResult<()> {
        let spelled = names::image(&name.to_string())?;
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        match self.client().await?.remove_image(&spelled, Some(options), None).await {
            Ok(_) => Ok(()),
            Err(error) => error::or_none::<()>(error, &format!("taking the name `{name}` away")).map(|_| ()),
        }
    }

    async fn push(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
        transfer::push(self, image, who, output).await
    }

    async fn pull(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
        transfer::pull(self, image, who, output).await
    }

    async fn containers(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Container>> {
        let filters = with_labels(labels);
        let mut options = ListContainersOptionsBuilder::default().all(true);
        if !labels.is_empty() {
            options = options.filters(&filters);
        }
        let listed = self.client().await?.list_containers(Some(options.build())).await;
        let listed: Vec<_> = listed.map_err(|error| error::map(error, "listing containers"))?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        // One that is gone by the time it is looked at is not there.
        let found: Vec<Option<Container>> =
            futures_util::stream::iter(ids).map(|id| async move { self.inspect(&id).await }).buffered(AT_A_TIME).try_collect().await?;
        let mut found: Vec<Container> = found.into_iter().flatten().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    async fn volumes(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Volume>> {
        let mut options = ListVolumesOptionsBuilder::default();
        let filters = with_labels(labels);
        if !labels.is_empty() {
            options = options.filters(&filters);
        }
        let listed = self.client().await?.list_volumes(Some(options.build())).await;
        let listed = listed.map_err(|error| error::map(error, "listing volumes"))?.volumes.unwrap_or_default();
        let here = connect::is_local(&self.settings, &self.config);
        let volume = |volume: bollard::models::Volume| Volume {
            place: Some(PathBuf::from(volume.mountpoint)).filter(|place| here && place.is_absolute()),
            name: volume.name,
            labels: volume.labels.into_iter().collect(),
        };
        let mut volumes: Vec<Volume> = listed.into_iter().map(volume).collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    async fn container(&self, name: &str) -> PortResult<Option<Container>> {
        self.inspect(names::container(name)?).await
    }

    async fn logs(&self, container: &str, lines: usize) -> PortResult<String> {
        let name = names::container(container)?;
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = std::pin::pin!(self.client().await?.logs(name, Some(options)));
        let mut bytes = Vec::new();
        while let Some(item) = within(self.patience.call, stream.next(), "the engine stopped sending logs").await? {
            let item = item.map_err(|error| error::map(error, &format!("reading the output of container `{name}`")))?;
            bytes.extend_from_slice(item.as_ref());
            if bytes.len() > 2 * MAX_LOGS {
                bytes.drain(..bytes.len() - MAX_LOGS);
            }
        }
        Ok(String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(MAX_LOGS)..]).into_owned())
    }

    async fn find_files(&self, container: &str, folder: &str, ending: &str, limit: u64) -> PortResult<FoundFiles> {
        archive::find(self, container, folder, ending, limit).await
    }

    async fn remove_container(&self, container: &str, force: bool) -> PortResult<()> {
        let name = names::container(container)?;
        let options = RemoveContainerOptionsBuilder::default().force(force).v(false).build();
        match self.client().await?.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) => error::or_none::<()>(error, &format!("removing container `{name}`")).map(|_| ()),
        }
    }

    async fn blueprint(&self, container: &str) -> PortResult<Option<Blueprint>> {
        let name = names::container(container)?;
        match self.client().await?.inspect_container(name, None).await {
            Ok(found) => again::blueprint(found).map(Some),
            Err(error) => error::or_none(error, &format!("looking at container `{name}`")),
        }
    }

    async fn create_container(&self, blueprint: &Blueprint) -> PortResult<String> {
        again::create(self, blueprint).await
    }

    async fn start_container(&self, container: &str) -> PortResult<()> {
        let name = names::container(container)?;
        let done = self.client().await?.start_container(name, None).await;
        done.map_err(|error| error::map(error, &format!("starting container `{name}`")))
    }

    async fn stop_container(&self, container: &str) -> PortResult<()> {
        let name = names::container(container)?;
        let client = self.client().await?.clone().with_timeout(STOPPING);
        match client.stop_container(name, None).await {
            Ok(()) => Ok(()),
            Err(error) => error::or_none::<()>(error, &format!("stopping container `{name}`")).map(|_| ()),
        }
    }

    async fn rename_container(&self, container: &str, name: &str) -> PortResult<()> {
        let container = names::container(container)?;
        let options = RenameContainerOptionsBuilder::default().name(names::container(name)?).build();
        let done = self.client().await?.rename_container(container, options).await;
        done.map_err(|error| error::map(error, &format!("renaming container `{container}`")))
    }

    async fn images(&self, repository: &str) -> PortResult<Vec<Image>> {
        let filters = std::collections::HashMap::from([("reference".to_owned(), vec![names::image(repository)?])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let listed = self.client().await?.list_images(Some(options)).await;
        let listed = listed.map_err(|error| error::map(error, &format!("listing images of `{repository}`")))?;
        let mut ids: Vec<String> = listed.into_iter().map(|image| image.id).collect();
        ids.sort();
        let found: Vec<Option<Image>> =
            futures_util::stream::iter(ids).map(|id| async move { self.image(&id).await }).buffered(AT_A_TIME).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn networks(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Network>> {
        let options = ListNetworksOptionsBuilder::default().filters(&with_labels(labels)).build();
        let listed = self.client().await?.list_networks(Some(options)).await;
        let listed = listed.map_err(|error| error::map(error, "listing networks"))?;
        let network = |found: bollard::models::Network| Network {
            id: found.id.unwrap_or_default(),
            name: found.name.unwrap_or_default(),
            labels: found.labels.unwrap_or_default().into_iter().collect(),
        };
        let mut found: Vec<Network> = listed.into_iter().map(network).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    async fn remove_network(&self, network: &str) -> PortResult<()> {
        let name = names::container(network)?;
        match self.client().await?.remove_network(name).await {
            Ok(()) => Ok(()),
            Err(error) => error::or_none::<()>(error, &format!("removing network `{name}`")).map(|_| ()),
        }
    }
}

/// The engine's filter for these labels.
fn with_labels(labels: &BTreeMap<String, String>) -> HashMap<String, Vec<String>> {
    let wanted = labels.iter().map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") });
    HashMap::from([("label".to_owned(), wanted.collect())])
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> PortResult<T> + Send + 'static) -> PortResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(PortError::failed("reading the build context died; this is a defect")),
    }
}

/// Waits for the next word of a stream.
async fn within<T>(patience: Duration, next: impl Future<Output = T>, what: &str) -> PortResult<T> {
    tokio::time::timeout(patience, next)
        .await
        .map_err(|_| PortError::new(PortErrorKind::Timeout, format!("{what}: nothing came for {} s", patience.as_secs())))
}
