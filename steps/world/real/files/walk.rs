//! Finding the file that a path means without ever leaving the root.
//!
//! The path is followed one component at a time, each opened relative to the folder before it and never through a link, and
//! links are resolved here by their text. `..` goes back to a folder that is held open. Nothing that others rename or link
//! meanwhile can lead outside, whatever the kernel; and unlike `openat2` with `RESOLVE_BENEATH`, a link with an absolute
//! target that lies inside the root may be followed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fsync, mkdirat, open, openat, readlinkat, statat};
use rustix::io::Errno;

use super::errors::{cannot, changed, is_a};
use crate::world::{Entry, PortError, PortErrorKind, PortResult};

/// As many links in a row as the kernel follows.
const LINKS: usize = 40;
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a path ends: a name in a folder.
pub(super) struct Place {
    /// The folder, held open without a right to read it.
    pub folder: OwnedFd,
    /// The last component, which is no link.
    pub name: OsString,
    /// What is there.
    pub found: Option<Stat>,
}

impl Place {
    /// What is there if that is a file.
    ///
    /// # Errors
    /// Folders, devices, sockets and FIFOs are refused.
    pub(super) fn file(&self, path: &Path) -> PortResult<Option<&Stat>> {
        match &self.found {
            Some(stat) => regular(path, stat).map(|()| Some(stat)),
            None => Ok(None),
        }
    }
}

/// Refuses whatever is no file.
pub(super) fn regular(path: &Path, stat: &Stat) -> PortResult<()> {
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "folder",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::Symlink => "link",
        FileType::BlockDevice | FileType::CharacterDevice => "device",
        FileType::Unknown => "thing of an unknown type",
    };
    Err(is_a(path, what))
}

/// Finds where `path` ends. None where a folder on the way does not exist, unless `make` has it made.
pub(super) fn place(root: &Path, path: &Path, make: bool) -> PortResult<Option<Place>> {
    let Some(mut walk) = Walk::begin(root, path, make)? else { return Ok(None) };
    while let Some(name) = walk.next()? {
        let found = walk.look(&name)?;
        if walk.follow(&name, found.as_ref())? {
            continue;
        }
        if walk.pending.is_empty() {
            let folder = walk.stack.pop().expect("the root is at the bottom");
            return Ok(Some(Place { folder, name, found }));
        }
        if !walk.enter(&name, found.as_ref())? {
            return Ok(None);
        }
    }
    Err(is_a(path, "folder"))
}

/// What is at the end of `path`, without following a link there.
pub(super) fn entry(root: &Path, path: &Path) -> PortResult<Option<Entry>> {
    let Some(mut walk) = Walk::begin(root, path, false)? else { return Ok(None) };
    while let Some(name) = walk.next()? {
        let found = walk.look(&name)?;
        let Some(stat) = &found else { return Ok(None) };
        if !walk.pending.is_empty() {
            if !walk.follow(&name, found.as_ref())? && !walk.enter(&name, found.as_ref())? {
                return Ok(None);
            }
            continue;
        }
        return Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Entry::File,
            FileType::Symlink => {
                let target = readlinkat(walk.here(), &name, Vec::new()).map_err(|_| changed(path))?;
                Entry::Link(PathBuf::from(OsString::from_vec(target.into_bytes())))
            }
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let folder = openat(walk.here(), &name, flags, Mode::empty()).map_err(|error| cannot("open", path, error))?;
                let mut entries = Dir::read_from(&folder).map_err(|error| cannot("list", path, error))?.flatten();
                Entry::Folder { empty: !entries.any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")) }
            }
            _ => Entry::Other,
        }));
    }
    Err(is_a(path, "folder"))
}

/// Opens the folder at `path`; None where there is none.
pub(super) fn folder(root: &Path, path: &Path) -> PortResult<Option<OwnedFd>> {
    let Some(mut walk) = Walk::begin(root, path, false)? else { return Ok(None) };
    while let Some(name) = walk.next()? {
        let found = walk.look(&name)?;
        if !walk.follow(&name, found.as_ref())? && !walk.enter(&name, found.as_ref())? {
            return Ok(None);
        }
    }
    Ok(walk.stack.pop())
}

struct Walk<'a> {
    root: &'a Path,
    path: &'a Path,
    make: bool,
    /// The folders from the root to where we are.
    stack: Vec<OwnedFd>,
    /// What is still to be followed.
    pending: VecDeque<OsString>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn begin(root: &'a Path, path: &'a Path, make: bool) -> PortResult<Option<Self>> {
        let relative = if path.is_absolute() { below(root, path).ok_or_else(|| outside(root, path))? } else { path.to_owned() };
        let bottom = match open(root, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()) {
            Ok(bottom) => bottom,
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(Errno::NOENT) => make_root(root)?,
            Err(error) => return Err(cannot("open the folder", root, error)),
        };
        Ok(Some(Self { root, path, make, stack: vec![bottom], pending: parts(&relative), links: 0 }))
    }

    fn here(&self) -> &OwnedFd {
        self.stack.last().expect("the root is at the bottom")
    }

    /// The next name, once `..` was obeyed.
    fn next(&mut self) -> PortResult<Option<OsString>> {
        while let Some(part) = self.pending.pop_front() {
            if part == "." {
                continue;
            }
            if part != ".." {
                return Ok(Some(part));
            }
            if self.stack.len() == 1 {
                return Err(outside(self.root, self.path));
            }
            self.stack.pop();
        }
        Ok(None)
    }

    fn look(&self, name: &OsStr) -> PortResult<Option<Stat>> {
        match statat(self.here(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(cannot("look at", self.path, error)),
        }
    }

    /// Takes a link's target into the way; false if there is no link.
    fn follow(&mut self, name: &OsStr, found: Option<&Stat>) -> PortResult<bool> {
        if found.is_none_or(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Symlink) {
            return Ok(false);
        }
        self.links += 1;
        if self.links > LINKS {
            return Err(PortError::invalid(format!("`{}` goes in circles through links", self.path.display())));
        }
        let target = readlinkat(self.here(), name, Vec::new()).map_err(|_| changed(self.path))?;
        let mut target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            target = below(self.root, &target).ok_or_else(|| leads_outside(self.root, self.path, &target))?;
            self.stack.truncate(1);
        }
        for part in parts(&target).into_iter().rev() {
            self.pending.push_front(part);
        }
        Ok(true)
    }

    /// Goes into a folder, making it where that is wanted; false if there is none.
    fn enter(&mut self, name: &OsStr, found: Option<&Stat>) -> PortResult<bool> {
        if found.is_none() {
            if !self.make {
                return Ok(false);
            }
            match mkdirat(self.here(), name, Mode::from_raw_mode(0o777)) {
                Ok(()) => sync_folder(self.here(), self.path)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(cannot("make the folder of", self.path, error)),
            }
        }
        match openat(self.here(), name, FOLDER, Mode::empty()) {
            Ok(folder) => self.stack.push(folder),
            Err(Errno::NOENT | Errno::LOOP) => return Err(changed(self.path)),
            Err(Errno::NOTDIR) => {
                let name = Path::new(name).display();
                let shown = self.path.display();
                return Err(PortError::invalid(format!("`{shown}` leads through `{name}`, which is a file and no folder")));
            }
            Err(error) => return Err(cannot("go to", self.path, error)),
        }
        Ok(true)
    }
}

/// How many folders above a root that was missing may be as new as it is: those of one run lie three deep in the state directory, and
/// whoever comes first makes them.
const NEW_ABOVE: usize = 4;

/// Makes a root that is not there in a folder that is, for its user alone, and so that it outlives a power cut.
fn make_root(root: &Path) -> PortResult<OwnedFd> {
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        cannot("make the folder", root, errno)
    };
    match std::fs::DirBuilder::new().mode(0o700).create(root) {
        // Another step is at it as well: what it syncs may be late for us, so both do.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.map_err(failed)?,
    }
    for folder in root.ancestors().skip(1).take(NEW_ABOVE).filter(|folder| !folder.as_os_str().is_empty()) {
        match open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => fsync(folder).map_err(|error| cannot("make durable the folder of", root, error))?,
            // Not ours to read, so not made by us either.
            Err(Errno::ACCESS) => break,
            Err(error) => return Err(cannot("open the folder of", root, error)),
        }
    }
    open(root, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()).map_err(|error| cannot("open the folder", root, error))
}

/// Opens a folder for reading: what it takes to list, lock and sync it.
pub(super) fn readable(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn sync_folder(folder: &OwnedFd, path: &Path) -> PortResult<()> {
    readable(folder).and_then(fsync).map_err(|error| cannot("make durable the folder of", path, error))
}

/// The components that matter: `..` is kept, and `.` at the end, which asks for a folder before it.
fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    let mut parts: VecDeque<OsString> = path.components().filter_map(part).collect();
    let text = path.as_os_str().as_encoded_bytes();
    if text.ends_with(b"/") || text.ends_with(b"/.") {
        parts.push_back(OsString::from("."));
    }
    parts
}

/// The rest of an absolute path below the root, by either spelling of the root.
fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let real = || std::fs::canonicalize(root).ok();
    path.strip_prefix(root).map(Path::to_owned).ok().or_else(|| path.strip_prefix(real()?).map(Path::to_owned).ok())
}

fn outside(root: &Path, path: &Path) -> PortError {
    PortError::new(PortErrorKind::Invalid, format!("`{}` leads outside `{}`", path.display(), root.display()))
        .hint("a step may touch only what lies below the working directory")
}

fn leads_outside(root: &Path, path: &Path, target: &Path) -> PortError {
    let (path, target, root) = (path.display(), target.display(), root.display());
    PortError::new(PortErrorKind::Invalid, format!("`{path}` is or passes a link to `{target}`, outside `{root}`"))
        .hint("replace the link by a file, or let it point to a place below the working directory")
}
