//! What decides the content of an image, as one digest; and whether it may have changed since, without reading it again.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;

use blake3::{Hash, Hasher};

use super::{BuildContext, Entry, Kind, io_error};
use crate::world::{Build, PortError, PortErrorKind, PortResult};

/// Takes in entries in the order of the walk.
pub(super) struct Content(Hasher);

impl Content {
    pub(super) fn new() -> Self {
        let mut hash = Hasher::new();
        field(&mut hash, b"formula build 2");
        Self(hash)
    }

    /// Takes in an entry without its bytes; whether these count.
    pub(super) fn entry(&mut self, context: &BuildContext, entry: &Entry<'_>) -> bool {
        if context.is_for_the_engine_only(entry.path) {
            return false;
        }
        let hash = &mut self.0;
        field(hash, entry.path);
        match &entry.kind {
            Kind::Folder => field(hash, b"folder"),
            Kind::Fifo => field(hash, b"fifo"),
            Kind::Device => {
                field(hash, b"device");
                field(hash, &entry.metadata.rdev().to_be_bytes());
            }
            Kind::Link(target) => {
                field(hash, b"link");
                field(hash, target.as_os_str().as_bytes());
            }
            Kind::File(_) => {
                field(hash, if entry.metadata.mode() & 0o111 == 0 { b"file" } else { b"program" });
                hash.update(&entry.metadata.len().to_be_bytes());
                return true;
            }
        }
        false
    }

    /// Takes in bytes of the file that was taken in last.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// `blake3:…` over all that was taken in, the Dockerfile, arguments, target and platforms.
    pub(super) fn finish(mut self, context: &BuildContext, build: &Build) -> PortResult<String> {
        let hash = &mut self.0;
        let dockerfile = context.root.join(&context.dockerfile);
        field(hash, &std::fs::read(&dockerfile).map_err(|error| io_error(&dockerfile, &error))?);
        inputs(hash, build);
        Ok(format!("blake3:{}", self.0.finalize().to_hex()))
    }
}

/// The last digest, and what the context looked like before its files were read.
#[derive(Debug, Default)]
pub struct Known(Mutex<Option<(Hash, String)>>);

impl Known {
    /// The digest of a context: the last one, where nothing was touched since. Blocks.
    ///
    /// # Errors
    /// As [`BuildContext::digest`].
    pub fn digest(&self, context: &BuildContext, build: &Build) -> PortResult<String> {
        let look = look(context, build)?;
        let last = self.0.lock().expect("nobody panics with it").clone();
        if let Some((_, digest)) = last.filter(|(seen, _)| *seen == look) {
            return Ok(digest);
        }
        let digest = context.digest(build)?;
        *self.0.lock().expect("nobody panics with it") = Some((look, digest.clone()));
        Ok(digest)
    }
}

/// All that can be seen of a context without reading its files: the system notes when something in them is touched.
fn look(context: &BuildContext, build: &Build) -> PortResult<Hash> {
    let mut hash = Hasher::new();
    field(&mut hash, context.root.as_os_str().as_bytes());
    field(&mut hash, context.dockerfile.as_bytes());
    field(&mut hash, format!("{:?}", context.written).as_bytes());
    context.walk(&mut |entry| {
        let data = &entry.metadata;
        field(&mut hash, entry.path);
        for number in [data.dev(), data.ino(), data.size(), u64::from(data.mode())] {
            hash.update(&number.to_be_bytes());
        }
        for number in [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()] {
            hash.update(&number.to_be_bytes());
        }
        Ok(())
    })?;
    inputs(&mut hash, build);
    Ok(hash.finalize())
}

/// What the image follows from beside the context.
fn inputs(hash: &mut Hasher, build: &Build) {
    pairs(hash, &build.args);
    field(hash, build.target.as_deref().unwrap_or_default().as_bytes());
    let mut platforms = build.platforms.clone();
    platforms.sort();
    field(hash, platforms.join(",").as_bytes());
}

/// The context that is sent is not the one that was looked at.
pub(super) fn other_than_seen(context: &BuildContext) -> PortError {
    let message = format!("the build context `{}` changed while it was built", context.root.display());
    PortError::new(PortErrorKind::Transient, message).hint("leave changing files out in `.dockerignore`, or build from a clean clone")
}

/// Hashes a value so that no two sequences of values look alike.
fn field(hash: &mut Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn pairs(hash: &mut Hasher, pairs: &BTreeMap<String, String>) {
    hash.update(&(pairs.len() as u64).to_be_bytes());
    for (name, value) in pairs {
        field(hash, name.as_bytes());
        field(hash, value.as_bytes());
    }
}
