//! Whether containers are up: judged in one place, so that every kind that waits means the same by it.

use std::collections::BTreeMap;

use crate::contract::{Context, StepError};
use crate::world::Container;

/// The label with which compose names the project of a container.
pub const PROJECT: &str = "com.docker.compose.project";
/// The label with which compose names the service of a container.
pub const SERVICE: &str = "com.docker.compose.service";
/// The label with which compose marks what `compose run` started.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// The label with which compose records what a container was made from.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";

/// Why a container is not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// In words, without the container's name.
    pub why: String,
    /// Whether waiting will not help: it ended, and nobody starts it again.
    pub ended: bool,
}

impl NotReady {
    /// Not up, though it may be soon.
    pub fn yet(why: impl Into<String>) -> Self {
        Self { why: why.into(), ended: false }
    }
}

/// Up means: running, and healthy where the image has a check.
pub fn judge(cx: &Context, container: &Container) -> Result<(), NotReady> {
    match container.state.as_str() {
        "running" => {}
        "exited" | "dead" => {
            let code = container.exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
            return Err(NotReady { why: format!("{} with code {code}", container.state), ended: true });
        }
        "restarting" => {
            let code = container.exit_code.map_or_else(String::new, |code| format!(" after it exited with code {code}"));
            return Err(NotReady::yet(format!("is being restarted{code}, {} times so far", container.restarts)));
        }
        other => return Err(NotReady::yet(format!("is {other}, not running"))),
    }
    match &container.health {
        Some(health) if health.status != "healthy" => {
            let last = health.log.last().map(|line| crate::kit::text::quote(cx, line)).filter(|line| !line.is_empty());
            let said = last.map_or_else(String::new, |line| format!("; its check said: {line}"));
            Err(NotReady::yet(format!("is {}{said}", health.status)))
        }
        _ => Ok(()),
    }
}

/// The containers of a compose project by service, without those that `compose run` started.
pub async fn services(cx: &Context, project: &str) -> Result<BTreeMap<String, Vec<Container>>, StepError> {
    let wanted = BTreeMap::from([(PROJECT.to_owned(), project.to_owned())]);
    let mut found: BTreeMap<String, Vec<Container>> = BTreeMap::new();
    for container in cx.world.docker.containers(&wanted).await? {
        if container.labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            continue;
        }
        if let Some(service) = container.labels.get(SERVICE).cloned() {
            found.entry(service).or_default().push(container);
        }
    }
    Ok(found)
}

/// The last lines that a container wrote, for a message; empty where there are none or they cannot be read.
pub async fn last_words(cx: &Context, container: &str) -> String {
    match cx.world.docker.logs(container, 5).await {
        Ok(log) if !log.trim().is_empty() => format!("; it last wrote: {}", crate::kit::text::quote(cx, &log)),
        _ => String::new(),
    }
}
