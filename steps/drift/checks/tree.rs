//! The working tree and the repository: d1, d2, d14.

use super::super::facts::Facts;
use super::super::finding::{Finding, Look};
use super::super::subject::Subject;
use crate::kit::text::{count, some_of};

/// The working tree is clean: what git tracks is as HEAD has it.
pub(super) fn d1_clean(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d1", "working tree is clean");
    let git = match &facts.git {
        Ok(git) => git,
        Err(error) => return look.skipped(error),
    };
    let (tracked, loose): (Vec<_>, Vec<_>) =
        git.status.iter().filter(|entry| entry.path != subject.env_file).partition(|entry| entry.tracked());
    let paths = |entries: &[&crate::world::StatusEntry]| entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
    if !tracked.is_empty() {
        let changed = paths(&tracked);
        let remedy = format!("git stash push -- {}", changed.iter().take(10).map(|path| shell(path)).collect::<Vec<_>>().join(" "));
        look.blocker(format!("{} changed: {}", count(changed.len(), "tracked file"), some_of(&changed)), remedy);
    }
    let loose = paths(&loose);
    let note = if loose.is_empty() { String::new() } else { format!("; untracked: {}", some_of(&loose)) };
    look.end(format!("nothing that git tracks is changed{note}"))
}

/// A path as a word of a shell.
fn shell(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// HEAD stands on a release.
pub(super) fn d2_release(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d2", "HEAD is at a release");
    let git = match &facts.git {
        Ok(git) => git,
        Err(error) => {
            look.unknown();
            look.blocker(
                format!("which release this is cannot be told: {error}"),
                "run this in the folder of the box, a clone of its repository",
            );
            return look.end("");
        }
    };
    let newest = git.releases.last().map(|(_, tag)| tag.as_str());
    if let Some((version, tag)) = &git.at {
        let behind = git.releases.iter().filter(|(one, _)| one > version).count();
        return look.end(match newest {
            Some(newest) if behind > 0 => format!("at {tag}, {} behind {newest}", count(behind, "release")),
            _ => format!("at {tag}, the newest release here"),
        });
    }
    let short: String = git.head.chars().take(12).collect();
    let place = match &git.nearest {
        Some((tag, commits)) => {
            format!("HEAD {short} is {} after {tag}, on no release", count(usize::try_from(*commits).unwrap_or_default(), "commit"))
        }
        None => format!("HEAD {short} is on no release, and none comes before it"),
    };
    let target = git.nearest.as_ref().map(|(tag, _)| tag.as_str()).or(newest);
    let remedy = match target {
        Some(tag) => format!("git fetch --tags {} && git checkout {tag}", subject.remote),
        None => format!("git fetch --tags {}", subject.remote),
    };
    if facts.level_is_known() {
        look.warn(place, remedy);
    } else {
        look.unknown();
        look.blocker(
            format!("{place}, and nothing says which migrations were applied"),
            format!("{remedy}\nformula migrate baseline VERSION"),
        );
    }
    look.end("")
}

/// No remote has a password in its address.
pub(super) fn d14_remotes(facts: &Facts) -> Finding {
    let mut look = Look::new("d14", "remotes hold no credentials");
    let git = match &facts.git {
        Ok(git) => git,
        Err(error) => return look.skipped(error),
    };
    for remote in git.remotes.iter().filter(|remote| remote.credentials) {
        look.warn(
            format!("the address of `{}` holds a password: {}", remote.name, remote.url),
            format!(
                "git remote set-url {} {}, then rotate that password: it was readable for everybody who can read .git/config",
                remote.name,
                without_password(&remote.url)
            ),
        );
    }
    look.end(format!("{} without a password in the address", count(git.remotes.len(), "remote")))
}

/// A masked address as a word of a shell, without the mask.
fn without_password(masked: &str) -> String {
    let clean = masked.replacen("://***@", "://", 1).replacen(":***@", "@", 1);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-:@~+%".contains(c);
    if clean.chars().all(plain) { clean } else { format!("'{}'", clean.replace('\'', r"'\''")) }
}
