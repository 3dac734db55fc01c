//! Fetches branches and tags of a remote, and says what a tag or a branch is there.
//!
//! With `verify`, the tag must be on the remote, and the local tag of that name must be the same object: a tag that was moved on
//! one side is an error, never overwritten. With `signature = "required"` git must also accept the tag's signature. Nothing but
//! what git itself keeps of the remote changes, so there is nothing to take back; the step always looks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::world::RemoteRef;

/// The kind `git-fetch`.
#[derive(Debug, Clone, Copy)]
pub struct GitFetch;

/// What to fetch.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the remote.
    #[serde(default = "origin")]
    pub remote: String,
    /// Whether to fetch all tags as well.
    #[serde(default = "yes")]
    pub tags: bool,
    /// A tag that must be there, on the remote and then here, as the same object. Its commit becomes the output.
    pub verify: Option<String>,
    /// Whether the tag of `verify` must bear a signature that git accepts.
    #[serde(default)]
    pub signature: Signature,
    /// A branch of the remote whose commit becomes the output, where no tag is verified.
    pub branch: Option<String>,
}

/// What is asked of a tag's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// It is not looked at.
    #[default]
    Ignored,
    /// Git must accept it.
    Required,
}

fn origin() -> String {
    "origin".to_owned()
}

fn yes() -> bool {
    true
}

/// There is nothing to go back to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {}

/// What was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Commit of the tag or the branch that was asked for.
    pub commit: Option<String>,
    /// Object of the tag that was verified.
    pub tag_object: Option<String>,
}

impl Step for GitFetch {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "git-fetch",
        version: 1,
        summary: "Fetches branches and tags of a remote and checks a tag",
        example: r#"
[[steps]]
id   = "fetch"
uses = "git-fetch"
with = { remote = "origin", verify = "v1.2.0" }
"#,
        behaviour: Behaviour { effect: Effect::ReadOnly, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if params.signature == Signature::Required && params.verify.is_none() {
            problems.push("`signature` is required, but `verify` names no tag".to_owned());
        }
        if params.verify.is_some() && params.branch.is_some() {
            problems.push("`verify` and `branch` both name what becomes the output; keep one".to_owned());
        }
        if params.verify.is_some() && !params.tags {
            problems.push("`verify` needs the tags, which `tags = false` leaves out".to_owned());
        }
        problems
    }

    async fn probe(&self, _cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let summary = match &params.verify {
            Some(tag) => format!("fetch from `{}` and check tag `{tag}`", params.remote),
            None => format!("fetch from `{}`", params.remote),
        };
        Ok(Probe::Absent { before: Before {}, changes: vec![Change::new(summary)] })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        if let Some(problem) = self.check(params).into_iter().next() {
            return Err(StepError::refused(problem));
        }
        let (git, dir, remote) = (&cx.world.git, &cx.workdir, params.remote.as_str());
        let wanted = match &params.verify {
            Some(tag) => {
                let found = remote_ref(cx, remote, &format!("refs/tags/{tag}")).await?;
                let there = found.ok_or_else(|| no_such(remote, "tag", tag))?;
                refuse_moved(cx, tag, &there, remote).await?;
                Some(there)
            }
            None => None,
        };
        cx.proceed()?;
        git.fetch(dir, remote, params.tags, &*cx.output).await?;
        if let (Some(tag), Some(there)) = (&params.verify, wanted) {
            refuse_moved(cx, tag, &there, remote).await?;
            let here = git.tag(dir, tag).await?.ok_or_else(|| no_such(remote, "tag", tag))?;
            if params.signature == Signature::Required {
                git.verify_tag(dir, tag).await.map_err(|error| StepError::from(error).context(format_args!("signature of tag `{tag}`")))?;
            }
            return Ok(Output { commit: Some(here.commit), tag_object: Some(here.object) });
        }
        let commit = match &params.branch {
            Some(branch) => {
                let found = git.resolve(dir, &format!("refs/remotes/{remote}/{branch}")).await?;
                Some(found.ok_or_else(|| no_such(remote, "branch", branch))?)
            }
            None => None,
        };
        Ok(Output { commit, tag_object: None })
    }

    async fn undo(&self, _cx: &Context, _params: &Params, _before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        Ok(())
    }
}

async fn remote_ref(cx: &Context, remote: &str, name: &str) -> Result<Option<RemoteRef>, StepError> {
    let found = cx.world.git.remote_refs(&cx.workdir, remote, &[name.to_owned()]).await?;
    Ok(found.into_iter().find(|one| one.name == name))
}

/// A tag that is here and there, but not the same, was moved by somebody.
async fn refuse_moved(cx: &Context, tag: &str, there: &RemoteRef, remote: &str) -> Result<(), StepError> {
    match cx.world.git.tag(&cx.workdir, tag).await? {
        Some(here) if here.object != there.object => Err(StepError::conflict(format!(
            "tag `{tag}` is `{}` here and `{}` on `{remote}`: it was moved on one side",
            here.object, there.object
        ))
        .hint(format!("find out which one is right; `git tag -d {tag}` drops the one here"))),
        _ => Ok(()),
    }
}

fn no_such(remote: &str, what: &str, name: &str) -> StepError {
    StepError::permanent(format!("`{remote}` has no {what} `{name}`")).hint(format!("push it to `{remote}`, or correct the name"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeRef, FakeWorld, Remote, Repo};

    const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

    fn world() -> (FakeWorld, Context) {
        let fake = FakeWorld::new();
        fake.edit(|state| {
            let mut remote = Remote::default();
            remote.commits.insert(COMMIT.into(), crate::world::fake::Commit::default());
            remote.refs.insert("refs/heads/main".into(), FakeRef::commit(COMMIT));
            remote.refs.insert("refs/tags/v1".into(), FakeRef::annotated("0b1ec7", COMMIT, "one"));
            let mut repo = Repo::default();
            repo.remotes.insert("origin".into(), remote);
            state.repos.insert("/acme".into(), repo);
        });
        let cx = Context::bare(fake.world(), Path::new("/acme"));
        (fake, cx)
    }

    async fn run(cx: &Context, params: Value) -> Result<Value, StepError> {
        StepType::run(&GitFetch, cx, &params, None).await
    }

    #[tokio::test]
    async fn a_tag_or_a_branch_becomes_the_output() {
        let (_, cx) = world();
        let tag = run(&cx, json!({ "verify": "v1" })).await.unwrap();
        assert_eq!(tag, json!({ "commit": COMMIT, "tag_object": "0b1ec7" }));
        let branch = run(&cx, json!({ "branch": "main" })).await.unwrap();
        assert_eq!(branch, json!({ "commit": COMMIT, "tag_object": null }));
        assert!(run(&cx, json!({ "verify": "v2" })).await.unwrap_err().message.contains("no tag `v2`"));
        assert!(run(&cx, json!({ "branch": "x" })).await.unwrap_err().message.contains("no branch `x`"));
    }

    #[tokio::test]
    async fn a_tag_that_was_moved_is_not_overwritten() {
        let (fake, cx) = world();
        fake.edit(|state| {
            let repo = state.repos.get_mut(Path::new("/acme")).unwrap();
            repo.tags.insert("v1".into(), FakeRef::annotated("01d", COMMIT, "one"));
        });
        let error = run(&cx, json!({ "verify": "v1" })).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        assert!(error.message.contains("01d") && error.message.contains("0b1ec7"), "{error}");
    }

    #[tokio::test]
    async fn a_signature_that_is_required_must_be_accepted() {
        let (fake, cx) = world();
        let params = json!({ "verify": "v1", "signature": "required" });
        assert!(run(&cx, params.clone()).await.unwrap_err().message.contains("signature of tag `v1`"));
        fake.edit(|state| state.repos.get_mut(Path::new("/acme")).unwrap().tags.get_mut("v1").unwrap().signed = true);
        run(&cx, params).await.unwrap();
        assert_eq!(StepType::check(&GitFetch, &json!({ "signature": "required" })).len(), 1);
    }

    #[tokio::test]
    async fn a_remote_that_is_away_may_come_back() {
        let (fake, cx) = world();
        fake.edit(|state| state.repos.get_mut(Path::new("/acme")).unwrap().remotes.get_mut("origin").unwrap().down = true);
        assert_eq!(run(&cx, json!({})).await.unwrap_err().class, Class::Transient);
    }
}
