//! Compose in memory: reads the compose files of the fake world and keeps containers in its engine.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Build, Builder, Cancel, Compose, ComposeFile, ComposeService, ImageRef, Output, PortError, PortResult, Up};
use super::{FakeImage, FakeWorld, State, compose_file, ids};

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const NUMBER: &str = "com.docker.compose.container-number";

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
        if !profiles.is_empty() && !profiles.iter().any(|profile| file.profiles.contains(profile)) {
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

/// Items of a list, or keys of a table.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(table) => table.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The services wanted, with what they depend on.
fn wanted<'a>(services: &'a [ComposeService], up: &Up) -> PortResult<Vec<&'a ComposeService>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = if up.services.is_empty() {
        services.iter().map(|one| one.name.as_str()).collect()
    } else {
        up.services.iter().map(String::as_str).collect()
    };
    while let Some(name) = open.pop() {
        let service = services.iter().find(|one| one.name == name);
        let service = service.ok_or_else(|| PortError::invalid(format!("no such service: {name}")))?;
        if names.insert(&service.name) && !up.no_deps {
            open.extend(service.depends_on.iter().map(String::as_str));
        }
    }
    Ok(services.iter().filter(|one| names.contains(one.name.as_str())).collect())
}

impl State {
    /// The image of a service: there, pulled, or built.
    fn service_image(&mut self, file: &ComposeFile, project: &str, service: &ComposeService) -> PortResult<(String, String)> {
        let reference = service.image.clone().unwrap_or_else(|| format!("{project}-{}", service.name));
        if let Some((id, _)) = self.docker.find(&reference) {
            return Ok((reference, id.clone()));
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
        };
        let id = format!("sha256:{}", ids::sha256(format!("{build:?}")));
        let listed = name.with_tag(name.tag.as_deref().unwrap_or("latest")).to_string();
        self.docker.images.insert(id.clone(), FakeImage::tagged(&[&listed]));
        Ok((reference, id))
    }

    fn up_one(
        &mut self,
        file: &ComposeFile,
        project: &str,
        service: &ComposeService,
        force: bool,
        fresh: impl FnOnce() -> (String, String),
    ) -> PortResult<bool> {
        let (reference, image_id) = self.service_image(file, project, service)?;
        let of_service = |key: &str, labels: &BTreeMap<String, String>, value: &str| labels.get(key).is_some_and(|there| there == value);
        let there = self
            .docker
            .containers
            .values_mut()
            .find(|container| of_service(PROJECT, &container.labels, project) && of_service(SERVICE, &container.labels, &service.name));
        let mut old = None;
        if let Some(there) = there {
            let same = of_service(CONFIG_HASH, &there.labels, &service.config_hash) && there.image_id == image_id;
            if same && !force {
                if there.state == "exited" || there.state == "created" {
                    there.state = "running".into();
                    there.exit_code = None;
                }
                return Ok(false);
            }
            old = Some(there.id.clone());
        }
        if let Some(old) = old {
            self.docker.containers.remove(&old);
        }
        let named = service.config["container_name"].as_str().map(str::to_owned);
        let name = named.unwrap_or_else(|| format!("{project}-{}-1", service.name));
        let (id, started_at) = fresh();
        let mut container = self.container(id.clone(), &name, &reference, &image_id, started_at);
        container.networks.insert(format!("{project}_default"), "172.18.0.2".to_owned());
        for (key, value) in
            [(PROJECT, project), (SERVICE, &service.name), (CONFIG_HASH, &service.config_hash), (ONE_OFF, "False"), (NUMBER, "1")]
        {
            container.labels.insert(key.to_owned(), value.to_owned());
        }
        self.docker.containers.insert(id, container);
        Ok(true)
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

    async fn up(&self, file: &ComposeFile, up: &Up, output: &dyn Output, cancel: &Cancel) -> PortResult<()> {
        let detail = format!("{} services={:?} force={}", file.file.display(), up.services, up.force_recreate);
        let fresh = || {
            let unique = self.unique();
            (ids::sha256(unique.to_string()), format!("2026-01-02T03:04:05.{unique:09}Z"))
        };
        let made = self.change("compose.up", detail, |state| {
            if cancel.is_raised() {
                return Err(PortError::cancelled());
            }
            let (project, services) = read(state, file)?;
            let mut made = Vec::new();
            for service in wanted(&services, up)? {
                if state.up_one(file, &project, service, up.force_recreate, fresh)? {
                    made.push(service.name.clone());
                }
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
