//! Moving the working tree.

use std::path::Path;

use super::RealGit;
use super::explain::explain;
use crate::world::{PortError, PortErrorKind, PortResult};

/// Files that a message lists before it counts the rest.
const LISTED: usize = 20;

/// Runs `git checkout` so that it loses nothing: no force, ignored files are not overwritten either, submodules stay.
pub(super) async fn checkout(git: &RealGit, dir: &Path, to: &[&str]) -> PortResult<()> {
    let call = git.write(dir).args(["checkout", "--quiet", "--no-recurse-submodules", "--no-overwrite-ignore"]);
    let answer = call.args(to).args(["--"]).run().await?;
    if answer.code == 0 {
        return Ok(());
    }
    let target = to.last().copied().unwrap_or_default();
    let what = format!("check out {target} in `{}`", dir.display());
    let files = in_the_way(&answer.err);
    if files.is_empty() {
        return Err(explain(&what, &answer.err));
    }
    let list = files.iter().take(LISTED).map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    let more = match files.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(PortError::new(PortErrorKind::Conflict, format!("cannot {what}: local changes would be lost in {list}{more}"))
        .hint("commit them, put them aside with `git stash --include-untracked`, or move the files away"))
}

/// The files that git names as being in the way: each on a line of its own after a tab, or before `: needs merge`.
fn in_the_way(said: &str) -> Vec<String> {
    let line = |line: &str| line.strip_prefix('\t').or_else(|| line.strip_suffix(": needs merge")).map(str::to_owned);
    said.lines().filter_map(line).collect()
}
