//! A check by HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::check::Fault;
use crate::contract::Context;
use crate::kit::{request, text};
use crate::world::{HttpRequest, HttpResponse};

/// The path that nobody serves.
const NOWHERE: &str = "/formula-proof-that-this-check-can-fail";

/// An HTTP request and what its answer must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// Name in messages and outputs.
    #[serde(default)]
    pub name: Option<String>,
    /// Address, `http` or `https`.
    pub url: String,
    /// Method.
    #[serde(default = "get")]
    pub method: String,
    /// Headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers with secrets: each `{NAME}` becomes the secret of that name, as in `Authorization = "Bearer {TOKEN}"`.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, String>,
    /// Status that the answer must have, or a list of them; any 2xx where left out.
    #[serde(default)]
    pub status: Option<Status>,
    /// Text that the body must contain.
    #[serde(default)]
    pub contains: Option<String>,
    /// JSON pointer to a value in the body, such as `/status`. It must be there; `equals` and `version` compare it.
    #[serde(default)]
    pub pointer: Option<String>,
    /// What the value behind `pointer` must be.
    #[serde(default)]
    pub equals: Option<Value>,
    /// Version that must answer: the value behind `pointer`, else the header `version_header`, else the whole body. A leading `v` does not count.
    #[serde(default)]
    pub version: Option<String>,
    /// Header that holds the version.
    #[serde(default)]
    pub version_header: Option<String>,
}

fn get() -> String {
    "GET".into()
}

/// One status or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Status {
    /// Just this.
    One(u16),
    /// Any of these.
    Any(Vec<u16>),
}

impl HttpCheck {
    /// What is wrong about the check itself.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = request::url_problem(&self.url).into_iter().collect();
        if self.pointer.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            problems.push("`pointer` is a JSON pointer: it begins with `/`".into());
        }
        if self.equals.is_some() && self.pointer().is_none() {
            problems.push("`equals` needs `pointer`, which says what to compare".into());
        }
        problems
    }

    fn pointer(&self) -> Option<&str> {
        self.pointer.as_deref().filter(|pointer| !pointer.is_empty())
    }

    /// Looks once.
    pub(super) async fn look(&self, cx: &Context, timeout: Duration) -> Result<String, Fault> {
        let request = HttpRequest {
            method: self.method.clone(),
            headers: self.headers.clone().into_iter().collect(),
            secret_headers: request::secret_headers(cx, &self.secret_headers)?,
            timeout,
            ..HttpRequest::get(&self.url)
        };
        let answer = cx.world.http.request(&request).await?;
        self.judge(cx, &answer)
    }

    fn judge(&self, cx: &Context, answer: &HttpResponse) -> Result<String, Fault> {
        let body = String::from_utf8_lossy(&answer.body);
        let (right, wanted) = match &self.status {
            None => ((200..300).contains(&answer.status), "2xx".to_owned()),
            Some(Status::One(status)) => (answer.status == *status, status.to_string()),
            Some(Status::Any(list)) => (list.contains(&answer.status), list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")),
        };
        if !right {
            let quoted = text::quote(cx, &body);
            let said = if quoted.is_empty() { String::new() } else { format!(": {quoted}") };
            return Err(Fault::yet(format!("answered {} instead of {wanted}{said}", answer.status)));
        }
        if let Some(wanted) = self.contains.as_ref().filter(|wanted| !body.contains(wanted.as_str())) {
            return Err(Fault::yet(format!("answered {} without `{wanted}` in the body: {}", answer.status, text::quote(cx, &body))));
        }
        let value = match self.pointer() {
            None => None,
            Some(pointer) => {
                let json: Value = serde_json::from_slice(&answer.body).map_err(|_| {
                    Fault::yet(format!("answered {} with a body that is not JSON: {}", answer.status, text::quote(cx, &body)))
                })?;
                let value = json.pointer(pointer).cloned();
                Some(value.ok_or_else(|| Fault::yet(format!("answered without anything at `{pointer}`: {}", text::quote(cx, &body))))?)
            }
        };
        if let (Some(wanted), Some(value)) = (&self.equals, &value)
            && wanted != value
        {
            return Err(Fault::yet(format!(
                "has {} at `{}` instead of {wanted}",
                text::quote(cx, &value.to_string()),
                self.pointer().unwrap_or_default()
            )));
        }
        self.judge_version(cx, answer, value.as_ref(), &body)?;
        Ok(format!("answered {}", answer.status))
    }

    fn judge_version(&self, cx: &Context, answer: &HttpResponse, value: Option<&Value>, body: &str) -> Result<(), Fault> {
        let Some(wanted) = self.version.as_deref().filter(|version| !version.is_empty()) else { return Ok(()) };
        let found = match (value, &self.version_header) {
            (Some(Value::String(text)), _) => text.clone(),
            (Some(other), _) => other.to_string(),
            (None, Some(header)) => answer
                .header(&header.to_ascii_lowercase())
                .ok_or_else(|| Fault::yet(format!("answered without the header `{header}`, which tells the version")))?
                .to_owned(),
            (None, None) => body.to_owned(),
        };
        if bare(&found) == bare(wanted) {
            return Ok(());
        }
        Err(Fault::yet(format!("answers as version `{}` instead of `{wanted}`", text::quote(cx, &found))))
    }

    /// The same request at a path that nobody serves.
    pub(super) fn spoilt(&self) -> Self {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        let (path, rest) = self.url.split_at(end);
        Self { url: format!("{}{NOWHERE}{rest}", path.trim_end_matches('/')), ..self.clone() }
    }
}

/// A version without the `v` in front.
fn bare(version: &str) -> &str {
    let version = version.trim();
    version.strip_prefix('v').unwrap_or(version)
}
