//! Web servers that answer what a table says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{Http, HttpRequest, HttpResponse, PortError, PortErrorKind, PortResult};
use super::FakeWorld;

/// All servers together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeHttp {
    /// Answers by `METHOD address`, in turn; the last one stays.
    #[serde(skip_serializing)]
    pub answers: BTreeMap<String, Vec<FakeAnswer>>,
    /// What a GET finds by address where `answers` has nothing for it.
    pub resources: BTreeMap<String, String>,
    /// Hosts, with port, whose other addresses answer 404; the rest is unreachable.
    pub hosts: BTreeSet<String>,
    /// Addresses that accept TCP connections.
    pub listening: BTreeSet<String>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeAnswer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
    /// Resources that the request makes; `${body}` stands for the body of the request.
    pub puts: BTreeMap<String, String>,
    /// Resources that it removes.
    pub deletes: Vec<String>,
}

impl Default for FakeAnswer {
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), body: String::new(), puts: BTreeMap::new(), deletes: Vec::new() }
    }
}

impl FakeAnswer {
    /// An answer of this status and body.
    pub fn new(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }
    }
    /// Which makes a resource.
    #[must_use]
    pub fn puts(mut self, url: &str, body: &str) -> Self {
        self.puts.insert(url.to_owned(), body.to_owned());
        self
    }
    /// Which removes a resource.
    #[must_use]
    pub fn deletes(mut self, url: &str) -> Self {
        self.deletes.push(url.to_owned());
        self
    }
}

impl FakeHttp {
    /// Answers a request, in place of what was set for it before.
    pub fn answer(&mut self, method: &str, url: &str, answers: impl IntoIterator<Item = FakeAnswer>) {
        self.answers.insert(format!("{method} {url}"), answers.into_iter().collect());
    }

    fn respond(&mut self, request: &HttpRequest) -> PortResult<FakeAnswer> {
        if let Some(answers) = self.answers.get_mut(&format!("{} {}", request.method, request.url)) {
            let answer = if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() };
            if let Some(answer) = answer {
                let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
                self.resources.extend(answer.puts.iter().map(|(url, text)| (url.clone(), text.replace("${body}", &body))));
                self.resources.retain(|url, _| !answer.deletes.contains(url));
                return Ok(answer);
            }
        }
        if let Some(body) = self.resources.get(&request.url).filter(|_| request.method == "GET") {
            return Ok(FakeAnswer::new(200, body));
        }
        let host = request.url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let known = |url: &str| url.split_once("://").is_some_and(|(_, rest)| rest.split('/').next() == Some(host));
        if self.hosts.contains(host) || self.resources.keys().any(|url| known(url)) {
            return Ok(FakeAnswer::new(404, "not found"));
        }
        Err(PortError::new(PortErrorKind::Unreachable, format!("nobody answers at `{host}`")))
    }
}

#[async_trait]
impl Http for FakeWorld {
    async fn request(&self, request: &HttpRequest) -> PortResult<HttpResponse> {
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default());
        let detail = format!("{} {} {} {body}", request.method, request.url, headers.join(" "));
        let work = |http: &mut FakeHttp| http.respond(request);
        let answer = if matches!(request.method.as_str(), "GET" | "HEAD") {
            self.look("http.request", detail, |_| Ok(()))?;
            self.edit(|state| work(&mut state.http))?
        } else {
            self.change("http.request", detail, |state| work(&mut state.http))?
        };
        if answer.body.len() > request.max_body {
            return Err(PortError::failed(format!("the answer of `{}` is larger than {} bytes", request.url, request.max_body)));
        }
        Ok(HttpResponse { status: answer.status, headers: answer.headers.into_iter().collect(), body: answer.body.into_bytes() })
    }

    async fn connect(&self, address: &str, timeout: Duration, hold: Duration) -> PortResult<()> {
        self.look("http.connect", address, |state| {
            if state.http.listening.contains(address) {
                self.pass(hold.min(timeout));
                return Ok(());
            }
            Err(PortError::new(PortErrorKind::Unreachable, format!("nobody listens at `{address}`")))
        })
    }
}
