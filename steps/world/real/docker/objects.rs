//! The engine's objects as ours.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, Health, HealthStatusEnum, ImageInspect};

use crate::world::{Container, ContainerHealth, Image};

pub(super) fn image(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    // An engine may list `<none>:<none>` for an image without a name.
    let named = |names: Option<Vec<String>>| names.unwrap_or_default().into_iter().filter(|name| !name.contains("<none>")).collect();
    Image {
        id: found.id.unwrap_or_default(),
        tags: named(found.repo_tags),
        digests: named(found.repo_digests),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        volumes,
    }
}

pub(super) fn container(found: ContainerInspectResponse) -> Container {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    let status = state.status.map(|status| status.to_string()).unwrap_or_default();
    let ended = matches!(status.as_str(), "exited" | "dead" | "restarting");
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let id = |endpoint: &bollard::models::EndpointSettings| endpoint.network_id.clone().filter(|id| !id.is_empty());
    let network_ids = networks.iter().filter_map(|(name, endpoint)| Some((name.clone(), id(endpoint)?))).collect();
    let networks = networks.into_iter().map(|(name, endpoint)| (name, endpoint.ip_address.unwrap_or_default()));
    let volumes = found.mounts.unwrap_or_default().into_iter();
    let volumes = volumes.filter_map(|mount| Some((mount.destination?, mount.name.filter(|name| !name.is_empty())?)));
    Container {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image_id: found.image.unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        state: status,
        exit_code: state.exit_code.filter(|_| ended),
        health: state.health.and_then(health),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        networks: networks.collect::<BTreeMap<_, _>>(),
        network_ids,
        volumes: volumes.collect(),
        restarts: found.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
        started_at: state.started_at.unwrap_or_default(),
    }
}

/// None where the image has no check, which engines say in three ways.
fn health(found: Health) -> Option<ContainerHealth> {
    let status = match found.status? {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => return None,
        status => status.to_string(),
    };
    let log = found.log.unwrap_or_default().into_iter().filter_map(|entry| entry.output);
    Some(ContainerHealth { status, log: log.map(|text| text.trim_end().to_owned()).collect() })
}
