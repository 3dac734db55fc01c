//! The context as a tar, made chunk by chunk by a thread while the engine reads it: memory stays flat whatever its size.
//!
//! The end of the stream is said, never inferred: if the thread dies or fails, the reader gets an error, since an engine that sees
//! a tar end early builds what came so far and calls it a success.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::content::{Content, other_than_seen};
use super::{BuildContext, Entry, Kind, changed, io_error};
use crate::world::{Build, PortError, PortErrorKind, PortResult};

/// Bytes of one chunk. Eight of them are under way at most.
const CHUNK: usize = 256 * 1024;
const UNDER_WAY: usize = 8;
const BLOCK: usize = 512;

/// What became of a stream, for the one who handed it on.
#[derive(Debug, Default)]
pub struct Sent {
    bytes: AtomicU64,
    failure: OnceLock<PortError>,
}

impl Sent {
    /// Bytes that were taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
    /// Why the stream broke, if it did.
    pub fn failure(&self) -> Option<PortError> {
        self.failure.get().cloned()
    }
}

enum Chunk {
    Data(Bytes),
    Failed(PortError),
    End,
}

/// The chunks of the tar.
#[derive(Debug)]
pub struct ContextStream {
    receiver: Option<mpsc::Receiver<Chunk>>,
    sent: Arc<Sent>,
}

impl ContextStream {
    pub(super) fn start(context: BuildContext, build: Build) -> Self {
        Self::produce(move |sender| {
            let mut tar = Tar { sender, chunk: vec![0; CHUNK], filled: 0, content: Content::new(), counts: false };
            context.walk(&mut |entry| tar.entry(&context, entry))?;
            let content = std::mem::replace(&mut tar.content, Content::new());
            // Before the end is sent: what the engine has not read to its end, it does not build.
            if build.digest.is_some() && Some(content.finish(&context, &build)?) != build.digest {
                return Err(other_than_seen(&context));
            }
            tar.finish()
        })
    }

    /// Runs a producer in a thread; its end, its failure and its death all reach the reader.
    fn produce(producer: impl FnOnce(mpsc::Sender<Chunk>) -> PortResult<()> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let last_word = sender.clone();
        let first_word = sender.clone();
        let thread = std::thread::Builder::new().name("build-context".into()).spawn(move || {
            let word = match producer(sender) {
                Ok(()) => Chunk::End,
                Err(error) => Chunk::Failed(error),
            };
            // A reader that is gone needs no last word.
            let _ = last_word.blocking_send(word);
        });
        if let Err(error) = thread {
            let error = PortError::failed(format!("cannot start a thread to read the build context: {error}"));
            first_word.try_send(Chunk::Failed(error)).ok();
        }
        Self { receiver: Some(receiver), sent: Arc::default() }
    }

    /// The account of this stream.
    pub fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }
}

impl Stream for ContextStream {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(receiver) = &mut self.receiver else { return Poll::Ready(None) };
        let Poll::Ready(chunk) = receiver.poll_recv(cx) else { return Poll::Pending };
        let error = match chunk {
            Some(Chunk::Data(bytes)) => {
                self.sent.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                return Poll::Ready(Some(Ok(bytes)));
            }
            Some(Chunk::End) => {
                self.receiver = None;
                return Poll::Ready(None);
            }
            Some(Chunk::Failed(error)) => error,
            None => PortError::failed("reading the build context stopped without a word; this is a defect"),
        };
        self.receiver = None;
        let _ = self.sent.failure.set(error.clone());
        Poll::Ready(Some(Err(std::io::Error::other(error))))
    }
}

/// Writes entries into chunks.
struct Tar {
    sender: mpsc::Sender<Chunk>,
    chunk: Vec<u8>,
    filled: usize,
    /// What was sent so far.
    content: Content,
    /// Whether the bytes of this file are part of it.
    counts: bool,
}

impl Tar {
    fn entry(&mut self, context: &BuildContext, entry: Entry<'_>) -> PortResult<()> {
        self.counts = self.content.entry(context, &entry);
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.metadata.mode() & 0o7777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(entry.metadata.mtime()).unwrap_or(0));
        header.set_size(0);
        let mut name = entry.path.to_vec();
        match entry.kind {
            Kind::Folder => {
                name.push(b'/');
                header.set_entry_type(tar::EntryType::Directory);
                self.header(header, &name, None)
            }
            Kind::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                self.header(header, &name, Some(target.as_os_str().as_bytes()))
            }
            Kind::Fifo => {
                header.set_entry_type(tar::EntryType::Fifo);
                self.header(header, &name, None)
            }
            Kind::Device => {
                let block = entry.metadata.file_type().is_block_device();
                header.set_entry_type(if block { tar::EntryType::Block } else { tar::EntryType::Char });
                let device = entry.metadata.rdev();
                let set = header.set_device_major(rustix::fs::major(device));
                set.and_then(|()| header.set_device_minor(rustix::fs::minor(device)))
                    .map_err(|error| PortError::failed(format!("`{}`: {error}", String::from_utf8_lossy(&name))))?;
                self.header(header, &name, None)
            }
            Kind::File(mut file) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(entry.metadata.len());
                self.header(header, &name, None)?;
                let path = context.root.join(std::ffi::OsStr::from_bytes(&name));
                self.content(&mut file, entry.metadata.len(), &path)
            }
        }
    }

    /// A header, after the GNU entries for a name or target that has more than 100 bytes.
    fn header(&mut self, mut header: tar::Header, name: &[u8], target: Option<&[u8]>) -> PortResult<()> {
        for (bytes, kind) in [(Some(name), tar::EntryType::GNULongName), (target, tar::EntryType::GNULongLink)] {
            let Some(bytes) = bytes else { continue };
            let gnu = header.as_gnu_mut().expect("made by new_gnu");
            let slot = if kind == tar::EntryType::GNULongName { &mut gnu.name } else { &mut gnu.linkname };
            let fits = bytes.len().min(slot.len());
            slot[..fits].copy_from_slice(&bytes[..fits]);
            if bytes.len() > slot.len() {
                self.long(kind, bytes)?;
            }
        }
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn long(&mut self, kind: tar::EntryType, bytes: &[u8]) -> PortResult<()> {
        const NAME: &[u8] = b"././@LongLink";
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("made by new_gnu").name[..NAME.len()].copy_from_slice(NAME);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64 + 1);
        header.set_cksum();
        self.write(header.as_bytes())?;
        self.write(bytes)?;
        self.write(&[0])?;
        self.pad(bytes.len() as u64 + 1)
    }

    /// Reads a file straight into the chunks: `size` bytes, though it may grow meanwhile.
    fn content(&mut self, file: &mut std::fs::File, size: u64, path: &std::path::Path) -> PortResult<()> {
        let mut left = size;
        while left > 0 {
            let room = &mut self.chunk[self.filled..];
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            match file.read(&mut room[..want]) {
                Ok(0) => return Err(changed(path)),
                Ok(count) => {
                    if self.counts {
                        self.content.bytes(&room[..count]);
                    }
                    left -= count as u64;
                    self.filled += count;
                    self.flush_if_full()?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(path, &error)),
            }
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> PortResult<()> {
        let over = (size % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.write(&[0; BLOCK][over..]) }
    }

    fn write(&mut self, mut bytes: &[u8]) -> PortResult<()> {
        while !bytes.is_empty() {
            let count = bytes.len().min(CHUNK - self.filled);
            self.chunk[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            self.flush_if_full()?;
        }
        Ok(())
    }

    fn flush_if_full(&mut self) -> PortResult<()> {
        if self.filled < CHUNK {
            return Ok(());
        }
        self.filled = 0;
        let full = std::mem::replace(&mut self.chunk, vec![0; CHUNK]);
        self.send(full)
    }

    fn send(&self, bytes: Vec<u8>) -> PortResult<()> {
        let gone = |_| PortError::new(PortErrorKind::Cancelled, "the engine stopped reading the build context");
        self.sender.blocking_send(Chunk::Data(Bytes::from(bytes))).map_err(gone)
    }

    fn finish(mut self) -> PortResult<()> {
        self.write(&[0; 2 * BLOCK])?;
        let mut rest = std::mem::take(&mut self.chunk);
        rest.truncate(self.filled);
        if rest.is_empty() { Ok(()) } else { self.send(rest) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_producer_that_fails_or_dies_is_an_error_for_the_reader() {
        let failing = ContextStream::produce(|sender| {
            sender.blocking_send(Chunk::Data(Bytes::from_static(b"some"))).ok();
            Err(PortError::failed("disk on fire"))
        });
        let sent = failing.sent();
        let items: Vec<_> = failing.collect().await;
        assert_eq!(items.len(), 2);
        assert!(items[1].as_ref().expect_err("the second item is the failure").to_string().contains("disk on fire"));
        assert_eq!((sent.bytes(), sent.failure().map(|error| error.message)), (4, Some("disk on fire".into())));

        let dying = ContextStream::produce(|sender| {
            sender.blocking_send(Chunk::Data(Bytes::from_static(b"some"))).ok();
            // The default hook would print; a closed channel is all that matters here.
            std::panic::resume_unwind(Box::new("dead"));
        });
        let items: Vec<_> = dying.collect().await;
        assert_eq!(items.len(), 2);
        assert!(items[1].is_err());
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_the_producer() {
        let (done, ended) = std::sync::mpsc::channel();
        let stream = ContextStream::produce(move |sender| {
            let mut count = 0;
            while sender.blocking_send(Chunk::Data(Bytes::from_static(b"x"))).is_ok() {
                count += 1;
            }
            done.send(count).ok();
            Ok(())
        });
        drop(stream);
        assert!(ended.recv_timeout(std::time::Duration::from_secs(10)).expect("the producer ends") <= UNDER_WAY);
    }
}
