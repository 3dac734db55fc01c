//! A check of all services of a compose project.

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::{Fault, Memory};
use super::container::up;
use crate::contract::{Context, StepError};
use crate::kit::readiness::NotReady;
use crate::kit::{compose, readiness, text};
use crate::world::ComposeService;

/// All services of a compose project run, and are healthy where they have a check.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// The compose file.
    #[serde(default = "file")]
    pub file: String,
    /// Project name; compose's own default where left out.
    #[serde(default)]
    pub project: Option<String>,
    /// The env file for the compose file's variables, if not `.env` beside it.
    #[serde(default)]
    pub env_file: Option<String>,
    /// Profiles that are on.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Only these services; all where left out.
    #[serde(default)]
    pub services: Vec<String>,
    /// Services that may have ended with code 0.
    #[serde(default)]
    pub may_end: Vec<String>,
}

fn file() -> String {
    "docker-compose.yml".into()
}

impl ComposeCheck {
    pub(super) async fn look(&self, cx: &Context, memory: &mut Memory) -> Result<String, Fault> {
        let compose = compose::file(cx, &self.file, self.project.as_deref(), self.env_file.as_deref(), &self.profiles)?;
        let (project, services) = cx.world.compose.config(&compose).await?;
        let unknown: Vec<String> =
            self.services.iter().filter(|name| services.iter().all(|service| service.name != **name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(Fault::Broken(StepError::refused(format!("`{}` has no service {}", self.file, text::some_of(&unknown)))));
        }
        let running = readiness::services(cx, &project).await?;
        let (mut good, mut bad, mut ended) = (0, Vec::new(), false);
        for service in services.iter().filter(|service| self.services.is_empty() || self.services.contains(&service.name)) {
            let containers = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            if containers.is_empty() && !wants_none(service) {
                bad.push(format!("`{}` has no container", service.name));
            }
            for container in containers {
                if self.may_end.contains(&service.name) && container.state == "exited" && container.exit_code == Some(0) {
                    continue;
                }
                match up(cx, container, memory).await {
                    Ok(()) => good += 1,
                    Err(Fault::NotReady(reason)) => {
                        ended |= reason.ended;
                        bad.push(format!("`{}` {}", service.name, reason.why));
                    }
                    Err(broken) => return Err(broken),
                }
            }
        }
        if bad.is_empty() {
            Ok(format!("{} up", text::count(good, "container")))
        } else {
            Err(NotReady { why: bad.join("; "), ended }.into())
        }
    }
}

/// Whether the file asks for no container of that service.
fn wants_none(service: &ComposeService) -> bool {
    ["/deploy/replicas", "/scale"].iter().any(|pointer| service.config.pointer(pointer).and_then(serde_json::Value::as_u64) == Some(0))
}
