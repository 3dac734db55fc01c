//! Files in memory.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::super::{Entry, FileContent, Files, PortError, PortResult};
use super::{FakeWorld, State};

/// A file. Written as `{ text = "…", mode = 0o600 }`, `{ base64 = "…" }` or `{ link = "target" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct FakeFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<PathBuf>,
}

impl FakeFile {
    /// A file of these bytes, mode 0644.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), mode: 0o644, uid: 1000, gid: 1000, link: None }
    }

    /// With these permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// A symbolic link.
    pub fn link(target: impl Into<PathBuf>) -> Self {
        Self { link: Some(target.into()), mode: 0o777, ..Self::new("") }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<PathBuf>,
    #[serde(default = "usual_mode")]
    mode: u32,
    #[serde(default = "usual_owner")]
    uid: u32,
    #[serde(default = "usual_owner")]
    gid: u32,
}

fn usual_mode() -> u32 {
    0o644
}

fn usual_owner() -> u32 {
    1000
}

impl From<Written> for FakeFile {
    fn from(file: Written) -> Self {
        let bytes = match (file.text, file.base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(coded)) => STANDARD.decode(&coded).unwrap_or_else(|_| coded.into_bytes()),
            (None, None) => Vec::new(),
        };
        Self { bytes, mode: file.mode, uid: file.uid, gid: file.gid, link: file.link }
    }
}

impl From<FakeFile> for Written {
    fn from(file: FakeFile) -> Self {
        let (text, base64) = match (&file.link, String::from_utf8(file.bytes)) {
            (Some(_), _) => (None, None),
            (None, Ok(text)) => (Some(text), None),
            (None, Err(error)) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self { text, base64, link: file.link, mode: file.mode, uid: file.uid, gid: file.gid }
    }
}

impl State {
    /// Puts a file there, mode 0644.
    pub fn put(&mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), FakeFile::new(bytes));
    }

    /// The text of a file.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        self.files.get(path.as_ref()).map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
    }

    /// Writes a file as [`Files::write`] does.
    pub(super) fn write_file(&mut self, path: &Path, bytes: &[u8], mode: u32, force_mode: bool) {
        let file = self.files.entry(path.to_owned()).or_insert_with(|| FakeFile::new("").mode(mode));
        file.bytes = Vec::from(bytes);
        if force_mode {
            file.mode = mode;
        }
    }
}

/// The path without `.` and `..`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

/// Where `path` really leads, which must be below `root`.
fn resolve(state: &State, root: &Path, path: &Path) -> PortResult<PathBuf> {
    let outside = |path: &Path| PortError::invalid(format!("`{}` leaves `{}`", path.display(), root.display()));
    let mut at = tidy(&root.join(path));
    for _ in 0..40 {
        if !at.starts_with(root) || at == root {
            return Err(outside(&at));
        }
        match state.files.get(&at).and_then(|file| file.link.as_ref()) {
            None => return Ok(at),
            Some(target) => at = tidy(&at.parent().unwrap_or(root).join(target)),
        }
    }
    Err(PortError::failed(format!("`{}` is a loop of links", path.display())))
}

#[async_trait]
impl Files for FakeWorld {
    async fn read(&self, root: &Path, path: &Path) -> PortResult<Option<FileContent>> {
        self.look("files.read", root.join(path).display(), |state| {
            let path = resolve(state, root, path)?;
            Ok(state.files.get(&path).map(|file| FileContent { bytes: file.bytes.clone(), mode: file.mode, uid: file.uid, gid: file.gid }))
        })
    }

    async fn entry(&self, root: &Path, path: &Path) -> PortResult<Option<Entry>> {
        self.look("files.entry", root.join(path).display(), |state| {
            let at = tidy(&root.join(path));
            let Some(file) = state.files.get(&at) else {
                let inside = state.files.keys().any(|file| file.starts_with(&at));
                return Ok(inside.then_some(Entry::Folder { empty: false }));
            };
            Ok(Some(file.link.clone().map_or(Entry::File, Entry::Link)))
        })
    }

    async fn free_space(&self, root: &Path) -> PortResult<u64> {
        self.look("files.free_space", root.display(), |_| Ok(1 << 40))
    }

    async fn write(&self, root: &Path, path: &Path, bytes: &[u8], mode: u32, force_mode: bool) -> PortResult<()> {
        self.change("files.write", format_args!("{} {mode:o}", root.join(path).display()), |state| {
            let path = resolve(state, root, path)?;
            state.write_file(&path, bytes, mode, force_mode);
            Ok(())
        })
    }

    async fn private_folder(&self, root: &Path, folder: &Path) -> PortResult<()> {
        // There are no folders here.
        self.look("files.private_folder", root.join(folder).display(), |_| Ok(()))
    }

    async fn remove(&self, root: &Path, path: &Path) -> PortResult<()> {
        self.change("files.remove", root.join(path).display(), |state| {
            let path = tidy(&root.join(path));
            if !path.starts_with(root) || path == root {
                return Err(PortError::invalid(format!("`{}` leaves `{}`", path.display(), root.display())));
            }
            state.files.remove(&path);
            Ok(())
        })
    }

    async fn glob(&self, root: &Path, pattern: &str) -> PortResult<Vec<PathBuf>> {
        self.look("files.glob", pattern, |state| {
            let pattern = glob(pattern)?;
            let below = state.files.keys().filter_map(|path| path.strip_prefix(root).ok());
            Ok(below.filter(|path| pattern.is_match(&path.to_string_lossy())).map(Path::to_owned).collect())
        })
    }

    async fn temp_dir(&self) -> PortResult<(PathBuf, Box<dyn Send + Sync>)> {
        self.look("files.temp_dir", "", |_| Ok(()))?;
        let folder = PathBuf::from(format!("/scratch/{}", self.unique("folder")));
        Ok((folder.clone(), Box::new(Scratch { world: self.clone(), folder })))
    }

    async fn lock(&self, root: &Path, path: &Path) -> PortResult<Box<dyn Send + Sync>> {
        let path = tidy(&root.join(path));
        self.look("files.lock", path.display(), |_| Ok(()))?;
        let lock = Arc::clone(self.inner.locks.lock().expect("no port panics").entry(path).or_default());
        Ok(Box::new(lock.lock_owned().await))
    }
}

/// Takes a folder away when dropped.
struct Scratch {
    world: FakeWorld,
    folder: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.world.edit(|state| state.files.retain(|path, _| !path.starts_with(&self.folder)));
    }
}

/// A glob as an expression: `*` and `?` within a name, `**` across folders.
pub(super) fn glob(pattern: &str) -> PortResult<Regex> {
    let mut expression = String::from("^");
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let (piece, length) = match next {
            '*' if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
            '*' if rest.starts_with("**") => (".*".to_owned(), 2),
            '*' => ("[^/]*".to_owned(), 1),
            '?' => ("[^/]".to_owned(), 1),
            other => (regex::escape(other.encode_utf8(&mut [0; 4])), other.len_utf8()),
        };
        expression.push_str(&piece);
        rest = &rest[length..];
    }
    expression.push('$');
    Regex::new(&expression).map_err(|_| PortError::invalid(format!("`{pattern}` is not a pattern for file names")))
}
