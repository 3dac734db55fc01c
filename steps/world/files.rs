//! The port to the file system.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{PortError, PortResult};

/// A file as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// Its bytes.
    #[serde(with = "bytes_as_base64")]
    pub bytes: Vec<u8>,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a path leads to, looked at without following a link at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File,
    /// A folder, and whether anything is in it.
    Folder {
        /// Nothing is in it.
        empty: bool,
    },
    /// A link, and where it leads as it is written.
    Link(PathBuf),
    /// A device, socket or FIFO.
    Other,
}

mod bytes_as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Reads and writes files under a root. Every path is resolved so that it cannot leave `root` through `..` or links that point
/// outside; a link that stays inside is followed. Devices, sockets and FIFOs are refused.
#[async_trait]
pub trait Files: Send + Sync {
    /// The file, or None if nothing is there.
    async fn read(&self, root: &Path, path: &Path) -> PortResult<Option<FileContent>>;

    /// What is at the end of the path, or None if nothing is there.
    async fn entry(&self, root: &Path, path: &Path) -> PortResult<Option<Entry>>;

    /// Bytes that are free for the user on the disk of the folder `root`.
    async fn free_space(&self, root: &Path) -> PortResult<u64>;

    /// Replaces the file in one step (temporary file in the same folder, fsync, rename, fsync of the folder). A link is followed:
    /// its target is replaced, the link stays. Missing folders are made. `mode` is the mode of a file that is new;
    /// an existing one keeps its mode and owner unless `force_mode`.
    async fn write(&self, root: &Path, path: &Path, bytes: &[u8], mode: u32, force_mode: bool) -> PortResult<()>;

    /// Takes away the temporary files that the driver with this mark left when it was killed in the middle of [`Files::write`]. For whoever
    /// takes over from a driver that is dead; where nothing was left, it does nothing.
    async fn sweep(&self, _mark: &str) -> PortResult<()> {
        Ok(())
    }

    /// Makes a folder if it is missing, and closes it to all but its owner.
    async fn private_folder(&self, root: &Path, folder: &Path) -> PortResult<()>;

    /// Removes the file; fine if nothing is there. Folders that [`Files::write`] made are left.
    async fn remove(&self, root: &Path, path: &Path) -> PortResult<()>;

    /// Files that match a glob below `root`, relative to it, in name order.
    async fn glob(&self, root: &Path, pattern: &str) -> PortResult<Vec<PathBuf>>;

    /// An empty folder of its own for passing things on to another port, outside every working directory. It goes away with the guard.
    async fn temp_dir(&self) -> PortResult<(PathBuf, Box<dyn Send + Sync>)> {
        let made = tempfile::Builder::new().prefix("formula-").tempdir();
        let dir = made.map_err(|error| PortError::failed(format!("cannot make a temporary folder: {error}")))?;
        Ok((dir.path().to_owned(), Box::new(dir)))
    }

    /// Holds an advisory lock beside `path` until the guard is dropped; waits for others.
    async fn lock(&self, root: &Path, path: &Path) -> PortResult<Box<dyn Send + Sync>>;
}
