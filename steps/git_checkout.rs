//! Moves the working tree to another commit.
//!
//! A local branch is checked out as a branch, anything else detached. Uncommitted changes to tracked files are refused unless
//! `require_clean = false`, and git never overwrites them either way. Files named in `keep` survive with their content and mode,
//! though they differ from what either commit has, or the new one no longer tracks them: `.env` and generated files of a box are
//! such. While they are out of the way a copy lies in the run's scratch folder, so a crash in between loses nothing.
//!
//! Going back checks out what was checked out before, and keeps the same files again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::world::{Checkout, FileContent, Head, StatusEntry};

/// The kind `git-checkout`.
#[derive(Debug, Clone, Copy)]
pub struct GitCheckout;

/// Where to go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A local branch, a tag, a commit or another revision.
    pub r#ref: String,
    /// Refuse while tracked files, other than those of `keep`, have changes that are not committed.
    #[serde(default = "yes")]
    pub require_clean: bool,
    /// Files, relative to the working directory, that stay as they are.
    #[serde(default)]
    pub keep: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Files by path; None where there is none.
type Kept = BTreeMap<String, Option<FileContent>>;

/// What was there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Where HEAD was.
    pub head: Head,
    /// The files of `keep`.
    pub kept: Kept,
    /// Modes that git does not know, of files that the new commit no longer has.
    pub modes: BTreeMap<String, u32>,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The commit that was checked out before.
    pub from: String,
    /// The commit that is checked out now.
    pub commit: String,
}

/// Where a ref leads.
struct Target {
    commit: String,
    branch: Option<String>,
}

impl Step for GitCheckout {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "git-checkout",
        version: 1,
        summary: "Moves the working tree to another commit",
        example: r#"
[[steps]]
id   = "checkout"
uses = "git-checkout"
with = { ref = "v1.2.0", keep = [".env", "docker-compose.yml"] }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if params.r#ref.is_empty() || params.r#ref.starts_with('-') {
            problems.push(format!("`{}` is not a ref that can be checked out", params.r#ref));
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let target = resolve(cx, params).await?;
        let head = cx.world.git.head(&cx.workdir).await?;
        if let Some(stashed) = cx.remembered::<Stashed>(STASH).await? {
            // A checkout of this step was cut off; what it set aside is what was there.
            return Ok(Probe::would(stashed.before, format!("finish the checkout of `{}`", params.r#ref)));
        }
        if target.is_at(&head) {
            let from = cx.remembered(FROM).await?.unwrap_or_else(|| head.commit.clone());
            return Ok(Probe::Present { output: Output { from, commit: target.commit } });
        }
        let status = cx.world.git.status(&cx.workdir).await?;
        refuse_dirty(params, &status)?;
        let kept = read_kept(cx, params).await?;
        let modes = odd_modes(cx, &head, &target, &kept).await?;
        let summary = format!("check out `{}` ({}), from {}", params.r#ref, short(&target.commit), short(&head.commit));
        Ok(Probe::Absent { before: Before { head, kept, modes }, changes: vec![Change::new(summary)] })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let target = resolve(cx, params).await?;
        let head = cx.world.git.head(&cx.workdir).await?;
        let stashed = cx.remembered::<Stashed>(STASH).await?;
        let from = before.map_or(&head, |before| &before.head).commit.clone();
        if target.is_at(&head) && stashed.is_none() {
            return Ok(Output { from, commit: target.commit });
        }
        cx.proceed()?;
        let set_aside = if let Some(stashed) = stashed {
            stashed
        } else {
            refuse_dirty(params, &cx.world.git.status(&cx.workdir).await?)?;
            let kept = read_kept(cx, params).await?;
            let before = before.cloned().unwrap_or(Before { head: head.clone(), kept: Kept::new(), modes: BTreeMap::new() });
            Stashed { kept, before }
        };
        cx.remember(FROM, &from).await?;
        // Past this point the step goes on to its end: it is short, and half a checkout helps nobody.
        move_to(cx, &set_aside, &head, &target).await?;
        Ok(Output { from, commit: target.commit })
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused("what was checked out before is not known"));
        };
        let head = cx.world.git.head(&cx.workdir).await?;
        let target = home(cx, before).await?;
        let stashed = cx.remembered::<Stashed>(STASH).await?;
        let at_home = target.is_at(&head) && head.branch == target.branch;
        let ours = match output {
            Some(output) => head.commit == output.commit,
            None => resolve(cx, params).await.is_ok_and(|there| there.commit == head.commit),
        };
        if !at_home && !ours && stashed.is_none() {
            return Err(StepError::conflict(format!("HEAD is at {}, where this step did not leave it", short(&head.commit)))
                .hint(format!("check out {} by hand, then go on with the rollback", short(&target.commit))));
        }
        if !at_home || stashed.is_some() {
            let set_aside = match stashed {
                Some(stashed) => stashed,
                None => Stashed { kept: read_kept(cx, params).await?, before: before.clone() },
            };
            move_to(cx, &set_aside, &head, &target).await?;
        }
        restore_modes(cx, before).await?;
        cx.forget(FROM).await
    }
}

/// Under which the kept files are remembered while the working tree moves.
const STASH: &str = "git-checkout";
/// Under which it is remembered where HEAD was.
const FROM: &str = "git-checkout-from";

/// What is set aside while the working tree moves.
#[derive(Serialize, Deserialize)]
struct Stashed {
    kept: Kept,
    before: Before,
}

impl Target {
    /// Whether HEAD is there; a branch counts only where HEAD is on it.
    fn is_at(&self, head: &Head) -> bool {
        self.commit == head.commit && (self.branch.is_none() || self.branch == head.branch)
    }

    fn checkout(&self) -> Checkout {
        match &self.branch {
            Some(branch) => Checkout::Branch(branch.clone()),
            None => Checkout::Detached(self.commit.clone()),
        }
    }
}

async fn resolve(cx: &Context, params: &Params) -> Result<Target, StepError> {
    if let Some(problem) = GitCheckout.check(params).into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let (git, dir) = (&cx.world.git, &cx.workdir);
    let name = params.r#ref.strip_prefix("refs/heads/").unwrap_or(&params.r#ref);
    if let Some(commit) = git.resolve(dir, &format!("refs/heads/{name}")).await? {
        return Ok(Target { commit, branch: Some(name.to_owned()) });
    }
    let commit = git.resolve(dir, &params.r#ref).await?.ok_or_else(|| {
        StepError::permanent(format!("there is no commit `{}` to check out", params.r#ref)).hint("fetch it first, or correct `ref`")
    })?;
    Ok(Target { commit, branch: None })
}

/// Where HEAD was: on its branch, unless that has moved since.
async fn home(cx: &Context, before: &Before) -> Result<Target, StepError> {
    let commit = before.head.commit.clone();
    let Some(branch) = before.head.branch.clone() else { return Ok(Target { commit, branch: None }) };
    let there = cx.world.git.resolve(&cx.workdir, &format!("refs/heads/{branch}")).await?;
    if there.as_ref() == Some(&commit) {
        return Ok(Target { commit, branch: Some(branch) });
    }
    cx.log(format!("branch `{branch}` has moved: HEAD goes back to {} without it", short(&commit)));
    Ok(Target { commit, branch: None })
}

fn refuse_dirty(params: &Params, status: &[StatusEntry]) -> Result<(), StepError> {
    let dirty: Vec<_> = status.iter().filter(|entry| entry.tracked() && !params.keep.contains(&entry.path)).collect();
    if !params.require_clean || dirty.is_empty() {
        return Ok(());
    }
    let more = if dirty.len() > 5 { format!(" and {} more", dirty.len() - 5) } else { String::new() };
    let named: Vec<_> = dirty.iter().take(5).map(|entry| format!("`{}`", entry.path)).collect();
    Err(StepError::refused(format!("the working tree has changes that are not committed: {}{more}", named.join(", ")))
        .hint("commit or stash them, or name in `keep` what shall stay as it is"))
}

async fn read_kept(cx: &Context, params: &Params) -> Result<Kept, StepError> {
    let mut kept = Kept::new();
    for name in &params.keep {
        let path = cx.path(name)?;
        kept.insert(name.clone(), cx.world.files.read(&cx.workdir, &path).await?);
    }
    Ok(kept)
}

/// Modes beyond those git makes, of files that go when the tree moves: git would bring them back with its own.
async fn odd_modes(cx: &Context, head: &Head, target: &Target, kept: &Kept) -> Result<BTreeMap<String, u32>, StepError> {
    let new = cx.world.git.tree(&cx.workdir, &target.commit).await?;
    let old = cx.world.git.tree(&cx.workdir, &head.commit).await?;
    let mut modes = BTreeMap::new();
    for path in old.into_iter().filter(|path| !new.contains(path) && !kept.contains_key(path)) {
        let file = cx.world.files.read(&cx.workdir, &cx.path(&path)?).await?;
        if let Some(file) = file.filter(|file| !matches!(file.mode, 0o644 | 0o755)) {
            modes.insert(path, file.mode);
        }
    }
    Ok(modes)
}

async fn restore_modes(cx: &Context, before: &Before) -> Result<(), StepError> {
    for (name, &mode) in &before.modes {
        let path = cx.path(name)?;
        let file = cx.world.files.read(&cx.workdir, &path).await?;
        if let Some(file) = file.filter(|file| file.mode != mode) {
            cx.world.files.write(&cx.workdir, &path, &file.bytes, mode, true).await?;
        }
    }
    Ok(())
}

/// Sets the kept files aside, moves the tree, and puts them back.
async fn move_to(cx: &Context, set_aside: &Stashed, head: &Head, target: &Target) -> Result<(), StepError> {
    let keeps = !set_aside.kept.is_empty();
    if keeps {
        cx.remember(STASH, set_aside).await?;
    }
    if head.commit != target.commit || head.branch != target.branch {
        let moved = make_way(cx, &set_aside.kept, head, target).await;
        let moved = match moved {
            Ok(()) => cx.world.git.checkout(&cx.workdir, &target.checkout()).await.map_err(StepError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            // The tree is where it was; what was set aside goes back before the error is told.
            put_back(cx, &set_aside.kept).await?;
            if keeps {
                cx.forget(STASH).await?;
            }
            return Err(error);
        }
    }
    put_back(cx, &set_aside.kept).await?;
    if keeps {
        cx.forget(STASH).await?;
    }
    Ok(())
}

/// Makes kept files look to git as if nobody had touched them, where git would touch them.
async fn make_way(cx: &Context, kept: &Kept, head: &Head, target: &Target) -> Result<(), StepError> {
    let (git, dir, files) = (&cx.world.git, &cx.workdir, &cx.world.files);
    for name in kept.keys() {
        let path = cx.path(name)?;
        let tracked = git.show(dir, &head.commit, name).await?;
        if tracked == git.show(dir, &target.commit, name).await? {
            continue;
        }
        let now = files.read(dir, &path).await?.map(|file| file.bytes);
        match tracked {
            Some(bytes) if now.as_ref() != Some(&bytes) => files.write(dir, &path, &bytes, 0o644, false).await?,
            None if now.is_some() => files.remove(dir, &path).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn put_back(cx: &Context, kept: &Kept) -> Result<(), StepError> {
    for (name, file) in kept {
        let path = cx.path(name)?;
        let now = cx.world.files.read(&cx.workdir, &path).await?;
        match file {
            Some(file) if now.as_ref() != Some(file) => {
                cx.world.files.write(&cx.workdir, &path, &file.bytes, file.mode, true).await?;
            }
            None if now.is_some() => cx.world.files.remove(&cx.workdir, &path).await?,
            _ => {}
        }
    }
    Ok(())
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeFile, FakeWorld, Repo, State};

    /// `.env` is tracked by `v1` and not by `v2`; on the disk it is a box's own.
    fn world() -> (FakeWorld, Context) {
        let mut repo = Repo::default();
        let old = repo.add_commit(&[], &[("a", "1"), (".env", "K=example")]);
        let new = repo.add_commit(&[&old], &[("a", "2")]);
        repo.head.clone_from(&old);
        repo.branch = Some("main".into());
        repo.branches.insert("main".into(), old);
        repo.tags.insert("v2".into(), crate::world::fake::FakeRef::commit(&new));
        let mut state = State::default();
        state.repos.insert("/acme".into(), repo);
        state.check_out("/acme");
        state.files.insert("/acme/.env".into(), FakeFile::new("K=mine").mode(0o600));
        let fake = FakeWorld::from_state(state);
        let cx = Context::bare(fake.world(), Path::new("/acme"));
        (fake, cx)
    }

    fn params() -> Value {
        json!({ "ref": "v2", "keep": [".env"] })
    }

    async fn before(cx: &Context, params: &Value) -> Result<Value, StepError> {
        match StepType::probe(&GitCheckout, cx, params).await? {
            Probe::Absent { before, .. } => Ok(before),
            other => panic!("the probe answers {}", other.name()),
        }
    }

    #[tokio::test]
    async fn a_dirty_tree_is_refused_by_name_and_untracked_files_do_not_count() {
        let (fake, cx) = world();
        let error = before(&cx, &json!({ "ref": "v2" })).await.unwrap_err();
        assert_eq!(error.class, Class::Refused);
        assert!(error.message.contains("`.env`"), "{error}");
        fake.edit(|state| state.put("/acme/notes", "mine"));
        before(&cx, &params()).await.unwrap();
        fake.edit(|state| state.put("/acme/a", "mine"));
        assert!(before(&cx, &params()).await.unwrap_err().message.contains("`a`"));
    }

    #[tokio::test]
    async fn what_is_kept_survives_with_its_mode_there_and_back() {
        let (fake, cx) = world();
        let start = fake.snapshot();
        let before = before(&cx, &params()).await.unwrap();
        let output = StepType::run(&GitCheckout, &cx, &params(), Some(&before)).await.unwrap();
        let state = fake.state();
        assert_eq!((state.text("/acme/a").as_deref(), state.text("/acme/.env").as_deref()), (Some("2"), Some("K=mine")));
        assert_eq!(state.files[Path::new("/acme/.env")].mode, 0o600);
        assert!(!state.files.contains_key(&cx.scratch.join(cx.scratch_name(STASH))), "nothing is left set aside");
        StepType::undo(&GitCheckout, &cx, &params(), Some(&before), Some(&output)).await.unwrap();
        assert_eq!(fake.snapshot(), start);
    }

    #[tokio::test]
    async fn a_checkout_that_git_refuses_leaves_everything_as_it_was() {
        let (fake, cx) = world();
        fake.edit(|state| state.put("/acme/a", "mine"));
        let params = json!({ "ref": "v2", "keep": [".env"], "require_clean": false });
        let start = fake.snapshot();
        let before = before(&cx, &params).await.unwrap();
        let error = StepType::run(&GitCheckout, &cx, &params, Some(&before)).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        fake.edit(|state| state.files.retain(|path, _| path.starts_with("/acme")));
        assert_eq!(fake.snapshot(), start);
    }

    #[tokio::test]
    async fn going_back_from_where_somebody_else_went_is_refused() {
        let (fake, cx) = world();
        let before = before(&cx, &params()).await.unwrap();
        let output = StepType::run(&GitCheckout, &cx, &params(), Some(&before)).await.unwrap();
        fake.edit(|state| {
            let repo = state.repos.get_mut(Path::new("/acme")).unwrap();
            repo.head = repo.add_commit(&[], &[("a", "2")]);
        });
        let error = StepType::undo(&GitCheckout, &cx, &params(), Some(&before), Some(&output)).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
    }
}
