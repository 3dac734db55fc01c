//! The git port on repositories in memory.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;

use super::super::{
    Checkout, Git, Head, NewTag, Output, PortError, PortErrorKind, PortResult, RefUpdate, RemoteAddress, RemoteRef, StatusEntry, Tag,
};
use super::{FakeRef, FakeWorld, Remote, Repo, ids};

#[async_trait]
impl Git for FakeWorld {
    async fn head(&self, dir: &Path) -> PortResult<Head> {
        self.look("git.head", dir.display(), |state| {
            let (_, repo) = state.repo(dir)?;
            Ok(Head { commit: repo.head.clone(), branch: repo.branch.clone() })
        })
    }

    async fn resolve(&self, dir: &Path, revision: &str) -> PortResult<Option<String>> {
        self.look("git.resolve", revision, |state| {
            plain(revision)?;
            Ok(state.repo(dir)?.1.resolve(revision))
        })
    }

    async fn status(&self, dir: &Path) -> PortResult<Vec<StatusEntry>> {
        self.look("git.status", dir.display(), |state| state.status(dir))
    }

    async fn tag(&self, dir: &Path, name: &str) -> PortResult<Option<Tag>> {
        self.look("git.tag", name, |state| {
            plain(name)?;
            Ok(state.repo(dir)?.1.tags.get(name).map(FakeRef::as_tag))
        })
    }

    async fn tags(&self, dir: &Path) -> PortResult<BTreeMap<String, String>> {
        self.look("git.tags", dir.display(), |state| {
            Ok(state.repo(dir)?.1.tags.iter().map(|(name, tag)| (name.clone(), tag.commit.clone())).collect())
        })
    }

    async fn distance(&self, dir: &Path, from: &str, to: &str) -> PortResult<u64> {
        self.look("git.distance", format_args!("{from} {to}"), |state| {
            let (_, repo) = state.repo(dir)?;
            let commit =
                |revision: &str| repo.resolve(revision).ok_or_else(|| PortError::failed(format!("there is no commit `{revision}`")));
            let (from, to) = (commit(from)?, commit(to)?);
            let missing = |commit: &&String| repo.contains(&to, commit) && !repo.contains(&from, commit);
            Ok(repo.commits.keys().filter(missing).count() as u64)
        })
    }

    async fn create_tag(&self, dir: &Path, tag: &NewTag) -> PortResult<Tag> {
        self.change("git.create_tag", format_args!("{} {} {}", tag.name, tag.commit, tag.message), |state| {
            plain(&tag.name)?;
            let repo = state.repo_mut(dir)?;
            if repo.tags.contains_key(&tag.name) {
                return Err(conflict(format!("tag `{}` already exists", tag.name)));
            }
            repo.tree(&tag.commit)?;
            let object = ids::object(format!("{} {} {} {}", tag.name, tag.commit, tag.message, self.unique("tag")));
            let made = FakeRef { object, commit: tag.commit.clone(), message: tag.message.clone(), signed: tag.sign };
            repo.objects.insert(made.object.clone(), made.clone());
            repo.tags.insert(tag.name.clone(), made.clone());
            Ok(made.as_tag())
        })
    }

    async fn delete_tag(&self, dir: &Path, name: &str, object: &str) -> PortResult<()> {
        self.change("git.delete_tag", format_args!("{name} {object}"), |state| {
            plain(name)?;
            let repo = state.repo_mut(dir)?;
            match repo.tags.get(name) {
                None => Ok(()),
                Some(tag) if tag.object() == object => {
                    repo.tags.remove(name);
                    Ok(())
                }
                Some(tag) => Err(conflict(format!("tag `{name}` is `{}`, not `{object}`", tag.object()))),
            }
        })
    }

    async fn remote_url(&self, dir: &Path, remote: &str) -> PortResult<Option<String>> {
        self.look("git.remote_url", remote, |state| {
            plain(remote)?;
            Ok(state.repo(dir)?.1.remotes.get(remote).map(|remote| masked(&remote.url)))
        })
    }

    async fn remotes(&self, dir: &Path) -> PortResult<Vec<RemoteAddress>> {
        self.look("git.remotes", dir.display(), |state| {
            let address = |(name, remote): (&String, &Remote)| {
                let url = masked(&remote.url);
                RemoteAddress { name: name.clone(), credentials: url != remote.url, url }
            };
            Ok(state.repo(dir)?.1.remotes.iter().map(address).collect())
        })
    }

    async fn remote_refs(&self, dir: &Path, remote: &str, patterns: &[String]) -> PortResult<Vec<RemoteRef>> {
        self.look("git.remote_refs", format_args!("{remote} {}", patterns.join(" ")), |state| {
            plain(remote)?;
            let refs = &state.repo(dir)?.1.remote(remote)?.refs;
            let wanted = |name: &String| patterns.is_empty() || patterns.contains(name);
            Ok(refs.iter().filter(|(name, _)| wanted(name)).map(|(name, one)| one.as_remote_ref(name)).collect())
        })
    }

    async fn push(&self, dir: &Path, remote: &str, updates: &[RefUpdate], force: bool, output: &dyn Output) -> PortResult<()> {
        let told: Vec<_> = updates.iter().map(|update| format!("{}:{}", update.object.as_deref().unwrap_or(""), update.name)).collect();
        self.change("git.push", format_args!("{remote} {}", told.join(" ")), |state| {
            plain(remote)?;
            let repo = state.repo_mut(dir)?;
            if repo.remote(remote)?.read_only {
                return Err(PortError::new(PortErrorKind::Denied, format!("`{remote}` does not let you push")));
            }
            for update in updates {
                push_one(repo, remote, update, force)?;
            }
            Ok(())
        })?;
        for update in updates {
            output.write(format!("To {remote}: {}\n", update.name).as_bytes());
        }
        Ok(())
    }

    async fn fetch(&self, dir: &Path, remote: &str, tags: bool, output: &dyn Output) -> PortResult<()> {
        self.change("git.fetch", remote, |state| {
            plain(remote)?;
            let repo = state.repo_mut(dir)?;
            let from = repo.remote(remote)?.clone();
            repo.commits.extend(from.commits);
            for (name, one) in &from.refs {
                if let Some(branch) = name.strip_prefix("refs/heads/") {
                    repo.tracking.insert(format!("{remote}/{branch}"), one.commit.clone());
                }
                if let Some(tag) = name.strip_prefix("refs/tags/").filter(|_| tags) {
                    repo.tags.entry(tag.to_owned()).or_insert_with(|| one.clone());
                }
            }
            Ok(())
        })?;
        output.write(format!("From {remote}\n").as_bytes());
        Ok(())
    }

    async fn verify_tag(&self, dir: &Path, name: &str) -> PortResult<()> {
        self.look("git.verify_tag", name, |state| {
            plain(name)?;
            match state.repo(dir)?.1.tags.get(name) {
                None => Err(PortError::new(PortErrorKind::NotFound, format!("there is no tag `{name}`"))),
                Some(tag) if tag.signed => Ok(()),
                Some(_) => Err(PortError::failed(format!("tag `{name}` has no signature that is trusted"))),
            }
        })
    }

    async fn checkout(&self, dir: &Path, to: &Checkout) -> PortResult<()> {
        self.change("git.checkout", format_args!("{to:?}"), |state| {
            let repo = state.repo(dir)?.1;
            let (commit, branch) = match to {
                Checkout::Detached(commit) => (plain(commit).map(|()| commit.clone())?, None),
                Checkout::Branch(name) => {
                    plain(name)?;
                    let commit = repo.branches.get(name).cloned();
                    (commit.ok_or_else(|| PortError::failed(format!("there is no branch `{name}`")))?, Some(name.clone()))
                }
            };
            state.move_tree(dir, &commit)?;
            let repo = state.repo_mut(dir)?;
            (repo.head, repo.branch) = (commit, branch);
            Ok(())
        })
    }

    async fn tree(&self, dir: &Path, commit: &str) -> PortResult<Vec<String>> {
        self.look("git.tree", commit, |state| Ok(state.repo(dir)?.1.tree(commit)?.keys().cloned().collect()))
    }

    async fn show(&self, dir: &Path, commit: &str, path: &str) -> PortResult<Option<Vec<u8>>> {
        self.look("git.show", format_args!("{commit}:{path}"), |state| {
            Ok(state.repo(dir)?.1.tree(commit)?.get(path).map(|file| file.text.clone().into_bytes()))
        })
    }

    async fn ever_held(&self, dir: &Path, commit: &str, path: &str, bytes: &[u8]) -> PortResult<bool> {
        self.look("git.ever_held", format_args!("{commit}:{path}"), |state| {
            let repo = state.repo(dir)?.1;
            repo.tree(commit)?;
            let held = |commit: &str| repo.tree(commit).is_ok_and(|tree| tree.get(path).is_some_and(|file| file.text.as_bytes() == bytes));
            Ok(repo.commits.keys().any(|old| held(old) && repo.contains(commit, old)))
        })
    }

    async fn export(&self, dir: &Path, commit: &str, into: &Path) -> PortResult<()> {
        let files =
            self.look("git.export", format_args!("{commit} {}", into.display()), |state| Ok(state.repo(dir)?.1.tree(commit)?.clone()))?;
        self.edit(|state| {
            for (path, file) in files {
                let mode = if file.executable { 0o755 } else { 0o644 };
                state.write_file(&into.join(path), file.text.as_bytes(), mode, true);
            }
            Ok(())
        })
    }
}

fn push_one(repo: &mut Repo, remote: &str, update: &RefUpdate, force: bool) -> PortResult<()> {
    let name = &update.name;
    if !name.starts_with("refs/") {
        return Err(PortError::invalid(format!("`{name}` is not the full name of a ref")));
    }
    let there = repo.remote(remote)?.refs.get(name).cloned();
    if let Some(expected) = &update.expected
        && there.as_ref().map_or("", FakeRef::object) != expected
    {
        return Err(conflict(format!("`{name}` on `{remote}` is not what was expected (stale info)")));
    }
    let wanted = match &update.object {
        None => None,
        Some(id) => Some(repo.object(id).ok_or_else(|| PortError::failed(format!("there is no object `{id}`")))?),
    };
    if let (Some(there), Some(wanted)) = (&there, &wanted)
        && !force
        && there.object() != wanted.object()
    {
        let forward = name.starts_with("refs/heads/") && repo.contains(&wanted.commit, &there.commit);
        if !forward {
            return Err(conflict(format!("`{name}` on `{remote}` is at `{}` (rejected)", there.object())));
        }
    }
    let refs = &mut repo.remotes.get_mut(remote).expect("it was found above").refs;
    match wanted {
        Some(wanted) => refs.insert(name.clone(), wanted),
        None => refs.remove(name),
    };
    Ok(())
}

fn conflict(message: String) -> PortError {
    PortError::new(PortErrorKind::Conflict, message)
}

/// Refuses what git could take for an option.
fn plain(name: &str) -> PortResult<()> {
    if name.is_empty() || name.starts_with('-') {
        return Err(PortError::invalid(format!("`{name}` is not a name that git may be given")));
    }
    Ok(())
}

fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rsplit_once('@').and_then(|(user, host)| user.split_once(':').map(|(user, _)| (user, host))) {
        Some((user, host)) => format!("{scheme}://{user}:***@{host}{}", &rest[host_end..]),
        None => url.to_owned(),
    }
}
