//! What tests against a real engine are built from. Everything that is made here goes with the value that stands for it.

mod engine;
mod fake_engine;
mod folder;
mod registry_server;
mod tags;

pub use engine::{docker, docker_quietly, engine_answers, program_answers};
pub use fake_engine::{Context, Ending, FakeEngine};
pub use folder::Folder;
pub use registry_server::RegistryServer;
pub use tags::Tags;

/// Leaves the test, saying which, where no engine answers; fails where one is required.
macro_rules! engine_or_skip {
    ($test:literal) => {
        if !crate::support::engine_answers($test) {
            return;
        }
    };
}
pub(crate) use engine_or_skip;
