//! Compose in memory: reads the compose files of the fake world and keeps containers in its engine.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Build, Builder, Cancel, Compose, ComposeFile, ComposeService, Container, ImageRef, Output, PortError, PortErrorKind, PortResult, Up,
};
use super::{FakeImage, FakeWorld, State, compose_file, ids};

pub(super) const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const NUMBER: &str = "com.docker.compose.container-number";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
const FILES: &str = "com.docker.compose.project.config_files";
const FOLDER: &str = "com.docker.compose.project.working_dir";
const NETWORK: &str = "com.docker.compose.network";

/// The compose program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeCompose {
    /// Its version, 2.26.1 where empty.
    pub version: String,
}

fn read(state: &State, file: &ComposeFile) -> PortResult<(String, Vec<ComposeService>)> {
    let no_file = || PortError::invalid(format!("there is no compose file `{}`", file.file.display()));
    let text = state.text(&file.file).ok_or_else(no_file)?;
    let env_path = file.env_file.clone().unwrap_or_else(|| file.dir.join(".env"));
    let mut env = compose_file::env(&state.text(&env_path).unwrap_or_default());
    env.extend(file.env.clone());
    let document = compose_file::parse(&text)
        .and_then(|document| compose_file::interpolate(document, &env))
        .map_err(|message| PortError::invalid(format!("`{}`: {message}", file.file.display())))?;
    let folder = file.dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let named = document["name"].as_str().map(str::to_owned);
    let project = file.project.clone().or(named).unwrap_or(folder);
    let mut services = Vec::new();
    let table = document["services"].as_object().ok_or_else(|| PortError::invalid("no service selected"))?;
    for (name, config) in table {
        let profiles = strings(&config["profiles"]);
        let on = |profile: &String| file.profiles.iter().any(|one| one == profile || one == "*");
        if !profiles.is_empty() && !profiles.iter().any(on) {
            continue;
        }
        services.push(ComposeService {
            name: name.clone(),
            config_hash: ids::sha256(config.to_string()),
            image: config["image"].as_str().map(str::to_owned),
            depends_on: strings(&config["depends_on"]),
            config: config.clone(),
        });
    }
    for service in &services {
        if let Some(missing) = service.depends_on.iter().find(|name| !table.contains_key(*name)) {
            return Err(PortError::invalid(format!("service `{}` depends on undefined service `{missing}`", service.name)));
        }
    }
    Ok((project, services))
}

/// What a service depends on, as compose labels its container.
fn depends_on(service: &ComposeService) -> String {
    let label = |name: &String| {
        let of = &service.config["depends_on"][name.as_str()];
        format!("{name}:{}:{}", of["condition"].as_str().unwrap_or("service_started"), of["restart"] == true)
    };
    service.depends_on.iter().map(label).collect::<Vec<_>>().join(",")
}

/// Items of a list, or keys of a table.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(table) => table.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The services wanted, with what they depend on, each after what it depends on.
fn wanted<'a>(services: &'a [ComposeService], up: &[String]) -> PortResult<Vec<&'a ComposeService>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> =
        if up.is_empty() { services.iter().map(|one| one.name.as_str()).collect() } else { up.iter().map(String::as_str).collect() };
    while let Some(name) = open.pop() {
        let service = services.iter().find(|one| one.name == name);
        let service = service.ok_or_else(|| PortError::invalid(format!("no such service: {name}")))?;
        if names.insert(&service.name) {
            open.extend(service.depends_on.iter().map(String::as_str));
        }
    }
    let mut ordered: Vec<&ComposeService> = Vec::new();
    while ordered.len() < names.len() {
        let placed = |name: &String| ordered.iter().any(|one| one.name == *name);
        let ready = |one: &&ComposeService| names.contains(one.name.as_str()) && !placed(&one.name) && one.depends_on.iter().all(placed);
        let next: Vec<&ComposeService> = services.iter().filter(ready).collect();
        if next.is_empty() {
            return Err(PortError::invalid("dependency cycle detected"));
        }
        ordered.extend(next);
    }
    Ok(ordered)
}

/// What came of one service.
#[derive(PartialEq, Eq)]
enum Came {
    Kept,
    Made,
    MadeAnew,
}

impl State {
    /// The image of a service: there, pulled, or built.
    fn service_image(
        &mut self,
        file: &ComposeFile,
        project: &str,
        service: &ComposeService,
        no_pull: bool,
    ) -> PortResult<(String, String)> {
        let reference = service.image.clone().unwrap_or_else(|| format!("{project}-{}", service.name));
        if let Some((id, _)) = self.docker.find(&reference) {
            return Ok((reference, id.clone()));
        }
        if no_pull {
            return Err(PortError::failed(format!("Error response from daemon: No such image: {reference}")));
        }
        let name = ImageRef::parse(&reference)?;
        if service.config["build"].is_null() {
            let who = self.configured(&name.registry);
            let (id, _) = self.pull(&name, &who)?;
            return Ok((reference, id));
        }
        let context = service.config["build"].as_str().or_else(|| service.config["build"]["context"].as_str()).unwrap_or(".");
        let build = Build {
            context: file.dir.join(context),
            dockerfile: "Dockerfile".to_owned(),
            tags: vec![name.clone()],
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            target: None,
            no_cache: false,
            platforms: Vec::new(),
            builder: Builder::Classic,
            digest: None,
        };
        let id = format!("sha256:{}", ids::sha256(format!("{build:?}")));
        let listed = name.with_tag(name.tag.as_deref().unwrap_or("latest")).to_string();
        self.docker.images.insert(id.clone(), FakeImage::tagged(&[&listed]));
        Ok((reference, id))
    }

    /// The container of a service, if there is one; one that an interrupted `up` left beside it is in the way of the next.
    fn there(&self, project: &str, service: &str) -> PortResult<Option<Container>> {
        let bears = |container: &&Container, key: &str, value: &str| container.labels.get(key).is_some_and(|there| there == value);
        let mut found: Vec<&Container> =
            self.docker.containers.values().filter(|one| bears(one, PROJECT, project) && bears(one, SERVICE, service)).collect();
        found.sort_by_key(|container| container.state == "created");
        match found.as_slice() {
            [_, left, ..] if left.state == "created" => {
                let message = format!("Conflict. The container name \"/{}\" is already in use", left.name);
                Err(PortError::new(PortErrorKind::Conflict, message))
            }
            found => Ok(found.first().map(|&container| container.clone())),
        }
    }

    fn up_one(
        &mut self,
        file: &ComposeFile,
        project: &str,
        service: &ComposeService,
        up: (&Up, bool),
        fresh: impl FnOnce() -> (String, String),
    ) -> PortResult<Came> {
        let (up, force) = up;
        let (reference, image_id) = self.service_image(file, project, service, up.no_pull)?;
        let old = self.there(project, &service.name)?;
        if let Some(there) = &old {
            let same = there.labels.get(CONFIG_HASH) == Some(&service.config_hash) && there.image_id == image_id;
            if same && !force {
                if there.state == "exited" || there.state == "created" {
                    self.start(&there.id);
                }
                return Ok(Came::Kept);
            }
            self.docker.containers.remove(&there.id);
        }
        let named = service.config["container_name"].as_str().map(str::to_owned);
        let name = named.unwrap_or_else(|| format!("{project}-{}-1", service.name));
        if self.docker.containers.values().any(|container| container.name == name) {
            let message = format!("Conflict. The container name \"/{name}\" is already in use");
            return Err(PortError::new(PortErrorKind::Conflict, message));
        }
        let (id, started_at) = fresh();
        let mut container = self.container(id.clone(), &name, &reference, &image_id, started_at);
        let network = format!("{project}_default");
        let labels = [(PROJECT, project), (NETWORK, "default")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.docker.networks.entry(network.clone()).or_insert_with(|| labels.into());
        container.networks.insert(network, "172.18.0.2".to_owned());
        let (files, folder) = (file.file.to_string_lossy(), file.dir.to_string_lossy());
        let depends_on = depends_on(service);
        for (key, value) in [
            (PROJECT, project),
            (SERVICE, &service.name),
            (CONFIG_HASH, &service.config_hash),
            (ONE_OFF, "False"),
            (NUMBER, "1"),
            (DEPENDS_ON, &depends_on),
            (FILES, &files),
            (FOLDER, &folder),
        ] {
            container.labels.insert(key.to_owned(), value.to_owned());
        }
        self.docker.containers.insert(id, container);
        Ok(if old.is_some() { Came::MadeAnew } else { Came::Made })
    }
}

#[async_trait]
impl Compose for FakeWorld {
    async fn version(&self) -> PortResult<String> {
        self.look("compose.version", "", |state| {
            Ok(if state.compose.version.is_empty() { "2.26.1".to_owned() } else { state.compose.version.clone() })
        })
    }

    async fn config(&self, file: &ComposeFile) -> PortResult<(String, Vec<ComposeService>)> {
        self.look("compose.config", file.file.display(), |state| read(state, file))
    }

    async fn recreates(&self, file: &ComposeFile, services: &[String]) -> PortResult<Vec<String>> {
        self.look("compose.recreates", format_args!("{} {services:?}", file.file.display()), |state| {
            let (project, all) = read(state, file)?;
            let mut found = Vec::new();
            for service in wanted(&all, services)? {
                let Some(there) = state.there(&project, &service.name)? else { continue };
                let image = service.image.as_deref().and_then(|image| state.docker.find(image)).map(|(id, _)| id);
                if there.labels.get(CONFIG_HASH) != Some(&service.config_hash) || image != Some(&there.image_id) {
                    found.push(there.name);
                }
            }
            Ok(found)
        })
    }

    async fn up(&self, file: &ComposeFile, up: &Up, output: &dyn Output, cancel: &Cancel) -> PortResult<()> {
        let detail = format!("{} services={:?} force={}", file.file.display(), up.services, up.force_recreate);
        let fresh = || {
            let unique = self.unique("container");
            (ids::sha256(unique.to_string()), format!("2026-01-02T03:04:05.{unique:09}Z"))
        };
        let made = self.change("compose.up", detail, |state| {
            if cancel.is_raised() {
                return Err(PortError::cancelled());
            }
            let (project, services) = read(state, file)?;
            let (mut made, mut anew) = (Vec::new(), BTreeSet::new());
            for service in wanted(&services, &up.services)? {
                let named = up.services.is_empty() || up.services.contains(&service.name);
                let force = up.force_recreate && named || service.depends_on.iter().any(|name| anew.contains(name));
                match state.up_one(file, &project, service, (up, force), fresh)? {
                    Came::Kept => continue,
                    Came::Made => {}
                    Came::MadeAnew => {
                        anew.insert(service.name.clone());
                    }
                }
                made.push(service.name.clone());
            }
            Ok(made)
        })?;
        for name in made {
            output.write(format!("Container {name} Started\n").as_bytes());
        }
        Ok(())
    }

    async fn stop(&self, file: &ComposeFile, services: &[String], _output: &dyn Output, _cancel: &Cancel) -> PortResult<()> {
        self.change("compose.stop", format_args!("{} {services:?}", file.file.display()), |state| {
            let (project, _) = read(state, file)?;
            for container in state.docker.containers.values_mut() {
                let ours = container.labels.get(PROJECT) == Some(&project);
                if ours && (services.is_empty() || container.labels.get(SERVICE).is_some_and(|name| services.contains(name))) {
                    container.state = "exited".into();
                    container.exit_code = Some(0);
                }
            }
            Ok(())
        })
    }
}
