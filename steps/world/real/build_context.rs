//! The files that a build sends to the engine: walked in one order, streamed as a tar, or reduced to one digest.
//!
//! Knows the file system and `.dockerignore`, not the engine. Whatever cannot be read is an error: a context is complete or it is
//! not sent. Links are sent as links and never followed, sockets are left out as Docker does.

mod content;
mod tar_stream;

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::dockerignore::{Dockerignore, Verdict};
use crate::world::{Build, Builder, PortError, PortErrorKind, PortResult};

pub use content::Known;
pub use tar_stream::{ContextStream, Sent};

const IGNORE_FILE: &str = ".dockerignore";
/// Bytes read at a time for a digest.
const CHUNK: usize = 256 * 1024;

/// A folder that is about to be built, with its `.dockerignore` read.
#[derive(Debug, Clone)]
pub struct BuildContext {
    root: PathBuf,
    dockerfile: String,
    ignore: Dockerignore,
    /// The patterns before the Dockerfile and `.dockerignore` were taken back in.
    written: Dockerignore,
}

/// One thing of the context.
#[derive(Debug)]
struct Entry<'a> {
    /// Relative to the root, the raw bytes of the name.
    path: &'a [u8],
    metadata: Metadata,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder,
    /// Open, so that what was measured is what is read.
    File(File),
    Link(PathBuf),
    Fifo,
    Device,
}

impl BuildContext {
    /// Reads `.dockerignore` and makes sure that there is something to build. Blocks.
    ///
    /// # Errors
    /// `NotFound` without the folder or the Dockerfile, `Invalid` for a pattern that is none or a Dockerfile outside the context.
    pub fn open(build: &Build) -> PortResult<Self> {
        let root = build.context.as_path();
        let shown = root.display();
        let metadata = std::fs::metadata(root).map_err(|error| io_error(root, &error).context("build context"))?;
        if !metadata.is_dir() {
            return Err(PortError::invalid(format!("build context `{shown}` is not a folder")));
        }
        let dockerfile = inside(&build.dockerfile)?;
        if let Err(error) = std::fs::symlink_metadata(root.join(&dockerfile)) {
            let hint = "`dockerfile` is relative to `context`";
            return Err(io_error(&root.join(&dockerfile), &error).context(format!("Dockerfile of the context `{shown}`")).hint(hint));
        }
        let written = match (build.builder, read_patterns(root, &format!("{dockerfile}{IGNORE_FILE}"))?) {
            // Only BuildKit looks for patterns beside the Dockerfile.
            (Builder::Buildkit, Some(beside)) => beside,
            _ => read_patterns(root, IGNORE_FILE)?.unwrap_or_default(),
        };
        let mut ignore = written.clone();
        ignore.keep(IGNORE_FILE);
        ignore.keep(&dockerfile);
        Ok(Self { root: root.to_owned(), dockerfile, ignore, written })
    }

    /// The Dockerfile, relative to the context.
    pub fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// The tar of all that is left in, produced by a thread of its own while it is read. Fails at its end where the content is not the one
    /// in `build.digest`.
    pub fn stream(self, build: &Build) -> ContextStream {
        ContextStream::start(self, build.clone())
    }

    /// `blake3:…` over what decides the content of the image: the entries (path, type, executable or not, link target, bytes), the
    /// Dockerfile, arguments, target and platforms. Owner, times and the place of the folder do not count. Blocks.
    ///
    /// # Errors
    /// For whatever cannot be read; Transient for what changes meanwhile.
    pub fn digest(&self, build: &Build) -> PortResult<String> {
        let mut content = content::Content::new();
        let mut buffer = vec![0; CHUNK];
        self.walk(&mut |entry| {
            if content.entry(self, &entry)
                && let Kind::File(mut file) = entry.kind
            {
                let path = self.root.join(std::ffi::OsStr::from_bytes(entry.path));
                read_exactly(&mut file, entry.metadata.len(), &path, &mut buffer, |bytes| content.bytes(bytes))?;
            }
            Ok(())
        })?;
        content.finish(self, build)
    }

    /// Whether the engine takes a file away again after reading it, since the patterns leave it out.
    fn is_for_the_engine_only(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        (path == IGNORE_FILE || path == self.dockerfile) && self.written.ignores(&path)
    }

    /// Visits all that is left in, folders before what they hold, names in byte order.
    fn walk(&self, visit: &mut dyn FnMut(Entry<'_>) -> PortResult<()>) -> PortResult<()> {
        self.walk_folder(&mut Vec::new(), None, visit)
    }

    fn walk_folder(
        &self,
        relative: &mut Vec<u8>,
        verdict: Option<&Verdict>,
        visit: &mut dyn FnMut(Entry<'_>) -> PortResult<()>,
    ) -> PortResult<()> {
        let folder = self.root.join(std::ffi::OsStr::from_bytes(relative));
        let read = |error: std::io::Error| io_error(&folder, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            names.push(entry.map_err(read)?.file_name());
        }
        names.sort();
        let length = relative.len();
        for name in names {
            if length > 0 {
                relative.push(b'/');
            }
            relative.extend_from_slice(name.as_bytes());
            self.walk_entry(relative, verdict, visit)?;
            relative.truncate(length);
        }
        Ok(())
    }

    fn walk_entry(
        &self,
        relative: &mut Vec<u8>,
        parent: Option<&Verdict>,
        visit: &mut dyn FnMut(Entry<'_>) -> PortResult<()>,
    ) -> PortResult<()> {
        let name = String::from_utf8_lossy(relative).into_owned();
        let verdict = self.ignore.check(&name, parent);
        let path = self.root.join(std::ffi::OsStr::from_bytes(relative));
        let metadata = std::fs::symlink_metadata(&path).map_err(|error| io_error(&path, &error))?;
        let is_folder = metadata.is_dir();
        if verdict.ignored && !(is_folder && self.ignore.reaches_into(&name)) {
            return Ok(());
        }
        if !verdict.ignored {
            let Some((kind, metadata)) = open(&path, metadata)? else { return Ok(()) };
            visit(Entry { path: relative, metadata, kind })?;
        }
        if is_folder { self.walk_folder(relative, Some(&verdict), visit) } else { Ok(()) }
    }
}

fn read_patterns(root: &Path, name: &str) -> PortResult<Option<Dockerignore>> {
    let path = root.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Dockerignore::parse(&String::from_utf8_lossy(&bytes)).map(Some).map_err(|error| error.context(root.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(&path, &error)),
    }
}

/// The path of a Dockerfile, without `.` parts; refused where it leaves the context.
fn inside(dockerfile: &str) -> PortResult<String> {
    let outside = || {
        PortError::invalid(format!("Dockerfile `{dockerfile}` is not a path inside the context"))
            .hint("move it into the context, or choose a context that holds it")
    };
    let mut parts = Vec::new();
    for part in Path::new(dockerfile).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(outside)?),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    if parts.is_empty() { Err(outside()) } else { Ok(parts.join("/")) }
}

/// Opens what is at a path; None for what a context cannot carry. For a file the metadata is that of the open file.
fn open(path: &Path, metadata: Metadata) -> PortResult<Option<(Kind, Metadata)>> {
    let failed = |error: std::io::Error| io_error(path, &error);
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Ok(Some((Kind::Folder, metadata)));
    }
    if kind.is_symlink() {
        return Ok(Some((Kind::Link(std::fs::read_link(path).map_err(failed)?), metadata)));
    }
    if kind.is_fifo() {
        return Ok(Some((Kind::Fifo, metadata)));
    }
    if kind.is_block_device() || kind.is_char_device() {
        return Ok(Some((Kind::Device, metadata)));
    }
    if kind.is_socket() {
        return Ok(None);
    }
    // Neither followed nor waited for, should a link or a FIFO have taken its place meanwhile.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(changed(path));
    }
    Ok(Some((Kind::File(file), metadata)))
}

/// Reads `size` bytes and no more: a file may grow meanwhile. One that shrinks is an error.
fn read_exactly(file: &mut File, size: u64, path: &Path, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> PortResult<()> {
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match file.read(&mut buffer[..want]) {
            Ok(0) => return Err(changed(path)),
            Ok(count) => {
                take(&buffer[..count]);
                left -= count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error(path, &error)),
        }
    }
    Ok(())
}

fn changed(path: &Path) -> PortError {
    PortError::new(PortErrorKind::Transient, format!("`{}` changed while the build context was read", path.display()))
        .hint("leave changing files out in `.dockerignore`, or build from a clean clone")
}

fn io_error(path: &Path, error: &std::io::Error) -> PortError {
    let message = format!("cannot read `{}`: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => PortError::new(PortErrorKind::NotFound, message),
        std::io::ErrorKind::PermissionDenied => {
            PortError::new(PortErrorKind::Denied, message).hint("make it readable, or leave it out in `.dockerignore`")
        }
        _ => PortError::failed(message),
    }
}
