//! Why a request got no answer.

use std::error::Error as _;
use std::io;

use reqwest::Url;

use crate::world::{PortError, PortErrorKind};

/// A URL as it may be shown: no user, no password, no query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// A text that is no URL, without what stands before an `@` in it.
pub(super) fn without_userinfo(text: &str) -> &str {
    text.rsplit('@').next().unwrap_or_default()
}

/// The words of an error and of all that caused it, without the URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        next = cause.source();
    }
    let text = if words.is_empty() { error.to_string() } else { words.join(": ") };
    text.to_lowercase()
}

/// Says why `place` gave no answer.
pub(super) fn explain(place: &str, error: &reqwest::Error) -> PortError {
    let words = chain(error);
    let failure = cause::<io::Error>(error).map(io::Error::kind);
    if cause::<rustls::Error>(error).is_some() || words.contains("certificate") {
        return PortError::failed(format!("no secure connection to {place}: {words}")).hint(
            "the certificate must be valid for that name and signed by an authority that this machine trusts \
                 (package ca-certificates; SSL_CERT_FILE names others)",
        );
    }
    if error.is_redirect() {
        return PortError::failed(format!("{place} redirects in circles: {words}"));
    }
    if error.is_builder() {
        return PortError::invalid(format!("the request to {place} cannot be made: {words}"));
    }
    if error.is_timeout() {
        return PortError::new(PortErrorKind::Timeout, format!("{place} does not answer in time: {words}"));
    }
    if error.is_connect() {
        let hint = match failure {
            Some(io::ErrorKind::ConnectionRefused) => "nothing listens there: is the service up, and is this its port?",
            _ if words.contains("dns") || words.contains("lookup") => "the name is not known: check its spelling and the resolver",
            _ => "check the address, the network and any proxy in the environment",
        };
        return PortError::new(PortErrorKind::Unreachable, format!("cannot reach {place}: {words}")).hint(hint);
    }
    if error.is_request() || error.is_body() || error.is_decode() {
        return PortError::new(PortErrorKind::Transient, format!("the exchange with {place} broke off: {words}"));
    }
    PortError::failed(format!("the request to {place} failed: {words}"))
}

/// The cause of a type, however deep; input and output errors carry others within.
fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    None
}
