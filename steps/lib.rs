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
pub mod laws;
pub mod migrate;
pub mod migrations;
pub mod preflight;
pub mod shell;
pub mod survey;
pub mod world;
pub mod write_file;

use std::sync::OnceLock;

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

/// Kinds of other crates that this program has beside [`BUILTIN`].
static ADDED: OnceLock<Vec<&'static dyn StepType>> = OnceLock::new();

/// Adds kinds of another crate. To be called once, at the start of a program, before anything asks for kinds.
///
/// # Errors
/// In words: where a name is taken or no name, or when it is called again.
pub fn add(kinds: &[&'static dyn StepType]) -> Result<(), String> {
    let mut names: Vec<&str> = BUILTIN.iter().map(|step| step.meta().kind).collect();
    for name in kinds.iter().map(|step| step.meta().kind) {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("`{name}` is not the name of a kind: lower-case letters, digits and `-`"));
        }
        if names.contains(&name) {
            return Err(format!("there is a kind `{name}` already"));
        }
        names.push(name);
    }
    ADDED.set(kinds.to_vec()).map_err(|_| "kinds were added before".to_owned())
}

/// Every kind of this program: [`BUILTIN`], then those that were added.
pub fn all() -> impl Iterator<Item = &'static dyn StepType> {
    BUILTIN.iter().copied().chain(ADDED.get().into_iter().flatten().copied())
}

/// The kind of that name.
pub fn find(kind: &str) -> Option<&'static dyn StepType> {
    all().find(|step| step.meta().kind == kind)
}
