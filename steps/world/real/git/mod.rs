//! The real side of [`Git`]: the git program, with the user's configuration, credentials, signing and hooks.
//!
//! Values never become options: names are judged before they are used and stand behind `--end-of-options` or `--`.
//! Must not know why a step asks.

mod checkout;
mod explain;
mod known;
mod names;
mod objects;
mod program;
mod push;
mod remote;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use self::known::Known;
use self::names::{branch_ref, check_revision};
use self::program::Call;
use crate::world::{
    Checkout, Git, Head, NewTag, Output, PortError, PortErrorKind, PortResult, RefUpdate, RemoteAddress, RemoteRef, StatusEntry, Tag,
};

/// The git program on PATH.
#[derive(Debug, Clone, Default)]
pub struct RealGit {
    env: Arc<BTreeMap<String, String>>,
    known: Arc<Known>,
}

impl RealGit {
    /// Git with this environment and no other variable; an empty one means ours.
    pub fn new(env: BTreeMap<String, String>) -> Self {
        Self { env: Arc::new(env), known: Arc::default() }
    }

    fn read(&self, dir: &Path) -> Call<'_> {
        Call::read(&self.env, dir)
    }

    fn write(&self, dir: &Path) -> Call<'_> {
        Call::write(&self.env, dir)
    }

    /// The commit of a revision, which must be there.
    async fn commit(&self, dir: &Path, revision: &str) -> PortResult<String> {
        let missing = || {
            PortError::new(PortErrorKind::NotFound, format!("there is no commit `{revision}` in `{}`", dir.display()))
                .hint("`git log --oneline --all` shows what there is; `git fetch` brings what is missing")
        };
        self.resolve(dir, revision).await?.ok_or_else(missing)
    }
}

#[async_trait]
impl Git for RealGit {
    async fn head(&self, dir: &Path) -> PortResult<Head> {
        let branch = self.read(dir).args(["symbolic-ref", "--quiet", "HEAD"]).run();
        let (commit, answer) = tokio::try_join!(self.resolve(dir, "HEAD"), branch)?;
        let Some(commit) = commit else {
            return Err(PortError::new(PortErrorKind::NotFound, format!("`{}` has no commit yet", dir.display())));
        };
        let branch = match answer.code {
            1 => None,
            _ => answer.ok("see which branch HEAD is on")?.line().strip_prefix("refs/heads/").map(str::to_owned),
        };
        Ok(Head { commit, branch })
    }

    async fn resolve(&self, dir: &Path, revision: &str) -> PortResult<Option<String>> {
        check_revision(revision)?;
        if self.known.has_commit(dir, revision) {
            return Ok(Some(revision.to_owned()));
        }
        let wanted = format!("{revision}^{{commit}}");
        let answer = self.read(dir).args(["rev-parse", "--quiet", "--verify", "--end-of-options", &wanted]).run().await?;
        if answer.code == 1 {
            return Ok(None);
        }
        let commit = answer.ok(&format!("find `{revision}` in `{}`", dir.display()))?.line();
        self.known.commit(dir, &commit);
        Ok(Some(commit))
    }

    async fn status(&self, dir: &Path) -> PortResult<Vec<StatusEntry>> {
        let call = self.read(dir).args(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"]);
        let answer = call.run().await?.ok(&format!("see what changed in `{}`", dir.display()))?;
        let entry = |line: &[u8]| {
            let text = String::from_utf8_lossy(line);
            let (code, path) = (text.get(..2)?, text.get(3..)?);
            Some(StatusEntry { path: path.to_owned(), code: code.to_owned() })
        };
        Ok(answer.out.split(|byte| *byte == 0).filter_map(entry).collect())
    }

    async fn tag(&self, dir: &Path, name: &str) -> PortResult<Option<Tag>> {
        tags::find(self, dir, name).await
    }

    async fn tags(&self, dir: &Path) -> PortResult<BTreeMap<String, String>> {
        tags::all(self, dir).await
    }

    async fn distance(&self, dir: &Path, from: &str, to: &str) -> PortResult<u64> {
        let range = format!("{}..{}", self.commit(dir, from).await?, self.commit(dir, to).await?);
        let answer = self.read(dir).args(["rev-list", "--count", "--end-of-options", &range]).run().await?;
        let line = answer.ok(&format!("count the commits from `{from}` to `{to}`"))?.line();
        line.parse().map_err(|_| PortError::failed(format!("git counts `{line}` commits from `{from}` to `{to}`")))
    }

    async fn create_tag(&self, dir: &Path, tag: &NewTag) -> PortResult<Tag> {
        tags::create(self, dir, tag).await
    }

    async fn delete_tag(&self, dir: &Path, name: &str, object: &str) -> PortResult<()> {
        tags::delete(self, dir, name, object).await
    }

    async fn remote_url(&self, dir: &Path, remote: &str) -> PortResult<Option<String>> {
        remote::url(self, dir, remote).await
    }

    async fn remotes(&self, dir: &Path) -> PortResult<Vec<RemoteAddress>> {
        remote::all(self, dir).await
    }

    async fn remote_refs(&self, dir: &Path, remote: &str, patterns: &[String]) -> PortResult<Vec<RemoteRef>> {
        remote::refs(self, dir, remote, patterns).await
    }

    async fn push(&self, dir: &Path, remote: &str, updates: &[RefUpdate], force: bool, output: &dyn Output) -> PortResult<()> {
        push::Push { git: self, dir, remote, force, output }.update(updates).await
    }

    async fn fetch(&self, dir: &Path, remote: &str, tags: bool, output: &dyn Output) -> PortResult<()> {
        remote::fetch(self, dir, remote, tags, output).await
    }

    async fn verify_tag(&self, dir: &Path, name: &str) -> PortResult<()> {
        tags::verify(self, dir, name).await
    }

    async fn checkout(&self, dir: &Path, to: &Checkout) -> PortResult<()> {
        match to {
            Checkout::Detached(revision) => {
                let commit = self.commit(dir, revision).await?;
                checkout::checkout(self, dir, &["--detach", &commit]).await
            }
            Checkout::Branch(name) => {
                let full = branch_ref(name)?;
                if self.resolve(dir, &full).await?.is_none() {
                    return Err(PortError::new(PortErrorKind::NotFound, format!("there is no branch `{name}` in `{}`", dir.display()))
                        .hint("`git branch --all` shows the branches"));
                }
                checkout::checkout(self, dir, &["--no-guess", name]).await
            }
        }
    }

    async fn tree(&self, dir: &Path, commit: &str) -> PortResult<Vec<String>> {
        objects::tree(self, dir, commit).await
    }

    async fn show(&self, dir: &Path, commit: &str, path: &str) -> PortResult<Option<Vec<u8>>> {
        objects::show(self, dir, commit, path).await
    }

    async fn ever_held(&self, dir: &Path, commit: &str, path: &str, bytes: &[u8]) -> PortResult<bool> {
        objects::ever_held(self, dir, commit, path, bytes).await
    }

    async fn export(&self, dir: &Path, commit: &str, into: &Path) -> PortResult<()> {
        objects::export(self, dir, commit, into).await
    }
}
