//! The reading end of a child's output.

use std::io;

use rustix::pipe::fcntl_setpipe_size;
use tokio::net::unix::pipe::Receiver;

use crate::world::{Output, PortError, PortResult};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Reads in a row before others get their turn.
const BURST: usize = 16;
/// What the pipe of a child that writes much is grown to.
const WIDE: usize = 1024 * 1024;

/// Hands on what arrives, in a buffer that never grows.
pub(super) struct Drain<'a> {
    pipe: Option<Receiver>,
    buffer: Vec<u8>,
    output: &'a dyn Output,
    widened: bool,
}

impl<'a> Drain<'a> {
    pub(super) fn new(pipe: Receiver, output: &'a dyn Output) -> Self {
        Self { pipe: Some(pipe), buffer: Vec::new(), output, widened: false }
    }

    /// Whether the last writer has closed its end.
    pub(super) fn ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Waits for bytes or the end and hands them on. Never completes once the end was seen.
    pub(super) async fn some(&mut self) -> PortResult<()> {
        match &self.pipe {
            Some(pipe) => pipe.readable().await.map_err(|error| cannot_read(&error))?,
            None => std::future::pending().await,
        }
        if self.rest()? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Hands on what is there, without waiting, at most a burst of it; tells whether there may be more.
    pub(super) fn rest(&mut self) -> PortResult<bool> {
        for _ in 0..BURST {
            let Some(pipe) = &self.pipe else { return Ok(false) };
            self.buffer.clear();
            self.buffer.reserve_exact(CHUNK);
            match pipe.try_read_buf(&mut self.buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    self.output.write(&self.buffer);
                    if count == CHUNK && !self.widened {
                        self.widened = true;
                        // Fewer switches between writer and reader; a system that refuses is merely slower.
                        let _ = fcntl_setpipe_size(pipe, WIDE);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(&error)),
            }
        }
        Ok(true)
    }
}

fn cannot_read(error: &io::Error) -> PortError {
    PortError::failed(format!("cannot read the output of the child: {error}"))
}
