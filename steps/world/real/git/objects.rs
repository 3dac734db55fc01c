//! Objects: reading them by name, listing a commit's files, writing them out.

use std::fs;
use std::io;
use std::path::Path;

use super::RealGit;
use super::names::{check_revision, tree_path};
use crate::world::{PortError, PortErrorKind, PortResult};

/// An object as `git cat-file --batch` prints it.
pub(super) struct Object {
    pub id: String,
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// The objects of these names, in one call; None for each that is not there. No name may hold a line break.
pub(super) async fn objects(git: &RealGit, dir: &Path, names: &[&str]) -> PortResult<Vec<Option<Object>>> {
    let mut lines = names.join("\n");
    lines.push('\n');
    let what = format!("read from the repository in `{}`", dir.display());
    let answer = git.read(dir).args(["cat-file", "--batch"]).stdin(lines).run().await?.ok(&what)?;
    let mut rest = answer.out.as_slice();
    let cut = || PortError::failed(format!("cannot {what}: its answer is cut off"));
    names.iter().map(|_| next(&mut rest).map_err(|Cut| cut())).collect()
}

/// A batch ends before its time.
struct Cut;

/// Takes the next object from a batch, or the news that there is none.
fn next(rest: &mut &[u8]) -> Result<Option<Object>, Cut> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Cut)?;
    let line = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    let mut fields = line.split(' ');
    let found = match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(id), Some(kind), Some(size), None) if super::names::check_id(id).is_ok() => {
            size.parse::<usize>().ok().map(|size| (id, kind, size))
        }
        _ => None,
    };
    let Some((id, kind, size)) = found else { return Ok(None) };
    let bytes = rest.get(..size).ok_or(Cut)?.to_vec();
    *rest = rest.get(size + 1..).ok_or(Cut)?;
    Ok(Some(Object { id: id.to_owned(), kind: kind.to_owned(), bytes }))
}

/// The files of a commit. What git keeps for a submodule is no file.
pub(super) async fn tree(git: &RealGit, dir: &Path, commit: &str) -> PortResult<Vec<String>> {
    let commit = git.commit(dir, commit).await?;
    let call = git.read(dir).args(["ls-tree", "-r", "-z", "--full-tree", &commit]);
    let answer = call.run().await?.ok(&format!("list the files of {commit}"))?;
    let mut files = Vec::new();
    for entry in answer.out.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let tab = entry.iter().position(|byte| *byte == b'\t').unwrap_or_default();
        let (facts, path) = (&entry[..tab], &entry[(tab + 1).min(entry.len())..]);
        if facts.windows(6).any(|kind| kind == b"commit") {
            continue;
        }
        let path = String::from_utf8(path.to_vec()).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            PortError::failed(format!("the path `{shown}` in {commit} is not UTF-8")).hint("rename the file in the repository")
        })?;
        files.push(path);
    }
    Ok(files)
}

/// A file of a commit.
pub(super) async fn show(git: &RealGit, dir: &Path, commit: &str, path: &str) -> PortResult<Option<Vec<u8>>> {
    check_revision(commit)?;
    let commit = git.commit(dir, commit).await?;
    let path = tree_path(path)?;
    if let Ok(known) = git.known.file(dir, &commit, &path) {
        return Ok(known);
    }
    let name = format!("{commit}:{path}");
    let bytes = match objects(git, dir, &[&name]).await?.pop().flatten() {
        None => None,
        Some(object) if object.kind == "blob" => Some(object.bytes),
        Some(_) => return Err(PortError::invalid(format!("`{path}` is a folder in {commit}, not a file"))),
    };
    git.known.keep_file(dir, &commit, &path, bytes.as_deref());
    Ok(bytes)
}

/// Whether a commit or an ancestor had the file with these bytes, as git would store them at that path.
pub(super) async fn ever_held(git: &RealGit, dir: &Path, commit: &str, path: &str, bytes: &[u8]) -> PortResult<bool> {
    let commit = git.commit(dir, commit).await?;
    let path = tree_path(path)?;
    let what = format!("look for `{path}` in the history of {commit}");
    // Paths count from the folder that git runs in.
    let top = git.read(dir).args(["rev-parse", "--show-toplevel"]).run().await?.ok(&what)?.line();
    let top = Path::new(&top);
    let stored = git.read(top).args(["hash-object", "--stdin", &format!("--path={path}")]).stdin(bytes);
    let call =
        git.read(top).args(["-c", "log.showRoot=true", "log", "--format=", "--raw", "--no-abbrev", "--no-renames", "--full-history", "-m"]);
    let call = call.args(["--end-of-options", &commit, "--", &path]);
    let (stored, answer) = tokio::try_join!(stored.run(), call.run())?;
    let (id, answer) = (stored.ok(&what)?.line(), answer.ok(&what)?);
    let held = |line: &[u8]| line.split(|byte| *byte == b' ').nth(3) == Some(id.as_bytes());
    Ok(answer.out.split(|byte| *byte == b'\n').any(held))
}

/// Writes the files of a commit into an empty folder, as a fresh clone would hold them: through an index of its own, so that
/// neither the repository's index nor its working tree is touched.
pub(super) async fn export(git: &RealGit, dir: &Path, commit: &str, into: &Path) -> PortResult<()> {
    let commit = git.commit(dir, commit).await?;
    whole(git, dir, &commit).await?;
    let into = empty_folder(into)?;
    let scratch = tempfile::tempdir().map_err(|error| PortError::failed(format!("cannot make a temporary folder: {error}")))?;
    let own = ["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
    let mut place = std::ffi::OsString::from("--work-tree=");
    place.push(&into);
    let call = git.write(dir).index(scratch.path().join("index")).args(own).args([place]);
    let call = call.args(["read-tree", "-m", "-u", "--no-sparse-checkout", "--no-recurse-submodules", &commit]);
    call.run().await?.ok(&format!("write the files of {commit} into `{}`", into.display()))?;
    Ok(())
}

/// Refuses what an export would leave out or put elsewhere without a word.
async fn whole(git: &RealGit, dir: &Path, commit: &str) -> PortResult<()> {
    let prefix = git.read(dir).args(["rev-parse", "--show-prefix"]);
    let links = git.read(dir).args(["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit]);
    let (prefix, links) = tokio::try_join!(prefix.run(), links.run())?;
    let prefix = prefix.ok("ask where in the repository this folder is")?.line();
    if !prefix.is_empty() {
        let message = format!("an export holds the whole repository, and `{}` is `{prefix}` in it", dir.display());
        return Err(PortError::invalid(message).hint("give the command in the root of the repository, and name the folder in the params"));
    }
    let links = links.ok(&format!("list the files of {commit}"))?;
    // A submodule is a commit of another repository in the place of a folder.
    let link = links.out.split(|byte| *byte == 0).find(|entry| entry.starts_with(b"160000 "));
    let Some(link) = link else { return Ok(()) };
    let path = link.splitn(2, |byte| *byte == b'\t').nth(1).map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default();
    let message = format!("`{path}` is a submodule, which is not in an export of {commit}");
    Err(PortError::invalid(message).hint("build from the working tree (`clean = false`), or have its files in the repository itself"))
}

/// The absolute path of a folder that is there, or made, and empty.
fn empty_folder(path: &Path) -> PortResult<std::path::PathBuf> {
    let shown = path.display();
    let failed = |error: io::Error| PortError::failed(format!("cannot write into `{shown}`: {error}"));
    fs::create_dir_all(path).map_err(failed)?;
    if fs::read_dir(path).map_err(failed)?.next().is_some() {
        return Err(PortError::new(PortErrorKind::Conflict, format!("`{shown}` is not empty")).hint("name a folder that is not there yet"));
    }
    fs::canonicalize(path).map_err(failed)
}
