//! The real side of [`Http`]: one fresh connection per request, so that an answer is about now, and every limit enforced
//! while the bytes come.
//!
//! Must not know what is asked for. Proxies are those of the environment, except towards this machine itself.

mod errors;
mod hold;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, Url};

use self::errors::{explain, shown};
use crate::world::{Http, HttpRequest, HttpResponse, PortError, PortErrorKind, PortResult};

/// Redirects in a row that are followed.
const REDIRECTS: usize = 5;

/// HTTP and TCP over the network. What it needs (certificates above all) is loaded by the first request.
#[derive(Debug, Default)]
pub struct RealHttp {
    proxied: OnceLock<Client>,
    direct: OnceLock<Client>,
}

impl RealHttp {
    /// The network.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for a URL. A proxy's own loopback is not ours, so what is meant for this machine goes past it.
    fn client(&self, url: &Url) -> PortResult<&Client> {
        let loopback = is_loopback(url);
        let slot = if loopback { &self.direct } else { &self.proxied };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = build(loopback).map_err(|error| PortError::failed(format!("cannot set up HTTP: {}", errors::chain(&error))))?;
        Ok(slot.get_or_init(|| client))
    }
}

fn build(direct: bool) -> reqwest::Result<Client> {
    // Fails only where a provider was installed before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("formula/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(redirect))
            .referer(false)
            .pool_max_idle_per_host(0);
        if direct { builder.no_proxy() } else { builder }
    };
    // A machine without any certificate authority can still be asked over plain HTTP; HTTPS then says what is missing.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']')) {
        Some(host) => {
            host == "localhost" || host.ends_with(".localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

/// Follows a redirect to the same service only; any other is left to the caller as the answer that it is.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(TooManyRedirects);
    }
    match attempt.previous().last() {
        Some(from) if same_service(from, attempt.url()) => attempt.follow(),
        _ => attempt.stop(),
    }
}

/// Same host and port; the step from plain HTTP to HTTPS on their usual ports counts as the same, the way back does not.
fn same_service(from: &Url, to: &Url) -> bool {
    let ports = (from.port_or_known_default(), to.port_or_known_default());
    let schemes = (from.scheme(), to.scheme());
    let same = schemes.0 == schemes.1 && ports.0 == ports.1;
    let upgrade = schemes == ("http", "https") && ports == (Some(80), Some(443));
    from.host_str() == to.host_str() && (same || upgrade)
}

#[derive(Debug, thiserror::Error)]
#[error("more than {REDIRECTS} redirects in a row")]
struct TooManyRedirects;

#[async_trait]
impl Http for RealHttp {
    async fn request(&self, request: &HttpRequest) -> PortResult<HttpResponse> {
        let url = parse(&request.url)?;
        let place = shown(&url);
        let wanted = self.prepare(request, url)?;
        let exchange = exchange(wanted, &place, request.max_body);
        let late = || {
            let seconds = request.timeout.as_secs_f32();
            PortError::new(PortErrorKind::Timeout, format!("no complete answer from {place} within {seconds} s"))
        };
        tokio::time::timeout(request.timeout, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    async fn connect(&self, address: &str, timeout: Duration, hold: Duration) -> PortResult<()> {
        hold::connect(address, timeout, hold).await
    }
}

fn parse(text: &str) -> PortResult<Url> {
    let url =
        Url::parse(text).map_err(|error| PortError::invalid(format!("`{}` is not a URL: {error}", errors::without_userinfo(text))))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(PortError::invalid(format!("an address that begins with `{}:` is neither http nor https", url.scheme())));
    }
    Ok(url)
}

impl RealHttp {
    fn prepare(&self, request: &HttpRequest, url: Url) -> PortResult<reqwest::RequestBuilder> {
        let method = Method::from_bytes(request.method.as_bytes()).ok().filter(|method| method != Method::CONNECT);
        let method =
            method.ok_or_else(|| PortError::invalid(format!("`{}` is not a method for a request", request.method.escape_debug())))?;
        let mut wanted = self.client(&url)?.request(method, url);
        let open = request.headers.iter().map(|(name, value)| (name, value.as_str(), false));
        let secret = request.secret_headers.iter().map(|(name, value)| (name, value.expose(), true));
        for (name, value, sensitive) in open.chain(secret) {
            let bad = |what: &str| PortError::invalid(format!("{what} of the header `{}` cannot be sent", name.escape_debug()));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("the name"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad("the value"))?;
            value.set_sensitive(sensitive);
            wanted = wanted.header(key, value);
        }
        Ok(match &request.body {
            Some(body) => wanted.body(body.clone()),
            None => wanted,
        })
    }
}

async fn exchange(wanted: reqwest::RequestBuilder, place: &str, max_body: usize) -> PortResult<HttpResponse> {
    let mut answer = wanted.send().await.map_err(|error| explain(place, &error))?;
    let status = answer.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let too_big = || {
        PortError::failed(format!("the answer of {place} is longer than {max_body} bytes (status {status})"))
            .hint("is this the right address? an answer that is looked at is small")
    };
    if answer.content_length().is_some_and(|length| length > max_body as u64) {
        return Err(too_big());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| explain(place, &error))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_big());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body })
}
