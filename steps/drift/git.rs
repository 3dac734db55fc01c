//! The repository of a box, as a survey sees it.

use semver::Version;

use super::subject::Subject;
use crate::contract::Context;
use crate::world::{PortResult, RemoteAddress, StatusEntry};

/// So many releases are held against HEAD to say which one it stands on.
const NEAREST: usize = 20;

pub(super) struct Git {
    pub head: String,
    pub status: Vec<StatusEntry>,
    pub remotes: Vec<RemoteAddress>,
    /// Releases with the tag of each, the oldest first.
    pub releases: Vec<(Version, String)>,
    /// The release that HEAD stands on exactly.
    pub at: Option<(Version, String)>,
    /// The last release before HEAD where it stands on none, and how many commits ago.
    pub nearest: Option<(String, u64)>,
    /// Whether the compose file is tracked.
    pub compose_tracked: bool,
}

impl Git {
    pub(super) async fn look(cx: &Context, subject: &Subject) -> PortResult<Self> {
        let (git, dir) = (&cx.world.git, &cx.workdir);
        let head = git.head(dir).await?.commit;
        let (status, remotes, tags, tracked) =
            tokio::try_join!(git.status(dir), git.remotes(dir), git.tags(dir), git.show(dir, &head, &subject.compose_file))?;
        let mut releases: Vec<(Version, String, String)> =
            tags.into_iter().filter_map(|(tag, commit)| Some((release(&tag)?, tag, commit))).collect();
        releases.sort();
        let at = releases.iter().rfind(|(.., commit)| *commit == head).map(|(version, tag, _)| (version.clone(), tag.clone()));
        let mut nearest = None;
        for (_, tag, commit) in releases.iter().rev().take(if at.is_some() { 0 } else { NEAREST }) {
            if git.distance(dir, &head, commit).await? == 0 {
                nearest = Some((tag.clone(), git.distance(dir, commit, &head).await?));
                break;
            }
        }
        let releases = releases.into_iter().map(|(version, tag, _)| (version, tag)).collect();
        Ok(Self { head, status, remotes, releases, at, nearest, compose_tracked: tracked.is_some() })
    }
}

/// The release that a tag names.
pub(super) fn release(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v')?).ok()
}
