//! Versions and images: d3 to d6.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{Facts, service};
use super::super::finding::{Finding, Look};
use super::super::subject::Subject;
use crate::world::{Container, ImageRef};

/// `VERSION`, git tag, version key, compose file and running containers name one version.
pub(super) fn d3_agree(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d3", "five readings of the version agree");
    let key = facts.env.value(&subject.version_key);
    let tag = facts.git.as_ref().ok().and_then(|git| git.at.as_ref()).map(|(_, tag)| tag.clone());
    let (compose, running) = (facts.compose_tags(), facts.running_versions());
    let readings = [
        format!("VERSION {}", or_none(&facts.version_file)),
        format!("git tag {}", or_none(tag.as_deref().unwrap_or_default())),
        format!("{} {}", name(&subject.version_key), or_none(key.as_deref().unwrap_or_default())),
        format!("compose {}", by_service(&compose)),
        format!("running {}", by_service(&running)),
    ];
    let all = readings.join(", ");
    let firm = |tag: &&String| !tag.is_empty() && !facts.kind.is_floating(tag);
    let mut blocking = Vec::new();
    if let Some(key) = &key {
        let others = compose.iter().filter(|(_, tag)| firm(tag) && number(tag) != number(key));
        let others: Vec<String> = others.map(|(service, tag)| format!("`{service}` has {tag}")).collect();
        if !others.is_empty() {
            blocking.push(format!("`{}` says {key}, but in the compose file {}", subject.version_key, others.join(" and ")));
        }
    }
    for alias in &subject.version_key_aliases {
        let Some(value) = facts.env.value(alias) else { continue };
        let said = ImageRef::parse(&value).ok().and_then(|image| image.tag).unwrap_or_else(|| value.clone());
        match &key {
            Some(key) if number(&said) != number(key) => {
                blocking.push(format!("`{alias}` says {said}, `{}` says {key}", subject.version_key));
            }
            _ => {}
        }
    }
    if !blocking.is_empty() {
        let to = tag.clone().or_else(|| compose.values().find(firm).cloned()).unwrap_or_else(|| "VERSION".into());
        let remedy = format!(
            "set {}={to} in {}, or bring all to one version with `formula run upgrade --version VERSION`",
            subject.version_key, subject.env_file
        );
        look.blocker(format!("{}; the five readings: {all}", blocking.join("; ")), remedy);
        return look.end("");
    }
    let said = [Some(facts.version_file.clone()), tag, key.clone()].into_iter().flatten().filter(|said| !said.is_empty());
    let seen: BTreeSet<String> =
        said.chain(compose.values().chain(running.values()).cloned()).map(|said| number(&said).to_owned()).collect();
    if seen.iter().all(String::is_empty) {
        look.unknown();
        look.blocker(
            format!("nothing says which version this is: {all}"),
            "check out a release tag, and see that its images bear a version",
        );
    } else if key.is_none() {
        look.warn(format!("`{}` is not set: {all}", name(&subject.version_key)), "the next `formula run upgrade` sets it");
    } else if seen.len() > 1 {
        look.warn(format!("they differ: {all}"), "`formula run upgrade --version VERSION` brings all to one version");
    }
    look.end(all)
}

/// The key's name, for messages.
fn name(key: &str) -> &str {
    if key.is_empty() { "version key" } else { key }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// The version without its `v`.
fn number(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

/// One value where all services have the same, else each with its services.
fn by_service(values: &BTreeMap<String, String>) -> String {
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (service, value) in values {
        services.entry(or_none(value)).or_default().push(service);
    }
    match services.len() {
        0 => "none".to_owned(),
        1 => services.keys().next().map_or_else(String::new, |value| (*value).to_owned()),
        _ => services.iter().map(|(value, names)| format!("{value} ({})", names.join(" "))).collect::<Vec<_>>().join(" "),
    }
}

/// No image of the compose file has a tag that says nothing about a version.
pub(super) fn d4_floating(facts: &Facts) -> Finding {
    let mut look = Look::new("d4", "images are pinned");
    let services = match &facts.model {
        Ok((_, services)) => services,
        Err(error) => return look.skipped(error),
    };
    for service in services {
        let Some(image) = service.image.as_deref().and_then(|image| ImageRef::parse(image).ok()) else { continue };
        let floating = image.tag.as_deref().is_none_or(|tag| facts.kind.is_floating(tag));
        if floating && image.digest.is_none() {
            look.warn(format!("`{}` uses `{image}`", service.name), "name a version instead; see docs/versioned-images.md");
        }
    }
    look.end("every image has a version or a digest")
}

/// Containers run the image that their reference stands for.
pub(super) fn d5_moved(facts: &Facts) -> Finding {
    let mut look = Look::new("d5", "containers run what their image name stands for");
    let containers = match &facts.containers {
        Ok(containers) => containers,
        Err(error) => return look.skipped(error),
    };
    for container in containers {
        let remedy = "`formula run upgrade --version VERSION` recreates it from a known image";
        match facts.images.get(&container.image) {
            Some(Some(image)) if image.id != container.image_id => look.warn(
                format!(
                    "`{}` is of unknown vintage: it runs {}, and `{}` stands for {} now",
                    service(container),
                    short(&container.image_id),
                    container.image,
                    short(&image.id)
                ),
                remedy,
            ),
            Some(None) => look.warn(
                format!(
                    "`{}` is of unknown vintage: it runs {}, and there is no `{}` any more",
                    service(container),
                    short(&container.image_id),
                    container.image
                ),
                remedy,
            ),
            _ => {}
        }
    }
    look.end(format!("{} as named", crate::kit::text::count(containers.len(), "container")))
}

/// The beginning of an image's id.
fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// First-party images say where they are from, and are in a registry.
pub(super) fn d6_provenance(facts: &Facts) -> Finding {
    let mut look = Look::new("d6", "first-party images have a known origin");
    let containers = match &facts.containers {
        Ok(containers) => containers,
        Err(error) => return look.skipped(error),
    };
    let ours = |container: &&Container| ImageRef::parse(&container.image).is_ok_and(|image| facts.kind.is_first_party(&image.repository));
    let mut told = BTreeSet::new();
    for container in containers.iter().filter(ours) {
        let Some(image) = facts.image(&container.image_id).filter(|_| told.insert(container.image_id.clone())) else { continue };
        let label = image.labels.get(&facts.kind.images.version_label).filter(|label| !label.is_empty());
        let mut lacks = Vec::new();
        if label.is_none() {
            lacks.push("bears no version");
        }
        if image.digests.is_empty() {
            lacks.push("was never in a registry");
        }
        if !lacks.is_empty() {
            let what = format!("the image of `{}` ({}) {}", service(container), short(&image.id), lacks.join(" and "));
            look.warn(what, "pull a released image; see docs/versioned-images.md");
        }
    }
    for (image, _) in facts.registry.iter().filter(|(_, found)| matches!(found, Ok(false))) {
        look.warn(format!("`{image}` is not in its registry"), format!("docker push {image}, or name a version that was released"));
    }
    look.end("every first-party image bears its version")
}
