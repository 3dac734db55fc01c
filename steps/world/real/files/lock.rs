//! Advisory locks: the kernel's lock on the folder of the file, which leaves nothing behind and ends with its holder.
//!
//! Within this process the lock is one per file; towards other processes it is one per folder. So a step may hold locks
//! on two files of a folder without waiting for itself.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::Errno;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::errors::cannot;
use super::walk::{Place, readable};
use crate::world::{PortError, PortResult};

/// The first and the longest pause between two looks at a lock that another process holds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A folder by device and inode.
type FolderId = (u64, u64);

/// What exists as long as somebody holds it.
type Table<K, V> = Mutex<HashMap<K, Weak<V>>>;

/// The locks that this process knows of.
#[derive(Debug, Default)]
pub(super) struct Locks {
    files: Table<(FolderId, OsString), AsyncMutex<()>>,
    folders: Table<FolderId, AsyncMutex<Weak<Held>>>,
}

/// A lock on one file. The order of the fields is that of their release.
struct Guard {
    _folder: (Arc<Held>, Arc<AsyncMutex<Weak<Held>>>),
    _file: OwnedMutexGuard<()>,
}

/// The kernel's lock on a folder.
#[derive(Debug)]
struct Held(OwnedFd);

impl Drop for Held {
    fn drop(&mut self) {
        // Said aloud: a child that is just being started has a copy of the descriptor until its exec.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Locks {
    /// Waits for the lock on the file at `place`.
    pub(super) async fn lock(&self, place: Place, path: &Path) -> PortResult<Box<dyn Send + Sync>> {
        let folder = readable(&place.folder).map_err(|error| cannot("open the folder of", path, error))?;
        let stat = fstat(&folder).map_err(|error| cannot("look at the folder of", path, error))?;
        let id = (stat.st_dev, stat.st_ino);
        let file = entry(&self.files, (id, place.name)).lock_owned().await;
        let shared = entry(&self.folders, id);
        let held = {
            let mut current = shared.lock().await;
            if let Some(held) = current.upgrade() {
                held
            } else {
                let held = Arc::new(acquire(folder, path).await?);
                *current = Arc::downgrade(&held);
                held
            }
        };
        Ok(Box::new(Guard { _folder: (held, shared), _file: file }))
    }
}

/// The value of a key that somebody still holds, or a new one; keys that nobody holds go.
fn entry<K: std::hash::Hash + Eq, V: Default>(map: &Table<K, V>, key: K) -> Arc<V> {
    let mut map = map.lock().expect("no holder panics");
    if let Some(value) = map.get(&key).and_then(Weak::upgrade) {
        return value;
    }
    map.retain(|_, value| value.strong_count() > 0);
    let value = Arc::new(V::default());
    map.insert(key, Arc::downgrade(&value));
    value
}

/// Asks again and again instead of waiting in the kernel: a wait there could not be given up when the run is cancelled.
async fn acquire(folder: OwnedFd, path: &Path) -> PortResult<Held> {
    let mut pause = PAUSES.0;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Held(folder)),
            Err(Errno::WOULDBLOCK) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Err(Errno::INTR) => {}
            Err(error @ (Errno::BADF | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOLCK)) => {
                return Err(PortError::failed(format!(
                    "cannot lock `{}`: its file system has no locks on folders ({error})",
                    path.display()
                ))
                .hint("keep it on a local file system"));
            }
            Err(error) => return Err(cannot("lock", path, error)),
        }
    }
}
