//! One call's conversation with a registry: requests, the challenge, and the token or header that answers it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;

use super::is_loopback;
use crate::world::{Credentials, ImageRef, PortError, PortErrorKind, PortResult};

/// Manifests are limited to 4 MiB by the specification; lists of tags come in pages.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: reqwest::header::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What a registry asks for with 401.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

pub(super) struct Session<'a> {
    client: Client,
    base: Url,
    image: &'a ImageRef,
    who: &'a Credentials,
    actions: &'static str,
    /// The header that was let in.
    authorization: Option<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: Client, base: Url, image: &'a ImageRef, who: &'a Credentials, actions: &'static str) -> Self {
        Self { client, base, image, who, actions, authorization: None }
    }

    /// An address below `/v2/<repository>/`.
    pub(super) fn url(&self, path: &str) -> PortResult<Url> {
        self.follow(&self.base, path)
    }

    /// An address that the registry gave, relative to the one that was asked.
    pub(super) fn follow(&self, from: &Url, location: &str) -> PortResult<Url> {
        let url = from.join(location).map_err(|error| {
            PortError::failed(format!("`{}` points to `{location}`, which is no address: {error}", self.image.registry))
        })?;
        if url.scheme() == "http" && self.base.scheme() == "https" {
            return Err(PortError::failed(format!("`{}` points from https to plain http", self.image.registry)));
        }
        Ok(url)
    }

    /// Sends a request, and once more with what a challenge asks for.
    pub(super) async fn send(&mut self, method: Method, url: Url, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> PortResult<Reply> {
        let reply = self.once(&method, &url, headers, body.clone()).await?;
        if reply.status != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Ok(reply);
        }
        let challenges = reply.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(authorization) = self.answer(challenges.filter_map(challenge)).await? else { return Ok(reply) };
        self.authorization = Some(authorization);
        self.once(&method, &url, headers, body).await
    }

    async fn once(&self, method: &Method, url: &Url, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> PortResult<Reply> {
        let mut request = self.client.request(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // Credentials are for the registry alone, wherever else it may point to.
        if let Some(authorization) = self.authorization.as_ref().filter(|_| url.origin() == self.base.origin()) {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.exchange(request).await
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> PortResult<Reply> {
        let broken = |error: reqwest::Error| self.broken(error);
        let mut response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(PortError::failed(format!("`{}` answers with more than 8 MiB", self.image.registry)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }

    /// The `Authorization` header that answers one of the challenges; None where there is nothing to say.
    async fn answer(&self, challenges: impl Iterator<Item = Challenge>) -> PortResult<Option<String>> {
        let mut basic = false;
        for challenge in challenges {
            match challenge {
                Challenge::Bearer { realm, service, scope } => return self.token(&realm, service, scope).await.map(Some),
                Challenge::Basic => basic = true,
            }
        }
        Ok(if basic { self.basic() } else { None })
    }

    fn basic(&self) -> Option<String> {
        match self.who {
            Credentials::Basic { username, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))))
            }
            Credentials::Anonymous | Credentials::IdentityToken(_) => None,
        }
    }

    /// Asks the registry's token service for a token.
    async fn token(&self, realm: &str, service: Option<String>, scope: Option<String>) -> PortResult<String> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let registry = &self.image.registry;
        let mut url = Url::parse(realm)
            .map_err(|error| PortError::failed(format!("`{registry}` names a token service `{realm}`, which is no address: {error}")))?;
        if url.scheme() != "https" && !is_loopback(url.host_str().unwrap_or_default()) {
            return Err(PortError::failed(format!("`{registry}` wants credentials sent to `{realm}` without encryption")));
        }
        let scope = scope.unwrap_or_else(|| format!("repository:{}:{}", self.image.repository, self.actions));
        let request = if let Credentials::IdentityToken(token) = self.who {
            let mut form = Url::parse("form:").expect("a constant");
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("service", service.as_deref().unwrap_or_default())
                .append_pair("client_id", "formula")
                .append_pair("scope", &scope)
                .append_pair("refresh_token", token.expose());
            let body = form.query().unwrap_or_default().to_owned();
            self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
        } else {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("scope", &scope);
            if let Some(service) = &service {
                pairs.append_pair("service", service);
            }
            drop(pairs);
            let request = self.client.get(url);
            match self.basic() {
                Some(basic) => request.header(AUTHORIZATION, basic),
                None => request,
            }
        };
        let reply = self.exchange(request).await.map_err(|error| error.context(format!("token service of `{registry}`")))?;
        if !reply.status.is_success() {
            return Err(self.refused(&format!("asking the token service of `{registry}`"), &reply));
        }
        let answer: Option<Answer> = serde_json::from_slice(&reply.body).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token)).filter(|token| !token.is_empty());
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| PortError::failed(format!("the token service of `{registry}` answers without a token")))
    }

    /// The failure that a status stands for, in the registry's own words.
    pub(super) fn refused(&self, doing: &str, reply: &Reply) -> PortError {
        let registry = &self.image.registry;
        let status = reply.status;
        let kind = match status.as_u16() {
            401 | 403 => PortErrorKind::Denied,
            404 => PortErrorKind::NotFound,
            408 | 425 | 429 | 500..=599 => PortErrorKind::Transient,
            409 | 412 => PortErrorKind::Conflict,
            _ => PortErrorKind::Failed,
        };
        let words = words(&reply.body).unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_lowercase());
        let mut error = PortError::new(kind, format!("{doing}: `{registry}` answers {}: {words}", status.as_u16()));
        error.retry_after =
            reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        match (kind, self.who) {
            (PortErrorKind::Denied, Credentials::Anonymous) => {
                error.hint(format!("no credentials for `{registry}` are configured: `docker login {registry}`, or set `registry_auth`"))
            }
            (PortErrorKind::Denied, _) => error.hint(format!("check user name, password and their rights to `{}`", self.image.repository)),
            _ => error,
        }
    }

    fn broken(&self, error: reqwest::Error) -> PortError {
        let registry = &self.image.registry;
        let error = error.without_url();
        let causes = causes(&error);
        let message = format!("registry `{registry}`: {causes}");
        if error.is_timeout() {
            PortError::new(PortErrorKind::Timeout, message)
        } else if causes.contains("certificate") {
            PortError::failed(message).hint("its certificate must be trusted by this machine")
        } else if error.is_connect() {
            PortError::new(PortErrorKind::Unreachable, message).hint(format!("is `{registry}` up, and is its name right?"))
        } else if error.is_builder() {
            PortError::invalid(message)
        } else {
            PortError::new(PortErrorKind::Transient, message)
        }
    }
}

/// An error and what caused it, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

/// The words of an error body: `{"errors":[{"code","message"}]}`, or what token services say.
fn words(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<One>,
        #[serde(alias = "message", alias = "error_description")]
        details: Option<String>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let mut said: Vec<String> = Vec::new();
    for One { code, message } in body.errors {
        said.push([code.map(|code| code.to_lowercase()), message].into_iter().flatten().collect::<Vec<_>>().join(": "));
    }
    said.extend(body.details);
    said.retain(|text| !text.is_empty());
    (!said.is_empty()).then(|| said.join("; "))
}

/// Reads one `WWW-Authenticate` header.
fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = rest.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = parameter(after);
        match name.trim().to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

/// A token or a quoted string, and what comes after it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_whatever_their_spelling() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        };
        for (header, expected) in [
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push""#,
                Some(bearer("https://auth.example.com/token", Some("registry.example.com"), Some("repository:a/b:pull,push"))),
            ),
            (r#"bearer service=s , realm="https://a/\"b\"""#, Some(bearer(r#"https://a/"b""#, Some("s"), None))),
            (r#"Bearer service="s""#, None),
            ("Negotiate", None),
        ] {
            assert_eq!(challenge(header), expected, "{header}");
        }
    }

    #[test]
    fn error_bodies_give_their_words() {
        assert_eq!(
            words(br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{}]}]}"#).as_deref(),
            Some("unauthorized: authentication required")
        );
        assert_eq!(words(br#"{"details":"incorrect username or password"}"#).as_deref(), Some("incorrect username or password"));
        assert_eq!(words(b"<html>"), None);
    }
}
