//! Files that hold one secret each.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::LONGEST;

/// The whole text of a file, without its last line end.
pub(super) fn read(workdir: &Path, path: &str, warnings: &mut Vec<String>) -> Result<String, String> {
    let whole = locate(workdir, path)?;
    // Asked before opening: a pipe would wait for somebody to write.
    let metadata = whole.metadata().map_err(|error| reason(&error))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = File::open(&whole).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| reason(&error))?;
    if bytes.len() > LONGEST {
        return Err(format!("has more than {LONGEST} bytes"));
    }
    warnings.extend(too_open(path, &metadata));
    String::from_utf8(bytes).map(without_line_end).map_err(|_| "is not UTF-8".to_owned())
}

/// The path below the working directory, or as it is where it is absolute.
pub(super) fn locate(workdir: &Path, path: &str) -> Result<PathBuf, String> {
    let mut depth = 0_i32;
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::RootDir => depth = i32::MAX / 2,
            Component::CurDir | Component::Prefix(_) => {}
        }
        if depth < 0 {
            return Err("leaves the working directory; write an absolute path".to_owned());
        }
    }
    Ok(workdir.join(path))
}

/// Editors and `echo` end a file with a line end that is no part of the secret.
pub(super) fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn too_open(path: &str, metadata: &Metadata) -> Option<String> {
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then(|| format!("secret file `{path}` can be read by others (mode {mode:03o}); `chmod 600 {path}` closes it"))
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
