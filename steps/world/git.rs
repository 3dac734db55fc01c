//! The port to git: the git program, so that the user's credentials, signing and hooks keep working.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Output, PortResult};

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Full id of the commit.
    pub commit: String,
    /// The branch, unless HEAD is detached.
    pub branch: Option<String>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Id of the tag object; that of the commit for a lightweight tag.
    pub object: String,
    /// The commit it stands for.
    pub commit: String,
    /// Whether there is a tag object.
    pub annotated: bool,
    /// The message, without a signature; empty for a lightweight tag.
    pub message: String,
}

/// A tag to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// Full id of the commit.
    pub commit: String,
    /// The message; the tag is always annotated.
    pub message: String,
    /// Sign with the user's key.
    pub sign: bool,
}

/// A ref as the remote lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRef {
    /// Full name, `refs/tags/v1.0.0`.
    pub name: String,
    /// What it points at.
    pub object: String,
    /// The commit behind an annotated tag.
    pub peeled: Option<String>,
}

impl RemoteRef {
    /// The commit this ref stands for.
    pub fn commit(&self) -> &str {
        self.peeled.as_deref().unwrap_or(&self.object)
    }
}

/// A remote as the repository's configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteAddress {
    /// Its name.
    pub name: String,
    /// Its address, with any password in it masked.
    pub url: String,
    /// Whether the address holds a password or token.
    pub credentials: bool,
}

impl RemoteAddress {
    /// A remote, with its address as a configuration has it. Over HTTP the user alone may be a token, so it is masked as well.
    pub fn new(name: &str, address: &str) -> Self {
        let url = masked(address);
        Self { name: name.to_owned(), credentials: url != address, url }
    }
}

fn masked(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((who, host)) = authority.rsplit_once('@') else { return address.to_owned() };
    let path = &rest[authority.len()..];
    match who.split_once(':') {
        _ if scheme.to_ascii_lowercase().starts_with("http") => format!("{scheme}://***@{host}{path}"),
        Some((user, _)) => format!("{scheme}://{user}:***@{host}{path}"),
        None => address.to_owned(),
    }
}

/// One line of `git status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEntry {
    /// Path below the repository's root.
    pub path: String,
    /// The two letters of the porcelain format; `??` for an untracked file.
    pub code: String,
}

impl StatusEntry {
    /// Whether git tracks the file.
    pub fn tracked(&self) -> bool {
        self.code != "??"
    }
}

/// A change of one ref on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Full name on the remote.
    pub name: String,
    /// What it should point at; None deletes it.
    pub object: Option<String>,
    /// What must be there now (`Some("")`: nothing); None asks for no such check.
    pub expected: Option<String>,
}

/// Where to move the working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// A commit, with HEAD detached.
    Detached(String),
    /// A branch by name.
    Branch(String),
}

/// Operations on the repository in `dir`. Refs and names that begin with `-` are refused.
#[async_trait]
pub trait Git: Send + Sync {
    /// HEAD.
    async fn head(&self, dir: &Path) -> PortResult<Head>;
    /// The commit a revision stands for, or None.
    async fn resolve(&self, dir: &Path, revision: &str) -> PortResult<Option<String>>;
    /// What differs from HEAD, untracked files included, ignored ones not.
    async fn status(&self, dir: &Path) -> PortResult<Vec<StatusEntry>>;
    /// A local tag.
    async fn tag(&self, dir: &Path, name: &str) -> PortResult<Option<Tag>>;
    /// All local tags, with the commit that each stands for.
    async fn tags(&self, dir: &Path) -> PortResult<BTreeMap<String, String>>;
    /// How many commits `to` has that `from` has not.
    async fn distance(&self, dir: &Path, from: &str, to: &str) -> PortResult<u64>;
    /// Makes a tag; `Conflict` if there is one of that name.
    async fn create_tag(&self, dir: &Path, tag: &NewTag) -> PortResult<Tag>;
    /// Deletes a local tag that still is `object`; fine if there is none, `Conflict` if it is another.
    async fn delete_tag(&self, dir: &Path, name: &str, object: &str) -> PortResult<()>;
    /// The address of a remote, with any password in it masked; None if there is no such remote.
    async fn remote_url(&self, dir: &Path, remote: &str) -> PortResult<Option<String>>;
    /// The remotes that are configured, by name.
    async fn remotes(&self, dir: &Path) -> PortResult<Vec<RemoteAddress>>;
    /// Refs of a remote; `patterns` are full names.
    async fn remote_refs(&self, dir: &Path, remote: &str, patterns: &[String]) -> PortResult<Vec<RemoteRef>>;
    /// Updates just these refs on a remote, all or nothing where the remote can.
    async fn push(&self, dir: &Path, remote: &str, updates: &[RefUpdate], force: bool, output: &dyn Output) -> PortResult<()>;
    /// Fetches branches, and tags if asked, of a remote.
    async fn fetch(&self, dir: &Path, remote: &str, tags: bool, output: &dyn Output) -> PortResult<()>;
    /// Checks the signature of a tag.
    async fn verify_tag(&self, dir: &Path, name: &str) -> PortResult<()>;
    /// Moves the working tree. Never overwrites local changes.
    async fn checkout(&self, dir: &Path, to: &Checkout) -> PortResult<()>;
    /// The files of a commit, by path.
    async fn tree(&self, dir: &Path, commit: &str) -> PortResult<Vec<String>>;
    /// A file as it is in a commit.
    async fn show(&self, dir: &Path, commit: &str, path: &str) -> PortResult<Option<Vec<u8>>>;
    /// Whether a commit or one of its ancestors had the file at `path`, below the repository's root, with just these bytes.
    async fn ever_held(&self, dir: &Path, commit: &str, path: &str, bytes: &[u8]) -> PortResult<bool>;
    /// Writes the files of a commit into the empty folder `into`, without history.
    async fn export(&self, dir: &Path, commit: &str, into: &Path) -> PortResult<()>;
}
