//! How containers of the engine in memory come to be and turn out.

use std::collections::BTreeMap;

use super::super::{Container, ContainerHealth, PortError, PortErrorKind, PortResult};
use super::State;
use super::compose::PROJECT;

impl State {
    /// A container of an image, as it turns out.
    pub(super) fn container(&self, id: String, name: &str, reference: &str, image_id: &str, started_at: String) -> Container {
        let container = Container {
            id,
            name: name.to_owned(),
            image_id: image_id.to_owned(),
            image: reference.to_owned(),
            state: "created".to_owned(),
            exit_code: None,
            health: None,
            labels: BTreeMap::new(),
            networks: BTreeMap::new(),
            network_ids: BTreeMap::new(),
            volumes: BTreeMap::new(),
            restarts: 0,
            started_at,
        };
        self.started(container)
    }

    /// The container as it turns out once it is started.
    fn started(&self, container: Container) -> Container {
        let runs = &self.docker.runs;
        let run = runs.get(&container.image).or_else(|| runs.get(&container.image_id)).cloned().unwrap_or_default();
        Container {
            state: if run.state.is_empty() { "running".to_owned() } else { run.state },
            exit_code: run.exit_code,
            restarts: run.restarts,
            health: run.health.map(|status| ContainerHealth { status, log: run.health_log }),
            ..container
        }
    }

    /// Starts a container that does not run.
    pub(super) fn start(&mut self, id: &str) {
        if let Some(container) = self.docker.containers.get(id).filter(|container| container.state != "running").cloned() {
            let started_at = self.next_start();
            let started = self.started(Container { started_at, ..container });
            self.docker.containers.insert(id.to_owned(), started);
        }
    }

    /// A time after the last start of all.
    fn next_start(&self) -> String {
        let last = self
            .docker
            .containers
            .values()
            .filter_map(|container| container.started_at.rsplit_once('.')?.1.trim_end_matches('Z').parse().ok());
        format!("2026-01-02T03:04:05.{:09}Z", last.max().unwrap_or(0_u64) + 1)
    }

    /// Stops all that runs of a compose project.
    pub(super) fn stop_project(&mut self, project: &str) {
        let ours = |container: &&mut Container| container.labels.get(PROJECT).is_some_and(|there| there == project);
        for container in self.docker.containers.values_mut().filter(ours).filter(|container| container.state == "running") {
            (container.state, container.exit_code) = ("exited".to_owned(), Some(0));
        }
    }

    /// Starts all that does not run of a compose project.
    pub(super) fn start_project(&mut self, project: &str) {
        let ours = |container: &&Container| container.labels.get(PROJECT).is_some_and(|there| there == project);
        let ids: Vec<String> = self.docker.containers.values().filter(ours).map(|container| container.id.clone()).collect();
        for id in ids {
            self.start(&id);
        }
    }

    pub(super) fn container_called(&self, name: &str) -> PortResult<Container> {
        self.docker.up()?;
        let missing = || PortError::new(PortErrorKind::NotFound, format!("there is no container `{name}`"));
        self.docker.find_container(name).cloned().ok_or_else(missing)
    }

    pub(super) fn name_is_free(&self, name: &str) -> PortResult<()> {
        match self.docker.containers.values().find(|container| container.name == name) {
            Some(_) => Err(PortError::new(PortErrorKind::Conflict, format!("Conflict. The container name \"/{name}\" is already in use"))),
            None => Ok(()),
        }
    }
}
