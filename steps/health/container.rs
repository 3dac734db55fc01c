//! Checks of one container: its state, and what it writes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::{Fault, Memory};
use crate::contract::Context;
use crate::kit::{readiness, text};
use crate::world::Container;

/// A container that runs, is healthy where its image has a check, and is not restarted meanwhile.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// The container's name or id.
    pub container: String,
    /// `sha256:…` of the image that it must run.
    #[serde(default)]
    pub image_id: Option<String>,
    /// Demand a health check: a container without one fails.
    #[serde(default)]
    pub healthy: bool,
}

impl ContainerCheck {
    pub(super) async fn look(&self, cx: &Context, memory: &mut Memory) -> Result<String, Fault> {
        let container = cx.world.docker.container(&self.container).await?;
        let container = container.ok_or_else(|| Fault::yet("there is no such container"))?;
        if let Some(wanted) = self.image_id.as_ref().filter(|wanted| !wanted.is_empty() && **wanted != container.image_id) {
            return Err(Fault::yet(format!("runs image {} instead of {wanted}", container.image_id)));
        }
        up(cx, &container, memory).await?;
        if self.healthy && container.health.is_none() {
            return Err(Fault::yet("runs, and its image has no health check"));
        }
        Ok(if container.health.is_some() { "healthy".into() } else { "running".into() })
    }
}

/// Whether the container is up and was not restarted since the look before.
pub(super) async fn up(cx: &Context, container: &Container, memory: &mut Memory) -> Result<(), Fault> {
    let before = memory.restarts.insert(container.id.clone(), container.restarts);
    if let Err(mut reason) = readiness::judge(cx, container) {
        if container.state != "running" {
            reason.why.push_str(&readiness::last_words(cx, &container.id).await);
        }
        return Err(reason.into());
    }
    match before {
        Some(before) if container.restarts > before => {
            Err(Fault::yet(format!("was restarted {} while it was watched", text::count((container.restarts - before) as usize, "time"))))
        }
        _ => Ok(()),
    }
}

/// A line that a container must have written: a sign of life.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// The container's name or id.
    pub container: String,
    /// Regular expression that one of the lines must match.
    pub pattern: String,
    /// How many of the last lines are looked at.
    #[serde(default = "lines")]
    pub lines: usize,
}

fn lines() -> usize {
    100
}

impl LogCheck {
    /// What is wrong about the check itself.
    pub fn problems(&self) -> Vec<String> {
        match regex::Regex::new(&self.pattern) {
            Err(error) => vec![format!("`pattern` is not a regular expression: {error}")],
            Ok(pattern) if pattern.is_match("") => vec![format!("`{}` matches every line: the check could not fail", self.pattern)],
            Ok(_) => Vec::new(),
        }
    }

    pub(super) async fn look(&self, cx: &Context) -> Result<String, Fault> {
        let pattern = regex::Regex::new(&self.pattern).map_err(|error| {
            Fault::Broken(crate::contract::StepError::refused(format!("`pattern` is not a regular expression: {error}")))
        })?;
        let log = cx.world.docker.logs(&self.container, self.lines).await?;
        if log.lines().any(|line| pattern.is_match(line)) {
            return Ok("wrote what it should".into());
        }
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).map(|line| text::quote(cx, line));
        Err(Fault::yet(match last {
            Some(line) => {
                format!("none of the last {} matches `{}`; the last one is: {line}", text::count(self.lines, "line"), self.pattern)
            }
            None => "has written nothing".into(),
        }))
    }
}
