//! A container engine in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{
    Blueprint, Build, Built, Container, Credentials, Docker, Engine, FoundFiles, Image, ImageRef, Network, Output, PortError,
    PortErrorKind, PortResult, Transfer, Volume,
};
use super::registry::{Wish, may_move};
use super::{FakeWorld, State, ids};

/// The engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeDocker {
    /// Nobody answers.
    pub down: bool,
    /// Images by id.
    pub images: BTreeMap<String, FakeImage>,
    /// Containers by id.
    pub containers: BTreeMap<String, Container>,
    /// Volumes that have a name.
    pub volumes: Vec<Volume>,
    /// Texts of files in volumes, by the volume's name and the path in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contents: BTreeMap<String, BTreeMap<String, String>>,
    /// Labels of networks by name.
    pub networks: BTreeMap<String, BTreeMap<String, String>>,
    /// How containers turn out, by the reference of their image; those of others run.
    #[serde(skip_serializing)]
    pub runs: BTreeMap<String, FakeRun>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeImage {
    /// `repository:tag` names.
    pub tags: Vec<String>,
    /// `repository@sha256:…` names.
    pub digests: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Bytes.
    pub size: u64,
    /// Volumes that it declares.
    pub volumes: Vec<String>,
}

/// How a container turns out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeRun {
    /// Its state, `running` where empty.
    pub state: String,
    /// Exit code, once it ended.
    pub exit_code: Option<i64>,
    /// Times the engine started it again.
    pub restarts: u64,
    /// Health, where the image has a check.
    pub health: Option<String>,
    /// What its check said, newest last.
    pub health_log: Vec<String>,
    /// What it prints.
    pub log: String,
}

impl FakeImage {
    /// An image with these names.
    pub fn tagged(tags: &[&str]) -> Self {
        Self { tags: tags.iter().map(|&tag| tag.to_owned()).collect(), size: 1000, ..Self::default() }
    }

    fn as_image(&self, id: &str) -> Image {
        Image {
            id: id.to_owned(),
            tags: self.tags.clone(),
            digests: self.digests.clone(),
            labels: self.labels.clone(),
            size: self.size,
            volumes: self.volumes.clone(),
        }
    }
}

impl FakeDocker {
    /// Drops what has no meaning but being another one. Which digests an engine knows is its memory of what it pushed and pulled;
    /// an image without a name is content that nothing refers to, and a network nobody is in is none.
    pub(super) fn normalise(&mut self) {
        let used: Vec<_> = self.containers.values().map(|container| container.image_id.clone()).collect();
        self.images.retain(|id, image| !image.tags.is_empty() || used.contains(id));
        for image in self.images.values_mut() {
            image.digests.clear();
            image.tags.sort();
        }
        self.networks.retain(|name, _| self.containers.values().any(|container| container.networks.contains_key(name)));
        let containers = std::mem::take(&mut self.containers);
        for (_, mut container) in containers {
            container.id.clear();
            container.started_at.clear();
            self.containers.insert(container.name.clone(), container);
        }
    }

    /// The image that a reference or an id stands for.
    pub(super) fn find(&self, reference: &str) -> Option<(&String, &FakeImage)> {
        if let Some(found) = self.images.get_key_value(reference).or_else(|| self.images.get_key_value(&format!("sha256:{reference}"))) {
            return Some(found);
        }
        let named = ImageRef::parse(reference).ok()?;
        let names = |image: &FakeImage| match &named.digest {
            Some(_) => image.digests.contains(&ImageRef { tag: None, ..named.clone() }.to_string()),
            None => image.tags.contains(&tagged(&named)),
        };
        self.images.iter().find(|(_, image)| names(image))
    }

    pub(super) fn find_container(&self, name: &str) -> Option<&Container> {
        self.containers.get(name).or_else(|| self.containers.values().find(|container| container.name == name))
    }

    pub(super) fn up(&self) -> PortResult<()> {
        if self.down {
            return Err(PortError::new(PortErrorKind::Unreachable, "the container engine does not answer").hint("start it"));
        }
        Ok(())
    }

    /// Gives an image a name, which any other image loses.
    fn name(&mut self, id: &str, name: &ImageRef) {
        let name = tagged(name);
        for image in self.images.values_mut() {
            image.tags.retain(|tag| *tag != name);
        }
        if let Some(image) = self.images.get_mut(id) {
            image.tags.push(name);
        }
    }
}

/// The name as an engine lists it: always with a tag.
fn tagged(name: &ImageRef) -> String {
    name.with_tag(name.tag.as_deref().unwrap_or("latest")).to_string()
}

/// What a container stays as long as it is there.
fn lasting(found: &Container) -> Container {
    Container { state: String::new(), exit_code: None, health: None, restarts: 0, started_at: String::new(), ..found.clone() }
}

fn no_image(reference: impl std::fmt::Display) -> PortError {
    PortError::new(PortErrorKind::NotFound, format!("there is no image `{reference}`"))
}

/// What a Dockerfile says with one instruction, all lines together.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    let lines = dockerfile.lines().filter_map(|line| line.split_once(' ').filter(|(word, _)| word.eq_ignore_ascii_case(name)));
    lines.flat_map(|(_, rest)| rest.split_whitespace()).map(|word| word.trim_matches(|c| "[],\"".contains(c))).collect()
}

fn dockerfile(state: &State, build: &Build) -> PortResult<String> {
    let path = build.context.join(&build.dockerfile);
    state.text(&path).ok_or_else(|| PortError::new(PortErrorKind::Invalid, format!("there is no Dockerfile `{}`", path.display())))
}

fn build_digest(state: &State, build: &Build) -> PortResult<String> {
    dockerfile(state, build)?;
    let mut text = format!("{:?} {:?} {:?} {}\n", build.args, build.target, build.platforms, build.dockerfile);
    for (path, file) in state.files.iter().filter(|(path, _)| path.starts_with(&build.context)) {
        let path = path.strip_prefix(&build.context).unwrap_or(path);
        let line = format!("{} {:o} {}\n", path.display(), file.mode, ids::sha256(&file.bytes));
        text.push_str(&line);
    }
    Ok(format!("sha256:{}", ids::sha256(text)))
}

impl State {
    /// Brings an image from its registry into the engine, and gives its id.
    pub(super) fn pull(&mut self, image: &ImageRef, who: &Credentials) -> PortResult<(String, String)> {
        let registry = self.registry(image, who, Wish::Read)?;
        let found = registry.repositories.get(&image.repository).and_then(|repository| repository.find(image));
        let (digest, text) = found.map(|(digest, manifest)| (digest.clone(), manifest.text.clone())).ok_or_else(|| no_image(image))?;
        let manifest: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| PortError::failed(format!("manifest of `{image}`: {error}")))?;
        let config = &manifest["config"];
        let id = config["digest"].as_str().unwrap_or(&digest).to_owned();
        let entry = self.docker.images.entry(id.clone()).or_insert_with(|| FakeImage {
            labels: serde_json::from_value(config["labels"].clone()).unwrap_or_default(),
            volumes: serde_json::from_value(config["volumes"].clone()).unwrap_or_default(),
            size: config["size"].as_u64().unwrap_or_default(),
            ..FakeImage::default()
        });
        let known = image.with_digest(&digest).to_string();
        if !entry.digests.contains(&known) {
            entry.digests.push(known);
        }
        if image.digest.is_none() {
            self.docker.name(&id, image);
        }
        Ok((id, digest))
    }
}

#[async_trait]
impl Docker for FakeWorld {
    async fn engine(&self) -> PortResult<Engine> {
        self.look("docker.engine", "", |state| {
            state.docker.up()?;
            Ok(Engine { version: "20.10.24".into(), api: "1.41".into(), id: "FAKE".into() })
        })
    }

    async fn image(&self, reference: &str) -> PortResult<Option<Image>> {
        self.look("docker.image", reference, |state| {
            state.docker.up()?;
            Ok(state.docker.find(reference).map(|(id, image)| image.as_image(id)))
        })
    }

    async fn build_digest(&self, build: &Build) -> PortResult<String> {
        self.look("docker.build_digest", build.context.display(), |state| build_digest(state, build))
    }

    async fn build(&self, build: &Build, output: &dyn Output) -> PortResult<Built> {
        let built = self.change("docker.build", format_args!("{build:?}"), |state| {
            state.docker.up()?;
            let dockerfile = dockerfile(state, build)?;
            let digest = build_digest(state, build)?;
            let id = format!("sha256:{}", ids::sha256(format!("{digest} {:?}", build.labels)));
            let mut labels: BTreeMap<_, _> = instructions(&dockerfile, "LABEL")
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
                .collect();
            labels.extend(build.labels.clone());
            let volumes = instructions(&dockerfile, "VOLUME").iter().map(|&path| path.to_owned()).collect();
            state.docker.images.entry(id.clone()).or_insert_with(|| FakeImage { labels, volumes, size: 1000, ..FakeImage::default() });
            for tag in &build.tags {
                state.docker.name(&id, tag);
            }
            Ok(Built { image_id: id })
        })?;
        output.write(format!("Successfully built {}\n", built.image_id).as_bytes());
        Ok(built)
    }

    async fn tag(&self, image: &str, name: &ImageRef) -> PortResult<()> {
        self.change("docker.tag", format_args!("{image} {name}"), |state| {
            state.docker.up()?;
            let id = state.docker.find(image).map(|(id, _)| id.clone()).ok_or_else(|| no_image(image))?;
            state.docker.name(&id, name);
            Ok(())
        })
    }

    async fn untag(&self, name: &ImageRef) -> PortResult<()> {
        self.change("docker.untag", name, |state| {
            state.docker.up()?;
            let listed = tagged(name);
            let used: Vec<_> = state.docker.containers.values().map(|container| container.image_id.clone()).collect();
            let last = |(id, image): (&String, &FakeImage)| image.tags == [listed.as_str()] && used.contains(id);
            if state.docker.images.iter().any(last) {
                let message = format!("conflict: unable to remove repository reference `{name}`: a container is using its image");
                return Err(PortError::new(PortErrorKind::Conflict, message));
            }
            for image in state.docker.images.values_mut() {
                image.tags.retain(|tag| *tag != listed);
            }
            state.docker.images.retain(|id, image| !image.tags.is_empty() || used.contains(id));
            Ok(())
        })
    }

    async fn push(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
        let digest = self.change("docker.push", image, |state| {
            state.docker.up()?;
            let (id, pushed) = state.docker.find(&image.to_string()).ok_or_else(|| no_image(image))?;
            let (id, pushed) = (id.clone(), pushed.clone());
            let registry = state.registry(image, who, Wish::Write)?;
            let immutable = registry.immutable;
            let repository = registry.repositories.entry(image.repository.clone()).or_default();
            let there = repository.clone();
            let digest = repository.put(image.tag.as_deref().unwrap_or("latest"), &id, &pushed);
            may_move(&there, image, &digest, immutable)?;
            let known = image.with_digest(&digest).to_string();
            if let Some(pushed) = state.docker.images.get_mut(&id).filter(|pushed| !pushed.digests.contains(&known)) {
                pushed.digests.push(known);
            }
            Ok(digest)
        })?;
        output.write(format!("{}: digest: {digest}\n", image.tag.as_deref().unwrap_or("latest")).as_bytes());
        Ok(Transfer { digest: Some(digest) })
    }

    async fn pull(&self, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
        let digest = self.change("docker.pull", image, |state| {
            state.docker.up()?;
            Ok(state.pull(image, who)?.1)
        })?;
        output.write(format!("Digest: {digest}\n").as_bytes());
        Ok(Transfer { digest: Some(digest) })
    }

    async fn containers(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Container>> {
        self.look("docker.containers", format_args!("{labels:?}"), |state| {
            state.docker.up()?;
            let bears = |container: &&Container| {
                labels.iter().all(|(key, value)| container.labels.get(key).is_some_and(|there| value.is_empty() || there == value))
            };
            let mut found: Vec<_> = state.docker.containers.values().filter(bears).cloned().collect();
            found.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(found)
        })
    }

    async fn volumes(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Volume>> {
        self.look("docker.volumes", format_args!("{labels:?}"), |state| {
            state.docker.up()?;
            let fits = |volume: &&Volume| {
                labels.iter().all(|(key, value)| volume.labels.get(key).is_some_and(|there| value.is_empty() || there == value))
            };
            Ok(state.docker.volumes.iter().filter(fits).cloned().collect())
        })
    }

    async fn container(&self, name: &str) -> PortResult<Option<Container>> {
        self.look("docker.container", name, |state| {
            state.docker.up()?;
            Ok(state.docker.find_container(name).cloned())
        })
    }

    async fn logs(&self, container: &str, lines: usize) -> PortResult<String> {
        self.look("docker.logs", container, |state| {
            state.docker.up()?;
            let found = state.container_called(container)?;
            let log = state.docker.runs.get(&found.image).map(|run| run.log.clone()).unwrap_or_default();
            let all: Vec<_> = log.lines().collect();
            Ok(all[all.len().saturating_sub(lines)..].join("\n"))
        })
    }

    async fn find_files(&self, container: &str, folder: &str, ending: &str, limit: u64) -> PortResult<FoundFiles> {
        self.look("docker.find_files", format_args!("{container} {folder} {ending}"), |state| {
            let found = state.container_called(container)?;
            let all = found.volumes.get(folder).and_then(|volume| state.docker.contents.get(volume)).cloned().unwrap_or_default();
            let size: usize = all.values().map(String::len).sum();
            let fits = |path: &str| path.strip_suffix(ending).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
            let files = all.into_iter().filter(|(path, _)| fits(path)).map(|(path, text)| (path, text.into_bytes()));
            Ok(FoundFiles { files: files.collect(), whole: size as u64 <= limit })
        })
    }

    async fn remove_container(&self, container: &str, force: bool) -> PortResult<()> {
        self.change("docker.remove_container", container, |state| {
            state.docker.up()?;
            let Some(found) = state.docker.find_container(container).cloned() else { return Ok(()) };
            if found.state == "running" && !force {
                return Err(PortError::new(PortErrorKind::Conflict, format!("container `{container}` is running")));
            }
            state.docker.containers.remove(&found.id);
            Ok(())
        })
    }

    async fn blueprint(&self, container: &str) -> PortResult<Option<Blueprint>> {
        self.look("docker.blueprint", container, |state| {
            state.docker.up()?;
            let written = |found: &Container| Blueprint {
                name: found.name.clone(),
                image: found.image.clone(),
                shares: Vec::new(),
                detail: serde_json::to_value(lasting(found)).unwrap_or_default(),
            };
            Ok(state.docker.find_container(container).map(written))
        })
    }

    async fn create_container(&self, blueprint: &Blueprint) -> PortResult<String> {
        let id = ids::sha256(self.unique("container").to_string());
        self.change("docker.create_container", &blueprint.name, |state| {
            state.docker.up()?;
            state.name_is_free(&blueprint.name)?;
            let image = state.docker.find(&blueprint.image).map(|(id, _)| id.clone()).ok_or_else(|| no_image(&blueprint.image))?;
            let old: Container = serde_json::from_value(blueprint.detail.clone())
                .map_err(|error| PortError::failed(format!("what was written down of a container: {error}")))?;
            let made = Container {
                id: id.clone(),
                name: blueprint.name.clone(),
                image: blueprint.image.clone(),
                image_id: image,
                state: "created".into(),
                exit_code: None,
                health: None,
                restarts: 0,
                ..old
            };
            state.docker.containers.insert(id.clone(), made);
            Ok(id.clone())
        })
    }

    async fn start_container(&self, container: &str) -> PortResult<()> {
        self.change("docker.start_container", container, |state| {
            let id = state.container_called(container)?.id;
            state.start(&id);
            Ok(())
        })
    }

    async fn stop_container(&self, container: &str) -> PortResult<()> {
        self.change("docker.stop_container", container, |state| {
            state.docker.up()?;
            let id = state.docker.find_container(container).map(|found| found.id.clone());
            let found = id.and_then(|id| state.docker.containers.get_mut(&id));
            if let Some(found) = found.filter(|found| found.state == "running" || found.state == "restarting") {
                (found.state, found.exit_code) = ("exited".into(), Some(0));
            }
            Ok(())
        })
    }

    async fn rename_container(&self, container: &str, name: &str) -> PortResult<()> {
        self.change("docker.rename_container", format_args!("{container} {name}"), |state| {
            let mut found = state.container_called(container)?;
            state.name_is_free(name)?;
            name.clone_into(&mut found.name);
            state.docker.containers.insert(found.id.clone(), found);
            Ok(())
        })
    }

    async fn images(&self, repository: &str) -> PortResult<Vec<Image>> {
        self.look("docker.images", repository, |state| {
            state.docker.up()?;
            let wanted = ImageRef::parse(repository)?.name();
            let named = |image: &FakeImage| image.tags.iter().any(|tag| ImageRef::parse(tag).is_ok_and(|tag| tag.name() == wanted));
            Ok(state.docker.images.iter().filter(|(_, image)| named(image)).map(|(id, image)| image.as_image(id)).collect())
        })
    }

    async fn networks(&self, labels: &BTreeMap<String, String>) -> PortResult<Vec<Network>> {
        self.look("docker.networks", format_args!("{labels:?}"), |state| {
            state.docker.up()?;
            let bears = |there: &BTreeMap<String, String>| {
                labels.iter().all(|(key, value)| there.get(key).is_some_and(|one| value.is_empty() || one == value))
            };
            let found = state.docker.networks.iter().filter(|(_, labels)| bears(labels));
            Ok(found.map(|(name, labels)| Network { id: ids::sha256(name), name: name.clone(), labels: labels.clone() }).collect())
        })
    }

    async fn remove_network(&self, network: &str) -> PortResult<()> {
        self.change("docker.remove_network", network, |state| {
            state.docker.up()?;
            let name = state.docker.networks.keys().find(|name| *name == network || ids::sha256(name) == network).cloned();
            let Some(name) = name else { return Ok(()) };
            if state.docker.containers.values().any(|container| container.networks.contains_key(&name)) {
                return Err(PortError::new(PortErrorKind::Conflict, format!("network `{name}` has active endpoints")));
            }
            state.docker.networks.remove(&name);
            Ok(())
        })
    }
}
