//! The real side of every port.

mod all;
#[cfg(feature = "docker")]
mod build_context;
mod clock;
mod compose;
#[cfg(feature = "docker")]
mod credentials;
#[cfg(feature = "docker")]
mod digest;
#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "docker")]
mod dockerignore;
mod files;
mod git;
mod http;
mod process;
#[cfg(feature = "docker")]
mod registry;

#[cfg(feature = "docker")]
pub use all::world;
pub use clock::RealClock;
pub use compose::RealCompose;
#[cfg(feature = "docker")]
pub use credentials::{ContextEndpoint, DockerConfig};
#[cfg(feature = "docker")]
pub use docker::{DockerSettings, RealDocker};
pub use files::RealFiles;
pub use git::RealGit;
pub use http::RealHttp;
pub use process::RealProcess;
#[cfg(feature = "docker")]
pub use registry::RealRegistry;
