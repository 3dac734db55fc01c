//! `http-request` sends a request and takes values out of the answer.
//!
//! **Takes** `method`, `url`, `headers`, a `body` or `json`. Secrets go into `secret_headers`: each `{NAME}` in a value becomes the secret of
//! that name, as in `Authorization = "Bearer {TOKEN}"`. `expect` lists the statuses that count as success (any 2xx where left out).
//!
//! **Gives** `status` and whatever `outputs` names: JSON pointers into the answer's body.
//!
//! **Probes** with a `probe` table: a GET and what its answer must be. Where it is so, nothing is sent; the outputs are then read from the
//! probe's answer with the same pointers. Without a `probe` nobody can tell.
//!
//! **Undoes** with an `undo` table: another request. `{name}` in its `url` becomes the output of that name, percent-encoded. Answers of
//! 404 and 410 count as undone.
//!
//! GET and HEAD are read-only. Everything else is one-way unless there is an `undo`. After a request of unknown outcome, GET, HEAD,
//! PUT and DELETE are sent again; POST and PATCH only with an `idempotency_header`, in which the step's key is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::contract::{Behaviour, Change, Class, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::{Period, request, text};
use crate::world::{self, HttpResponse};

/// The most that is read of an answer.
const MAX_BODY: usize = 1024 * 1024;

/// The kind `http-request`.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default = "get")]
    pub method: String,
    /// Address, `http` or `https`, without credentials.
    pub url: String,
    /// Headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers with secrets: each `{NAME}` becomes the secret of that name, as in `Authorization = "Bearer {TOKEN}"`.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, String>,
    /// The body, as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The body, as a value that is sent as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// Statuses that count as success; any 2xx where left out.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// How to tell whether it is so already.
    #[serde(default)]
    pub probe: Option<Look>,
    /// Outputs by name: JSON pointers into the body of the answer, such as `/id`.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// The request that takes it back.
    #[serde(default)]
    pub undo: Option<Reversal>,
    /// Header in which the step's idempotency key is sent, such as `Idempotency-Key`. Only for services that recognise it.
    #[serde(default)]
    pub idempotency_header: Option<String>,
    /// For the whole exchange.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

/// A GET and what its answer must be for the effect to be there. It is sent with the same headers as the request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Address.
    pub url: String,
    /// Status that says "there"; any 2xx where left out. Statuses 404 and 410 say "not there".
    #[serde(default)]
    pub status: Option<u16>,
    /// JSON pointer to a value that must be there.
    #[serde(default)]
    pub pointer: Option<String>,
    /// What that value must be.
    #[serde(default)]
    pub equals: Option<Value>,
}

/// The request that takes the effect back. It is sent with the same headers as the request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reversal {
    /// Method.
    #[serde(default = "delete")]
    pub method: String,
    /// Address; `{name}` becomes the output of that name.
    pub url: String,
    /// The body, as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The body, as a value that is sent as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// Statuses that count as undone; any 2xx, 404 and 410 where left out.
    #[serde(default)]
    pub expect: Vec<u16>,
}

fn get() -> String {
    "GET".into()
}
fn delete() -> String {
    "DELETE".into()
}
fn timeout() -> Period {
    Period::seconds(30)
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Status of the answer.
    pub status: u16,
    /// What `outputs` names.
    #[serde(flatten)]
    pub values: BTreeMap<String, Value>,
}

impl Step for HttpRequest {
    type Params = Params;
    type Before = ();
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "http-request",
        version: 1,
        summary: "Sends an HTTP request and takes values out of the answer",
        example: r#"[[steps]]
id = "announce"
uses = "http-request"
secrets = ["CHAT_TOKEN"]
[steps.with]
method = "PUT"
url = "https://chat.example/api/topic"
secret_headers = { Authorization = "Bearer {CHAT_TOKEN}" }
json = { text = "v1.2.0 is out" }
probe = { url = "https://chat.example/api/topic", pointer = "/text", equals = "v1.2.0 is out" }
"#,
        behaviour: Behaviour { effect: Effect::OneWay, repeat: Repeat::Never, undo: Undo::Impossible, probes: true },
    };

    fn behaviour(&self, with: &Value) -> Behaviour {
        let has = |key: &str| with.get(key).is_some_and(|value| !value.is_null());
        let method = with.get("method").and_then(Value::as_str).unwrap_or("GET").to_ascii_uppercase();
        if matches!(method.as_str(), "GET" | "HEAD") {
            return Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true };
        }
        let repeat = match method.as_str() {
            _ if has("idempotency_header") => Repeat::Keyed,
            "PUT" | "DELETE" => Repeat::Safe,
            _ => Repeat::Never,
        };
        let (effect, undo) = if has("undo") { (Effect::Reversible, Undo::Reverse) } else { (Effect::OneWay, Undo::Impossible) };
        Behaviour { effect, repeat, undo, probes: has("probe") }
    }

    fn output_schema(&self, with: &Value) -> Value {
        let mut properties = Map::new();
        properties.insert("status".into(), json!({ "type": "integer", "description": "status of the answer" }));
        for (name, pointer) in with.get("outputs").and_then(Value::as_object).into_iter().flatten() {
            let pointer = pointer.as_str().unwrap_or_default();
            properties.insert(name.clone(), json!({ "description": format!("what the answer has at `{pointer}`") }));
        }
        let required: Vec<&String> = properties.keys().collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    }

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        let addresses = [Some(&params.url), params.probe.as_ref().map(|probe| &probe.url), params.undo.as_ref().map(|undo| &undo.url)];
        problems.extend(addresses.into_iter().flatten().filter_map(|url| request::url_problem(url)));
        let methods = [Some(&params.method), params.undo.as_ref().map(|undo| &undo.method)];
        for method in methods.into_iter().flatten() {
            if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                problems.push(format!("`{method}` is not a method like `GET` or `POST`"));
            }
        }
        let undo = params.undo.as_ref();
        if (params.body.is_some() && params.json.is_some()) || undo.is_some_and(|undo| undo.body.is_some() && undo.json.is_some()) {
            problems.push("a request has one body: either `body` or `json`".into());
        }
        if params.outputs.contains_key("status") {
            problems.push("an output called `status` is there already: the status of the answer".into());
        }
        for (name, pointer) in params.outputs.iter().filter(|(_, pointer)| !pointer.is_empty() && !pointer.starts_with('/')) {
            problems.push(format!("output `{name}`: `{pointer}` is not a JSON pointer: it begins with `/`"));
        }
        if let Some(probe) = params.probe.as_ref().filter(|probe| probe.equals.is_some() && probe.pointer.is_none()) {
            problems.push(format!("probe `{}`: `equals` needs `pointer`, which says what to compare", probe.url));
        }
        for name in undo.iter().flat_map(|undo| request::names(&undo.url)).filter(|name| !params.outputs.contains_key(name)) {
            problems.push(format!("the undo's `url` uses `{{{name}}}`, which is not one of `outputs`"));
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<(), Output>, StepError> {
        let Some(look) = &params.probe else {
            let reads = matches!(params.method.to_ascii_uppercase().as_str(), "GET" | "HEAD");
            let change = format!("{} {}", params.method, params.url);
            return Ok(if reads { Probe::would((), change) } else { Probe::unknown("the step has no `probe`") });
        };
        let answer = send(cx, params, "GET", &look.url, None).await?;
        let change = || Probe::Absent { before: (), changes: vec![Change::new(format!("{} {}", params.method, params.url))] };
        match look.judge(&answer) {
            Looked::There => match values(params, &answer) {
                Ok(values) => Ok(Probe::Present { output: Output { status: answer.status, values } }),
                Err(missing) => Ok(Probe::unknown(format!("the probe's answer has {missing}, which an output needs"))),
            },
            Looked::NotThere => Ok(change()),
            Looked::Odd => Err(unexpected(cx, &answer, "GET", &look.url)),
        }
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&()>) -> Result<Output, StepError> {
        let body = body(params.body.as_ref(), params.json.as_ref());
        let answer = send(cx, params, &params.method, &params.url, body).await?;
        if !expected(&params.expect, answer.status, &[]) {
            return Err(unexpected(cx, &answer, &params.method, &params.url));
        }
        let values = values(params, &answer).map_err(|missing| {
            let quoted = text::quote(cx, &String::from_utf8_lossy(&answer.body));
            StepError::permanent(format!("{} `{}` was answered with {} and {missing}: {quoted}", params.method, params.url, answer.status))
        })?;
        Ok(Output { status: answer.status, values })
    }

    async fn undo(&self, cx: &Context, params: &Params, _before: Option<&()>, output: Option<&Output>) -> Result<(), StepError> {
        let Some(undo) = &params.undo else {
            return Err(StepError::refused(format!("{} `{}` cannot be taken back: the step has no `undo`", params.method, params.url)));
        };
        let mut known = output.map(|output| output.values.clone());
        if let Some(look) = &params.probe {
            let answer = send(cx, params, "GET", &look.url, None).await?;
            match look.judge(&answer) {
                Looked::NotThere => return Ok(()),
                Looked::There => known = known.or_else(|| values(params, &answer).ok()),
                Looked::Odd => return Err(unexpected(cx, &answer, "GET", &look.url)),
            }
        }
        let url = request::fill_url(&undo.url, |name| known.as_ref()?.get(name).map(plain)).map_err(|name| {
            StepError::conflict(format!("cannot tell what to take back: the output `{name}` of the request is not known"))
                .hint("add a `probe` whose answer holds it, or take it back by hand and settle the step")
        })?;
        let answer = send(cx, params, &undo.method, &url, body(undo.body.as_ref(), undo.json.as_ref())).await?;
        if expected(&undo.expect, answer.status, &[404, 410]) { Ok(()) } else { Err(unexpected(cx, &answer, &undo.method, &url)) }
    }
}

/// What a probe's answer says.
enum Looked {
    There,
    NotThere,
    Odd,
}

impl Look {
    fn judge(&self, answer: &HttpResponse) -> Looked {
        let right = self.status.map_or((200..300).contains(&answer.status), |status| status == answer.status);
        if !right {
            return if matches!(answer.status, 404 | 410) || (200..300).contains(&answer.status) { Looked::NotThere } else { Looked::Odd };
        }
        let Some(pointer) = &self.pointer else { return Looked::There };
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match json.as_ref().and_then(|json| json.pointer(pointer)) {
            Some(value) if self.equals.as_ref().is_none_or(|wanted| wanted == value) => Looked::There,
            _ => Looked::NotThere,
        }
    }
}

async fn send(cx: &Context, params: &Params, method: &str, url: &str, body: Option<Body>) -> Result<HttpResponse, StepError> {
    let mut headers: Vec<(String, String)> = params.headers.clone().into_iter().collect();
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    if body.as_ref().is_some_and(|body| body.is_json) && !has(&headers, "content-type") {
        headers.push(("Content-Type".into(), "application/json".into()));
    }
    if let Some(header) = params.idempotency_header.as_ref().filter(|_| method == params.method) {
        headers.push((header.clone(), cx.key.to_string()));
    }
    let request = world::HttpRequest {
        method: method.to_ascii_uppercase(),
        headers,
        secret_headers: request::secret_headers(cx, &params.secret_headers)?,
        body: body.map(|body| body.bytes),
        timeout: params.timeout.0,
        max_body: MAX_BODY,
        ..world::HttpRequest::get(url)
    };
    cx.unless_cancelled(cx.world.http.request(&request)).await.map_err(|error| error.context(format!("{method} `{url}`")))
}

struct Body {
    bytes: Vec<u8>,
    is_json: bool,
}

fn body(text: Option<&String>, json: Option<&Value>) -> Option<Body> {
    match (text, json) {
        (_, Some(json)) => Some(Body { bytes: json.to_string().into_bytes(), is_json: true }),
        (Some(text), None) => Some(Body { bytes: text.clone().into_bytes(), is_json: false }),
        (None, None) => None,
    }
}

fn expected(wanted: &[u16], status: u16, too: &[u16]) -> bool {
    if wanted.is_empty() { (200..300).contains(&status) || too.contains(&status) } else { wanted.contains(&status) }
}

/// The declared outputs out of an answer, or what is missing.
fn values(params: &Params, answer: &HttpResponse) -> Result<BTreeMap<String, Value>, String> {
    if params.outputs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let json: Value = serde_json::from_slice(&answer.body).map_err(|_| "a body that is not JSON".to_owned())?;
    let value = |pointer: &String| json.pointer(pointer).cloned().ok_or_else(|| format!("nothing at `{pointer}`"));
    params.outputs.iter().map(|(name, pointer)| Ok((name.clone(), value(pointer)?))).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The failure for an answer that nobody expected: what may go away by itself is told from what will not.
fn unexpected(cx: &Context, answer: &HttpResponse, method: &str, url: &str) -> StepError {
    let class = match answer.status {
        408 | 425 | 429 | 500..=599 => Class::Transient,
        409 | 412 => Class::Conflict,
        _ => Class::Permanent,
    };
    let quoted = text::quote(cx, &String::from_utf8_lossy(&answer.body));
    let said = if quoted.is_empty() { String::new() } else { format!(": {quoted}") };
    let mut error = StepError::new(class, format!("{method} `{url}` was answered with {}{said}", answer.status));
    error.retry_after = answer.header("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    if matches!(answer.status, 401 | 403) {
        error = error.hint("check the secret in `secret_headers`, and what it may do");
    }
    error
}
