//! Names that a file has only until it takes the place of another. A driver that is killed in between cannot take such a name away, so
//! each is noted first, as a link in a folder of the program's own; the next driver takes away what is noted there.
//!
//! The links are not synced: where a power cut takes one away, it takes the later name in the other folder as well, or leaves a complete
//! file that is nobody's.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, mkdirat, readlinkat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::errors::cannot;
use crate::world::PortResult;

/// What ends a temporary name.
pub(super) const END: &str = ".tmp";

/// The folder of the notes, which drivers share, and what the names of this driver's begin with.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    folder: PathBuf,
    mark: String,
}

/// A note, which goes when the name is gone or has been given away.
pub(super) struct Note(PathBuf);

impl Unfinished {
    pub(super) fn new(folder: PathBuf, mark: String) -> Self {
        Self { folder, mark }
    }

    /// Notes that `name` is about to be made in `folder`. None where there is no state directory to keep notes in, so no run that could
    /// be carried on either, and where the system does not tell the folder's path.
    pub(super) fn note(&self, folder: impl AsFd, name: &OsStr) -> Result<Option<Note>, Errno> {
        let Ok(place) = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd())) else { return Ok(None) };
        let mut own = OsString::from(&self.mark);
        own.push(name);
        let note = self.folder.join(own);
        let link = || symlinkat(place.join(name), CWD, &note);
        let made = match link() {
            Err(Errno::NOENT) => match mkdirat(CWD, &self.folder, Mode::from_raw_mode(0o700)) {
                Err(Errno::NOENT) => return Ok(None),
                Ok(()) | Err(Errno::EXIST) => link(),
                Err(error) => Err(error),
            },
            made => made,
        };
        made.map(|()| Some(Note(note)))
    }

    /// Takes away what the driver with this mark, which must be dead, noted.
    pub(super) fn sweep(&self, mark: &str) -> PortResult<()> {
        let failed = |error: std::io::Error| {
            let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
            cannot("read the notes on unfinished files in", &self.folder, errno)
        };
        let notes = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            notes => notes.map_err(failed)?,
        };
        for note in notes {
            let note = note.map_err(failed)?;
            let (path, name) = (note.path(), note.file_name());
            let Some(name) = name.as_encoded_bytes().strip_prefix(mark.as_bytes()).filter(|name| is_temporary(name)) else { continue };
            let target = readlinkat(CWD, &path, Vec::new()).map_err(|error| cannot("read the note", &path, error))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            // Nothing but a name that was made here is ever taken away.
            if target.file_name().is_some_and(|found| found.as_encoded_bytes() == name) {
                remove(&target)?;
                remove(&path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // The next driver finds that the name it tells of is gone.
        let _ = unlinkat(CWD, &self.0, AtFlags::empty());
    }
}

fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(END.as_bytes())
}

fn remove(path: &Path) -> PortResult<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(cannot("remove what a driver that was cut off left at", path, error)),
    }
}
