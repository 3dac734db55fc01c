//! What end-to-end tests are built from: a sandbox, the program in it, git, a registry, Docker.
//!
//! Real components only: what a user would have on the machine. Nothing in here asserts about `formula` itself.

mod box_fixture;
mod box_images;
mod compose_project;
mod docker;
mod editor;
mod environment;
mod git_fixture;
mod image;
mod journal;
mod json_schema;
mod mounts;
mod processes;
mod program;
mod ran;
mod redactor;
mod registry_server;
mod running;
mod sandbox;
mod shop;
mod strace;
mod terminal;

pub use box_fixture::{BoxFacts, BoxFixture};
pub use compose_project::ComposeProject;
pub use docker::{docker, engine_answers};
pub use editor::Editor;
pub use git_fixture::GitFixture;
pub use image::Image;
pub use journal::journaled;
pub use json_schema::violations;
pub use mounts::may_mount;
pub use program::{Program, formula};
pub use ran::Ran;
pub use redactor::Redactor;
pub use registry_server::{RegistryOptions, RegistryServer};
pub use running::Running;
pub use sandbox::Sandbox;
pub use shop::{Outside, Shop};
pub use strace::{announce, may_trace, traced_formula};
pub use terminal::Terminal;

/// Leaves the test, and says so by name, where there is no Docker engine. Where `FORMULA_TEST_REQUIRE_DOCKER=1` it fails instead.
macro_rules! engine_or_skip {
    ($test:expr) => {
        if !$crate::support::engine_answers($test) {
            return;
        }
    };
}
pub(crate) use engine_or_skip;

/// Leaves the test, and says so by name, where processes may not be traced. Where `FORMULA_TEST_REQUIRE_DOCKER=1` it fails instead.
macro_rules! strace_or_skip {
    ($test:expr) => {
        if !$crate::support::may_trace($test) {
            return;
        }
    };
}
pub(crate) use strace_or_skip;

/// The name of the user who runs the tests, as the system has it.
pub fn me() -> String {
    let told = std::process::Command::new("id").arg("-un").output().expect("the program is there");
    String::from_utf8(told.stdout).expect("a name").trim().to_owned()
}
