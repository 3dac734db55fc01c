//! What runs of a box's project, and what that leans on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::clones::{self, Clones};
use super::facts::{VOLUME, service};
use super::kind_of_box::{KindOfBox, fits};
use super::looks::soon;
use super::subject::Subject;
use crate::contract::Context;
use crate::kit::readiness::{ONE_OFF, PROJECT};
use crate::world::{Container, Image, PortResult, Volume};

/// The label with which compose names the folder that a container was started from.
const FOLDER: &str = "com.docker.compose.project.working_dir";

/// Everything that the engine knows of one project.
pub(super) struct Running {
    pub started_here: BTreeSet<String>,
    pub project: String,
    pub containers: PortResult<Vec<Container>>,
    pub volumes: PortResult<Vec<Volume>>,
    pub images: BTreeMap<String, Option<Image>>,
    pub logs: BTreeMap<String, String>,
    pub clones: Vec<Clones>,
}

impl Running {
    /// Looks at the project that is named, or runs from the folder, or that compose would take, which `default` says once that is known.
    pub(super) async fn look(cx: &Context, subject: &Subject, kind: &KindOfBox, folder: &Path, default: oneshot::Receiver<String>) -> Self {
        let from_here = BTreeMap::from([(FOLDER.to_owned(), folder.display().to_string())]);
        let all_volumes = BTreeMap::from([(VOLUME.to_owned(), String::new())]);
        let (here, volumes) = tokio::join!(cx.world.docker.containers(&from_here), cx.world.docker.volumes(&all_volumes));
        let here = here.unwrap_or_default();
        let started_here: BTreeSet<String> = here.iter().filter_map(|container| container.labels.get(PROJECT).cloned()).collect();
        let given = Some(subject.project.clone()).filter(|name| !name.is_empty());
        let project = match given.or_else(|| started_here.first().cloned()) {
            Some(project) => project,
            None => default.await.unwrap_or_default(),
        };
        let containers = containers(cx, &project).await;
        let known = containers.as_deref().unwrap_or_default();
        let (images, logs, clones) = tokio::join!(
            images(cx, known),
            logs(cx, kind, known),
            clones::look(cx, &project, known, volumes.as_deref().unwrap_or_default()),
        );
        Self { started_here, project, containers, volumes, images, logs, clones }
    }
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
