//! The working tree and the repository: d1, d2, d14.

use super::super::clones::LIMIT;
use super::super::facts::Facts;
use super::super::finding::{Finding, Look, Severity};
use super::super::subject::Subject;
use crate::kit::text::{count, some_of};
use crate::world::RemoteAddress;

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

/// No remote has a password in its address, neither here nor in the clones that lie in volumes.
pub(super) fn d14_remotes(facts: &Facts) -> Finding {
    let mut look = Look::new("d14", "remotes hold no credentials");
    let git = match &facts.git {
        Ok(git) => git,
        Err(error) if volumes_are_clean(facts) => return look.skipped(error),
        Err(error) => {
            look.found(Severity::Info, format!("the remotes of this folder were not looked at: {error}"), "");
            in_volumes(facts, &mut look);
            return look.end("");
        }
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
    let inside = in_volumes(facts, &mut look);
    let here = count(git.remotes.len(), "remote");
    look.end(match facts.clones.len() {
        0 => format!("{here} without a password in the address"),
        volumes => format!("{here} here and {inside} in {} without a password in the address", count(volumes, "volume")),
    })
}

/// Whether nothing in a volume is worth telling.
fn volumes_are_clean(facts: &Facts) -> bool {
    let clean = |remotes: &Vec<(String, RemoteAddress)>| remotes.iter().all(|(_, remote)| !remote.credentials);
    facts.clones.iter().all(|clones| clones.remotes.as_ref().is_ok_and(clean))
}

/// Notes what is in volumes, and what could not be looked at. Answers how many remotes there are.
fn in_volumes(facts: &Facts, look: &mut Look) -> usize {
    if let Err(error) = facts.containers.as_ref().map(drop).and(facts.volumes.as_ref().map(drop)) {
        look.found(Severity::Info, format!("clones in volumes were not looked at: {error}"), "");
    }
    let (mut leaking, mut images, mut all) = (Vec::new(), Vec::new(), 0);
    for clones in &facts.clones {
        let volume = &clones.volume;
        let remotes = match &clones.remotes {
            Ok(remotes) => remotes.as_slice(),
            Err(error) => {
                let remedy = "run `formula doctor` as one who may read the folders of the engine's volumes, on its machine";
                look.found(Severity::Info, format!("clones in volume `{volume}` were not looked at: {error}"), remedy);
                continue;
            }
        };
        all += remotes.len();
        for (clone, remote) in remotes.iter().filter(|(_, remote)| remote.credentials) {
            let place = if clone.is_empty() { String::new() } else { format!(" `{clone}` in") };
            look.warn(format!("the address of `{}` in{place} volume `{volume}` holds a password: {}", remote.name, remote.url), "");
            leaking.push(volume.clone());
            images.extend(clones.image.clone());
        }
        if !clones.whole {
            let part = format!("only the first {} MiB of volume `{volume}` were looked at for clones", LIMIT / 1024 / 1024);
            look.found(
                Severity::Info,
                part,
                "run `formula doctor` as one who may read the folders of the engine's volumes, on its machine",
            );
        }
    }
    leaking.dedup();
    if !leaking.is_empty() {
        let image = images.first().map_or("IMAGE", String::as_str);
        let names = leaking.join(" ");
        look.warn(
            format!("{} with such clones: {names}", count(leaking.len(), "volume")),
            format!(
                "have the migration `m2-credentials` clean them: CREDENTIALS_VOLUMES='{names}' CREDENTIALS_IMAGE='{image}' sh \
                 migrations/canonical/m2-credentials/pre.sh, then rotate those passwords"
            ),
        );
    }
    all
}

/// A masked address as a word of a shell, without the mask.
fn without_password(masked: &str) -> String {
    let clean = masked.replacen("://***@", "://", 1).replacen(":***@", "@", 1);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-:@~+%".contains(c);
    if clean.chars().all(plain) { clean } else { format!("'{}'", clean.replace('\'', r"'\''")) }
}
