//! `preflight` looks, before anything is changed, whether a release may be cut from here.
//!
//! **Takes** what to look at; everything is optional, and an empty text counts as left out:
//!
//! - `version` fits its `pattern`, and `version_file` holds it without the `v`;
//! - `clean`: nothing tracked is changed (`"strict"`: nothing untracked lies about either);
//! - HEAD is on `branch`, and `remote` has that branch at the same commit;
//! - `tag` is free, or stands for HEAD already: here, on `remote` and on each of `mirrors`;
//! - the engine answers, and the registry of `image` lets us push there.
//!
//! A mirror that does not answer is noted, not a problem: pushing to it is a step of its own, which fails by itself and can be
//! tried again. A mirror that is not configured is a problem.
//!
//! **Gives** `commit`, `short`, `branch`, `version`, `number` (the version without `v`) and `notes`.
//!
//! **Probes** by looking at all of it, and fails with every problem at once. Nothing is changed: the right to push is proved by
//! opening an upload and cancelling it. **Undoes** nothing.

use std::path::Path;

use futures_util::future::join_all;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Class, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::{RegistryAuth, auth, text};
use crate::world::{Head, ImageRef, PortErrorKind};

/// So many commits of a branch are looked through to say how far it is ahead or behind.
const FAR: usize = 30;

/// The kind `preflight`.
#[derive(Debug, Clone, Copy)]
pub struct Preflight;

/// How clean the working tree must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Clean {
    /// `true`: nothing that git tracks is changed.
    Tracked(bool),
    /// `"strict"`: nothing untracked lies about either.
    Strict(Strict),
}

/// The word `strict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strict {
    /// Untracked files count too.
    Strict,
}

impl Default for Clean {
    fn default() -> Self {
        Self::Tracked(true)
    }
}

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The version to be released, such as `v1.2.0`.
    #[serde(default)]
    pub version: String,
    /// Regular expression that the whole version must match; `v` and a semantic version where left out.
    #[serde(default)]
    pub pattern: String,
    /// File that must hold the version, without the `v`.
    #[serde(default)]
    pub version_file: String,
    /// `true` (nothing tracked is changed), `"strict"` (nothing untracked either) or `false`.
    #[serde(default)]
    pub clean: Clean,
    /// The branch that HEAD must be on.
    #[serde(default)]
    pub branch: String,
    /// The remote that must have the branch at the same commit.
    #[serde(default)]
    pub remote: String,
    /// The tag that must be free or stand for HEAD.
    #[serde(default)]
    pub tag: String,
    /// Other remotes on which the tag must be free or stand for HEAD.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// The image that will be pushed: its registry must let us.
    #[serde(default)]
    pub image: String,
    /// Credentials for it, if not those of the Docker configuration.
    #[serde(default)]
    pub registry_auth: Option<RegistryAuth>,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Full id of HEAD's commit.
    pub commit: String,
    /// Its first twelve characters.
    pub short: String,
    /// The branch; empty where HEAD is detached.
    pub branch: String,
    /// The version as given.
    pub version: String,
    /// The version without `v`.
    pub number: String,
    /// What is worth knowing and no problem.
    pub notes: Vec<String>,
}

impl Step for Preflight {
    type Params = Params;
    type Before = ();
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "preflight",
        version: 1,
        summary: "Sees whether tree, version, branch, tag and registry are ready for a release",
        example: r#"[[steps]]
id = "preflight"
uses = "preflight"
with = { version = "v1.2.0", version_file = "VERSION", branch = "main", remote = "origin", tag = "v1.2.0", image = "ghcr.io/acme/agents" }
"#,
        behaviour: Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = Regex::new(&params.pattern) {
            problems.push(format!("`pattern` is not a regular expression: {error}"));
        }
        if !params.version_file.is_empty() && params.version.is_empty() {
            problems.push("`version_file` needs `version`, which says what it must hold".into());
        }
        if !params.mirrors.is_empty() && params.tag.is_empty() {
            problems.push("`mirrors` needs `tag`, which says what to look for there".into());
        }
        if let Err(error) = image(params).transpose() {
            problems.push(error.message);
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<(), Output>, StepError> {
        Ok(Probe::Present { output: look(cx, params).await? })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&()>) -> Result<Output, StepError> {
        let output = look(cx, params).await?;
        for note in &output.notes {
            cx.log(note);
        }
        Ok(output)
    }

    async fn undo(&self, _cx: &Context, _params: &Params, _before: Option<&()>, _output: Option<&Output>) -> Result<(), StepError> {
        Ok(())
    }
}

/// What was found while looking.
#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }
}

/// Looks at everything.
///
/// # Errors
/// Refused, with all problems in one message; Cancelled.
async fn look(cx: &Context, params: &Params) -> Result<Output, StepError> {
    let mut found = Findings::default();
    version(cx, params, &mut found).await?;
    let head = match cx.world.git.head(&cx.workdir).await {
        Ok(head) => Some(head),
        Err(error) => {
            found.problem(format!("cannot read HEAD of `{}`: {}", cx.workdir.display(), error.message));
            None
        }
    };
    if let Some(head) = &head {
        clean(cx, params, &mut found).await?;
        branch(params, head, &mut found);
        remotes(cx, params, head, &mut found).await?;
    }
    registry(cx, params, &mut found).await?;
    let Some(head) = head.filter(|_| found.problems.is_empty()) else { return Err(refusal(&found.problems)) };
    Ok(Output {
        short: head.commit.chars().take(12).collect(),
        commit: head.commit,
        branch: head.branch.unwrap_or_default(),
        version: params.version.clone(),
        number: number(&params.version).to_owned(),
        notes: found.notes,
    })
}

fn refusal(problems: &[String]) -> StepError {
    match problems {
        [one] => StepError::refused(one),
        many => StepError::refused(format!("{}:\n- {}", text::count(many.len(), "problem"), many.join("\n- "))),
    }
}

fn number(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

async fn version(cx: &Context, params: &Params, found: &mut Findings) -> Result<(), StepError> {
    let version = &params.version;
    if version.is_empty() {
        return Ok(());
    }
    if params.pattern.is_empty() {
        if version.strip_prefix('v').is_none_or(|number| semver::Version::parse(number).is_err()) {
            found.problem(format!("`{version}` is not a version like `v1.2.0`"));
        }
    } else {
        let pattern = Regex::new(&format!("^(?:{})$", params.pattern))
            .map_err(|error| StepError::refused(format!("`pattern` is not a regular expression: {error}")))?;
        if !pattern.is_match(version) {
            found.problem(format!("version `{version}` does not fit the pattern `{}`", params.pattern));
        }
    }
    if params.version_file.is_empty() {
        return Ok(());
    }
    let path = cx.path(&params.version_file)?;
    let file = &params.version_file;
    match cx.world.files.read(&cx.workdir, &path).await {
        Err(error) => found.problem(format!("cannot read `{file}`: {}", error.message)),
        Ok(None) => found.problem(format!("there is no `{file}`, which should hold `{}`", number(version))),
        Ok(Some(content)) => {
            let holds = String::from_utf8_lossy(&content.bytes).trim().to_owned();
            if holds != number(version) {
                found.problem(format!(
                    "`{file}` holds `{}`, the release is `{}`: write it, commit and push before releasing",
                    text::quote(cx, &holds),
                    number(version)
                ));
            }
        }
    }
    Ok(())
}

async fn clean(cx: &Context, params: &Params, found: &mut Findings) -> Result<(), StepError> {
    let strict = match params.clean {
        Clean::Tracked(false) => return Ok(()),
        Clean::Tracked(true) => false,
        Clean::Strict(Strict::Strict) => true,
    };
    let entries = match cx.world.git.status(&cx.workdir).await {
        Ok(entries) => entries,
        Err(error) if error.kind == PortErrorKind::Cancelled => return Err(error.into()),
        Err(error) => {
            found.problem(format!("cannot read the state of the working tree: {}", error.message));
            return Ok(());
        }
    };
    let (changed, untracked): (Vec<_>, Vec<_>) = entries.into_iter().partition(crate::world::StatusEntry::tracked);
    let paths = |entries: Vec<crate::world::StatusEntry>| entries.into_iter().map(|entry| entry.path).collect::<Vec<_>>();
    let (changed, untracked) = (paths(changed), paths(untracked));
    if !changed.is_empty() {
        found.problem(format!(
            "{} changed and not committed: {}",
            if changed.len() == 1 { "a file is".to_owned() } else { format!("{} files are", changed.len()) },
            text::some_of(&changed)
        ));
    }
    if strict && !untracked.is_empty() {
        found.problem(format!("{} not tracked by git: {}", text::count(untracked.len(), "file"), text::some_of(&untracked)));
    }
    Ok(())
}

fn branch(params: &Params, head: &Head, found: &mut Findings) {
    if params.branch.is_empty() {
        return;
    }
    match &head.branch {
        Some(branch) if *branch == params.branch => {}
        Some(branch) => {
            found.problem(format!(
                "HEAD is on branch `{branch}`, releases are cut from `{}`: `git switch {}`",
                params.branch, params.branch
            ));
        }
        None => found.problem(format!("HEAD is detached, releases are cut from `{}`: `git switch {}`", params.branch, params.branch)),
    }
}

/// The branch and the tag, here and on every remote that is named.
async fn remotes(cx: &Context, params: &Params, head: &Head, found: &mut Findings) -> Result<(), StepError> {
    if !params.tag.is_empty() {
        match cx.world.git.tag(&cx.workdir, &params.tag).await {
            Ok(Some(tag)) if tag.commit != head.commit => {
                found.problem(format!(
                    "tag `{}` is here already, on {} instead of HEAD {}",
                    params.tag,
                    short(&tag.commit),
                    short(&head.commit)
                ));
            }
            Ok(_) => {}
            Err(error) => found.problem(format!("cannot look for the tag `{}`: {}", params.tag, error.message)),
        }
    }
    let branch = if params.branch.is_empty() { head.branch.as_deref().unwrap_or_default() } else { &params.branch };
    let mut names: Vec<&String> = Vec::new();
    for name in std::iter::once(&params.remote).chain(&params.mirrors) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    let looks = join_all(names.iter().map(|name| remote(cx, params, head, branch, name)));
    let looks = cx.unless_cancelled(async { Ok::<_, StepError>(looks.await) }).await?;
    for look in looks {
        found.problems.extend(look.problems);
        found.notes.extend(look.notes);
    }
    Ok(())
}

async fn remote(cx: &Context, params: &Params, head: &Head, branch: &str, name: &str) -> Findings {
    let mut found = Findings::default();
    let is_main = name == params.remote;
    match cx.world.git.remote_url(&cx.workdir, name).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            found.problem(format!("there is no remote `{name}`: `git remote add {name} URL`"));
            return found;
        }
        Err(error) => {
            found.problem(format!("cannot read the remote `{name}`: {}", error.message));
            return found;
        }
    }
    let branch_ref = Some(format!("refs/heads/{branch}")).filter(|_| is_main && !branch.is_empty());
    let tag_ref = Some(format!("refs/tags/{}", params.tag)).filter(|_| !params.tag.is_empty());
    let patterns: Vec<String> = [&branch_ref, &tag_ref].into_iter().flatten().cloned().collect();
    if patterns.is_empty() {
        return found;
    }
    let refs = match cx.world.git.remote_refs(&cx.workdir, name, &patterns).await {
        Ok(refs) => refs,
        Err(error) if is_main => {
            found.problem(format!("remote `{name}` does not answer: {}", error.message));
            return found;
        }
        Err(error) => {
            found.notes.push(format!("mirror `{name}` does not answer, so it was not looked at: {}", error.message));
            return found;
        }
    };
    let at = |wanted: &str| refs.iter().find(|one| one.name == wanted).map(crate::world::RemoteRef::commit);
    if let Some(branch_ref) = &branch_ref {
        match at(branch_ref) {
            None => found.problem(format!("remote `{name}` has no branch `{branch}`: `git push {name} {branch}`")),
            Some(commit) if commit == head.commit => {}
            Some(commit) => found.problem(apart(cx, head, commit, name, branch).await),
        }
    }
    if let Some(commit) = tag_ref.as_deref().and_then(at).filter(|commit| *commit != head.commit) {
        let (tag, there, here) = (&params.tag, short(commit), short(&head.commit));
        found.problem(format!("tag `{tag}` is on `{name}` already, on {there} instead of HEAD {here}"));
    }
    found
}

/// How HEAD and the remote's branch differ, in words.
async fn apart(cx: &Context, head: &Head, remote: &str, name: &str, branch: &str) -> String {
    let dir: &Path = &cx.workdir;
    if let Some(number) = distance(cx, dir, &head.commit, remote).await {
        return format!("HEAD is {} ahead of `{name}/{branch}`: `git push {name} {branch}`", text::count(number, "commit"));
    }
    if let Some(number) = distance(cx, dir, remote, &head.commit).await {
        return format!("HEAD is {} behind `{name}/{branch}`: `git pull --ff-only {name} {branch}`", text::count(number, "commit"));
    }
    format!(
        "HEAD {} and `{name}/{branch}` at {} are apart: `git fetch {name}`, then bring them together",
        short(&head.commit),
        short(remote)
    )
}

/// How many first parents lie between a commit and an earlier one, if it is not too far.
async fn distance(cx: &Context, dir: &Path, from: &str, to: &str) -> Option<usize> {
    for number in 1..=FAR {
        match cx.world.git.resolve(dir, &format!("{from}~{number}")).await {
            Ok(Some(commit)) if commit == to => return Some(number),
            Ok(Some(_)) => {}
            _ => return None,
        }
    }
    None
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn image(params: &Params) -> Option<Result<ImageRef, StepError>> {
    (!params.image.is_empty()).then(|| Ok(ImageRef::parse(&params.image)?))
}

async fn registry(cx: &Context, params: &Params, found: &mut Findings) -> Result<(), StepError> {
    let Some(image) = image(params).transpose()? else { return Ok(()) };
    if let Err(error) = cx.unless_cancelled(cx.world.docker.engine()).await {
        if error.class == Class::Cancelled {
            return Err(error);
        }
        found.problem(format!("the container engine does not answer: {}", told(error)));
    }
    let auth = params.registry_auth.as_ref();
    let who = match auth::credentials(cx, auth, &image.registry).await {
        Ok(who) => who,
        Err(error) => {
            found.problem(format!("no credentials for `{}`: {}", image.registry, told(error)));
            return Ok(());
        }
    };
    let proving = async { cx.world.registry.prove_push(&image, &who).await.map_err(|error| auth::explain(error, auth, &image.registry)) };
    match cx.unless_cancelled(proving).await {
        Ok(()) => Ok(()),
        Err(error) if error.class == Class::Cancelled => Err(error),
        Err(error) => {
            found.problem(format!("`{}` cannot be pushed: {}", image.name(), told(error)));
            Ok(())
        }
    }
}

/// An error with its hint, on one line.
fn told(error: StepError) -> String {
    match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    }
}
