//! Everything that the checks look at, gathered once and side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use semver::Version;
use sha2::{Digest as _, Sha256};

use super::agents::{self, Project};
use super::clones::{self, Clones};
use super::kind_of_box::{KindOfBox, Link, fits};
use super::subject::{Readings, Subject};
use crate::compose_file::{self, Inputs, TEMPLATE_NAME, load};
use crate::contract::{Context, StepError};
use crate::dotenv::{EnvFile, Reading};
use crate::kit::readiness::{CONFIG_HASH, ONE_OFF, PROJECT, SERVICE};
use crate::migrations::{self, Place};
use crate::world::{
    ComposeFile, ComposeService, Container, Entry, FileContent, HttpRequest, Image, ImageRef, PortError, PortErrorKind, PortResult,
    RemoteAddress, StatusEntry, Volume,
};

/// The label with which compose names the folder that a container was started from.
const FOLDER: &str = "com.docker.compose.project.working_dir";
/// The label with which compose names a volume as its file does.
pub(super) const VOLUME: &str = "com.docker.compose.volume";
/// For whatever answers over a network. Who is alive answers at once; who is only slow, on a busy machine, must not be taken for dead.
const PATIENCE: Duration = Duration::from_secs(4);
/// Files that compose takes into account by itself, beside the one that it is given.
const OVERRIDES: [&str; 4] =
    ["docker-compose.override.yml", "docker-compose.override.yaml", "compose.override.yml", "compose.override.yaml"];
/// So many releases are held against HEAD to say which one it stands on.
const NEAREST: usize = 20;

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
    pub model: PortResult<(String, Vec<ComposeService>)>,
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

pub(super) struct Git {
    pub head: String,
    pub status: Vec<StatusEntry>,
    pub remotes: Vec<RemoteAddress>,
    /// Releases with the tag of each, the oldest first.
    pub releases: Vec<(Version, String)>,
    /// The release that HEAD stands on exactly.
    pub at: Option<(Version, String)>,
    /// The last release before HEAD where it stands on none, and how many commits ago.
    pub nearest: Option<(String, u64)>,
    /// Whether the compose file is tracked.
    pub compose_tracked: bool,
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
    pub(super) async fn gather(cx: &Context, subject: &Subject, kind: KindOfBox) -> Result<Self, StepError> {
        let compose_path = cx.path(&subject.compose_file)?;
        let folder = compose_path.parent().map_or_else(|| cx.workdir.to_path_buf(), Path::to_owned);
        let file = crate::kit::compose::file(cx, &subject.compose_file, None, Some(&subject.env_file), &[])?;
        // Compose takes an env file that is missing for a mistake.
        let env = env(cx, subject).await?;
        let file = ComposeFile { env_file: file.env_file.filter(|_| env.file.is_some()), ..file };
        let world = &cx.world;
        let from_here = BTreeMap::from([(FOLDER.to_owned(), folder.display().to_string())]);
        let all_volumes = BTreeMap::from([(VOLUME.to_owned(), String::new())]);
        let ((git, model, engine, compose), (here, volumes, free, remote), (overrides, links, projects, compose_file)) = tokio::join!(
            async { tokio::join!(git(cx, subject), world.compose.config(&file), world.docker.engine(), world.compose.version()) },
            async {
                tokio::join!(
                    world.docker.containers(&from_here),
                    world.docker.volumes(&all_volumes),
                    world.files.free_space(&cx.workdir),
                    remote(cx, subject)
                )
            },
            async {
                tokio::join!(overrides(cx, &folder), links(cx, &kind, &env), projects(cx, subject, &kind), async {
                    world.files.read(&cx.workdir, &compose_path).await.ok().flatten()
                })
            },
        );
        let here = here.unwrap_or_default();
        let started_here: BTreeSet<String> = here.iter().filter_map(|container| container.labels.get(PROJECT).cloned()).collect();
        let default = model.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let given = Some(subject.project.clone()).filter(|name| !name.is_empty());
        let project = given.or_else(|| started_here.first().cloned()).unwrap_or(default);
        let (projects, mut digests) = projects;
        digests.extend(compose_file.as_ref().map(|file| (subject.compose_file.clone(), digest(&file.bytes))));
        digests.extend(env.file.as_ref().map(|file| (subject.env_file.clone(), digest(&file.bytes))));
        let containers = containers(cx, &project).await;
        let known = containers.as_deref().unwrap_or_default();
        let services = model.as_ref().map(|(_, services)| services.as_slice()).unwrap_or_default();
        let tracked = git.as_ref().is_ok_and(|git| git.compose_tracked);
        let made_here = compose_file.as_ref().filter(|_| !tracked);
        let (images, registry, reach, logs, green, version_file, up_to_date, migrations, clones) = tokio::join!(
            images(cx, known),
            registry(cx, &kind, services),
            reach(cx, &kind, &env),
            logs(cx, &kind, known),
            green(cx, subject),
            version_file(cx),
            up_to_date(cx, subject, made_here),
            migrations(cx, subject),
            clones::look(cx, &project, known, volumes.as_deref().unwrap_or_default()),
        );
        let engine = engine.map(|engine| engine.version);
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

/// The service of a container; its name where compose did not start it.
pub(super) fn service(container: &Container) -> String {
    container.labels.get(SERVICE).unwrap_or(&container.name).clone()
}

/// The release that a tag names.
pub(super) fn release(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v')?).ok()
}

/// The result of `work`, unless it takes too long.
async fn soon<T>(cx: &Context, work: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = cx.world.clock.sleep(PATIENCE) => Err(PortError::new(PortErrorKind::Timeout, format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn git(cx: &Context, subject: &Subject) -> PortResult<Git> {
    let (git, dir) = (&cx.world.git, &cx.workdir);
    let head = git.head(dir).await?.commit;
    let (status, remotes, tags, tracked) =
        tokio::try_join!(git.status(dir), git.remotes(dir), git.tags(dir), git.show(dir, &head, &subject.compose_file))?;
    let mut releases: Vec<(Version, String, String)> =
        tags.into_iter().filter_map(|(tag, commit)| Some((release(&tag)?, tag, commit))).collect();
    releases.sort();
    let at = releases.iter().rfind(|(.., commit)| *commit == head).map(|(version, tag, _)| (version.clone(), tag.clone()));
    let mut nearest = None;
    for (_, tag, commit) in releases.iter().rev().take(if at.is_some() { 0 } else { NEAREST }) {
        if git.distance(dir, &head, commit).await? == 0 {
            nearest = Some((tag.clone(), git.distance(dir, commit, &head).await?));
            break;
        }
    }
    let releases = releases.into_iter().map(|(version, tag, _)| (version, tag)).collect();
    Ok(Git { head, status, remotes, releases, at, nearest, compose_tracked: tracked.is_some() })
}

async fn env(cx: &Context, subject: &Subject) -> Result<Env, StepError> {
    let path = cx.path(&subject.env_file)?;
    let file = cx.world.files.read(&cx.workdir, &path).await?;
    let parsed = match &file {
        None => Ok(None),
        Some(file) => EnvFile::parse(&String::from_utf8_lossy(&file.bytes)).map(Some),
    };
    Ok(Env { file, parsed })
}

async fn version_file(cx: &Context) -> String {
    let file = cx.world.files.read(&cx.workdir, Path::new("VERSION")).await.ok().flatten();
    file.map(|file| String::from_utf8_lossy(&file.bytes).trim().to_owned()).unwrap_or_default()
}

/// Renders what the compose file would be now.
async fn up_to_date(cx: &Context, subject: &Subject, file: Option<&FileContent>) -> Option<Result<bool, String>> {
    let text = String::from_utf8_lossy(&file?.bytes).into_owned();
    let template = if subject.template.is_empty() { TEMPLATE_NAME } else { &subject.template };
    let mode = compose_file::made(&text).header().map(|header| header.mode).unwrap_or_default();
    let sources = BTreeMap::from([("projects".to_owned(), subject.data.clone())]);
    let rendering = async {
        let template = load::template(&cx.world, &cx.workdir, template, None).await?;
        let data = load::data(cx.world.files.as_ref(), &cx.workdir, &sources).await?;
        let inputs = Inputs { data, values: subject.values.clone(), mode };
        Ok::<_, StepError>(compose_file::render(&template.template(), &inputs)?.is(&text))
    };
    Some(rendering.await.map_err(|error| error.message))
}

/// How the migrations of the tree stand.
async fn migrations(cx: &Context, subject: &Subject) -> Result<migrations::Status, String> {
    let mut place = Place::new(&cx.workdir, &cx.state);
    if !subject.migrations.is_empty() {
        place.dir.clone_from(&subject.migrations);
    }
    place.key = (!subject.migration_key.is_empty()).then(|| (subject.env_file.clone(), subject.migration_key.clone()));
    migrations::status(&cx.world, &place).await.map_err(|error| error.message)
}

async fn remote(cx: &Context, subject: &Subject) -> PortResult<()> {
    if subject.remote.is_empty() {
        return Ok(());
    }
    soon(cx, cx.world.git.remote_refs(&cx.workdir, &subject.remote, &["refs/heads/main".to_owned()])).await.map(|_| ())
}

async fn overrides(cx: &Context, folder: &Path) -> Vec<String> {
    let there = OVERRIDES.map(|name| async move {
        let found = cx.world.files.entry(&cx.workdir, &folder.join(name)).await;
        found.is_ok_and(|found| found.is_some()).then(|| name.to_owned())
    });
    join_all(there).await.into_iter().flatten().collect()
}

async fn links(cx: &Context, kind: &KindOfBox, env: &Env) -> Vec<Linked> {
    let home = cx.base_env.get("HOME").filter(|home| !home.is_empty());
    let expand = |path: &str| match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Some(Path::new(home).join(rest)),
        (Some(_), None) => None,
        (None, _) => Some(PathBuf::from(path)),
    };
    let root = Path::new("/");
    let link = |link: &Link| {
        let value = env.value(&link.to_key).unwrap_or_else(|| link.to.clone());
        let (path, want, link) = (expand(&link.path), expand(&value).map(|path| tidy(&path)), link.clone());
        async move {
            let (Some(path), Some(want)) = (path, want) else {
                let error = PortError::failed("nothing says where the home folder is (HOME)");
                return Linked { link, want: PathBuf::new(), found: Err(error), right: false, folder_there: false };
            };
            let found = cx.world.files.entry(root, &path).await;
            let right = match &found {
                Ok(Some(Entry::Link(target))) => tidy(&path.parent().unwrap_or(root).join(target)) == want,
                _ => false,
            };
            let there = cx.world.files.entry(root, &want).await;
            let folder_there = matches!(there, Ok(Some(Entry::Folder { .. } | Entry::Link(_))));
            Linked { link, want, found, right, folder_there }
        }
    };
    join_all(kind.links.iter().map(link)).await
}

/// The path without `.`, `..` and a slash at its end.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(tidied.pop()),
            other => tidied.push(other),
        }
    }
    tidied
}

/// The project files, read, and the digest of each.
async fn projects(cx: &Context, subject: &Subject, kind: &KindOfBox) -> (Vec<Result<Project, String>>, BTreeMap<String, String>) {
    let (mut projects, mut digests) = (Vec::new(), BTreeMap::new());
    let paths = match cx.world.files.glob(&cx.workdir, &subject.data).await {
        Ok(paths) => paths,
        Err(error) => return (vec![Err(format!("`{}`: {}", subject.data, error.message))], digests),
    };
    for path in paths {
        let name = path.display().to_string();
        match cx.world.files.read(&cx.workdir, &path).await {
            Ok(Some(file)) => {
                digests.insert(name.clone(), digest(&file.bytes));
                if let Some(agents) = &kind.agents {
                    projects.push(agents::read(&String::from_utf8_lossy(&file.bytes), &name, agents));
                }
            }
            Ok(None) => {}
            Err(error) => projects.push(Err(format!("`{name}`: {}", error.message))),
        }
    }
    (projects, digests)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn containers(cx: &Context, project: &str) -> PortResult<Vec<Container>> {
    if project.is_empty() {
        // It could not be found out, which has a check of its own.
        return cx.world.docker.engine().await.map(|_| Vec::new());
    }
    let mut found = cx.world.docker.containers(&BTreeMap::from([(PROJECT.to_owned(), project.to_owned())])).await?;
    found.retain(|container| container.labels.get(ONE_OFF).is_none_or(|value| !value.eq_ignore_ascii_case("true")));
    Ok(found)
}

async fn images(cx: &Context, containers: &[Container]) -> BTreeMap<String, Option<Image>> {
    let names: BTreeSet<&str> = containers.iter().flat_map(|container| [container.image.as_str(), container.image_id.as_str()]).collect();
    let looks = names.into_iter().map(|name| async move { (name.to_owned(), cx.world.docker.image(name).await.ok().flatten()) });
    join_all(looks).await.into_iter().collect()
}

async fn registry(cx: &Context, kind: &KindOfBox, services: &[ComposeService]) -> BTreeMap<String, PortResult<bool>> {
    let images = services.iter().filter_map(|service| ImageRef::parse(service.image.as_deref()?).ok());
    // A name without a host is most often one that was built here, and the public registry is nobody's own.
    let ours = images.filter(|image| image.registry != "docker.io" && kind.is_first_party(&image.repository));
    let named: BTreeMap<String, ImageRef> = ours.map(|image| (image.to_string(), image)).collect();
    let looks = named.into_iter().map(|(name, image)| async move {
        let look = async {
            let who = cx.world.registry.configured(&image.registry).await?;
            cx.world.registry.manifest(&image, &who).await
        };
        (name, soon(cx, look).await.map(|manifest| manifest.is_some()))
    });
    join_all(looks).await.into_iter().collect()
}

async fn reach(cx: &Context, kind: &KindOfBox, env: &Env) -> Vec<(String, PortResult<()>)> {
    let look = |key: &String| {
        let (key, value) = (key.clone(), env.value(key));
        async move {
            let request = HttpRequest { timeout: PATIENCE, ..HttpRequest::get(value?) };
            Some((key, soon(cx, cx.world.http.request(&request)).await.map(|_| ())))
        }
    };
    join_all(kind.env.reach.iter().map(look)).await.into_iter().flatten().collect()
}

async fn logs(cx: &Context, kind: &KindOfBox, containers: &[Container]) -> BTreeMap<String, String> {
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    for beat in &kind.heartbeats {
        for container in containers.iter().filter(|one| one.state == "running") {
            if beat.services.iter().any(|pattern| fits(pattern, &service(container))) {
                let lines = wanted.entry(&container.name).or_default();
                *lines = beat.lines.max(*lines);
            }
        }
    }
    let looks = wanted
        .into_iter()
        .map(|(name, lines)| async move { Some((name.to_owned(), soon(cx, cx.world.docker.logs(name, lines)).await.ok()?)) });
    join_all(looks).await.into_iter().flatten().collect()
}

/// Names, as `health-check` gives them, of the addresses that are well now.
async fn green(cx: &Context, subject: &Subject) -> Vec<String> {
    let look = |url: &String| {
        let request = HttpRequest { timeout: PATIENCE, ..HttpRequest::get(url.clone()) };
        async move {
            let answer = if request.url.is_empty() { return None } else { soon(cx, cx.world.http.request(&request)).await };
            answer.is_ok_and(|answer| (200..300).contains(&answer.status)).then(|| format!("http {}", request.url))
        }
    };
    join_all(subject.health_urls.iter().map(look)).await.into_iter().flatten().collect()
}
