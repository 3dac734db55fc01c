//! Finding the engine and shaking hands with it.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};

use super::{DockerSettings, error};
use crate::world::real::credentials::{ContextEndpoint, DockerConfig};
use crate::world::{PortError, PortResult};

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// Docker 20.10.
const OLDEST: (usize, usize) = (1, 41);

/// Connects to the engine that the settings or the current Docker context name, and settles the API version with it.
pub(super) async fn connect(settings: &DockerSettings, config: &DockerConfig, patience: Duration) -> PortResult<Docker> {
    let endpoint = endpoint(settings, config)?;
    let host = endpoint.host.clone();
    check_ssh(&host)?;
    let docker = open(&endpoint, patience.as_secs().max(1)).map_err(|error| error::connecting(error, &host))?;
    let docker = docker.with_request_modifier(mend_auth);
    let docker = docker.negotiate_version().await.map_err(|error| error::connecting(error, &host))?;
    let version = docker.client_version();
    if (version.major_version, version.minor_version) < OLDEST {
        let message = format!("the container engine at `{host}` speaks API {version}; 1.41 is the oldest that will do");
        return Err(PortError::failed(message).hint("upgrade to Docker 20.10 or later"));
    }
    Ok(docker)
}

fn endpoint(settings: &DockerSettings, config: &DockerConfig) -> PortResult<ContextEndpoint> {
    match settings.host.as_deref().filter(|host| !host.is_empty()) {
        Some(host) => Ok(ContextEndpoint { host: host.to_owned(), tls_dir: settings.tls_dir.clone() }),
        None => Ok(config.context()?.unwrap_or_else(|| ContextEndpoint { host: DEFAULT_SOCKET.to_owned(), tls_dir: None })),
    }
}

/// Whether the engine is reached through a socket of this machine.
pub(super) fn is_local(settings: &DockerSettings, config: &DockerConfig) -> bool {
    endpoint(settings, config).is_ok_and(|endpoint| endpoint.host.starts_with("unix://"))
}

/// What the library cannot hand to the ssh program, or must not.
fn check_ssh(host: &str) -> PortResult<()> {
    let Some(destination) = host.strip_prefix("ssh://") else { return Ok(()) };
    let address = destination.rsplit_once('@').map_or(destination, |(_, address)| address);
    if destination.starts_with('-') || address.starts_with('-') || address.is_empty() {
        return Err(unsupported(host));
    }
    // It takes the port for a part of the name.
    if address.contains(':') {
        return Err(PortError::invalid(format!("a port in `{host}` is not supported"))
            .hint("write a `Host` with `Port` into ~/.ssh/config and use its name in DOCKER_HOST"));
    }
    Ok(())
}

fn open(endpoint: &ContextEndpoint, seconds: u64) -> Result<Docker, bollard::errors::Error> {
    let version = API_DEFAULT_VERSION;
    let host = endpoint.host.as_str();
    let scheme = host.split_once("://").map_or("", |(scheme, _)| scheme);
    match (scheme, &endpoint.tls_dir) {
        ("unix", _) => Docker::connect_with_unix(host, seconds, version),
        ("tcp" | "https", Some(dir)) => {
            // The library asks rustls for the one provider there is; name it, should another crate bring a second.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let [key, cert, ca] = ["key.pem", "cert.pem", "ca.pem"].map(|name| dir.join(name));
            Docker::connect_with_ssl(host, &key, &cert, &ca, seconds, version)
        }
        ("tcp" | "http", None) => Docker::connect_with_http(host, seconds, version),
        ("ssh", _) => Docker::connect_with_ssh(host, seconds, version, None),
        _ => Err(bollard::errors::Error::UnsupportedURISchemeError { uri: host.to_owned() }),
    }
}

/// The library encodes credentials with the alphabet of plain base64; engines read the URL-safe one, and silently drop what they
/// cannot read.
fn mend_auth(mut request: BollardRequest) -> BollardRequest {
    for name in ["x-registry-auth", "x-registry-config"] {
        let Some(value) = request.headers_mut().get_mut(name) else { continue };
        if let Some(mended) = value.to_str().ok().and_then(|text| text.replace('+', "-").replace('/', "_").parse().ok()) {
            *value = mended;
        }
        value.set_sensitive(true);
    }
    request
}

/// A scheme that nothing here speaks.
pub(super) fn unsupported(host: &str) -> PortError {
    PortError::invalid(format!("`{host}` is not the address of a container engine")).hint(
        "DOCKER_HOST may be unix:///path, tcp://host:2375, tcp://host:2376 with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or ssh://user@host",
    )
}
