//! What the compose file says, and which project it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Params;
use crate::contract::{Context, StepError};
use crate::kit::{compose, readiness, text};
use crate::world::{ComposeFile, ComposeService, Container, PortErrorKind};

/// The label with which compose names the files that a container was made from.
const FILES: &str = "com.docker.compose.project.config_files";
/// The label with which compose names the folder of a container's project.
const FOLDER: &str = "com.docker.compose.project.working_dir";

/// When something that is depended on is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It was started.
    Started,
    /// Its check calls it healthy.
    Healthy,
    /// It ended well.
    Completed,
}

/// A compose project as its file says now.
pub(super) struct Model {
    pub(super) project: String,
    pub(super) file: ComposeFile,
    /// What the step looks after, in the order of the file.
    pub(super) services: Vec<ComposeService>,
    /// Names of all services that are on.
    pub(super) all: BTreeSet<String>,
    /// Those that the step names; all where it names none.
    pub(super) named: BTreeSet<String>,
}

/// What every call of compose needs, with the project as the author gave it.
pub(super) fn file(cx: &Context, params: &Params) -> Result<ComposeFile, StepError> {
    let mut file = compose::file(cx, &params.file, params.project.as_deref(), params.env_file.as_deref(), &params.profiles)?;
    if let Some(folder) = params.directory.as_deref().filter(|folder| !folder.is_empty()) {
        file.dir = if folder == "." { cx.workdir.to_path_buf() } else { cx.path(folder)? };
    }
    Ok(file)
}

impl Model {
    /// Name of the project. Compose itself is asked only where neither the author nor what runs says it.
    pub(super) async fn project(cx: &Context, params: &Params) -> Result<String, StepError> {
        let file = file_of_project(cx, params).await?;
        match file.project {
            Some(project) => Ok(project),
            None => Ok(cx.unless_cancelled(cx.world.compose.config(&file)).await?.0),
        }
    }

    pub(super) async fn read(cx: &Context, params: &Params) -> Result<Self, StepError> {
        let file = file_of_project(cx, params).await?;
        let (project, mut all) = cx.unless_cancelled(cx.world.compose.config(&file)).await?;
        let names: BTreeSet<String> = all.iter().map(|service| service.name.clone()).collect();
        let unknown: Vec<String> = params.services.iter().filter(|name| !names.contains(*name)).cloned().collect();
        if !unknown.is_empty() {
            let known: Vec<String> = names.into_iter().collect();
            return Err(StepError::refused(format!("`{}` has no service {}", params.file, text::some_of(&unknown)))
                .hint(format!("it has {}", text::some_of(&known))));
        }
        let named: BTreeSet<String> = if params.services.is_empty() { names.clone() } else { params.services.iter().cloned().collect() };
        let wanted = with_dependencies(&all, &named);
        all.retain(|service| wanted.contains(&service.name));
        Ok(Self { project, file, services: all, all: names, named })
    }

    pub(super) fn service(&self, name: &str) -> Option<&ComposeService> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Names of the services, those first that others depend on.
    pub(super) fn levels(&self) -> Vec<Vec<&str>> {
        let mut levels: Vec<Vec<&str>> = Vec::new();
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        while placed.len() < self.services.len() {
            let open = |name: &String| self.service(name).is_some() && !placed.contains(name.as_str());
            let ready = |service: &&ComposeService| !placed.contains(service.name.as_str()) && !service.depends_on.iter().any(open);
            let mut level: Vec<&str> = self.services.iter().filter(ready).map(|service| service.name.as_str()).collect();
            if level.is_empty() {
                // Compose refuses a circle; whatever this is, it shall not hang here.
                level = self.services.iter().map(|service| service.name.as_str()).filter(|name| !placed.contains(name)).collect();
            }
            placed.extend(&level);
            levels.push(level);
        }
        levels
    }

    /// Whether the world outside talks to that service.
    pub(super) fn publishes(&self, name: &str) -> bool {
        let ports = self.service(name).and_then(|service| service.config.get("ports")).and_then(Value::as_array);
        ports.is_some_and(|ports| !ports.is_empty())
    }

    /// Services whose end others wait for.
    pub(super) fn jobs(&self) -> BTreeSet<&str> {
        let waits = self.services.iter().flat_map(conditions);
        waits.filter(|(_, condition)| *condition == Condition::Completed).map(|(name, _)| name).collect()
    }

    /// All that a service depends on, directly or not.
    pub(super) fn dependencies(&self, service: &ComposeService) -> BTreeSet<String> {
        with_dependencies(&self.services, &service.depends_on.iter().cloned().collect())
    }

    /// Of services that run and that the file does not have: those that shall go, and the others.
    pub(super) async fn orphans(
        &self,
        cx: &Context,
        params: &Params,
        running: &BTreeMap<String, Vec<Container>>,
    ) -> Result<(Vec<String>, Vec<String>), StepError> {
        let mut orphans: BTreeSet<String> = running.keys().filter(|name| !self.all.contains(*name)).cloned().collect();
        let in_file: Vec<String> = params.remove.iter().filter(|name| self.all.contains(*name)).cloned().collect();
        if !in_file.is_empty() {
            return Err(StepError::refused(format!("`remove` names {}, which `{}` has", text::some_of(&in_file), params.file)));
        }
        if orphans.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        // What a profile has turned off is in the file all the same.
        let everything = ComposeFile { profiles: vec!["*".into()], ..self.file.clone() };
        for service in cx.unless_cancelled(cx.world.compose.config(&everything)).await?.1 {
            orphans.remove(&service.name);
        }
        let dropped = previous(cx, params, &self.file).await?;
        Ok(orphans.into_iter().partition(|name| params.remove.contains(name) || dropped.contains(name)))
    }
}

/// The services of the file as it was before.
async fn previous(cx: &Context, params: &Params, file: &ComposeFile) -> Result<BTreeSet<String>, StepError> {
    let Some(path) = params.previous.as_deref().filter(|path| !path.is_empty()) else { return Ok(BTreeSet::new()) };
    let path = cx.path(path)?;
    if cx.world.files.read(&cx.workdir, &path).await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let before = ComposeFile { file: path, profiles: vec!["*".into()], ..file.clone() };
    match cx.unless_cancelled(async { Ok::<_, StepError>(cx.world.compose.config(&before).await) }).await? {
        Ok((_, services)) => Ok(services.into_iter().map(|service| service.name).collect()),
        // Often it wants variables by names that they do not have any more.
        Err(error) if error.kind == PortErrorKind::Invalid => {
            cx.log(format!("nothing is removed for not being in the file any more: {}", error.message));
            Ok(BTreeSet::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// What every call of compose needs, with the project that runs from the file where the author names none.
async fn file_of_project(cx: &Context, params: &Params) -> Result<ComposeFile, StepError> {
    let mut file = file(cx, params)?;
    if file.project.is_none() {
        file.project = what_runs_there(cx, &file).await?;
    }
    Ok(file)
}

/// The project whose containers were made from this very file, if there is one.
async fn what_runs_there(cx: &Context, file: &ComposeFile) -> Result<Option<String>, StepError> {
    let folder = BTreeMap::from([(FOLDER.to_owned(), file.dir.to_string_lossy().into_owned())]);
    let ours = |container: &Container| {
        let files = container.labels.get(FILES).map(String::as_str).unwrap_or_default();
        files.split(',').any(|path| Path::new(path) == file.file)
    };
    let containers = cx.unless_cancelled(cx.world.docker.containers(&folder)).await?;
    let projects = containers.iter().filter(|container| ours(container)).filter_map(|container| container.labels.get(readiness::PROJECT));
    let projects: BTreeSet<String> = projects.cloned().collect();
    let projects: Vec<String> = projects.into_iter().collect();
    match projects.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        more => Err(StepError::refused(format!("several compose projects run from `{}`: {}", file.file.display(), text::some_of(more)))
            .hint("say which one with `project`")),
    }
}

/// Services, and all that they depend on.
fn with_dependencies(all: &[ComposeService], names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = names.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let Some(service) = all.iter().find(|service| service.name == name) else { continue };
        if found.insert(name) {
            open.extend(service.depends_on.iter().cloned());
        }
    }
    found
}

/// What a service waits for before it is started.
pub(super) fn conditions(service: &ComposeService) -> impl Iterator<Item = (&str, Condition)> {
    let condition = |name: &str| match service.config["depends_on"][name]["condition"].as_str() {
        Some("service_healthy") => Condition::Healthy,
        Some("service_completed_successfully") => Condition::Completed,
        _ => Condition::Started,
    };
    service.depends_on.iter().map(move |name| (name.as_str(), condition(name)))
}

/// The services whose network, processes or volumes a service shares.
pub(super) fn leans_on(service: &ComposeService) -> BTreeSet<String> {
    let modes = ["network_mode", "ipc", "pid"].into_iter().filter_map(|key| service.config[key].as_str()?.strip_prefix("service:"));
    let volumes = service.config["volumes_from"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let volumes = volumes.filter(|from| !from.starts_with("container:")).map(|from| from.split(':').next().unwrap_or(from));
    modes.chain(volumes).map(str::to_owned).collect()
}

/// How many containers a service shall have.
pub(super) fn replicas(service: &ComposeService) -> usize {
    let asked = ["/scale", "/deploy/replicas"].into_iter().find_map(|pointer| service.config.pointer(pointer)?.as_u64());
    asked.map_or(1, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// The paths in its containers that the file mounts something at.
pub(super) fn mounted(service: &ComposeService) -> BTreeSet<&str> {
    let list = |key: &str| match &service.config[key] {
        Value::Array(items) => items.iter().collect(),
        Value::String(_) => vec![&service.config[key]],
        _ => Vec::new(),
    };
    let volumes = list("volumes").into_iter().filter_map(|volume| match volume {
        // `config` writes them out; the short form is `source:target:mode`.
        Value::String(text) => Some(text.split(':').nth(1).unwrap_or(text)),
        volume => volume["target"].as_str(),
    });
    let memory = list("tmpfs").into_iter().filter_map(Value::as_str).map(|text| text.split(':').next().unwrap_or(text));
    volumes.chain(memory).map(tidy).collect()
}

/// A path without a slash at its end.
pub(super) fn tidy(path: &str) -> &str {
    path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path)
}
