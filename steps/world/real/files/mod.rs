//! The real side of [`Files`]. Every path is followed by hand below its root, every write replaces the file in one step.
//!
//! Must not know what a file is for.

mod errors;
mod glob;
mod lock;
mod replace;
#[cfg(test)]
mod tests;
mod unfinished;
mod walk;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, fsync, openat, statvfs, unlinkat};
use rustix::io::Errno;

use self::errors::{cannot, changed};
use self::lock::Locks;
use self::unfinished::Unfinished;
use crate::world::{Entry, FileContent, Files, PortError, PortErrorKind, PortResult};

/// Files as the operating system keeps them.
#[derive(Debug, Clone, Default)]
pub struct RealFiles {
    locks: Arc<Locks>,
    unfinished: Option<Unfinished>,
}

impl RealFiles {
    /// The operating system's files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a folder in which every temporary name is noted, so that [`Files::sweep`] finds it after a kill. It is made when it
    /// is needed. Drivers share it; `mark` tells them apart.
    #[must_use]
    pub fn noting(mut self, folder: PathBuf, mark: String) -> Self {
        self.unfinished = Some(Unfinished::new(folder, mark));
        self
    }
}

#[async_trait]
impl Files for RealFiles {
    async fn read(&self, root: &Path, path: &Path) -> PortResult<Option<FileContent>> {
        aside(root, path, read).await
    }

    async fn entry(&self, root: &Path, path: &Path) -> PortResult<Option<Entry>> {
        aside(root, path, walk::entry).await
    }

    async fn free_space(&self, root: &Path) -> PortResult<u64> {
        aside(root, Path::new("."), |root, _| {
            let disk = statvfs(root).map_err(|error| cannot("ask for the free space of", root, error))?;
            Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
        })
        .await
    }

    async fn write(&self, root: &Path, path: &Path, bytes: &[u8], mode: u32, force_mode: bool) -> PortResult<()> {
        let (bytes, notes) = (bytes.to_vec(), self.unfinished.clone());
        aside(root, path, move |root, path| {
            let place = walk::place(root, path, true)?.expect("its folders are made");
            let content = replace::Content { bytes: &bytes, mode, force_mode };
            replace::replace(&place, path, &content, notes.as_ref())
        })
        .await
    }

    async fn sweep(&self, mark: &str) -> PortResult<()> {
        let (Some(unfinished), mark) = (self.unfinished.clone(), mark.to_owned()) else { return Ok(()) };
        aside(Path::new("."), Path::new("."), move |_, _| unfinished.sweep(&mark)).await
    }

    async fn private_folder(&self, root: &Path, folder: &Path) -> PortResult<()> {
        aside(root, folder, |root, folder| {
            let place = walk::place(root, &folder.join("file"), true)?.expect("its folders are made");
            let failed = |error| cannot("close to others the folder", folder, error);
            let folder = walk::readable(&place.folder).map_err(failed)?;
            if fstat(&folder).map_err(failed)?.st_mode & 0o7777 != 0o700 {
                fchmod(&folder, Mode::from_raw_mode(0o700)).map_err(failed)?;
                fsync(&folder).map_err(failed)?;
            }
            Ok(())
        })
        .await
    }

    async fn remove(&self, root: &Path, path: &Path) -> PortResult<()> {
        aside(root, path, remove).await
    }

    async fn glob(&self, root: &Path, pattern: &str) -> PortResult<Vec<PathBuf>> {
        aside(root, Path::new(pattern), |root, pattern| glob::glob(root, &pattern.to_string_lossy())).await
    }

    async fn lock(&self, root: &Path, path: &Path) -> PortResult<Box<dyn Send + Sync>> {
        let place = aside(root, path, |root, path| walk::place(root, path, true)).await?.expect("its folders are made");
        self.locks.lock(place, path).await
    }
}

/// Does what may wait for a disk on a thread of its own: the driver has one thread for everything.
async fn aside<T: Send + 'static>(
    root: &Path,
    path: &Path,
    work: impl FnOnce(&Path, &Path) -> PortResult<T> + Send + 'static,
) -> PortResult<T> {
    let (owned_root, owned_path) = (root.to_owned(), path.to_owned());
    let (done, answer) = tokio::sync::oneshot::channel();
    // Not on the runtime's own threads: where the system gives none, those panic.
    let thread = std::thread::Builder::new().name("files".into());
    let started = thread.spawn(move || drop(done.send(work(&owned_root, &owned_path))));
    started.map_err(|error| {
        let path = path.display();
        PortError::new(PortErrorKind::Transient, format!("cannot start a thread to work on `{path}`: {error}"))
            .hint("the system is short of memory, or of processes for this user (`ulimit -u`)")
    })?;
    answer.await.unwrap_or_else(|_| Err(PortError::failed(format!("work on `{}` was cut off", path.display()))))
}

fn read(root: &Path, path: &Path) -> PortResult<Option<FileContent>> {
    let Some(place) = walk::place(root, path, false)? else { return Ok(None) };
    if place.file(path)?.is_none() {
        return Ok(None);
    }
    // The file may have been exchanged since: neither follow a link nor wait for a FIFO, and look again.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(&place.folder, &place.name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(changed(path)),
        Err(error) => return Err(cannot("open", path, error)),
    };
    let stat = fstat(&file).map_err(|error| cannot("look at", path, error))?;
    walk::regular(path, &stat)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or_default());
    File::from(file).read_to_end(&mut bytes).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        cannot("read", path, errno)
    })?;
    Ok(Some(FileContent { bytes, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }))
}

fn remove(root: &Path, path: &Path) -> PortResult<()> {
    let Some(place) = walk::place(root, path, false)? else { return Ok(()) };
    if place.file(path)?.is_none() {
        return Ok(());
    }
    let folder = walk::readable(&place.folder).map_err(|error| cannot("open the folder of", path, error))?;
    match unlinkat(&folder, &place.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(cannot("remove", path, error)),
    }
    fsync(&folder).map_err(|error| cannot("make durable the folder of", path, error))
}
