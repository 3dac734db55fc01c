//! One check: what is looked at and what must be so.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CommandCheck, ComposeCheck, ContainerCheck, HttpCheck, LogCheck, TcpCheck};
use crate::contract::{Class, Context, StepError};
use crate::kit::readiness::NotReady;
use crate::world::{PortError, PortErrorKind};

/// One thing to look at; `type` says which.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Check {
    /// An HTTP request and what its answer must be.
    Http(HttpCheck),
    /// A TCP connection that is not closed at once.
    Tcp(TcpCheck),
    /// A container that runs, and is healthy where it has a check.
    Container(ContainerCheck),
    /// All services of a compose project.
    Compose(ComposeCheck),
    /// A program that ends with 0.
    Command(CommandCheck),
    /// A line that a container must write.
    Log(LogCheck),
}

/// Why a look did not see what it should.
#[derive(Debug)]
pub enum Fault {
    /// Not so; perhaps later.
    NotReady(NotReady),
    /// Looking again makes no sense.
    Broken(StepError),
}

impl Fault {
    /// Not so yet.
    pub fn yet(why: impl Into<String>) -> Self {
        Self::NotReady(NotReady::yet(why))
    }
}

impl From<NotReady> for Fault {
    fn from(reason: NotReady) -> Self {
        Self::NotReady(reason)
    }
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        match error.class {
            Class::Cancelled | Class::Refused | Class::Internal => Self::Broken(error),
            _ => Self::yet(error.message),
        }
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        match error.kind {
            PortErrorKind::Cancelled => Self::Broken(StepError::cancelled()),
            _ => Self::yet(error.message),
        }
    }
}

/// What a check remembers from look to look.
#[derive(Debug, Default)]
pub struct Memory {
    /// Restarts by container id.
    pub restarts: BTreeMap<String, u64>,
}

impl Check {
    /// The name in messages and outputs: the author's, or one made of what is looked at.
    pub fn name(&self) -> String {
        let (name, made) = match self {
            Self::Http(check) => (&check.name, format!("http {}", check.url)),
            Self::Tcp(check) => (&check.name, format!("tcp {}", check.address)),
            Self::Container(check) => (&check.name, format!("container {}", check.container)),
            Self::Compose(check) => (&check.name, format!("compose {}", check.file)),
            Self::Command(check) => (&check.name, format!("command {}", check.command.join(" "))),
            Self::Log(check) => (&check.name, format!("log {}", check.container)),
        };
        name.clone().filter(|name| !name.is_empty()).unwrap_or(made)
    }

    /// What is wrong about the check itself.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Http(check) => check.problems(),
            Self::Tcp(check) => check.problems(),
            Self::Command(check) => check.problems(),
            Self::Log(check) => check.problems(),
            Self::Container(_) | Self::Compose(_) => Vec::new(),
        }
    }

    /// Looks once, without a memory: whether it is green.
    ///
    /// # Errors
    /// Where looking makes no sense.
    pub async fn look_once(&self, cx: &Context, timeout: Duration) -> Result<bool, StepError> {
        match look(self, cx, &mut Memory::default(), timeout).await {
            Ok(_) => Ok(true),
            Err(Fault::NotReady(_)) => Ok(false),
            Err(Fault::Broken(error)) => Err(error),
        }
    }

    /// The same check of something that cannot be right, for showing that it is able to fail. None where there is none.
    pub fn spoilt(&self) -> Option<Self> {
        match self {
            Self::Http(check) => Some(Self::Http(check.spoilt())),
            _ => None,
        }
    }
}

/// Looks once. Answers what was seen, in a few words.
pub async fn look(check: &Check, cx: &Context, memory: &mut Memory, timeout: Duration) -> Result<String, Fault> {
    let seeing = async {
        match check {
            Check::Http(check) => check.look(cx, timeout).await,
            Check::Tcp(check) => check.look(cx, timeout).await,
            Check::Container(check) => check.look(cx, memory).await,
            Check::Compose(check) => check.look(cx, memory).await,
            Check::Command(check) => check.look(cx).await,
            Check::Log(check) => check.look(cx).await,
        }
    };
    tokio::select! {
        biased;
        seen = seeing => seen,
        _ = cx.cancel.raised() => Err(Fault::Broken(StepError::cancelled())),
        () = cx.world.clock.sleep(timeout) => Err(Fault::yet(format!("no answer within {}", crate::kit::Period(timeout)))),
    }
}
