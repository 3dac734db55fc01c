//! Clones inside the volumes of a box: what their configuration says about remotes. Looks only, and runs nothing: in the folder of the
//! volume where that is on this machine and may be read, else in what the engine hands out of a container that mounts it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use crate::contract::Context;
use crate::kit::readiness::PROJECT;
use crate::world::{Container, Entry, PortError, PortErrorKind, PortResult, RemoteAddress, Volume};

/// What a clone's configuration is called.
const CONFIG: &str = ".git/config";
/// Where it is looked for in the folder of a volume: as deep as the migration that cleans it goes.
const DEPTHS: [&str; 4] = ["", "*/", "*/*/", "*/*/*/"];
/// So much of a volume is read at most where the engine has to hand out all of it.
pub(super) const LIMIT: u64 = 16 * 1024 * 1024;
/// A volume is looked at for so long at most; a survey is not to wait for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Volumes that are looked at at a time.
const AT_A_TIME: usize = 4;

/// What was found in a volume.
pub(super) struct Clones {
    pub volume: String,
    /// The image of a container that mounts it, if there is one.
    pub image: Option<String>,
    /// The remotes of all clones, each with the clone's folder in the volume; why nothing could be looked at.
    pub remotes: PortResult<Vec<(String, RemoteAddress)>>,
    /// Whether all of the volume was looked at.
    pub whole: bool,
}

/// Looks into the volumes that the project has or its containers mount.
pub(super) async fn look(cx: &Context, project: &str, containers: &[Container], volumes: &[Volume]) -> Vec<Clones> {
    let own = volumes.iter().filter(|volume| volume.labels.get(PROJECT).is_some_and(|of| of == project)).map(|volume| &volume.name);
    let mounted = containers.iter().flat_map(|container| container.volumes.values());
    let names: BTreeSet<String> = mounted.chain(own).cloned().collect();
    let looks = names.into_iter().map(|name| look_into(cx, name, containers, volumes));
    iter(looks).buffered(AT_A_TIME).collect().await
}

async fn look_into(cx: &Context, volume: String, containers: &[Container], volumes: &[Volume]) -> Clones {
    let container = containers.iter().find(|container| container.volumes.values().any(|name| *name == volume));
    let place = volumes.iter().find(|one| one.name == volume).and_then(|one| one.place.as_deref());
    let looking = async {
        match here(cx, place).await {
            Some(files) => Ok((files, true)),
            None => through(cx, &volume, container).await,
        }
    };
    let found = tokio::select! {
        biased;
        found = looking => found,
        () = cx.world.clock.sleep(PATIENCE) => {
            Err(PortError::new(PortErrorKind::Timeout, format!("{} s were not enough to look through it", PATIENCE.as_secs())))
        }
    };
    let image = container.map(|container| container.image.clone());
    match found {
        Ok((files, whole)) => Clones { volume, image, remotes: Ok(remotes(&files)), whole },
        Err(error) => Clones { volume, image, remotes: Err(error), whole: false },
    }
}

type Files = BTreeMap<String, Vec<u8>>;

/// The configurations in the folder of a volume on this machine; none where it is not here or may not be read.
async fn here(cx: &Context, place: Option<&Path>) -> Option<Files> {
    let place = place?;
    let folder = cx.world.files.entry(Path::new("/"), place).await;
    if !matches!(folder, Ok(Some(Entry::Folder { .. }))) {
        return None;
    }
    let mut files = Files::new();
    for depth in DEPTHS {
        for path in cx.world.files.glob(place, &format!("{depth}{CONFIG}")).await.ok()? {
            // One that is gone by now is none.
            if let Some(file) = cx.world.files.read(place, &path).await.ok()? {
                files.insert(path.to_string_lossy().into_owned(), file.bytes);
            }
        }
    }
    Some(files)
}

/// The configurations that the engine finds in a container that mounts the volume.
async fn through(cx: &Context, volume: &str, container: Option<&Container>) -> PortResult<(Files, bool)> {
    let mount = container.and_then(|container| {
        let path = container.volumes.iter().find(|(_, name)| *name == volume).map(|(path, _)| path)?;
        Some((&container.id, path))
    });
    let Some((container, path)) = mount else {
        return Err(PortError::failed("its folder cannot be read from here, and no container mounts it"));
    };
    let found = cx.world.docker.find_files(container, path, CONFIG, LIMIT).await?;
    Ok((found.files, found.whole))
}

fn remotes(files: &Files) -> Vec<(String, RemoteAddress)> {
    let each = files.iter().flat_map(|(path, bytes)| {
        let clone = path.strip_suffix(CONFIG).unwrap_or(path).trim_end_matches('/').to_owned();
        addresses(&String::from_utf8_lossy(bytes)).into_iter().map(move |address| (clone.clone(), address))
    });
    each.collect()
}

/// The addresses that a configuration of git names: of remotes, those that only pushes go to, and those that stand for others.
fn addresses(text: &str) -> Vec<RemoteAddress> {
    let (mut found, mut section, mut name) = (Vec::new(), String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            let head = head.split_once(']').map_or(head, |(head, _)| head);
            let (kind, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
            (section, name) = (kind.to_ascii_lowercase(), rest.trim().trim_matches('"').to_owned());
            if section == "url" {
                found.push(RemoteAddress::new("url", &name));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if matches!(key.trim().to_ascii_lowercase().as_str(), "url" | "pushurl") {
            let shown = if section == "remote" { name.clone() } else { format!("{section} {name}").trim().to_owned() };
            found.push(RemoteAddress::new(&shown, value.trim().trim_matches('"')));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_wherever_git_has_them_and_never_shown_with_a_password() {
        let text = "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = http://dev:hidden@h/o/r.git\n\tfetch = +refs/*:refs/*\n\
                    \tpushurl = \"ssh://git@h/o/r.git\"\n[Remote \"b\"]\nURL=https://hidden@h/x?a@b\n[url \"https://u:hidden@h/\"]\n\
                    \tinsteadOf = h:\n[submodule \"s\"]\n\turl = ssh://git:hidden@h:22/s\n[remote \"clean\"]\n\turl = git@h:o/r.git\n";
        let found = addresses(text);
        assert!(!format!("{found:?}").contains("hidden"), "{found:?}");
        let told: Vec<(&str, &str, bool)> = found.iter().map(|one| (one.name.as_str(), one.url.as_str(), one.credentials)).collect();
        let expected = [
            ("origin", "http://***@h/o/r.git", true),
            ("origin", "ssh://git@h/o/r.git", false),
            ("b", "https://***@h/x?a@b", true),
            ("url", "https://***@h/", true),
            ("submodule s", "ssh://git:***@h:22/s", true),
            ("clean", "git@h:o/r.git", false),
        ];
        assert_eq!(told, expected);
    }
}
