//! Words for what goes wrong with files.

use std::path::Path;

use rustix::io::Errno;

use crate::world::{PortError, PortErrorKind};

/// `what` could not be done with `path`.
pub(super) fn cannot(what: &str, path: &Path, errno: Errno) -> PortError {
    let path = path.display();
    let text = std::io::Error::from(errno).to_string();
    let words = text.split(" (os error").next().unwrap_or_default().to_lowercase();
    let error = |kind| PortError::new(kind, format!("cannot {what} `{path}`: {words}"));
    match errno {
        Errno::NOENT => error(PortErrorKind::NotFound),
        Errno::ACCESS | Errno::PERM => {
            error(PortErrorKind::Denied).hint(format!("`namei -l {path}` shows the owners and modes along the way; run as one who may"))
        }
        Errno::ROFS => error(PortErrorKind::Denied).hint("the file system is mounted read-only"),
        Errno::NOSPC | Errno::DQUOT => {
            error(PortErrorKind::Failed).hint(format!("the file is as it was; make room (`df -h {path}`, `df -i {path}`) and resume"))
        }
        Errno::BUSY => error(PortErrorKind::Failed).hint("a file that is a mount point of its own cannot be replaced in one step"),
        Errno::NAMETOOLONG => error(PortErrorKind::Invalid),
        Errno::IO => error(PortErrorKind::Failed).hint("the disk failed; see the kernel's log with `dmesg`"),
        _ => error(PortErrorKind::Failed),
    }
}

/// `path` is not a file but something else.
pub(super) fn is_a(path: &Path, what: &str) -> PortError {
    PortError::invalid(format!("`{}` is a {what}, not a file", path.display()))
}

/// Somebody else works on the same path.
pub(super) fn changed(path: &Path) -> PortError {
    PortError::new(PortErrorKind::Transient, format!("`{}` was changed by somebody else while it was looked at", path.display()))
}
