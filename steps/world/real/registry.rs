//! Image registries over their HTTP API v2: what is there, is it what we think, may we write.
//!
//! Knows the distribution specification, no engine. Plain HTTP is spoken to loopback addresses only. A manifest is its bytes: the
//! digest is computed here and held against what the registry says.

mod session;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::credentials::DockerConfig;
use crate::world::{Credentials, ImageRef, Manifest, PortError, PortErrorKind, PortResult, Registry};
use session::{Reply, Session};

/// Without these a registry may convert what it has to an older format, with another digest.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// A list of tags comes in pages; more than this many means that the registry turns in a circle.
const PAGES: usize = 1000;

/// The registries, as the user's Docker configuration knows them.
#[derive(Debug)]
pub struct RealRegistry {
    config: DockerConfig,
    timeout: Duration,
    clients: OnceLock<Result<Clients, String>>,
}

#[derive(Debug, Clone)]
struct Clients {
    /// Through the proxy that the environment names, if any.
    outside: reqwest::Client,
    /// Never through a proxy: this machine is not behind one.
    loopback: reqwest::Client,
}

impl RealRegistry {
    /// Cheap: the HTTP client is made by the first call.
    pub fn new(config: DockerConfig) -> Self {
        Self { config, timeout: Duration::from_mins(1), clients: OnceLock::new() }
    }

    /// Limits each exchange; 60 s otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn session<'a>(&self, image: &'a ImageRef, who: &'a Credentials, actions: &'static str) -> PortResult<Session<'a>> {
        // The parts of a reference are public: only what parses may become part of an address.
        ImageRef::parse(&image.to_string())?;
        let loopback = is_loopback(&image.registry);
        let clients = self.clients.get_or_init(|| clients(self.timeout)).clone();
        let clients = clients.map_err(|why| PortError::failed(format!("cannot make an HTTP client: {why}")))?;
        let client = if loopback { clients.loopback } else { clients.outside };
        let host = if image.registry == "docker.io" { "registry-1.docker.io" } else { &image.registry };
        let base = format!("{}://{host}/v2/{}/", if loopback { "http" } else { "https" }, image.repository);
        let base = Url::parse(&base).map_err(|error| PortError::invalid(format!("`{base}` is not an address: {error}")))?;
        Ok(Session::new(client, base, image, who, actions))
    }
}

fn clients(timeout: Duration) -> Result<Clients, String> {
    // Another part of the program may have installed one already; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let build = |proxy: bool| {
        let redirects = reqwest::redirect::Policy::custom(|attempt| {
            let downgrade = attempt.previous().last().is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https";
            if downgrade || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
        });
        let builder = reqwest::Client::builder()
            .user_agent(concat!("formula/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .redirect(redirects);
        if proxy { builder } else { builder.no_proxy() }.build().map_err(|error| error.to_string())
    };
    Ok(Clients { outside: build(true)?, loopback: build(false)? })
}

/// Whether a `host[:port]` is this machine, for which Docker too speaks plain HTTP.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.rsplit_once(':').map_or(registry, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn digest_of(bytes: &[u8]) -> String {
    super::digest::sha256(&Sha256::digest(bytes))
}

/// What a reference points at: the digest before the tag before `latest`.
fn reference(image: &ImageRef) -> &str {
    image.digest.as_deref().or(image.tag.as_deref()).unwrap_or("latest")
}

/// Holds the bytes of a manifest against the digests that were asked for and promised.
fn verified(image: &ImageRef, reply: Reply) -> PortResult<Manifest> {
    let digest = digest_of(&reply.body);
    let asked = image.digest.as_deref();
    for (whose, expected) in [("the reference", asked), ("the registry's header", reply.header("docker-content-digest"))] {
        // Another algorithm than ours cannot be held against it.
        if let Some(expected) = expected.filter(|text| text.starts_with("sha256:") && *text != digest) {
            let message = format!("the manifest of `{image}` has digest {digest}, but {whose} says {expected}");
            return Err(PortError::failed(message).hint("something between here and the registry altered it; do not use this image"));
        }
    }
    let named = reply.header("content-type").and_then(|text| text.split(';').next()).map(str::trim).filter(|text| !text.is_empty());
    let inside = || Some(serde_json::from_slice::<serde_json::Value>(&reply.body).ok()?.get("mediaType")?.as_str()?.to_owned());
    let media_type = named.map(str::to_owned).or_else(inside).unwrap_or_default();
    Ok(Manifest { digest, media_type, bytes: reply.body })
}

#[async_trait]
impl Registry for RealRegistry {
    async fn configured(&self, host: &str) -> PortResult<Credentials> {
        self.config.credentials(host).await
    }

    async fn manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<Option<Manifest>> {
        let mut session = self.session(image, who, "pull")?;
        let url = session.url(&format!("manifests/{}", reference(image)))?;
        let reply = session.send(Method::GET, url, &[("accept", ACCEPT)], None).await?;
        match reply.status {
            StatusCode::OK => verified(image, reply).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(session.refused(&format!("reading the manifest of `{image}`"), &reply)),
        }
    }

    async fn put_manifest(&self, image: &ImageRef, manifest: &Manifest, who: &Credentials) -> PortResult<()> {
        let digest = digest_of(&manifest.bytes);
        if digest != manifest.digest {
            return Err(PortError::invalid(format!("the manifest for `{image}` has digest {digest}, not {}", manifest.digest)));
        }
        let mut session = self.session(image, who, "pull,push")?;
        let place = image.tag.as_deref().or(image.digest.as_deref()).unwrap_or("latest");
        let url = session.url(&format!("manifests/{place}"))?;
        let headers = [("content-type", manifest.media_type.as_str())];
        let reply = session.send(Method::PUT, url, &headers, Some(manifest.bytes.clone())).await?;
        if !reply.status.is_success() {
            return Err(session.refused(&format!("putting a manifest under `{image}`"), &reply));
        }
        match reply.header("docker-content-digest").filter(|said| said.starts_with("sha256:") && *said != digest) {
            Some(said) => Err(PortError::failed(format!("`{image}`: the registry keeps {said} where {digest} was put"))),
            None => Ok(()),
        }
    }

    async fn delete_manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        let Some(digest) = &image.digest else {
            return Err(PortError::invalid(format!("`{image}` names no digest, and a manifest can be deleted by digest only")));
        };
        let mut session = self.session(image, who, "pull,push,delete")?;
        let url = session.url(&format!("manifests/{digest}"))?;
        let reply = session.send(Method::DELETE, url, &[], None).await?;
        match reply.status {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED => Err(PortError::failed(format!("`{}` does not allow deleting `{image}`", image.registry))
                .hint("the registry must be configured for it (in the reference registry: storage.delete.enabled)")),
            _ => Err(session.refused(&format!("deleting `{image}`"), &reply)),
        }
    }

    async fn tags(&self, image: &ImageRef, who: &Credentials) -> PortResult<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut session = self.session(image, who, "pull")?;
        let mut next = Some(session.url("tags/list?n=1000")?);
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next else { return Ok(tags) };
            let reply = session.send(Method::GET, url.clone(), &[], None).await?;
            match reply.status {
                StatusCode::OK => {}
                // A repository comes into being with its first manifest.
                StatusCode::NOT_FOUND => return Ok(tags),
                _ => return Err(session.refused(&format!("listing the tags of `{}`", image.name()), &reply)),
            }
            let page: Page = serde_json::from_slice(&reply.body)
                .map_err(|error| PortError::failed(format!("`{}`: the list of tags is not JSON: {error}", image.registry)))?;
            tags.extend(page.tags.unwrap_or_default());
            next = match reply.header("link").and_then(next_page) {
                Some(link) => Some(session.follow(&url, link)?),
                None => None,
            };
        }
        Err(PortError::failed(format!("the list of tags of `{}` has no end", image.name())))
    }

    async fn prove_push(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        let mut session = self.session(image, who, "pull,push")?;
        let url = session.url("blobs/uploads/")?;
        let reply = session.send(Method::POST, url.clone(), &[("content-length", "0")], None).await?;
        if !reply.status.is_success() {
            return Err(session.refused(&format!("opening an upload to `{}`", image.name()), &reply));
        }
        let Some(location) = reply.header("location") else {
            let message = format!("`{}` opened an upload without saying where", image.registry);
            return Err(PortError::new(PortErrorKind::Failed, message));
        };
        let upload = session.follow(&url, location)?;
        // The proof is made. An upload that cannot be cancelled expires by itself.
        let _ = session.send(Method::DELETE, upload, &[], None).await;
        Ok(())
    }
}

/// The target of `<…>; rel="next"`.
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|part| {
        let (target, attributes) = part.trim().strip_prefix('<')?.split_once('>')?;
        attributes.replace(['"', ' '], "").split(';').any(|attribute| attribute == "rel=next").then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.8.9.1", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "127.0.0.1.example.com:80", "10.0.0.1:5000", "registry:5000", "[::2]:5000", "docker.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        assert_eq!(next_page(r#"</v2/x/tags/list?last=b&n=2>; rel="next""#), Some("/v2/x/tags/list?last=b&n=2"));
        assert_eq!(next_page(r#"</a>; rel="prev", </b>; rel=next"#), Some("/b"));
        assert_eq!(next_page(r#"</a>; rel="prev""#), None);
    }
}
