//! The single looks of a survey, each of which says what is so and judges nothing.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};

use super::agents::{self, Project};
use super::facts::{Env, Linked};
use super::kind_of_box::{KindOfBox, Link};
use super::subject::Subject;
use crate::compose_file::{self, Inputs, TEMPLATE_NAME, load};
use crate::contract::{Context, StepError};
use crate::dotenv::EnvFile;
use crate::migrations::{self, Place};
use crate::world::{ComposeService, Entry, FileContent, HttpRequest, ImageRef, PortError, PortErrorKind, PortResult};

/// For whatever answers over a network. Who is alive answers at once; who is only slow, on a busy machine, must not be taken for dead.
const PATIENCE: Duration = Duration::from_secs(4);
/// Files that compose takes into account by itself, beside the one that it is given.
const OVERRIDES: [&str; 4] =
    ["docker-compose.override.yml", "docker-compose.override.yaml", "compose.override.yml", "compose.override.yaml"];

/// The result of `work`, unless it takes too long.
pub(super) async fn soon<T>(cx: &Context, work: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = cx.world.clock.sleep(PATIENCE) => Err(PortError::new(PortErrorKind::Timeout, format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

pub(super) async fn env(cx: &Context, subject: &Subject) -> Result<Env, StepError> {
    let path = cx.path(&subject.env_file)?;
    let file = cx.world.files.read(&cx.workdir, &path).await?;
    let parsed = match &file {
        None => Ok(None),
        Some(file) => EnvFile::parse(&String::from_utf8_lossy(&file.bytes)).map(Some),
    };
    Ok(Env { file, parsed })
}

pub(super) async fn version_file(cx: &Context) -> String {
    let file = cx.world.files.read(&cx.workdir, Path::new("VERSION")).await.ok().flatten();
    file.map(|file| String::from_utf8_lossy(&file.bytes).trim().to_owned()).unwrap_or_default()
}

/// Renders what the compose file would be now.
pub(super) async fn up_to_date(cx: &Context, subject: &Subject, file: Option<&FileContent>) -> Option<Result<bool, String>> {
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
pub(super) async fn migrations(cx: &Context, subject: &Subject) -> Result<migrations::Status, String> {
    let mut place = Place::new(&cx.workdir, &cx.state);
    if !subject.migrations.is_empty() {
        place.dir.clone_from(&subject.migrations);
    }
    place.key = (!subject.migration_key.is_empty()).then(|| (subject.env_file.clone(), subject.migration_key.clone()));
    migrations::status(&cx.world, &place).await.map_err(|error| error.message)
}

pub(super) async fn remote(cx: &Context, subject: &Subject) -> PortResult<()> {
    if subject.remote.is_empty() {
        return Ok(());
    }
    soon(cx, cx.world.git.remote_refs(&cx.workdir, &subject.remote, &["refs/heads/main".to_owned()])).await.map(|_| ())
}

pub(super) async fn overrides(cx: &Context, folder: &Path) -> Vec<String> {
    let there = OVERRIDES.map(|name| async move {
        let found = cx.world.files.entry(&cx.workdir, &folder.join(name)).await;
        found.is_ok_and(|found| found.is_some()).then(|| name.to_owned())
    });
    join_all(there).await.into_iter().flatten().collect()
}

pub(super) async fn links(cx: &Context, kind: &KindOfBox, env: &Env) -> Vec<Linked> {
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
pub(super) async fn projects(
    cx: &Context,
    subject: &Subject,
    kind: &KindOfBox,
) -> (Vec<Result<Project, String>>, BTreeMap<String, String>) {
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

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

pub(super) async fn registry(cx: &Context, kind: &KindOfBox, services: &[ComposeService]) -> BTreeMap<String, PortResult<bool>> {
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

pub(super) async fn reach(cx: &Context, kind: &KindOfBox, env: &Env) -> Vec<(String, PortResult<()>)> {
    let look = |key: &String| {
        let (key, value) = (key.clone(), env.value(key));
        async move {
            let request = HttpRequest { timeout: PATIENCE, ..HttpRequest::get(value?) };
            Some((key, soon(cx, cx.world.http.request(&request)).await.map(|_| ())))
        }
    };
    join_all(kind.env.reach.iter().map(look)).await.into_iter().flatten().collect()
}

/// Names, as `health-check` gives them, of the addresses that are well now.
pub(super) async fn green(cx: &Context, subject: &Subject) -> Vec<String> {
    let look = |url: &String| {
        let request = HttpRequest { timeout: PATIENCE, ..HttpRequest::get(url.clone()) };
        async move {
            let answer = if request.url.is_empty() { return None } else { soon(cx, cx.world.http.request(&request)).await };
            answer.is_ok_and(|answer| (200..300).contains(&answer.status)).then(|| format!("http {}", request.url))
        }
    };
    join_all(subject.health_urls.iter().map(look)).await.into_iter().flatten().collect()
}
