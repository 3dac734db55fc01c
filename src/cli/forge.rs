//! An approval that stands at a forge: a comment or a review by one of the approvers that names what the gate asks.

use serde::Deserialize;

use formula_steps::world::{HttpRequest, HttpResponse, PortError, Secret};

use super::app::App;
use super::failure::Failure;
use crate::model::GateRules;

/// Bytes of one page, and pages that are read.
const PAGE: usize = 4 * 1024 * 1024;
const PAGES: usize = 20;

/// A comment or a review, as GitHub, Gitea and Forgejo list them.
/// <https://docs.github.com/en/rest/issues/comments>, <https://docs.github.com/en/rest/pulls/reviews>
#[derive(Debug, Deserialize)]
struct Entry {
    user: Option<User>,
    #[serde(default)]
    body: Option<String>,
    /// Of reviews only.
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    dismissed: bool,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

/// Where an approval must stand, and what it is for.
pub struct Place<'a> {
    /// The gate.
    pub step: &'a str,
    /// What it is bound to.
    pub digest: &'a str,
    /// The list of comments or reviews, in the forge's API.
    pub url: &'a str,
    /// The environment variable with the token.
    pub token: Option<&'a str>,
}

/// The approver whose word stands there.
///
/// # Errors
/// A forge that does not answer, and a word that is not there.
pub fn approver(app: &App, place: &Place<'_>, rules: &GateRules) -> Result<String, Failure> {
    let mut edited = Vec::new();
    for entry in entries(app, place)? {
        let Some(name) = entry.user.as_ref().and_then(|user| rules.approvers.iter().find(|name| name.eq_ignore_ascii_case(&user.login)))
        else {
            continue;
        };
        let words = entry.body.as_deref().unwrap_or_default().split(|letter: char| letter.is_whitespace() || letter == '`');
        if !words.into_iter().any(|word| word == place.digest) || !entry.approves() {
            continue;
        }
        // Others than its author may edit a comment.
        if entry.was_edited() {
            edited.push(name.clone());
        } else {
            return Ok(name.clone());
        }
    }
    let failure = match edited.first() {
        Some(name) => format!("the comment of `{name}` that approves gate `{}` was edited afterwards, so it proves nothing", place.step),
        None => format!("gate `{}` is approved at the forge, and nobody who may has done that", place.step),
    };
    Err(Failure::usage(failure)
        .hint(format!("one of {} comments there, or approves in a review, with this word in the text: {}", rules.names(), place.digest))
        .hint(format!("looked at {}", place.url)))
}

impl Entry {
    /// A comment approves by what it says; a review must be an approving one as well.
    fn approves(&self) -> bool {
        !self.dismissed && self.state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("approved"))
    }

    fn was_edited(&self) -> bool {
        matches!((&self.created_at, &self.updated_at), (Some(created), Some(updated)) if created != updated)
    }
}

fn entries(app: &App, place: &Place<'_>) -> Result<Vec<Entry>, Failure> {
    let token = match place.token {
        None => None,
        Some(name) => Some(Secret::new(app.var(name).ok_or_else(|| {
            Failure::usage(format!("the token for the forge of gate `{}` is missing", place.step))
                .hint(format!("set {name} in the environment"))
        })?)),
    };
    let runtime = app.runtime()?;
    let world = app.world(&app.holder().mark());
    let (mut found, mut next) = (Vec::new(), Some(place.url.to_owned()));
    for _ in 0..PAGES {
        let Some(url) = next else { break };
        let mut request = HttpRequest { max_body: PAGE, ..HttpRequest::get(&url) };
        request.headers.push(("accept".to_owned(), "application/json".to_owned()));
        request
            .secret_headers
            .extend(token.iter().map(|token| ("authorization".to_owned(), Secret::new(format!("token {}", token.expose())))));
        let answer = runtime.block_on(world.http.request(&request)).map_err(|error| unanswered(place, &error))?;
        if answer.status != 200 {
            return Err(refused(place, &url, answer.status));
        }
        let page: Vec<Entry> = serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::usage(format!("what {url} gives is no list of comments or reviews: {error}"))
                .hint("`proof_url` is an address of the forge's API, such as https://HOST/api/v1/repos/OWNER/REPO/issues/1/comments")
        })?;
        found.extend(page);
        next = next_page(&answer).filter(|next| origin(next) == origin(place.url));
    }
    runtime.shutdown_background();
    Ok(found)
}

fn unanswered(place: &Place<'_>, error: &PortError) -> Failure {
    let failure = Failure::usage(format!("the forge of gate `{}` cannot be asked, so nothing is proven: {}", place.step, error.message));
    error.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
}

fn refused(place: &Place<'_>, url: &str, status: u16) -> Failure {
    let failure = Failure::usage(format!("the forge of gate `{}` answered {status}, so nothing is proven: {url}", place.step));
    match (status, place.token) {
        (401 | 403 | 404, Some(name)) => failure.hint(format!("may the token in {name} read that?")),
        (401 | 403 | 404, None) => failure.hint("name the environment variable with a token in `proof_token`"),
        _ => failure,
    }
}

/// The address of the next page: `<https://…>; rel="next"`.
fn next_page(answer: &HttpResponse) -> Option<String> {
    let links = answer.header("link")?.split(',').map(str::trim);
    let next = links.filter(|link| link.contains("rel=\"next\"")).find_map(|link| link.strip_prefix('<')?.split_once('>'));
    next.map(|(url, _)| url.to_owned())
}

/// Scheme and host: the token is for nobody else.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}
