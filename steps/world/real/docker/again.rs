//! Making a container once more from what the engine says about it.

use std::collections::HashMap;

use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HostConfig, Mount, MountPoint, MountType,
    NetworkConnectRequest, NetworkingConfig,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use serde::{Deserialize, Serialize};

use super::{RealDocker, error, names};
use crate::world::{Blueprint, PortError, PortResult};

/// How a shared namespace begins.
const SHARED: &str = "container:";

/// What of a container's description makes another one like it.
#[derive(Serialize, Deserialize)]
struct Detail {
    config: ContainerConfig,
    host: HostConfig,
    networks: HashMap<String, EndpointSettings>,
}

/// The blueprint of a container as it was found.
pub(super) fn blueprint(found: ContainerInspectResponse) -> PortResult<Blueprint> {
    let id = found.id.unwrap_or_default();
    let mut config = found.config.unwrap_or_default();
    let mut host = found.host_config.unwrap_or_default();
    let image = config.image.take().filter(|name| !name.is_empty()).or(found.image).unwrap_or_default();
    let shared_network = host.network_mode.as_deref().is_some_and(|mode| mode.starts_with(SHARED));
    if shared_network || config.hostname.as_deref().is_some_and(|name| id.starts_with(name)) {
        config.hostname = None;
    }
    if shared_network {
        (config.domainname, config.exposed_ports) = (None, None);
    }
    keep_volumes(&mut host, &config, found.mounts.unwrap_or_default());
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let networks = networks.into_iter().filter(|_| !shared_network).map(|(name, endpoint)| (name, wished(endpoint, &id))).collect();
    let shares = shares(&host);
    let name = found.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let detail = serde_json::to_value(Detail { config, host, networks })
        .map_err(|error| PortError::failed(format!("cannot write down container `{name}`: {error}")))?;
    Ok(Blueprint { name, image, shares, detail })
}

/// Makes it, with all its networks: an engine of 20.10 takes only one of them at the start.
pub(super) async fn create(docker: &RealDocker, blueprint: &Blueprint) -> PortResult<String> {
    let name = names::container(&blueprint.name)?;
    let what = format!("making container `{name}`");
    let detail = Detail::deserialize(&blueprint.detail)
        .map_err(|error| PortError::failed(format!("{what}: what was written down of it cannot be read: {error}")))?;
    let mut networks = detail.networks;
    let mode = detail.host.network_mode.clone().unwrap_or_default();
    let first = networks.remove(&mode).map(|endpoint| HashMap::from([(mode, endpoint)]));
    // The bridge that all share takes no wishes.
    networks.remove("bridge");
    let mut body = body(&detail.config)?;
    body.image = Some(names::image(&blueprint.image)?);
    body.host_config = Some(detail.host);
    body.networking_config = first.map(|endpoints| NetworkingConfig { endpoints_config: Some(endpoints) });
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let client = docker.client().await?;
    let made = client.create_container(Some(options), body).await.map_err(|error| error::map(error, &what))?;
    let mut networks: Vec<_> = networks.into_iter().collect();
    networks.sort_by(|one, other| one.0.cmp(&other.0));
    for (network, endpoint) in networks {
        let request = NetworkConnectRequest { container: made.id.clone(), endpoint_config: Some(endpoint) };
        let joined = client.connect_network(names::container(&network)?, request).await;
        joined.map_err(|error| error::map(error, &format!("{what}: joining network `{network}`")))?;
    }
    Ok(made.id)
}

/// The part of a body that a description has under the same names.
fn body(config: &ContainerConfig) -> PortResult<ContainerCreateBody> {
    let same = serde_json::to_value(config).and_then(serde_json::from_value);
    same.map_err(|error| PortError::failed(format!("cannot describe the container: {error}")))
}

/// What was asked of a network, without what it gave.
fn wished(endpoint: EndpointSettings, id: &str) -> EndpointSettings {
    let own = |alias: &String| alias.len() >= 12 && id.starts_with(alias.as_str());
    EndpointSettings {
        ipam_config: endpoint.ipam_config,
        links: endpoint.links,
        aliases: endpoint.aliases.map(|aliases| aliases.into_iter().filter(|alias| !own(alias)).collect()),
        driver_opts: endpoint.driver_opts,
        ..EndpointSettings::default()
    }
}

/// Volumes without a name of their own: the next container gets the very same ones, not new empty ones.
fn keep_volumes(host: &mut HostConfig, config: &ContainerConfig, mut mounts: Vec<MountPoint>) {
    let bound = |bind: &String| bind.split(':').nth(1).map(str::to_owned);
    let bound: Vec<String> = host.binds.iter().flatten().filter_map(bound).collect();
    let declared = config.volumes.clone().unwrap_or_default();
    // The engine tells them in another order each time.
    mounts.sort_by(|one, other| one.destination.cmp(&other.destination));
    let asked = host.mounts.get_or_insert_default();
    for mount in mounts.into_iter().filter(|mount| mount.typ.as_deref() == Some("volume")) {
        let Some(target) = mount.destination.filter(|target| !bound.contains(target)) else { continue };
        match asked.iter_mut().find(|one| one.target.as_ref() == Some(&target)) {
            Some(one) if one.source.as_deref().is_none_or(str::is_empty) => one.source = mount.name,
            None if declared.contains(&target) => asked.push(Mount {
                target: Some(target),
                source: mount.name,
                typ: Some(MountType::VOLUME),
                read_only: mount.rw.map(|writable| !writable),
                ..Mount::default()
            }),
            _ => {}
        }
    }
}

/// The containers that it leans on.
fn shares(host: &HostConfig) -> Vec<String> {
    let modes = [&host.network_mode, &host.ipc_mode, &host.pid_mode];
    let modes = modes.into_iter().flatten().filter_map(|mode| mode.strip_prefix(SHARED));
    let volumes = host.volumes_from.iter().flatten().map(|from| from.split(':').next().unwrap_or(from));
    let mut ids: Vec<String> = modes.chain(volumes).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}
