//! Replacing a file in one step: whoever reads it meets the old bytes or the new ones, after a power cut too.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, fsync, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::errors::cannot;
use super::unfinished::{END, Note, Unfinished};
use super::walk::{Place, readable};
use crate::world::{PortError, PortErrorKind, PortResult};

/// What nobody else may do while the bytes are written: the mode before the last one, never wider than it.
const CLOSED: u32 = 0o600;
/// Tries to find a name that is not taken.
const NAMES: usize = 16;

/// The bytes and mode that a file gets. `mode` is that of a new file, or of any where `force_mode`.
pub(super) struct Content<'a> {
    pub bytes: &'a [u8],
    pub mode: u32,
    pub force_mode: bool,
}

/// Puts the content in place. A kill leaves the old file or the new one, and at most a temporary name that is noted in `notes`.
pub(super) fn replace(place: &Place, path: &Path, content: &Content<'_>, notes: Option<&Unfinished>) -> PortResult<()> {
    let Content { bytes, mode, force_mode } = *content;
    let old = place.file(path)?;
    let mode = old.filter(|_| !force_mode).map_or(mode, |old| old.st_mode) & 0o7777;
    // First what may be refused: without a sync of the folder the rename would not be durable.
    let folder = readable(&place.folder).map_err(|error| cannot("open the folder of", path, error))?;
    let fill = |file: &mut File| {
        write(file, path, bytes)?;
        keep_owner(file, path, old)?;
        fchmod(&*file, Mode::from_raw_mode(mode)).map_err(|error| cannot("set the mode of", path, error))?;
        fsync(&*file).map_err(|error| cannot("make durable", path, error))
    };
    let beside = Beside { folder: &folder, place, path, notes };
    match beside.unnamed(old.is_none(), fill)? {
        Unnamed::Placed => {}
        Unnamed::Linked(temporary) => temporary.publish(&place.name).map_err(|error| cannot("replace", path, error))?,
        Unnamed::Impossible => beside.named(fill)?.publish(&place.name).map_err(|error| cannot("replace", path, error))?,
    }
    fsync(&folder).map_err(|error| cannot("make durable the folder of", path, error))
}

fn write(file: &mut File, path: &Path, bytes: &[u8]) -> PortResult<()> {
    file.write_all(bytes).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        cannot("write", path, errno)
    })
}

/// Gives the new file the owner of the old one.
fn keep_owner(file: &File, path: &Path, old: Option<&Stat>) -> PortResult<()> {
    let Some(old) = old else { return Ok(()) };
    let new = fstat(file).map_err(|error| cannot("look at", path, error))?;
    if (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid) {
        return Ok(());
    }
    fchown(file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid))).map_err(|_| {
        let (path, uid, gid) = (path.display(), old.st_uid, old.st_gid);
        PortError::new(
            PortErrorKind::Denied,
            format!("cannot replace `{path}`: it belongs to user {uid} and group {gid}, and would not afterwards"),
        )
        .hint("run as its owner or as root, or give it to the user that runs this")
    })
}

/// Where a new file is made: in the folder of the one that it replaces.
struct Beside<'a> {
    folder: &'a OwnedFd,
    place: &'a Place,
    path: &'a Path,
    notes: Option<&'a Unfinished>,
}

/// What became of a file that was made without a name.
enum Unnamed<'a> {
    /// It has the name it is for.
    Placed,
    /// Something else has that name: it has one of its own.
    Linked(Temporary<'a>),
    /// The file system (or a system without `/proc`) cannot do that.
    Impossible,
}

/// A complete file under a name of its own, which goes unless it is published.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: Option<OsString>,
    /// Dropped last, when the name is gone.
    _note: Option<Note>,
}

impl<'a> Beside<'a> {
    /// Makes the file and has it filled before it gets a name. Where nothing has the name that it is for (`free`) it gets that one, and
    /// there is no moment at which a kill would leave another.
    fn unnamed(&self, free: bool, fill: impl Fn(&mut File) -> PortResult<()>) -> PortResult<Unnamed<'a>> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let Ok(file) = openat(self.folder, ".", flags, Mode::from_raw_mode(CLOSED)) else { return Ok(Unnamed::Impossible) };
        let mut file = File::from(file);
        fill(&mut file)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = |name: &OsStr| linkat(CWD, &*source, self.folder, name, AtFlags::SYMLINK_FOLLOW);
        if free && link(&self.place.name).is_ok() {
            return Ok(Unnamed::Placed);
        }
        Ok(self.fresh(|name| link(name)).map_or(Unnamed::Impossible, |((), temporary)| Unnamed::Linked(temporary)))
    }

    /// Makes the file under its temporary name and has it filled.
    fn named(&self, fill: impl Fn(&mut File) -> PortResult<()>) -> PortResult<Temporary<'a>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = self.fresh(|name| openat(self.folder, name, flags, Mode::from_raw_mode(CLOSED)));
        let (file, temporary) = made.map_err(|error| cannot("make a file beside", self.path, error))?;
        fill(&mut File::from(file))?;
        Ok(temporary)
    }

    /// Makes something under a name beside the file that nobody has.
    fn fresh<T>(&self, make: impl Fn(&OsStr) -> Result<T, Errno>) -> Result<(T, Temporary<'a>), Errno> {
        let mut error = Errno::EXIST;
        for _ in 0..NAMES {
            let mut name = OsString::from(".");
            // A long name is cut so that the temporary one is no longer than the file system takes.
            let shown = self.place.name.to_string_lossy();
            name.push(shown.chars().take(40).collect::<String>());
            name.push(format!(".{:016x}{END}", RandomState::new().build_hasher().finish()));
            let note = self.notes.map_or(Ok(None), |notes| notes.note(self.folder, &name))?;
            match make(&name) {
                Err(Errno::EXIST) => error = Errno::EXIST,
                Err(other) => return Err(other),
                Ok(made) => return Ok((made, Temporary { folder: self.folder, name: Some(name), _note: note })),
            }
        }
        Err(error)
    }
}

impl Temporary<'_> {
    fn publish(mut self, name: &OsStr) -> Result<(), Errno> {
        let own = self.name.clone().expect("only this takes it");
        renameat(self.folder, &own, self.folder, name)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nobody is left to be told; the failure that led here is on its way.
            let _ = unlinkat(self.folder, name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::walk::place;
    use super::*;

    #[test]
    fn a_temporary_file_is_closed_to_others_and_goes_unless_it_is_published() {
        let root = tempfile::tempdir().unwrap();
        let path = Path::new("file");
        let place = place(root.path(), path, true).unwrap().unwrap();
        let folder = readable(&place.folder).unwrap();
        let names = || std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        let beside = Beside { folder: &folder, place: &place, path, notes: None };
        let fill = |file: &mut File| {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, CLOSED);
            write(file, path, b"text")
        };
        let failing = |_: &mut File| Err(PortError::failed("no"));
        let unnamed = |publish: bool| {
            let Unnamed::Linked(made) = beside.unnamed(false, fill).unwrap() else { panic!("the usual file systems can") };
            publish.then(|| made.publish(&place.name).unwrap());
        };
        let named = |publish: bool| {
            let made = beside.named(fill).unwrap();
            publish.then(|| made.publish(&place.name).unwrap());
        };
        for way in [&unnamed as &dyn Fn(bool), &named] {
            way(false);
            assert!(names().is_empty());
            way(true);
            assert_eq!(names(), ["file"]);
            assert_eq!(std::fs::read_to_string(root.path().join("file")).unwrap(), "text");
            std::fs::remove_file(root.path().join("file")).unwrap();
        }
        assert!(beside.unnamed(true, failing).is_err() && beside.named(failing).is_err());
        assert!(names().is_empty());
        // Where the name is free it is taken at once; where somebody else was faster, nothing is lost.
        assert!(matches!(beside.unnamed(true, fill).unwrap(), Unnamed::Placed));
        assert!(matches!(beside.unnamed(true, fill).unwrap(), Unnamed::Linked(_)));
        assert_eq!(names(), ["file"]);
    }
}
