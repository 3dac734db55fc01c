//! The port to HTTP and TCP.

use std::time::Duration;

use async_trait::async_trait;

use super::{PortResult, Secret};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// `http` or `https` only.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Headers with secret values.
    pub secret_headers: Vec<(String, Secret)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// For the whole exchange.
    pub timeout: Duration,
    /// More of the body than this is an error.
    pub max_body: usize,
}

impl HttpRequest {
    /// A GET with 10 s and 64 KiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(10),
            max_body: 64 * 1024,
        }
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// HTTP requests and TCP connections. Redirects to another host are not followed.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a request. Any status is an answer, not an error.
    async fn request(&self, request: &HttpRequest) -> PortResult<HttpResponse>;
    /// Opens a TCP connection and sees it stay open for `hold`: the proxy of a container engine accepts where nobody listens,
    /// and hangs up at once.
    async fn connect(&self, address: &str, timeout: Duration, hold: Duration) -> PortResult<()>;
}
