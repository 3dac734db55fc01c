//! Which program is compose.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::RealCompose;
use crate::world::{PortError, PortErrorKind, PortResult};

const GET_COMPOSE: &str = "install compose v2: package `docker-compose-v2`, `docker-compose-plugin` or `docker-compose` of version 2";
/// Where the docker program looks for its plugins after the user's own folder, in its order.
/// <https://github.com/docker/cli/blob/master/cli-plugins/manager/manager_unix.go>
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The compose program, and what it says of itself.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) argv: Vec<String>,
    pub(super) version: String,
}

/// The plugin of the docker program, or `docker-compose` on PATH.
pub(super) async fn find(compose: &RealCompose) -> PortResult<Program> {
    let mut candidates: Vec<Vec<String>> = [&["docker", "compose"][..], &["docker-compose"][..]]
        .iter()
        .map(|argv| argv.iter().map(|&part| part.to_owned()).collect())
        .collect();
    // The plugin is a program of its own. The docker program would do nothing but find and start it, and take as long as that again.
    if let Some(plugin) = plugin(&compose.env) {
        candidates.insert(0, vec![plugin]);
    }
    let mut old = None;
    for argv in candidates {
        let args = ["version".into(), "--short".into()];
        let Ok(said) = compose.ask(&argv, &args, None, &BTreeMap::new()).await else { continue };
        let version = said.stdout.trim().trim_start_matches('v').to_owned();
        match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
            Some(2..) if said.ok => return Ok(Program { argv, version }),
            Some(_) if said.ok => old = Some(version),
            _ => {}
        }
    }
    let message = match old {
        Some(version) => format!("the `docker-compose` on PATH is version {version}; compose v2 is needed"),
        None => "there is no compose program: neither `docker compose` nor `docker-compose` answers".to_owned(),
    };
    Err(PortError::new(PortErrorKind::NotFound, message).hint(GET_COMPOSE))
}

/// The file that `docker compose` would start. None where that is not plain: the docker program is asked then.
fn plugin(env: &BTreeMap<String, String>) -> Option<String> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    // The user may have named more folders, which come first.
    let config = std::fs::read_to_string(own.join("config.json")).unwrap_or_default();
    if config.contains("cliPluginsExtraDirs") {
        return None;
    }
    let folders = std::iter::once(own.join("cli-plugins")).chain(PLUGINS.map(PathBuf::from));
    let file = folders.map(|folder| folder.join("docker-compose")).find(|file| file.exists())?;
    if is_program(&file) { file.into_os_string().into_string().ok() } else { None }
}

fn is_program(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_of_the_user_comes_first_unless_more_folders_are_named() {
        let home = tempfile::tempdir().expect("a folder");
        let plugins = home.path().join(".docker/cli-plugins");
        std::fs::create_dir_all(&plugins).expect("it is ours");
        let file = plugins.join("docker-compose");
        std::fs::write(&file, "#!/bin/sh\n").expect("it is ours");
        let env = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        assert_eq!(plugin(&env), None, "it cannot be executed: let docker say so");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        assert_eq!(plugin(&env).as_deref(), file.to_str());
        std::fs::write(home.path().join(".docker/config.json"), r#"{"cliPluginsExtraDirs": ["/opt/x"]}"#).expect("it is ours");
        assert_eq!(plugin(&env), None);
    }
}
