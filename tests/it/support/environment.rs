//! The one place where tests read the environment they were started in.

use std::path::PathBuf;

/// A variable of the tester's own environment; what is not UTF-8 counts as unset.
#[expect(clippy::disallowed_methods, reason = "tests have no command line to be told things on")]
pub fn tester_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the tester's own Docker plugins lie, which a program with another `HOME` would not find.
pub fn tester_docker_plugins() -> Option<PathBuf> {
    let config = tester_variable("DOCKER_CONFIG").map(PathBuf::from);
    let config = config.or_else(|| tester_variable("HOME").map(|home| PathBuf::from(home).join(".docker")));
    config.map(|folder| folder.join("cli-plugins")).filter(|folder| folder.is_dir())
}
