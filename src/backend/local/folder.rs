//! The state directory: made private, ignored by git, and such that a power cut does not take it away with what it holds.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::Error;

/// What tells git to leave the state directory alone.
const IGNORE: &str = ".gitignore";

/// Makes the state directory, private and ignored by git.
///
/// # Errors
/// [`Error::StateDir`] with the reason: not ours, open to others, not writable.
pub fn prepare_state_dir(path: &Path) -> Result<(), Error> {
    let fail = |what: String| failed(path, &what);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| fail(error.to_string()))?;
        }
        Err(error) => return Err(fail(error.to_string())),
        Ok(meta) if !meta.is_dir() => return Err(fail("it is not a directory".into())),
        Ok(meta) => ours(path, &meta)?,
    }
    // Also where the folder is there: whoever made it may have been cut off before this.
    let ignore = path.join(IGNORE);
    if std::fs::metadata(&ignore).is_ok_and(|meta| meta.len() > 0) {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&ignore);
    file.and_then(|mut file| file.write_all(b"*\n")).map_err(|error| fail(error.to_string()))
}

/// Whether a state directory is safe to use, where there is one: whoever may write to it says what the next command does.
///
/// # Errors
/// [`Error::StateDir`] with the reason: not ours, open to others.
pub fn check_state_dir(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => ours(path, &meta),
        // What is not there, or no folder, is for whoever opens the journal in it to tell.
        _ => Ok(()),
    }
}

fn ours(path: &Path, meta: &Metadata) -> Result<(), Error> {
    let user = rustix::process::geteuid().as_raw();
    if meta.mode() & 0o022 != 0 {
        return Err(failed(path, "others may write to it; `chmod 700` it after a look at what is in it"));
    }
    if meta.uid() != user {
        let owner = meta.uid();
        let what =
            format!("it belongs to uid {owner}, not to you (uid {user}); use it as its owner, or another one with `--state-dir DIR`");
        return Err(failed(path, &what));
    }
    Ok(())
}

/// Makes a state directory durable that was just made: a journal is worth as much as the folder that it lies in. Comes after the journal's own
/// syncs, which leave it little to do.
///
/// # Errors
/// [`Error::StateDir`] when the disk fails.
pub fn make_state_dir_durable(path: &Path) -> Result<(), Error> {
    let ignore = path.join(IGNORE);
    // The folders above may be new as well (`--state-dir a/b`). Whoever is above those is not ours.
    let above = path.ancestors().skip(1).take(2).filter(|folder| !folder.as_os_str().is_empty());
    for what in [ignore.as_path(), path].into_iter().chain(above) {
        sync(what).map_err(|error| failed(what, &format!("cannot be made durable: {error}")))?;
    }
    Ok(())
}

/// Waits until a file, or the names in a folder, are on the disk. A folder that may not be read, or whose file system knows no such thing, is as
/// durable as it gets.
pub(super) fn sync(path: &Path) -> std::io::Result<()> {
    match File::open(path).and_then(|opened| opened.sync_all()) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        ended => ended,
    }
}

fn failed(path: &Path, what: &str) -> Error {
    Error::StateDir(format!("`{}`: {what}", path.display()))
}
