//! What a step of a formula is, and the built-in kinds.
//!
//! A kind is one file in this folder and one line in [`BUILTIN`]. It sees [`contract`] and the ports of [`world`]; never a graph,
//! a journal or another step.

pub mod compose_file;
pub mod compose_regen;
pub mod compose_restart;
pub mod compose_up;
pub mod contract;
pub mod docker_build;
pub mod dotenv;
pub mod drift;
pub mod env_set;
pub mod git_checkout;
pub mod git_fetch;
pub mod git_push;
pub mod git_tag;
pub mod health;
pub mod health_check;
pub mod http_request;
pub mod image_pull;
pub mod image_push;
pub mod image_tag;
pub mod kit;
pub mod migrate;
pub mod migrations;
pub mod preflight;
pub mod shell;
pub mod survey;
pub mod world;
pub mod write_file;

use contract::StepType;

/// Every built-in kind, in alphabetical order.
#[rustfmt::skip]
pub static BUILTIN: &[&dyn StepType] = &[
    &compose_regen::ComposeRegen,
    &compose_restart::ComposeRestart,
    &compose_up::ComposeUp,
    &docker_build::DockerBuild,
    &env_set::EnvSet,
    &git_checkout::GitCheckout,
    &git_fetch::GitFetch,
    &git_push::GitPush,
    &git_tag::GitTag,
    &health_check::HealthCheck,
    &http_request::HttpRequest,
    &image_pull::ImagePull,
    &image_push::ImagePush,
    &image_tag::ImageTag,
    &migrate::Migrate,
    &preflight::Preflight,
    &shell::Shell,
    &survey::Survey,
    &write_file::WriteFile,
];

/// The built-in kind of that name.
pub fn find(kind: &str) -> Option<&'static dyn StepType> {
    BUILTIN.iter().copied().find(|step| step.meta().kind == kind)
}
