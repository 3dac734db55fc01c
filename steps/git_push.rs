//! Pushes branches and tags to a remote: those that are named, never all.
//!
//! A ref that is already there is left alone. A tag that is something else on the remote is refused unless `force` is set; a
//! branch is moved forward as git allows it, and anywhere with `force`. Even then the push only replaces what was seen before
//! it, so nobody else's push is lost. Afterwards the remote is read back.
//!
//! A push is a one-way step, since others may have fetched it the moment after. With `undo = "delete"`, going back deletes refs that were
//! not there before, while they still are what this run pushed; refs that stood elsewhere are put back only with `force`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::world::RefUpdate;

/// The kind `git-push`.
#[derive(Debug, Clone, Copy)]
pub struct GitPush;

/// What to push.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the remote.
    pub remote: String,
    /// Full names such as `refs/heads/main`, or names of tags.
    pub refs: Vec<String>,
    /// Replace what stands elsewhere on the remote.
    #[serde(default)]
    pub force: bool,
    /// How to go back; left out, it cannot be.
    pub undo: Option<UndoBy>,
}

/// How a push is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoBy {
    /// By deleting what was not there before.
    Delete,
}

/// What was there, by full name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The refs.
    pub refs: BTreeMap<String, RefBefore>,
}

/// One ref before the push.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefBefore {
    /// Our object.
    pub ours: String,
    /// The remote's object, if it had the ref.
    pub theirs: Option<String>,
}

/// What the remote has now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The refs by full name.
    pub refs: BTreeMap<String, Pushed>,
}

/// One ref on the remote.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Pushed {
    /// The commit.
    pub commit: String,
    /// The object: that of the tag for an annotated tag, else the commit.
    pub object: String,
}

struct Local {
    object: String,
    commit: String,
}

/// One ref here and there.
struct Pair {
    name: String,
    here: Local,
    there: Option<String>,
}

impl Step for GitPush {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "git-push",
        version: 1,
        summary: "Pushes named branches and tags to a remote",
        example: r#"
[[steps]]
id   = "mirror"
uses = "git-push"
with = { remote = "codeberg", refs = ["refs/heads/main", "refs/tags/v1.2.0"], undo = "delete" }
"#,
        behaviour: Behaviour { effect: Effect::OneWay, repeat: Repeat::Safe, undo: Undo::Impossible, probes: true },
    };

    fn behaviour(&self, with: &Value) -> Behaviour {
        match with.get("undo") {
            Some(Value::String(_)) => Behaviour { effect: Effect::Reversible, undo: Undo::Reverse, ..Self::META.behaviour },
            _ => Self::META.behaviour,
        }
    }

    fn check(&self, params: &Params) -> Vec<String> {
        let bad = |name: &&String| name.is_empty() || name.starts_with('-') || name.contains([':', '*', '^', ' ', '\\']);
        let mut problems: Vec<_> =
            params.refs.iter().filter(bad).map(|name| format!("`{name}` is not the name of a ref to push")).collect();
        if params.refs.is_empty() {
            problems.push("`refs` names nothing to push".to_owned());
        }
        problems
    }

    async fn undo_obstacle(&self, cx: &Context, params: &Params) -> Option<String> {
        if params.undo.is_none() || params.force {
            return None;
        }
        let pairs = look(cx, params).await.ok()?;
        let moved = pairs.iter().find(|pair| pair.there.is_some() && !pair.is_there())?;
        Some(format!("`{}` is moved on, which is not taken back without `force`", moved.name))
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let pairs = look(cx, params).await?;
        if pairs.iter().all(Pair::is_there) {
            return Ok(Probe::Present { output: output(&pairs) });
        }
        if let Some(pair) = pairs.iter().find(|pair| pair.is_refused(params)) {
            let there = pair.there.as_deref().unwrap_or_default();
            return Ok(Probe::Diverged {
                expected: format!("`{}` on `{}` at `{}`", pair.name, params.remote, pair.here.object),
                found: format!("it at `{there}`"),
            });
        }
        let changes = pairs.iter().filter(|pair| !pair.is_there()).map(|pair| pair.change(params)).collect();
        let refs = pairs.into_iter().map(|pair| (pair.name, RefBefore { ours: pair.here.object, theirs: pair.there })).collect();
        Ok(Probe::Absent { before: Before { refs }, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let pairs = look(cx, params).await?;
        let mut updates = Vec::new();
        for pair in pairs.iter().filter(|pair| !pair.is_there()) {
            let planned = before.and_then(|before| before.refs.get(&pair.name));
            if planned.is_some_and(|planned| planned.ours != pair.here.object) {
                return Err(StepError::conflict(format!("`{}` moved here while the step was on its way", pair.name))
                    .hint("run the formula anew, so that it sees what it pushes"));
            }
            if planned.is_some_and(|planned| planned.theirs != pair.there) || pair.is_refused(params) {
                let there = pair.there.as_deref().unwrap_or("gone");
                return Err(StepError::conflict(format!("`{}` moved: it is `{there}` on `{}`", pair.name, params.remote))
                    .hint("find out who moved it; then run the formula anew"));
            }
            updates.push(pair.update());
        }
        if updates.is_empty() {
            return Ok(output(&pairs));
        }
        cx.proceed()?;
        cx.world.git.push(&cx.workdir, &params.remote, &updates, params.force, &*cx.output).await?;
        let pairs = look(cx, params).await?;
        match pairs.iter().find(|pair| !pair.is_there()) {
            None => Ok(output(&pairs)),
            Some(pair) => Err(StepError::permanent(format!("`{}` took `{}`, but does not show it", params.remote, pair.name))
                .hint(format!("look with `git ls-remote {} {}`", params.remote, pair.name))),
        }
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        if params.undo.is_none() {
            return Err(StepError::refused("a push is not taken back").hint("`undo = \"delete\"` in the step's `with` would allow it"));
        }
        let Some(before) = before else {
            return Err(StepError::refused(format!("what `{}` had before is not known", params.remote)));
        };
        let names: Vec<_> = before.refs.keys().cloned().collect();
        let there = remote_objects(cx, params, &names).await?;
        let mut updates = Vec::new();
        for (name, was) in &before.refs {
            let now = there.get(name);
            if now == was.theirs.as_ref() || now.is_none() {
                continue;
            }
            if now != Some(&was.ours) {
                return Err(StepError::conflict(format!("`{name}` on `{}` is not what this run pushed", params.remote))
                    .hint("somebody moved it: decide by hand whether it stays, then go on with the rollback"));
            }
            if was.theirs.is_some() && !params.force {
                return Err(StepError::conflict(format!(
                    "`{name}` on `{}` was moved on, which is not taken back without `force`",
                    params.remote
                ))
                .hint("revert by a new commit, then go on with the rollback"));
            }
            updates.push(RefUpdate { name: name.clone(), object: was.theirs.clone(), expected: Some(was.ours.clone()) });
        }
        if !updates.is_empty() {
            cx.world.git.push(&cx.workdir, &params.remote, &updates, params.force, &*cx.output).await?;
        }
        Ok(())
    }
}

impl Pair {
    fn is_there(&self) -> bool {
        self.there.as_ref() == Some(&self.here.object)
    }

    /// Whether it stands elsewhere and may not be replaced. Whether a branch can be moved forward is for git to say.
    fn is_refused(&self, params: &Params) -> bool {
        !self.is_there() && self.there.is_some() && !params.force && !self.name.starts_with("refs/heads/")
    }

    /// Only from what was seen.
    fn update(&self) -> RefUpdate {
        let expected = Some(self.there.clone().unwrap_or_default());
        RefUpdate { name: self.name.clone(), object: Some(self.here.object.clone()), expected }
    }

    fn change(&self, params: &Params) -> Change {
        let (name, remote) = (&self.name, &params.remote);
        let short = |object: &str| object.get(..12).unwrap_or(object).to_owned();
        let here = short(&self.here.object);
        Change::new(match (&self.there, params.force) {
            (None, _) => format!("create `{name}` on `{remote}` at {here}"),
            (Some(there), false) => format!("move `{name}` on `{remote}` forward from {} to {here}", short(there)),
            (Some(there), true) => format!("replace `{name}` on `{remote}`, now {}, by {here}", short(there)),
        })
    }
}

fn output(pairs: &[Pair]) -> Output {
    let pushed = |pair: &Pair| Pushed { commit: pair.here.commit.clone(), object: pair.here.object.clone() };
    Output { refs: pairs.iter().map(|pair| (pair.name.clone(), pushed(pair))).collect() }
}

async fn look(cx: &Context, params: &Params) -> Result<Vec<Pair>, StepError> {
    if let Some(problem) = GitPush.check(params).into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let mut found = Vec::new();
    for name in &params.refs {
        let full = if name.starts_with("refs/") { name.clone() } else { format!("refs/tags/{name}") };
        found.push((local(cx, &full).await?, full));
    }
    let names: Vec<_> = found.iter().map(|(_, name)| name.clone()).collect();
    let mut there = remote_objects(cx, params, &names).await?;
    Ok(found.into_iter().map(|(here, name)| Pair { there: there.remove(&name), name, here }).collect())
}

async fn local(cx: &Context, name: &str) -> Result<Local, StepError> {
    let found = match name.strip_prefix("refs/tags/") {
        Some(tag) => cx.world.git.tag(&cx.workdir, tag).await?.map(|tag| Local { object: tag.object, commit: tag.commit }),
        None => cx.world.git.resolve(&cx.workdir, name).await?.map(|commit| Local { object: commit.clone(), commit }),
    };
    found.ok_or_else(|| {
        StepError::permanent(format!("there is no `{name}` here to push")).hint("write branches in full, such as `refs/heads/main`")
    })
}

async fn remote_objects(cx: &Context, params: &Params, names: &[String]) -> Result<BTreeMap<String, String>, StepError> {
    let found = cx.world.git.remote_refs(&cx.workdir, &params.remote, names).await?;
    Ok(found.into_iter().map(|one| (one.name, one.object)).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeRef, FakeWorld, Remote, Repo};

    /// `old` is an ancestor of `head`, `other` is not.
    fn world() -> (FakeWorld, Context, [String; 3]) {
        let fake = FakeWorld::new();
        let commits = fake.edit(|state| {
            let mut repo = Repo::default();
            let old = repo.add_commit(&[], &[("a", "1")]);
            let other = repo.add_commit(&[], &[("a", "x")]);
            let head = repo.add_commit(&[&old], &[("a", "2")]);
            repo.branches.insert("main".into(), head.clone());
            repo.tags.insert("v1".into(), FakeRef::annotated("0b1ec7", &head, "one"));
            repo.tags.insert("v2".into(), FakeRef::annotated("0b1ec8", &head, "two"));
            repo.remotes.insert("origin".into(), Remote::default());
            state.repos.insert("/acme".into(), repo);
            [old, other, head]
        });
        let cx = Context::bare(fake.world(), Path::new("/acme"));
        (fake, cx, commits)
    }

    fn there(fake: &FakeWorld, name: &str, commit: &str) {
        fake.edit(|state| {
            let repo = state.repos.get_mut(Path::new("/acme")).unwrap();
            repo.remotes.get_mut("origin").unwrap().refs.insert(name.into(), FakeRef::commit(commit));
        });
    }

    async fn probe(cx: &Context, params: &Value) -> Probe<Value, Value> {
        StepType::probe(&GitPush, cx, params).await.unwrap()
    }

    async fn push(cx: &Context, params: &Value) -> Result<Value, StepError> {
        let Probe::Absent { before, .. } = probe(cx, params).await else { panic!("not absent") };
        StepType::run(&GitPush, cx, params, Some(&before)).await.map(|_| before)
    }

    #[tokio::test]
    async fn only_what_is_named_is_pushed() {
        let (fake, cx, [_, _, head]) = world();
        push(&cx, &json!({ "remote": "origin", "refs": ["v1", "refs/heads/main"] })).await.unwrap();
        let refs = fake.state().repos[Path::new("/acme")].remotes["origin"].refs.clone();
        assert_eq!(refs.keys().collect::<Vec<_>>(), ["refs/heads/main", "refs/tags/v1"]);
        assert_eq!(refs["refs/tags/v1"].object, "0b1ec7");
        assert_eq!(refs["refs/tags/v1"].commit, head);
    }

    #[tokio::test]
    async fn a_branch_moves_forward_and_nowhere_else_without_force() {
        let (fake, cx, [old, other, head]) = world();
        let params = json!({ "remote": "origin", "refs": ["refs/heads/main"] });
        there(&fake, "refs/heads/main", &old);
        push(&cx, &params).await.unwrap();
        there(&fake, "refs/heads/main", &other);
        assert_eq!(push(&cx, &params).await.unwrap_err().class, Class::Conflict);
        let forced = json!({ "remote": "origin", "refs": ["refs/heads/main"], "force": true, "undo": "delete" });
        let before = push(&cx, &forced).await.unwrap();
        let at = |fake: &FakeWorld| fake.state().repos[Path::new("/acme")].remotes["origin"].refs["refs/heads/main"].commit.clone();
        assert_eq!(at(&fake), head);
        StepType::undo(&GitPush, &cx, &forced, Some(&before), None).await.unwrap();
        assert_eq!(at(&fake), other);
    }

    #[tokio::test]
    async fn a_tag_that_is_something_else_is_refused_and_a_push_between_is_not_lost() {
        let (fake, cx, [old, other, _]) = world();
        let params = json!({ "remote": "origin", "refs": ["v1"] });
        there(&fake, "refs/tags/v1", &other);
        assert_eq!(probe(&cx, &params).await.name(), "diverged");
        assert_eq!(StepType::run(&GitPush, &cx, &params, None).await.unwrap_err().class, Class::Conflict);
        let forced = json!({ "remote": "origin", "refs": ["v1"], "force": true });
        let Probe::Absent { before, .. } = probe(&cx, &forced).await else { panic!("not absent") };
        there(&fake, "refs/tags/v1", &old);
        let error = StepType::run(&GitPush, &cx, &forced, Some(&before)).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict, "it is not what the plan saw");
    }

    #[tokio::test]
    async fn going_back_needs_leave_and_spares_what_others_pushed() {
        let (fake, cx, [old, other, _]) = world();
        let params = json!({ "remote": "origin", "refs": ["refs/heads/main"], "undo": "delete" });
        there(&fake, "refs/heads/main", &old);
        let obstacle = StepType::undo_obstacle(&GitPush, &cx, &params).await;
        assert!(obstacle.is_some_and(|why| why.contains("`refs/heads/main` is moved on")), "told before it is pushed");
        let forced = json!({ "remote": "origin", "refs": ["refs/heads/main"], "undo": "delete", "force": true });
        assert_eq!(StepType::undo_obstacle(&GitPush, &cx, &forced).await, None);
        let before = push(&cx, &params).await.unwrap();
        assert_eq!(StepType::undo_obstacle(&GitPush, &cx, &params).await, None, "there is nothing to push any more");
        let undo = async |params: &Value| StepType::undo(&GitPush, &cx, params, Some(&before), None).await;
        assert_eq!(undo(&params).await.unwrap_err().class, Class::Conflict, "moved on, and no force");
        there(&fake, "refs/heads/main", &other);
        assert_eq!(undo(&params).await.unwrap_err().class, Class::Conflict, "somebody else's");
        assert_eq!(undo(&json!({ "remote": "origin", "refs": ["refs/heads/main"] })).await.unwrap_err().class, Class::Refused);
        for name in ["", "-f", "a:b", "refs/*"] {
            assert_eq!(StepType::check(&GitPush, &json!({ "remote": "o", "refs": [name] })).len(), 1, "{name}");
        }
    }
}
