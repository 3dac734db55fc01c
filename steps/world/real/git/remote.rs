//! Looking at remotes and fetching from them.

use std::collections::BTreeMap;
use std::path::Path;

use super::RealGit;
use super::explain::masked;
use super::names::{check_ref, check_remote};
use crate::world::{Output, PortResult, RemoteAddress, RemoteRef};

/// The address of a remote.
pub(super) async fn url(git: &RealGit, dir: &Path, remote: &str) -> PortResult<Option<String>> {
    check_remote(remote)?;
    let answer = git.read(dir).args(["remote", "get-url", "--", remote]).run().await?;
    match answer.code {
        2 => Ok(None),
        _ => Ok(Some(masked(&answer.ok(&format!("see where the remote `{remote}` is"))?.line()))),
    }
}

/// The remotes that are configured.
pub(super) async fn all(git: &RealGit, dir: &Path) -> PortResult<Vec<RemoteAddress>> {
    let answer = git.read(dir).args(["config", "--null", "--get-regexp", r"^remote\..*\.(push)?url$"]).run().await?;
    if answer.code == 1 {
        return Ok(Vec::new());
    }
    let answer = answer.ok(&format!("list the remotes of `{}`", dir.display()))?;
    let text = String::from_utf8_lossy(&answer.out);
    let mut remotes = BTreeMap::<&str, RemoteAddress>::new();
    for (key, url) in text.split('\0').filter_map(|entry| entry.split_once('\n')) {
        let Some(name) = key.strip_prefix("remote.").and_then(|key| key.rsplit_once('.')).map(|(name, _)| name) else { continue };
        let shown = masked(url);
        let credentials = shown != url;
        // The address to push to may hold a password that the other one does not.
        let remote = remotes.entry(name).or_insert_with(|| RemoteAddress { name: name.to_owned(), url: shown.clone(), credentials });
        if credentials && !remote.credentials {
            *remote = RemoteAddress { name: name.to_owned(), url: shown, credentials };
        }
    }
    Ok(remotes.into_values().collect())
}

/// The refs of a remote by these full names; all of them for none.
pub(super) async fn refs(git: &RealGit, dir: &Path, remote: &str, names: &[String]) -> PortResult<Vec<RemoteRef>> {
    check_remote(remote)?;
    let mut args = vec!["ls-remote".to_owned(), "--quiet".to_owned(), "--end-of-options".to_owned(), remote.to_owned()];
    for name in names {
        check_ref(name)?;
        args.extend([name.clone(), format!("{name}^{{}}")]);
    }
    let what = format!("list the refs of `{}`", masked(remote));
    let answer = git.read(dir).args(args).run().await?.ok(&what)?;
    let mut found = BTreeMap::<String, RemoteRef>::new();
    for line in String::from_utf8_lossy(&answer.out).lines() {
        let Some((object, name)) = line.split_once('\t') else { continue };
        let plain = name.strip_suffix("^{}");
        // Git matches a name against the end of what is there.
        if !names.is_empty() && !names.iter().any(|wanted| wanted == plain.unwrap_or(name)) {
            continue;
        }
        if let Some(plain) = plain {
            if let Some(tag) = found.get_mut(plain) {
                tag.peeled = Some(object.to_owned());
            }
        } else {
            found.insert(name.to_owned(), RemoteRef { name: name.to_owned(), object: object.to_owned(), peeled: None });
        }
    }
    Ok(found.into_values().collect())
}

/// Fetches what the remote's configuration says, and all tags or none.
pub(super) async fn fetch(git: &RealGit, dir: &Path, remote: &str, tags: bool, output: &dyn Output) -> PortResult<()> {
    check_remote(remote)?;
    let tags = if tags { "--tags" } else { "--no-tags" };
    let call = git.write(dir).args(["-c", "maintenance.auto=false", "-c", "gc.auto=0"]);
    let call = call.args(["fetch", tags, "--no-recurse-submodules", "--end-of-options", remote]).live(output);
    call.run().await?.ok(&format!("fetch from `{}`", masked(remote)))?;
    Ok(())
}
