//! Everything that the checks look at, gathered once and side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use super::agents::Project;
use super::clones::Clones;
use super::git::Git;
use super::kind_of_box::{KindOfBox, Link};
use super::looks;
use super::running::Running;
use super::subject::{Readings, Subject};
use crate::contract::{Context, StepError};
use crate::dotenv::{EnvFile, Reading};
use crate::kit::readiness::{CONFIG_HASH, SERVICE};
use crate::migrations;
use crate::world::{ComposeFile, ComposeService, Container, Entry, FileContent, Image, ImageRef, PortResult, Volume};

/// The label with which compose names a volume as its file does.
pub(super) const VOLUME: &str = "com.docker.compose.volume";

pub(super) struct Facts {
    pub kind: KindOfBox,
    pub git: PortResult<Git>,
    pub env: Env,
    pub overrides: Vec<String>,
    pub compose_file: Option<FileContent>,
    /// Whether the compose file is what template and data make now, where it is one that is made; why it cannot be made.
    pub up_to_date: Option<Result<bool, String>>,
    /// What the `VERSION` file says.
    pub version_file: String,
    pub projects: Vec<Result<Project, String>>,
    pub digests: BTreeMap<String, String>,
    /// The project that compose itself would take, and its services.
    pub model: PortResult<Model>,
    pub engine: PortResult<String>,
    pub compose: PortResult<String>,
    /// Compose projects that were started from this folder.
    pub started_here: BTreeSet<String>,
    /// The compose project that is looked at.
    pub project: String,
    /// Its containers, without those of `compose run`.
    pub containers: PortResult<Vec<Container>>,
    /// Volumes of all compose projects.
    pub volumes: PortResult<Vec<Volume>>,
    /// Images by reference and by id; none where the engine has none of that name.
    pub images: BTreeMap<String, Option<Image>>,
    pub links: Vec<Linked>,
    /// First-party images of the compose file at their registries: whether each is there.
    pub registry: BTreeMap<String, PortResult<bool>>,
    pub remote: PortResult<()>,
    /// Folder and ledger of the migrations; why they cannot be read.
    pub migrations: Result<migrations::Status, String>,
    /// Keys whose addresses must answer.
    pub reach: Vec<(String, PortResult<()>)>,
    pub free: PortResult<u64>,
    /// The last lines of containers that must be seen working, by name.
    pub logs: BTreeMap<String, String>,
    pub green: Vec<String>,
    pub clones: Vec<Clones>,
}

pub(super) struct Env {
    pub file: Option<FileContent>,
    /// The file, read; the line of a quote that is never closed.
    pub parsed: Result<Option<EnvFile>, usize>,
}

pub(super) struct Linked {
    pub link: Link,
    /// Where it must lead.
    pub want: PathBuf,
    /// What is there; an error where there is no home folder to look in.
    pub found: PortResult<Option<Entry>>,
    /// Whether it leads there.
    pub right: bool,
    /// Whether a folder is there.
    pub folder_there: bool,
}

impl Env {
    /// The value of a key, unless it is missing, empty, or readers disagree about it.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        match self.parsed.as_ref().ok()?.as_ref()?.read(key) {
            Reading::Value(value) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Whether a key has something that is not nothing.
    pub(super) fn is_set(&self, key: &str) -> bool {
        let Ok(Some(file)) = &self.parsed else { return false };
        match file.read(key) {
            Reading::Missing => false,
            Reading::Value(value) => !value.is_empty(),
            Reading::Unclear => true,
        }
    }
}

impl Facts {
    /// Looks at everything side by side: only what depends on an answer waits for it.
    pub(super) async fn gather(cx: &Context, subject: &Subject, kind: KindOfBox) -> Result<Self, StepError> {
        let compose_path = cx.path(&subject.compose_file)?;
        let folder = compose_path.parent().map_or_else(|| cx.workdir.to_path_buf(), Path::to_owned);
        let file = crate::kit::compose::file(cx, &subject.compose_file, None, Some(&subject.env_file), &[])?;
        // Compose takes an env file that is missing for a mistake.
        let env = looks::env(cx, subject).await?;
        let file = ComposeFile { env_file: file.env_file.filter(|_| env.file.is_some()), ..file };
        let compose_file = cx.world.files.read(&cx.workdir, &compose_path).await.ok().flatten();
        let (tell, told) = oneshot::channel();
        let model = model(cx, &kind, &file, tell);
        let tree = async {
            let git = Git::look(cx, subject).await;
            let tracked = git.as_ref().is_ok_and(|git| git.compose_tracked);
            let up_to_date = looks::up_to_date(cx, subject, compose_file.as_ref().filter(|_| !tracked)).await;
            (git, up_to_date)
        };
        let (
            (model, registry),
            (git, up_to_date),
            running,
            (engine, compose, free, remote, overrides, links),
            ((projects, mut digests), version_file, migrations, reach, green),
        ) = tokio::join!(
            model,
            tree,
            Running::look(cx, subject, &kind, &folder, told),
            async {
                tokio::join!(
                    cx.world.docker.engine(),
                    cx.world.compose.version(),
                    cx.world.files.free_space(&cx.workdir),
                    looks::remote(cx, subject),
                    looks::overrides(cx, &folder),
                    looks::links(cx, &kind, &env),
                )
            },
            async {
                tokio::join!(
                    looks::projects(cx, subject, &kind),
                    looks::version_file(cx),
                    looks::migrations(cx, subject),
                    looks::reach(cx, &kind, &env),
                    looks::green(cx, subject),
                )
            },
        );
        digests.extend(compose_file.as_ref().map(|file| (subject.compose_file.clone(), looks::digest(&file.bytes))));
        digests.extend(env.file.as_ref().map(|file| (subject.env_file.clone(), looks::digest(&file.bytes))));
        let engine = engine.map(|engine| engine.version);
        let Running { started_here, project, containers, volumes, images, logs, clones } = running;
        Ok(Self {
            kind,
            git,
            env,
            overrides,
            compose_file,
            up_to_date,
            version_file,
            projects,
            digests,
            model,
            engine,
            compose,
            started_here,
            project,
            containers,
            volumes,
            images,
            links,
            registry,
            remote,
            migrations,
            reach,
            free,
            logs,
            green,
            clones,
        })
    }

    /// Whether anything says which migrations were applied.
    pub(super) fn level_is_known(&self) -> bool {
        self.migrations.as_ref().is_ok_and(|status| status.level.is_some())
    }

    /// How many containers of the project run.
    pub(super) fn running(&self) -> Option<usize> {
        let containers = self.containers.as_ref().ok()?;
        Some(containers.iter().filter(|container| container.state == "running").count())
    }

    /// The tag of each service whose image is first-party, as the compose file has it; empty where it has none.
    pub(super) fn compose_tags(&self) -> BTreeMap<String, String> {
        let services = self.model.as_ref().map(|(_, services)| services.as_slice()).unwrap_or_default();
        let tag = |service: &ComposeService| {
            let image = ImageRef::parse(service.image.as_deref()?).ok()?;
            self.kind.is_first_party(&image.repository).then(|| (service.name.clone(), image.tag.unwrap_or_default()))
        };
        services.iter().filter_map(tag).collect()
    }

    /// What the image of each first-party container says its version is, by service; empty where it says none.
    pub(super) fn running_versions(&self) -> BTreeMap<String, String> {
        let version = |container: &Container| {
            let image = ImageRef::parse(&container.image).ok()?;
            let label = self.image(&container.image_id)?.labels.get(&self.kind.images.version_label).cloned();
            self.kind.is_first_party(&image.repository).then(|| (service(container), label.unwrap_or_default()))
        };
        self.containers.iter().flatten().filter_map(version).collect()
    }

    /// An image of a container, by reference or id.
    pub(super) fn image(&self, name: &str) -> Option<&Image> {
        self.images.get(name)?.as_ref()
    }

    pub(super) fn readings(&self, subject: &Subject) -> Readings {
        let git = self.git.as_ref().ok();
        let all = self.containers.as_deref().unwrap_or_default();
        Readings {
            project: self.project.clone(),
            commit: git.map(|git| git.head.clone()).unwrap_or_default(),
            release: git.and_then(|git| git.at.as_ref()).map(|(_, tag)| tag.clone()).unwrap_or_default(),
            version_file: self.version_file.clone(),
            version_key: self.env.value(&subject.version_key).unwrap_or_default(),
            compose: self.compose_tags(),
            running: self.running_versions(),
            images: all.iter().map(|container| (service(container), container.image_id.clone())).collect(),
            config_hashes: all.iter().filter_map(|one| Some((service(one), one.labels.get(CONFIG_HASH)?.clone()))).collect(),
            files: self.digests.clone(),
            green: self.green.clone(),
        }
    }
}

type Model = (String, Vec<ComposeService>);

/// What compose makes of the file, and whether the registries have its images. Tells the project's name as soon as it is known.
async fn model(
    cx: &Context,
    kind: &KindOfBox,
    file: &ComposeFile,
    tell: oneshot::Sender<String>,
) -> (PortResult<Model>, BTreeMap<String, PortResult<bool>>) {
    let model = cx.world.compose.config(file).await;
    // Nobody waits for it where the project is known already.
    let _ = tell.send(model.as_ref().map(|(name, _)| name.clone()).unwrap_or_default());
    let services = model.as_ref().map(|(_, services)| services.as_slice()).unwrap_or_default();
    let registry = looks::registry(cx, kind, services).await;
    (model, registry)
}

/// The service of a container; its name where compose did not start it.
pub(super) fn service(container: &Container) -> String {
    container.labels.get(SERVICE).unwrap_or(&container.name).clone()
}
