//! Pushing just the refs that were asked for.

use std::path::Path;

use super::RealGit;
use super::explain::{explain, masked, words};
use super::names::{check_id, check_ref, check_remote};
use super::program::Answer;
use crate::world::{Output, PortError, PortErrorKind, PortResult, RefUpdate};

/// Where a push goes and how.
pub(super) struct Push<'a> {
    pub git: &'a RealGit,
    pub dir: &'a Path,
    pub remote: &'a str,
    pub force: bool,
    pub output: &'a dyn Output,
}

impl Push<'_> {
    /// Updates refs: all or none where the remote can, each only from what the caller knows is there.
    pub(super) async fn update(&self, updates: &[RefUpdate]) -> PortResult<()> {
        check_remote(self.remote)?;
        updates.iter().try_for_each(check)?;
        let updates = self.still_needed(updates).await?;
        if !self.force {
            for update in &updates {
                self.may_move(update).await?;
            }
        }
        if updates.is_empty() {
            return Ok(());
        }
        let mut answer = self.send(&updates, true).await?;
        if answer.code != 0 && answer.err.contains("does not support --atomic push") {
            answer = self.send(&updates, false).await?;
        }
        if answer.code == 0 { Ok(()) } else { Err(refused(self.remote, &updates, &answer)) }
    }

    /// Leaves out what is to be deleted and is not there: git would refuse all for it.
    async fn still_needed(&self, updates: &[RefUpdate]) -> PortResult<Vec<RefUpdate>> {
        let gone: Vec<String> = updates.iter().filter(|update| update.object.is_none()).map(|update| update.name.clone()).collect();
        if gone.is_empty() {
            return Ok(updates.to_vec());
        }
        let there = super::remote::refs(self.git, self.dir, self.remote, &gone).await?;
        let needed = |update: &&RefUpdate| update.object.is_some() || there.iter().any(|found| found.name == update.name);
        Ok(updates.iter().filter(needed).cloned().collect())
    }

    /// Holds the rule that git drops for a ref with an expected value: without force a branch goes forward only, and a tag stays.
    async fn may_move(&self, update: &RefUpdate) -> PortResult<()> {
        let (Some(object), Some(expected)) = (&update.object, update.expected.as_deref().filter(|expected| !expected.is_empty())) else {
            return Ok(());
        };
        if object == expected {
            return Ok(());
        }
        let name = &update.name;
        let conflict = |why: String| {
            Err(PortError::new(PortErrorKind::Conflict, format!("cannot push `{name}` to `{}`: {why}", masked(self.remote)))
                .hint("fetch and look at both; force overwrites"))
        };
        if name.starts_with("refs/tags/") {
            return conflict(format!("the tag would move from {expected} to {object}"));
        }
        let call = self.git.read(self.dir).args(["merge-base", "--is-ancestor", "--end-of-options", expected, object]);
        match call.run().await?.code {
            0 => Ok(()),
            1 => conflict(format!("{object} does not follow on {expected} (non-fast-forward)")),
            _ => conflict(format!("{expected}, which is there, is not known here (fetch first)")),
        }
    }

    async fn send(&self, updates: &[RefUpdate], atomic: bool) -> PortResult<Answer> {
        let mut args: Vec<String> = Vec::new();
        if is_plain_name(self.remote) {
            // A remote that is configured as a mirror would push everything and delete the rest.
            args.extend(["-c".to_owned(), format!("remote.{}.mirror=false", self.remote)]);
        }
        args.extend(["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"].map(str::to_owned));
        if atomic {
            args.push("--atomic".to_owned());
        }
        for update in updates {
            if let Some(expected) = &update.expected {
                args.push(format!("--force-with-lease={}:{expected}", update.name));
            }
        }
        args.extend(["--end-of-options".to_owned(), self.remote.to_owned()]);
        for update in updates {
            // A plus sign would overrule the expected value.
            let plus = if self.force && update.expected.is_none() && update.object.is_some() { "+" } else { "" };
            args.push(format!("{plus}{}:{}", update.object.as_deref().unwrap_or_default(), update.name));
        }
        self.git.write(self.dir).args(args).live(self.output).run().await
    }
}

fn check(update: &RefUpdate) -> PortResult<()> {
    check_ref(&update.name)?;
    if !update.name.starts_with("refs/") {
        return Err(PortError::invalid(format!("`{}` is not the full name of a ref", update.name))
            .hint("write it as refs/tags/NAME or refs/heads/NAME"));
    }
    let expected = update.expected.as_deref().filter(|expected| !expected.is_empty());
    update.object.iter().map(String::as_str).chain(expected).try_for_each(check_id)
}

fn is_plain_name(remote: &str) -> bool {
    remote.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Why the remote, or git before it, refused.
fn refused(remote: &str, updates: &[RefUpdate], answer: &Answer) -> PortError {
    let report = String::from_utf8_lossy(&answer.out).into_owned();
    // `!<TAB>from:to<TAB>[rejected] (reason)`; what fell with another one tells nothing.
    let lines = report.lines().filter_map(|line| line.strip_prefix("!\t")?.split_once('\t'));
    let reasons: Vec<(&str, &str)> = lines.filter(|(_, reason)| !reason.contains("atomic")).collect();
    let remote = masked(remote);
    let names = updates.iter().map(|update| format!("`{}`", update.name)).collect::<Vec<_>>().join(", ");
    let Some((what, reason)) = reasons.first() else { return explain(&format!("push {names} to `{remote}`"), &answer.err) };
    let name = what.rsplit_once(':').map_or(*what, |(_, name)| name);
    let told: Vec<&str> =
        answer.err.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim).filter(|line| !line.is_empty()).collect();
    let told = if told.is_empty() { String::new() } else { format!("; it says: {}", masked(&told.join("; "))) };
    let message = format!("`{remote}` does not take `{name}`: {}{told}", words(reason));
    let (kind, hint) = match *reason {
        reason if reason.contains("stale info") => {
            (PortErrorKind::Conflict, "it is not there what was last seen; somebody else changed it")
        }
        reason if reason.contains("hook declined") || reason.contains("protected") || reason.contains("denied") => {
            (PortErrorKind::Denied, "the rules of the remote forbid it for these credentials")
        }
        reason if reason.contains("already exists") => (PortErrorKind::Conflict, "the remote has another object under that name"),
        _ => (PortErrorKind::Conflict, "fetch and look at both before anything is overwritten"),
    };
    PortError::new(kind, message).hint(hint)
}
