//! Local tags.

use std::collections::BTreeMap;
use std::path::Path;

use super::RealGit;
use super::explain::explain;
use super::names::{check_id, tag_ref};
use super::objects::objects;
use crate::world::{NewTag, PortError, PortErrorKind, PortResult, Tag};

/// How a signature begins, in a line of its own at the end of the message.
const SIGNATURES: [&str; 4] =
    ["-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"];

/// A tag by name.
pub(super) async fn find(git: &RealGit, dir: &Path, name: &str) -> PortResult<Option<Tag>> {
    let full = tag_ref(name)?;
    let peeled = format!("{full}^{{commit}}");
    let mut found = objects(git, dir, &[&full, &peeled]).await?.into_iter();
    let (Some(Some(tag)), commit) = (found.next(), found.next().flatten()) else { return Ok(None) };
    let Some(commit) = commit else {
        return Err(PortError::failed(format!("the tag `{name}` stands for no commit, but for {} {}", tag.kind, tag.id)));
    };
    let annotated = tag.kind == "tag";
    let message = if annotated { message(&String::from_utf8_lossy(&tag.bytes)) } else { String::new() };
    Ok(Some(Tag { object: tag.id, commit: commit.id, annotated, message }))
}

/// Every tag, with the commit it stands for.
pub(super) async fn all(git: &RealGit, dir: &Path) -> PortResult<BTreeMap<String, String>> {
    let format = "--format=%(refname:strip=2) %(objectname) %(*objectname)";
    let answer = git.read(dir).args(["for-each-ref", format, "refs/tags"]).run().await?.ok("list the tags")?;
    let text = String::from_utf8_lossy(&answer.out);
    let tag = |line: &str| {
        let mut words = line.split(' ');
        let (name, object) = (words.next()?, words.next()?);
        let commit = words.next().filter(|commit| !commit.is_empty()).unwrap_or(object);
        Some((name.to_owned(), commit.to_owned()))
    };
    Ok(text.lines().filter_map(tag).collect())
}

/// The message of a tag object, without headers, signature and final line breaks.
fn message(object: &str) -> String {
    let text = object.split_once("\n\n").map_or("", |(_, text)| text);
    let mut end = text.len();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if SIGNATURES.iter().any(|signature| line.starts_with(signature)) {
            end = at;
        }
        at += line.len();
    }
    text[..end].trim_end_matches('\n').to_owned()
}

/// Makes an annotated tag.
pub(super) async fn create(git: &RealGit, dir: &Path, tag: &NewTag) -> PortResult<Tag> {
    let NewTag { name, commit, message, sign } = tag;
    tag_ref(name)?;
    check_id(commit)?;
    if message.trim().is_empty() {
        return Err(PortError::invalid(format!("the tag `{name}` has no message")));
    }
    // Whether to sign beyond what is asked for is the user's configuration (`tag.gpgSign`).
    let how = if *sign { "--sign" } else { "--annotate" };
    let call = git.write(dir).args(["tag", how, "--cleanup=whitespace", "--file=-", "--end-of-options", name, commit]);
    let answer = call.stdin(message.as_bytes()).run().await?;
    if answer.code != 0 && answer.err.contains("already exists") {
        let there = find(git, dir, name).await?.map(|there| format!(", on {}", there.commit)).unwrap_or_default();
        return Err(PortError::new(PortErrorKind::Conflict, format!("there is a tag `{name}` already{there}"))
            .hint(format!("`git show {name}` shows it; a tag that was published is not moved")));
    }
    answer.ok(&format!("make the tag `{name}`"))?;
    find(git, dir, name).await?.ok_or_else(|| PortError::failed(format!("the tag `{name}` was made, but is not there")))
}

/// Deletes a tag that still is what the caller knows.
pub(super) async fn delete(git: &RealGit, dir: &Path, name: &str, object: &str) -> PortResult<()> {
    let full = tag_ref(name)?;
    check_id(object)?;
    let Some(there) = current(git, dir, &full).await? else { return Ok(()) };
    if there != object {
        return Err(moved(name, object, &there));
    }
    let answer = git.write(dir).args(["update-ref", "--no-deref", "-d", &full, object]).run().await?;
    if answer.code == 0 {
        return Ok(());
    }
    // Somebody was faster: what is there now decides.
    match current(git, dir, &full).await? {
        None => Ok(()),
        Some(there) if there != object => Err(moved(name, object, &there)),
        Some(_) => Err(explain(&format!("delete the tag `{name}`"), &answer.err)),
    }
}

async fn current(git: &RealGit, dir: &Path, full: &str) -> PortResult<Option<String>> {
    let answer = git.read(dir).args(["rev-parse", "--quiet", "--verify", "--end-of-options", full]).run().await?;
    match answer.code {
        1 => Ok(None),
        _ => Ok(Some(answer.ok(&format!("look at `{full}`"))?.line())),
    }
}

fn moved(name: &str, expected: &str, found: &str) -> PortError {
    PortError::new(PortErrorKind::Conflict, format!("the tag `{name}` is {found} now, not {expected}"))
        .hint("somebody made it anew; it is left as it is")
}

/// Checks the signature of a tag.
pub(super) async fn verify(git: &RealGit, dir: &Path, name: &str) -> PortResult<()> {
    let full = tag_ref(name)?;
    let Some(tag) = find(git, dir, name).await? else {
        return Err(PortError::new(PortErrorKind::NotFound, format!("there is no tag `{name}`")).hint("`git fetch --tags` brings tags"));
    };
    let what = format!("verify the tag `{name}`");
    if !tag.annotated {
        return Err(PortError::failed(format!("cannot {what}: it is a lightweight tag, which cannot be signed")));
    }
    let answer = git.read(dir).args(["verify-tag", "--end-of-options", &full]).run().await?;
    if answer.code == 0 {
        return Ok(());
    }
    let error = explain(&what, &answer.err);
    Err(match answer.err.as_str() {
        said if said.contains("no signature found") => error.hint("it is not signed; `git tag -s` signs"),
        said if said.contains("allowedSignersFile") => error.hint("git config gpg.ssh.allowedSignersFile FILE"),
        said if said.contains("No public key") => error.hint("import the signer's public key with `gpg --import`"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn the_message_is_what_was_written() {
        let head = "object x\ntype commit\ntag v1\ntagger a <b> 1 +0000\n\n";
        for (text, wanted) in [
            ("one\n", "one"),
            ("one\n\ntwo\n", "one\n\ntwo"),
            ("one\n-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----\n", "one"),
            ("one\n-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n", "one"),
            ("about -----BEGIN PGP SIGNATURE-----\n", "about -----BEGIN PGP SIGNATURE-----"),
            ("", ""),
        ] {
            assert_eq!(message(&format!("{head}{text}")), wanted);
        }
    }
}
