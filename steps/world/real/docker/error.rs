//! What the library's errors, and the engine's words inside them, mean.

use bollard::errors::Error;

use super::connect;
use crate::world::{PortError, PortErrorKind, PortResult};

const IS_IT_RUNNING: &str = "is the engine running? `systemctl start docker`, or set DOCKER_HOST";
const NO_RIGHT: &str = "this user may not use the engine: `sudo usermod -aG docker \"$USER\"`, then log in again";

/// A failed first contact.
pub(super) fn connecting(error: Error, host: &str) -> PortError {
    match error {
        Error::UnsupportedURISchemeError { .. } => connect::unsupported(host),
        Error::SocketNotFoundError(_) => {
            PortError::new(PortErrorKind::Unreachable, format!("no container engine at `{host}`: there is no such socket"))
                .hint(IS_IT_RUNNING)
        }
        Error::CertPathError { path } | Error::CertParseError { path } | Error::CertMultipleKeys { path, .. } => {
            PortError::failed(format!("cannot use `{}` for the engine at `{host}`", path.display()))
                .hint("DOCKER_CERT_PATH must hold ca.pem, cert.pem and key.pem")
        }
        error => map(error, &format!("container engine at `{host}`")),
    }
}

/// An error while doing something.
pub(super) fn map(error: Error, doing: &str) -> PortError {
    let (kind, words) = match error {
        Error::DockerResponseServerError { status_code, message } => (of_status(status_code, &message), tidy(&message)),
        Error::DockerStreamError { error } => (of_words(&error), tidy(&error)),
        Error::RequestTimeoutError => (PortErrorKind::Timeout, "the engine did not answer in time".to_owned()),
        Error::SocketNotFoundError(path) => (PortErrorKind::Unreachable, format!("there is no socket `{path}`")),
        Error::HyperLegacyError { err } => return transport(&err, err.is_connect(), doing),
        Error::HyperResponseError { err } => return transport(&err, false, doing),
        Error::IOError { err } => return transport(&err, false, doing),
        other => (PortErrorKind::Failed, other.to_string()),
    };
    let mut mapped = PortError::new(kind, format!("{doing}: {words}"));
    mapped.hint = hint(kind, &words).map(str::to_owned);
    mapped
}

/// Nothing there is an answer, not a failure.
pub(super) fn or_none<T>(error: Error, doing: &str) -> PortResult<Option<T>> {
    match map(error, doing) {
        error if error.kind == PortErrorKind::NotFound => Ok(None),
        error => Err(error),
    }
}

/// A connection that could not be made, or broke.
fn transport(error: &(dyn std::error::Error + 'static), connecting: bool, doing: &str) -> PortError {
    let mut causes = vec![error.to_string()];
    let mut kind = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            kind = Some(io.kind());
        }
        if !causes.iter().any(|said| said.contains(&cause.to_string())) {
            causes.push(cause.to_string());
        }
        next = cause.source();
    }
    let causes = causes.join(": ");
    let message = format!("{doing}: {causes}");
    match kind {
        Some(std::io::ErrorKind::PermissionDenied) => PortError::new(PortErrorKind::Denied, message).hint(NO_RIGHT),
        _ if causes.contains("certificate") => {
            PortError::failed(message).hint("the engine's certificate and ours must come from the ca.pem of DOCKER_CERT_PATH")
        }
        _ if connecting => PortError::new(PortErrorKind::Unreachable, message).hint(IS_IT_RUNNING),
        _ => PortError::new(PortErrorKind::Transient, format!("{doing}: the connection to the engine broke: {causes}")),
    }
}

fn of_status(status: u16, message: &str) -> PortErrorKind {
    match status {
        400 => PortErrorKind::Invalid,
        401 | 403 => PortErrorKind::Denied,
        404 => PortErrorKind::NotFound,
        408 | 429 | 502..=504 => PortErrorKind::Transient,
        409 => PortErrorKind::Conflict,
        // The engine passes on with 500 whatever a registry told it.
        500 => of_words(message),
        _ => PortErrorKind::Failed,
    }
}

/// What an error in words means; engines give nothing better inside a stream.
pub(super) fn of_words(words: &str) -> PortErrorKind {
    let words = words.to_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    if any(&["toomanyrequests", "too many requests", "unexpected http status: 5", "unexpected http status: 408", "status code 5"]) {
        PortErrorKind::Transient
    } else if any(&[
        "unauthorized",
        "no basic auth credentials",
        "denied",
        "authentication required",
        "forbidden",
        "incorrect username or password",
    ]) {
        PortErrorKind::Denied
    } else if any(&["connection refused", "no such host", "no route to host", "network is unreachable", "host is down"]) {
        PortErrorKind::Unreachable
    } else if any(&[
        "timeout",
        "deadline exceeded",
        "connection reset",
        "broken pipe",
        "unexpected eof",
        "temporary failure",
        "context canceled",
        // A layer that the build rested on went meanwhile, with somebody else's `rmi` or `prune`.
        "unknown parent image id",
        "failed to get digest sha256",
    ]) || words.trim_end().ends_with(": eof")
    {
        PortErrorKind::Transient
    } else if any(&["does not exist", "no such image", "manifest unknown", "name unknown", "not found"]) {
        PortErrorKind::NotFound
    } else {
        PortErrorKind::Failed
    }
}

/// What to do about words that people meet often.
pub(super) fn hint(kind: PortErrorKind, words: &str) -> Option<&'static str> {
    if words.contains("server gave HTTP response to HTTPS client") {
        return Some("the registry speaks plain HTTP: list it under \"insecure-registries\" in the engine's daemon.json");
    }
    if words.contains("x509:") {
        return Some("the engine does not trust the registry's certificate: put its CA into /etc/docker/certs.d/<registry>/ca.crt");
    }
    match kind {
        PortErrorKind::Denied => Some("log in with `docker login <registry>`, or check `registry_auth` and the rights to the repository"),
        _ => None,
    }
}

/// The engine's words, without what its transport put round them.
fn tidy(message: &str) -> String {
    message.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_may_not_be_opened_is_about_rights() {
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = transport(&refused, true, "asking");
        assert_eq!(error.kind, PortErrorKind::Denied);
        assert!(error.hint.expect("a hint").contains("docker"));
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(transport(&gone, false, "asking").kind, PortErrorKind::Transient);
    }

    #[test]
    fn words_of_engines_have_their_meaning() {
        use PortErrorKind::{Denied, Failed, NotFound, Transient, Unreachable};
        for (words, kind) in [
            ("unauthorized: authentication required", Denied),
            ("no basic auth credentials", Denied),
            ("denied: requested access to the resource is denied", Denied),
            ("pull access denied for x, repository does not exist or may require 'docker login': denied", Denied),
            ("tag does not exist: 127.0.0.1:5000/x", NotFound),
            ("An image does not exist locally with the tag: x", NotFound),
            ("manifest unknown: manifest unknown", NotFound),
            ("Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", Unreachable),
            ("dial tcp: lookup nowhere.invalid: no such host", Unreachable),
            ("Get \"http://127.0.0.1:1/v2/\": EOF", Transient),
            ("toomanyrequests: You have reached your pull rate limit", Transient),
            ("received unexpected HTTP status: 500 Internal Server Error", Transient),
            ("net/http: request canceled (Client.Timeout exceeded while awaiting headers)", Transient),
            ("Get \"http://127.0.0.1:1/v2/\": context deadline exceeded", Transient),
            ("failed to export image: failed to set parent sha256:da7c: unknown parent image ID sha256:da7c", Transient),
            ("failed to get digest sha256:d6fc: open /var/lib/docker/image/sha256/d6fc: no such file or directory", Transient),
            ("invalid reference format", Failed),
        ] {
            assert_eq!(of_words(words), kind, "{words}");
        }
    }
}
