//! Checks that need neither HTTP nor a container engine: a TCP connection, a program.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Fault;
use crate::contract::Context;
use crate::kit::{Period, text};
use crate::world::{Command, Exit, OutputBuffer};

/// A TCP connection that is not closed at once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// `host:port`.
    pub address: String,
    /// For how long the connection must stay open: the proxy of a container engine accepts where nobody listens, and hangs up at once.
    #[serde(default = "hold")]
    pub hold: Period,
}

fn hold() -> Period {
    Period::millis(100)
}

impl TcpCheck {
    /// What is wrong about the check itself.
    pub fn problems(&self) -> Vec<String> {
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_some() { Vec::new() } else { vec![format!("`{}` is not an address like `127.0.0.1:5432`", self.address)] }
    }

    pub(super) async fn look(&self, cx: &Context, timeout: Duration) -> Result<String, Fault> {
        cx.world.http.connect(&self.address, timeout, self.hold.0).await?;
        Ok("stays open".into())
    }
}

/// A program that ends with 0. It gets the step's `env` and secrets as environment variables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// Program and arguments; no shell reads them.
    pub command: Vec<String>,
    /// Folder to run it in, below the working directory.
    #[serde(default)]
    pub dir: Option<String>,
}

impl CommandCheck {
    /// What is wrong about the check itself.
    pub fn problems(&self) -> Vec<String> {
        if self.command.first().is_none_or(String::is_empty) { vec!["`command` is empty".into()] } else { Vec::new() }
    }

    pub(super) async fn look(&self, cx: &Context) -> Result<String, Fault> {
        let dir = self.dir.as_ref().map_or_else(|| Ok(cx.workdir.to_path_buf()), |dir| cx.path(dir))?;
        let command = Command { dir, ..cx.command(&self.command) };
        let output = OutputBuffer::new();
        let how = match cx.world.process.run(&command, &output, &cx.cancel).await? {
            Exit::Code(0) => return Ok("ended with 0".into()),
            Exit::Code(code) => format!("ended with {code}"),
            Exit::Signal(signal) => format!("was ended by signal {signal}"),
        };
        let wrote = text::quote(cx, &output.text());
        Err(Fault::yet(if wrote.is_empty() { how } else { format!("{how}: {wrote}") }))
    }
}
