//! The compose file and what it stands for: d7 to d10.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::facts::{Facts, VOLUME, service};
use super::super::finding::{Finding, Look};
use super::super::subject::Subject;
use crate::compose_file::{Made, made};
use crate::kit::readiness::PROJECT;
use crate::kit::text::some_of;
use crate::world::ComposeService;

/// The compose file is the one that the release gives.
pub(super) fn d7_as_rendered(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d7", "compose file is as the release gives it");
    let file = &subject.compose_file;
    if facts.compose_file.is_none() {
        look.blocker(format!("there is no `{file}`"), format!("git checkout -- {file}, or generate it"));
        return look.end("");
    }
    let tracked = facts.git.as_ref().is_ok_and(|git| git.compose_tracked);
    if tracked {
        let edited = facts.git.as_ref().is_ok_and(|git| git.status.iter().any(|entry| entry.path == *file));
        if edited {
            look.blocker(format!("`{file}` is tracked and was edited by hand"), format!("git diff -- {file}, then git checkout -- {file}"));
        }
        return look.end(format!("`{file}` is tracked, and as its release has it"));
    }
    let again = format!("formula run agents, which makes `{file}` anew and shows what changes");
    let text = facts.compose_file.as_ref().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default();
    match made(&text) {
        Made::Edited(_) => {
            let remedy = format!("bring what was edited into the template or its data, then rm {file} and {again}");
            look.blocker(format!("`{file}` was edited by hand since it was made"), remedy);
        }
        Made::Foreign => {
            look.blocker(format!("`{file}` is neither tracked nor made by this program"), format!("mv {file} {file}.old && {again}"));
        }
        Made::Ours(_) => {}
    }
    match &facts.up_to_date {
        Some(Err(error)) => look.blocker(format!("`{file}` cannot be made anew: {error}"), "mend the template or its data"),
        Some(Ok(false)) if look.is_clean() => {
            look.warn(format!("`{file}` was made from other inputs: the template or its data changed since"), again);
        }
        _ => {}
    }
    look.end(format!("`{file}` is what template and data make"))
}

/// Compose takes nothing into account but the compose file.
pub(super) fn d8_override(facts: &Facts) -> Finding {
    let mut look = Look::new("d8", "no override file");
    for name in &facts.overrides {
        look.warn(
            format!("`{name}` changes what a bare `docker compose` does; an upgrade does not look at it"),
            format!("mv {name} {name}.old, once what it is for is in the configuration"),
        );
    }
    look.end("there is none")
}

/// Every container and volume of the project is one that the compose file has.
pub(super) fn d9_orphans(facts: &Facts) -> Finding {
    let mut look = Look::new("d9", "nothing is left over in the project");
    let (containers, services) = match (&facts.containers, &facts.model) {
        (Ok(containers), Ok((_, services))) => (containers, services),
        (Err(error), _) | (_, Err(error)) => return look.skipped(error),
    };
    let known: BTreeSet<&str> = services.iter().map(|service| service.name.as_str()).collect();
    for container in containers.iter().filter(|container| !known.contains(service(container).as_str())) {
        let what = format!("container `{}` is of service `{}`, which the compose file does not have", container.name, service(container));
        look.warn(what, format!("docker rm --force {}", container.name));
    }
    let used: BTreeSet<String> = services.iter().flat_map(mounts).map(|(_, volume)| volume).collect();
    let volumes = facts.volumes.iter().flatten().filter(|volume| volume.labels.get(PROJECT) == Some(&facts.project));
    let left: Vec<String> = volumes
        .filter(|volume| volume.labels.get(VOLUME).is_some_and(|key| !used.contains(key)))
        .map(|volume| volume.name.clone())
        .collect();
    if !left.is_empty() {
        let remedy = format!("docker volume inspect {}: look what is in there before you remove one", left.join(" "));
        look.warn(format!("no service mounts {}", some_of(&left)), remedy);
    }
    look.end(format!("project `{}` has what its compose file has", facts.project))
}

/// Volumes of a service as compose resolves them: target and the name that the compose file gives them.
fn mounts(service: &ComposeService) -> Vec<(String, String)> {
    let mount = |mount: &Value| match mount {
        Value::String(text) => {
            let (source, rest) = text.split_once(':')?;
            (!source.starts_with(['.', '/', '~'])).then(|| (rest.split(':').next().unwrap_or(rest).to_owned(), source.to_owned()))
        }
        other => {
            let text = |key: &str| other[key].as_str().map(str::to_owned);
            (other["type"] == "volume").then(|| Some((text("target")?, text("source")?))).flatten()
        }
    };
    service.config["volumes"].as_array().into_iter().flatten().filter_map(mount).collect()
}

/// Bringing the project up mounts the volumes that hold its data now.
pub(super) fn d10_identity(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d10", "volumes keep their identity");
    let (containers, services, volumes) = match (&facts.containers, &facts.model, &facts.volumes) {
        (Ok(containers), Ok((_, services)), Ok(volumes)) => (containers, services, volumes),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return look.skipped(error),
    };
    let others: Vec<String> = facts.started_here.iter().filter(|name| **name != facts.project).cloned().collect();
    if !others.is_empty() {
        let why = if subject.project.is_empty() { "is looked at too" } else { "is asked for" };
        let first = &others[0];
        look.blocker(
            format!("this folder runs {} as well, while `{}` {why}", some_of(&others), facts.project),
            format!("name the right project, or stop the other one: docker compose -p {first} down (its volumes stay)"),
        );
    }
    // Volume names of the project by the key that compose knows them by.
    let mut keys: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for volume in volumes {
        if let (Some(project), Some(key)) = (volume.labels.get(PROJECT), volume.labels.get(VOLUME)) {
            keys.entry(project).or_default().insert(key, &volume.name);
        }
    }
    let ours = keys.get(facts.project.as_str()).cloned().unwrap_or_default();
    for service_of in services {
        let Some(container) = containers.iter().find(|container| service(container) == service_of.name) else { continue };
        for (target, key) in mounts(service_of) {
            let Some(mounted) = container.volumes.get(&target) else { continue };
            let would = ours.get(key.as_str()).copied();
            if would.is_some_and(|would| would == mounted) || is_named_so(service_of, mounted) {
                continue;
            }
            let would = would.map_or_else(|| format!("a new volume `{key}`"), |would| format!("`{would}`"));
            look.blocker(
                format!("`{}` has `{mounted}` at {target}; coming up again it would get {would}", service_of.name),
                format!("copy what is in `{mounted}` over, or give the volume that name in the compose file (`name: {mounted}`, `external: true`)"),
            );
        }
    }
    let wanted: BTreeSet<String> = services.iter().flat_map(mounts).map(|(_, volume)| volume).collect();
    if ours.is_empty() && containers.is_empty() && !wanted.is_empty() {
        let holds_all = |keys: &BTreeMap<&str, &str>| wanted.iter().all(|key| keys.contains_key(key.as_str()));
        if let Some((old, _)) = keys.iter().find(|(name, keys)| **name != facts.project && holds_all(keys)) {
            look.blocker(
                format!("project `{}` has no volumes, and `{old}` has all that it needs: was the folder renamed?", facts.project),
                format!("go on under the old name: formula run upgrade --project {old} …"),
            );
        }
    }
    look.end(format!("project `{}` comes up with the volumes that it has", facts.project))
}

/// Whether a service mounts a volume that the compose file calls by its full name.
fn is_named_so(service: &ComposeService, volume: &str) -> bool {
    mounts(service).iter().any(|(_, key)| key == volume)
}
