//! Everything outside, behind one trait per door ("port"), with the plain types that pass through it.
//!
//! Knows no step. [`real`] and [`fake`] are the two sides of every port; they know the ports, not each other.

mod cancel;
mod clock;
mod compose;
mod docker;
mod error;
pub mod fake;
mod files;
mod git;
mod http;
mod image_ref;
mod process;
pub mod real;
mod registry;
mod secret;

use std::sync::Arc;

pub use cancel::{Cancel, CancelLevel};
pub use clock::Clock;
pub use compose::{Compose, ComposeFile, ComposeService, Up};
pub use docker::{
    Blueprint, Build, Builder, Built, Container, ContainerHealth, Docker, Engine, FoundFiles, Image, Network, Transfer, Volume,
};
pub use error::{PortError, PortErrorKind, PortResult};
pub use files::{Entry, FileContent, Files};
pub use git::{Checkout, Git, Head, NewTag, RefUpdate, RemoteAddress, RemoteRef, StatusEntry, Tag};
pub use http::{Http, HttpRequest, HttpResponse};
pub use image_ref::ImageRef;
pub use process::{Command, Exit, Output, OutputBuffer, Process};
pub use registry::{Credentials, Manifest, Registry};
pub use secret::Secret;

/// All ports together. Steps reach the outside through this and nothing else.
#[derive(Clone)]
pub struct World {
    /// The git program.
    pub git: Arc<dyn Git>,
    /// The container engine.
    pub docker: Arc<dyn Docker>,
    /// The compose program.
    pub compose: Arc<dyn Compose>,
    /// Image registries.
    pub registry: Arc<dyn Registry>,
    /// HTTP and TCP.
    pub http: Arc<dyn Http>,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// Child processes.
    pub process: Arc<dyn Process>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}
