//! A git repository in memory: what there is, and what follows from it. The port itself is in `git.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{PortError, PortErrorKind, PortResult, RemoteRef, StatusEntry, Tag};
use super::files::glob;
use super::{FakeFile, State, ids};

/// A repository. The files of its working tree are those of the world below its folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repo {
    /// The commit HEAD is at.
    pub head: String,
    /// The branch HEAD is on; None where it is detached.
    pub branch: Option<String>,
    /// Branches and their commits.
    pub branches: BTreeMap<String, String>,
    /// Tags by name.
    pub tags: BTreeMap<String, FakeRef>,
    /// Patterns of files that git ignores.
    pub ignored: Vec<String>,
    /// Remotes by name.
    pub remotes: BTreeMap<String, Remote>,
    /// Commits by full id.
    #[serde(skip_serializing)]
    pub commits: BTreeMap<String, Commit>,
    /// Branches of remotes as last fetched, such as `origin/main`.
    #[serde(skip_serializing)]
    pub tracking: BTreeMap<String, String>,
    /// Tag objects that were seen, by id, whether or not a tag still names them.
    #[serde(skip)]
    pub(super) objects: BTreeMap<String, FakeRef>,
}

/// A commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// Its parents.
    pub parents: Vec<String>,
    /// Its files by path.
    pub files: BTreeMap<String, TreeFile>,
}

/// A file of a commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TreeFile {
    /// Its content.
    pub text: String,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What a ref stands for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeRef {
    /// The object it points at; empty in a description stands for the commit.
    pub object: String,
    /// The commit behind it.
    pub commit: String,
    /// The message of an annotated tag.
    pub message: String,
    /// Whether it is signed by a key that is trusted.
    pub signed: bool,
}

/// A repository elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Remote {
    /// Its address.
    pub url: String,
    /// Nobody answers.
    pub down: bool,
    /// Pushes are turned away.
    pub read_only: bool,
    /// Its refs by full name.
    pub refs: BTreeMap<String, FakeRef>,
    /// Commits that a fetch brings.
    #[serde(skip_serializing)]
    pub commits: BTreeMap<String, Commit>,
}

impl FakeRef {
    /// A ref straight at a commit: a branch, or a lightweight tag.
    pub fn commit(commit: &str) -> Self {
        Self { object: commit.to_owned(), commit: commit.to_owned(), ..Self::default() }
    }

    /// An annotated tag.
    pub fn annotated(object: &str, commit: &str, message: &str) -> Self {
        Self { object: object.to_owned(), commit: commit.to_owned(), message: message.to_owned(), signed: false }
    }

    /// The object, also where the description names the commit alone.
    pub(super) fn object(&self) -> &str {
        if self.object.is_empty() { &self.commit } else { &self.object }
    }

    pub(super) fn as_tag(&self) -> Tag {
        Tag {
            object: self.object().to_owned(),
            commit: self.commit.clone(),
            annotated: self.object() != self.commit,
            message: self.message.clone(),
        }
    }

    pub(super) fn as_remote_ref(&self, name: &str) -> RemoteRef {
        let peeled = (self.object() != self.commit).then(|| self.commit.clone());
        RemoteRef { name: name.to_owned(), object: self.object().to_owned(), peeled }
    }
}

impl TreeFile {
    /// A plain file.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), executable: false }
    }

    fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }

    fn is(&self, file: &FakeFile) -> bool {
        file.link.is_none() && file.bytes == self.text.as_bytes() && (file.mode & 0o100 != 0) == self.executable
    }
}

impl Repo {
    /// Adds a commit of these files and gives its id.
    pub fn add_commit(&mut self, parents: &[&str], files: &[(&str, &str)]) -> String {
        let commit = Commit {
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            files: files.iter().map(|&(path, text)| (path.to_owned(), TreeFile::new(text))).collect(),
        };
        let id = ids::object(serde_json::to_vec(&commit).expect("plain data"));
        self.commits.insert(id.clone(), commit);
        id
    }

    /// The commit a revision stands for.
    pub(super) fn resolve(&self, revision: &str) -> Option<String> {
        let revision = revision.strip_suffix("^{commit}").unwrap_or(revision);
        let tag = |name: &str| self.tags.get(name).map(|tag| tag.commit.clone());
        if let Some((from, generations)) = revision.split_once('~') {
            let first_parent = |commit: String| self.commits.get(&commit)?.parents.first().cloned();
            return (0..generations.parse().ok()?).try_fold(self.resolve(from)?, |commit, _: u32| first_parent(commit));
        }
        if revision == "HEAD" {
            return Some(self.head.clone());
        }
        if let Some(name) = revision.strip_prefix("refs/heads/") {
            return self.branches.get(name).cloned();
        }
        if let Some(name) = revision.strip_prefix("refs/tags/") {
            return tag(name);
        }
        if let Some(name) = revision.strip_prefix("refs/remotes/") {
            return self.tracking.get(name).cloned();
        }
        tag(revision)
            .or_else(|| self.branches.get(revision).cloned())
            .or_else(|| self.tracking.get(revision).cloned())
            .or_else(|| self.by_id(revision))
    }

    fn by_id(&self, id: &str) -> Option<String> {
        let known = |start: &str| {
            let mut found = self.commits.keys().filter(|commit| commit.starts_with(start));
            found.next().filter(|_| found.next().is_none()).cloned()
        };
        let tag_object = self.tags.values().chain(self.objects.values()).find(|tag| tag.object() == id);
        tag_object.map(|tag| tag.commit.clone()).or_else(|| (id.len() >= 4).then(|| known(id)).flatten())
    }

    /// What an object id stands for, if the repository has it.
    pub(super) fn object(&self, id: &str) -> Option<FakeRef> {
        let tag = self.tags.values().chain(self.objects.values()).find(|tag| tag.object() == id);
        tag.cloned().or_else(|| self.commits.contains_key(id).then(|| FakeRef::commit(id)))
    }

    /// Whether `old` is `new` or one of its ancestors.
    pub(super) fn contains(&self, new: &str, old: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![new];
        while let Some(commit) = open.pop() {
            if commit == old {
                return true;
            }
            if seen.insert(commit) {
                open.extend(self.commits.get(commit).iter().flat_map(|commit| &commit.parents).map(String::as_str));
            }
        }
        false
    }

    pub(super) fn remote(&self, name: &str) -> PortResult<&Remote> {
        let remote = self.remotes.get(name).ok_or_else(|| no_remote(name))?;
        if remote.down { Err(unreachable(remote)) } else { Ok(remote) }
    }

    pub(super) fn tree(&self, commit: &str) -> PortResult<&BTreeMap<String, TreeFile>> {
        let found = self.commits.get(commit).map(|commit| &commit.files);
        found.ok_or_else(|| PortError::new(PortErrorKind::NotFound, format!("there is no commit `{commit}`")))
    }
}

fn no_remote(name: &str) -> PortError {
    PortError::new(PortErrorKind::NotFound, format!("there is no remote `{name}`"))
}

fn unreachable(remote: &Remote) -> PortError {
    PortError::new(PortErrorKind::Unreachable, format!("could not read from remote repository `{}`", remote.url))
}

impl State {
    /// The repository that `dir` lies in, and its root.
    pub(super) fn repo<'a>(&'a self, dir: &'a Path) -> PortResult<(&'a Path, &'a Repo)> {
        let found = dir.ancestors().find_map(|root| self.repos.get(root).map(|repo| (root, repo)));
        found.ok_or_else(|| PortError::failed(format!("not a git repository: `{}`", dir.display())))
    }

    /// The same, to be changed.
    pub(super) fn repo_mut(&mut self, dir: &Path) -> PortResult<&mut Repo> {
        let root = self.repo(dir)?.0.to_owned();
        Ok(self.repos.get_mut(&root).expect("it was found a line ago"))
    }

    /// Writes the files of HEAD into the working tree, for setting up a world.
    pub fn check_out(&mut self, root: impl AsRef<Path>) {
        let root = root.as_ref();
        let repo = self.repos.get(root).expect("a repository was put there").clone();
        for (path, file) in repo.tree(&repo.head).expect("HEAD is a commit that was added") {
            self.write_file(&root.join(path), file.text.as_bytes(), file.mode(), true);
        }
    }

    pub(super) fn status(&self, dir: &Path) -> PortResult<Vec<StatusEntry>> {
        let (root, repo) = self.repo(dir)?;
        let tree = repo.tree(&repo.head)?;
        let entry = |path: &str, code: &str| StatusEntry { path: path.to_owned(), code: code.to_owned() };
        let mut entries = Vec::new();
        for (path, tracked) in tree {
            match self.files.get(&root.join(path)) {
                None => entries.push(entry(path, " D")),
                Some(file) if !tracked.is(file) => entries.push(entry(path, " M")),
                Some(_) => {}
            }
        }
        let ignored = repo.ignored.iter().map(|pattern| glob(pattern)).collect::<PortResult<Vec<_>>>()?;
        for path in self.files.keys() {
            let Ok(path) = path.strip_prefix(root) else { continue };
            let path = path.to_string_lossy();
            if !tree.contains_key(&*path) && !ignored.iter().any(|pattern| pattern.is_match(&path)) {
                entries.push(entry(&path, "??"));
            }
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    }

    /// Moves the working tree from HEAD to `commit`; refuses where that would overwrite what is not committed.
    pub(super) fn move_tree(&mut self, dir: &Path, commit: &str) -> PortResult<()> {
        let (root, repo) = self.repo(dir)?;
        let (root, repo) = (root.to_owned(), repo.clone());
        let (old, new) = (repo.tree(&repo.head)?, repo.tree(commit)?);
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let moved: Vec<_> = paths.into_iter().filter(|&path| old.get(path) != new.get(path)).collect();
        let in_the_way = |path: &str| match (self.files.get(&root.join(path)), old.get(path), new.get(path)) {
            (Some(file), tracked, wanted) => {
                !tracked.is_some_and(|tracked| tracked.is(file)) && !wanted.is_some_and(|wanted| wanted.is(file))
            }
            (None, tracked, wanted) => tracked.is_some() && wanted.is_some(),
        };
        if let Some(path) = moved.iter().find(|path| in_the_way(path)) {
            return Err(PortError::new(
                PortErrorKind::Conflict,
                format!("your local changes to `{path}` would be overwritten by checkout"),
            ));
        }
        for path in moved {
            match new.get(path) {
                Some(file) => self.write_file(&root.join(path), file.text.as_bytes(), file.mode(), true),
                None => {
                    self.files.remove(&root.join(path));
                }
            }
        }
        Ok(())
    }
}
