//! The exclusive right on a target: a kernel lock on an open file, never a pid file. It frees itself when its holder dies, and children
//! never inherit it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Holder;
use crate::model::RunId;

/// Opens no link.
const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Who holds a lock, and for which run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Who.
    pub holder: Holder,
    /// For which run, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// A held lock; let go of on drop.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    left_behind: Option<Box<Held>>,
    /// The file names us, and nobody who died.
    described: bool,
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it; said by the file, which may be a moment behind.
    #[error("`{}` is locked by another run", path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// Who, if the file says so.
        held: Option<Box<Held>>,
    },
    /// The file cannot be used.
    #[error("cannot lock `{}`: {cause}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock or says who has it. Never waits. The name of a holder that died stays in the file until [`Lock::describe`] is called:
    /// whoever finds that its children are still at work lets go, and the next one must find the same.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(path: &Path, holder: &Holder) -> Result<Self, LockError> {
        let io = |cause| LockError::Io { path: path.into(), cause };
        // What it says is written into it and taken away again: that must not happen to another file behind a link.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_LINKS);
        let mut file = options.open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held { path: path.into(), held: serde_json::from_str(&text).ok() });
            }
            Err(TryLockError::Error(cause)) => return Err(io(cause)),
        }
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        let mut lock = Self { file, path: path.into(), left_behind: serde_json::from_str(&text).ok(), described: false };
        if lock.left_behind.is_none() {
            lock.describe(&Held { holder: holder.clone(), run: None }).map_err(io)?;
        }
        Ok(lock)
    }

    /// Writes who holds the lock, for those who find it taken.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&mut self, held: &Held) -> std::io::Result<()> {
        let text = serde_json::to_vec(held)?;
        self.described = true;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }

    /// Who held it before and died without letting go of it.
    pub fn left_behind(&self) -> Option<&Held> {
        self.left_behind.as_deref()
    }

    /// The lock's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says that the holder ended in an orderly way.
        if self.described {
            let _ = self.file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn the_loser_learns_who_holds_it_and_gets_it_once_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("workdir.lock");
        let holder = Holder { host: "box".into(), pid: 7, user: "ops".into(), since: Timestamp(5) };
        let mut first = Lock::acquire(&path, &holder).unwrap();
        first.describe(&Held { holder: holder.clone(), run: Some(RunId("R1".into())) }).unwrap();
        match Lock::acquire(&path, &holder) {
            Err(LockError::Held { held: Some(held), .. }) => {
                assert_eq!((held.holder, held.run), (holder.clone(), Some(RunId("R1".into()))));
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        let second = Lock::acquire(&path, &holder).unwrap();
        assert_eq!(second.left_behind(), None, "the first let go in an orderly way");
        std::mem::forget(second);
        let dead = std::fs::read_to_string(&path).unwrap();
        let other = dir.path().join("other.lock");
        std::fs::write(&other, dead).unwrap();
        let dead = |lock: &Lock| lock.left_behind().map(|held| held.holder.pid);
        assert_eq!(dead(&Lock::acquire(&other, &holder).unwrap()), Some(7));
        // Nobody has seen to it yet.
        let mut next = Lock::acquire(&other, &holder).unwrap();
        assert_eq!(dead(&next), Some(7));
        next.describe(&Held { holder: holder.clone(), run: None }).unwrap();
        drop(next);
        assert_eq!(dead(&Lock::acquire(&other, &holder).unwrap()), None);
    }
}
