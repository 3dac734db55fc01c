//! Makes an annotated tag, and with `remote` also pushes it there and reads it back.
//!
//! A tag that is already on the same commit is success, whatever its message; on another commit it is refused and never moved. Where
//! the remote has the tag already and this repository has not, it is fetched, so that both keep the same object.
//!
//! Going back deletes the tag object that this run made, on the remote and here, each only while it still is that object. A tag that
//! was there before stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::world::{NewTag, RefUpdate, RemoteRef, Tag};

/// The kind `git-tag`.
#[derive(Debug, Clone, Copy)]
pub struct GitTag;

/// Which tag.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the tag, without `refs/tags/`.
    pub tag: String,
    /// What to tag: a commit, a branch or another revision.
    #[serde(default = "head")]
    pub r#ref: String,
    /// The tag's message. Left out: its name.
    pub message: Option<String>,
    /// Sign with the user's key.
    #[serde(default)]
    pub sign: bool,
    /// A remote to push the tag to.
    pub remote: Option<String>,
}

fn head() -> String {
    "HEAD".to_owned()
}

/// What was there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The commit to be tagged.
    pub commit: String,
    /// Object of the local tag, if there was one.
    pub local: Option<String>,
    /// Object of the remote's tag, if there was one.
    pub remote: Option<String>,
}

/// The tag.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The commit it is on.
    pub commit: String,
    /// The tag object, on the remote where one is named.
    pub tag_object: String,
}

/// What there is now.
struct Found {
    commit: String,
    local: Option<Tag>,
    remote: Option<RemoteRef>,
}

impl Step for GitTag {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "git-tag",
        version: 1,
        summary: "Makes an annotated tag and can push it",
        example: r#"
[[steps]]
id   = "tag"
uses = "git-tag"
with = { tag = "v1.2.0", ref = "HEAD", message = "Release v1.2.0", remote = "origin" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Reverse, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if params.tag.is_empty() || params.tag.starts_with('-') || params.tag.starts_with("refs/") {
            problems.push(format!("`{}` is not the name of a tag; write it without `refs/tags/`, such as `v1.2.0`", params.tag));
        }
        if params.message.as_deref().is_some_and(|message| message.trim().is_empty()) {
            problems.push("`message` is empty; leave it out for the tag's name".to_owned());
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let found = look(cx, params).await?;
        if let Some((expected, there)) = found.elsewhere(params) {
            return Ok(Probe::Diverged { expected, found: there });
        }
        if let Some(output) = found.complete(params) {
            return Ok(Probe::Present { output });
        }
        let short = found.commit.get(..12).unwrap_or(&found.commit);
        let mut changes = Vec::new();
        if found.local.is_none() {
            changes.push(Change::new(format!("create tag `{}` on {short}", params.tag)));
        }
        if let (Some(remote), None) = (&params.remote, &found.remote) {
            changes.push(Change::new(format!("push tag `{}` to `{remote}`", params.tag)));
        }
        let before = Before { commit: found.commit, local: found.local.map(|tag| tag.object), remote: found.remote.map(|tag| tag.object) };
        Ok(Probe::Absent { before, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let mut found = look(cx, params).await?;
        if let Some(before) = before
            && before.commit != found.commit
        {
            // The ref has moved since the plan was made: the tag belongs on what was planned.
            found.commit.clone_from(&before.commit);
        }
        if let Some((expected, there)) = found.elsewhere(params) {
            return Err(StepError::conflict(format!("expected {expected}, found {there}"))
                .hint("a tag is never moved: choose another version, or delete the tag by hand if it is wrong"));
        }
        let (git, dir) = (&cx.world.git, &cx.workdir);
        if found.local.is_none() {
            cx.proceed()?;
            found.local = Some(match (&params.remote, &found.remote) {
                (Some(remote), Some(_)) => {
                    git.fetch(dir, remote, true, &*cx.output).await?;
                    let fetched = git.tag(dir, &params.tag).await?;
                    fetched.ok_or_else(|| StepError::permanent(format!("`{remote}` has tag `{}`, but does not give it", params.tag)))?
                }
                _ => git.create_tag(dir, &params.new_tag(&found.commit)).await?,
            });
        }
        if let (Some(remote), None, Some(local)) = (&params.remote, &found.remote, &found.local) {
            cx.proceed()?;
            push(cx, remote, &params.full_name(), Some(&local.object), "").await?;
            found.remote = remote_tag(cx, params).await?;
        }
        found.complete(params).ok_or_else(|| {
            let remote = params.remote.as_deref().unwrap_or_default();
            StepError::permanent(format!("`{remote}` took tag `{}`, but shows another one or none", params.tag))
                .hint(format!("look with `git ls-remote {remote} {}`", params.full_name()))
        })
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused(format!("whether tag `{}` was there before is not known", params.tag)));
        };
        let (git, dir) = (&cx.world.git, &cx.workdir);
        if let (Some(remote), None) = (&params.remote, &before.remote)
            && let Some(there) = remote_tag(cx, params).await?
            && ours(&format!("on `{remote}`"), params, before, output, &there.object, there.commit())?
        {
            push(cx, remote, &params.full_name(), None, &there.object).await?;
        }
        if before.local.is_none()
            && let Some(here) = git.tag(dir, &params.tag).await?
            && ours("here", params, before, output, &here.object, &here.commit)?
        {
            git.delete_tag(dir, &params.tag, &here.object).await?;
        }
        Ok(())
    }
}

impl Params {
    fn full_name(&self) -> String {
        format!("refs/tags/{}", self.tag)
    }

    fn new_tag(&self, commit: &str) -> NewTag {
        let message = self.message.clone().unwrap_or_else(|| self.tag.clone());
        NewTag { name: self.tag.clone(), commit: commit.to_owned(), message, sign: self.sign }
    }
}

impl Found {
    /// What should be, and what is there instead, where the tag is on another commit.
    fn elsewhere(&self, params: &Params) -> Option<(String, String)> {
        let expected = || format!("tag `{}` on commit {}", params.tag, self.commit);
        let local = self.local.as_ref().filter(|tag| tag.commit != self.commit);
        if let Some(tag) = local {
            return Some((expected(), format!("it here on commit {}", tag.commit)));
        }
        let remote = params.remote.as_ref().zip(self.remote.as_ref());
        let (name, tag) = remote.filter(|(_, tag)| tag.commit() != self.commit)?;
        Some((expected(), format!("it on `{name}` on commit {}", tag.commit())))
    }

    /// The output, where nothing is left to do.
    fn complete(&self, params: &Params) -> Option<Output> {
        let local = self.local.as_ref()?;
        let object = match &params.remote {
            Some(_) => &self.remote.as_ref()?.object,
            None => &local.object,
        };
        Some(Output { commit: self.commit.clone(), tag_object: object.clone() })
    }
}

async fn look(cx: &Context, params: &Params) -> Result<Found, StepError> {
    if let Some(problem) = GitTag.check(params).into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let resolved = cx.world.git.resolve(&cx.workdir, &params.r#ref).await?;
    let commit = resolved.ok_or_else(|| {
        StepError::permanent(format!("there is no commit `{}` to tag", params.r#ref)).hint("fetch it first, or correct `ref`")
    })?;
    let local = cx.world.git.tag(&cx.workdir, &params.tag).await?;
    Ok(Found { commit, local, remote: remote_tag(cx, params).await? })
}

async fn remote_tag(cx: &Context, params: &Params) -> Result<Option<RemoteRef>, StepError> {
    let Some(remote) = &params.remote else { return Ok(None) };
    let name = params.full_name();
    let found = cx.world.git.remote_refs(&cx.workdir, remote, std::slice::from_ref(&name)).await?;
    Ok(found.into_iter().find(|one| one.name == name))
}

async fn push(cx: &Context, remote: &str, name: &str, object: Option<&str>, expected: &str) -> Result<(), StepError> {
    let update = RefUpdate { name: name.to_owned(), object: object.map(str::to_owned), expected: Some(expected.to_owned()) };
    Ok(cx.world.git.push(&cx.workdir, remote, &[update], false, &*cx.output).await?)
}

/// Whether a tag that was not there before is the one this run made: the recorded object or, where the run was cut off before it
/// could record one, a tag on our commit.
fn ours(place: &str, params: &Params, before: &Before, output: Option<&Output>, object: &str, commit: &str) -> Result<bool, StepError> {
    let made = match output {
        Some(output) => output.tag_object == object,
        None => commit == before.commit,
    };
    if made || output.is_none() {
        return Ok(made);
    }
    Err(StepError::conflict(format!("tag `{}` {place} is `{object}`, not the one this run made", params.tag))
        .hint("somebody replaced it: decide by hand whether it stays, then go on with the rollback"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeRef, FakeWorld, Remote, Repo};

    fn world() -> (FakeWorld, Context) {
        let fake = FakeWorld::new();
        fake.edit(|state| {
            let mut repo = Repo::default();
            repo.head = repo.add_commit(&[], &[("a", "1")]);
            repo.remotes.insert("origin".into(), Remote::default());
            state.repos.insert("/acme".into(), repo);
        });
        let cx = Context::bare(fake.world(), Path::new("/acme"));
        (fake, cx)
    }

    fn repo<T>(fake: &FakeWorld, change: impl FnOnce(&mut Repo) -> T) -> T {
        fake.edit(|state| change(state.repos.get_mut(Path::new("/acme")).unwrap()))
    }

    fn params() -> Value {
        json!({ "tag": "v1", "message": "one", "remote": "origin" })
    }

    async fn probe(cx: &Context) -> Probe<Value, Value> {
        StepType::probe(&GitTag, cx, &params()).await.unwrap()
    }

    async fn before(cx: &Context) -> Value {
        match probe(cx).await {
            Probe::Absent { before, .. } => before,
            other => panic!("the probe answers {}", other.name()),
        }
    }

    #[tokio::test]
    async fn a_tag_on_the_same_commit_is_success_and_on_another_is_never_moved() {
        let (fake, cx) = world();
        let head = repo(&fake, |repo| repo.head.clone());
        let tagged = FakeRef::annotated("0b1ec7", &head, "another message");
        repo(&fake, |repo| {
            repo.tags.insert("v1".into(), tagged.clone());
            repo.remotes.get_mut("origin").unwrap().refs.insert("refs/tags/v1".into(), tagged);
        });
        let Probe::Present { output } = probe(&cx).await else { panic!("not present") };
        assert_eq!(output, json!({ "commit": head, "tag_object": "0b1ec7" }));
        repo(&fake, |repo| repo.head = repo.add_commit(&[], &[("a", "2")]));
        assert_eq!(probe(&cx).await.name(), "diverged");
        let snapshot = fake.snapshot();
        let error = StepType::run(&GitTag, &cx, &params(), None).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        repo(&fake, |repo| repo.tags.clear());
        assert_eq!(probe(&cx).await.name(), "diverged", "the remote alone counts as well");
        StepType::run(&GitTag, &cx, &params(), None).await.unwrap_err();
        repo(&fake, |repo| repo.tags.insert("v1".into(), FakeRef::annotated("0b1ec7", &head, "another message")));
        assert_eq!(fake.snapshot(), snapshot);
    }

    #[tokio::test]
    async fn a_tag_that_only_the_remote_has_is_fetched_and_stays_there() {
        let (fake, cx) = world();
        repo(&fake, |repo| {
            let tag = FakeRef::annotated("0b1ec7", &repo.head, "theirs");
            repo.remotes.get_mut("origin").unwrap().refs.insert("refs/tags/v1".into(), tag);
        });
        let start = fake.snapshot();
        let before = before(&cx).await;
        let output = StepType::run(&GitTag, &cx, &params(), Some(&before)).await.unwrap();
        assert_eq!(output["tag_object"], "0b1ec7");
        assert_eq!(repo(&fake, |repo| repo.tags["v1"].object.clone()), "0b1ec7");
        StepType::undo(&GitTag, &cx, &params(), Some(&before), Some(&output)).await.unwrap();
        assert_eq!(fake.snapshot(), start);
    }

    #[tokio::test]
    async fn going_back_leaves_what_others_made() {
        let (fake, cx) = world();
        let before = before(&cx).await;
        let output = StepType::run(&GitTag, &cx, &params(), Some(&before)).await.unwrap();
        let head = repo(&fake, |repo| repo.head.clone());
        let theirs = FakeRef::annotated("7he125", &head, "theirs");
        repo(&fake, |repo| repo.remotes.get_mut("origin").unwrap().refs.insert("refs/tags/v1".into(), theirs));
        let snapshot = fake.snapshot();
        let error = StepType::undo(&GitTag, &cx, &params(), Some(&before), Some(&output)).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        assert_eq!(fake.snapshot(), snapshot);
    }

    #[tokio::test]
    async fn a_push_that_is_taken_but_not_shown_is_an_error() {
        let (fake, cx) = world();
        let before = before(&cx).await;
        fake.edit(|state| state.repos.get_mut(Path::new("/acme")).unwrap().remotes.get_mut("origin").unwrap().read_only = true);
        let error = StepType::run(&GitTag, &cx, &params(), Some(&before)).await.unwrap_err();
        assert_eq!(error.class, Class::Permanent);
        for tag in ["", "-d", "refs/tags/v1"] {
            assert_eq!(StepType::check(&GitTag, &json!({ "tag": tag })).len(), 1, "{tag}");
        }
    }
}
