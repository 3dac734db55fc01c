//! Just enough of an engine to receive a build context from any client, so that ours can be held against the docker program's.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a context carries under one name: type, mode, link target, content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The tar type.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Where a link points.
    pub target: Option<String>,
    /// Hash of the content; a cheap one, since tests are not optimised.
    pub content: u64,
}

/// The entries of a context by name.
pub type Context = BTreeMap<String, Entry>;

/// How the answer to a build ends.
#[derive(Debug, Clone, Copy)]
pub enum Ending {
    /// With an image.
    Well,
    /// In order, but with nothing more than these lines.
    Closed(&'static str),
    /// The connection breaks after these lines.
    Cut(&'static str),
    /// Nothing more comes after these lines.
    Silent(&'static str),
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nOstype: linux\r\nContent-Type: application/json\r\nConnection: close\r\n";

type OnBytes = Box<dyn Fn(u64) + Send + Sync>;

/// Answers on a socket of its own.
pub struct FakeEngine {
    folder: tempfile::TempDir,
    received: Mutex<Receiver<Option<Context>>>,
}

impl FakeEngine {
    /// Takes contexts and says that the build went well.
    pub fn start() -> Self {
        Self::new(Box::new(|_| {}), Ending::Well)
    }

    /// Takes contexts and ends the answer to a build like this.
    pub fn answering(ending: Ending) -> Self {
        Self::new(Box::new(|_| {}), ending)
    }

    /// Calls `on_bytes` with the number of bytes of the context that came so far, while it comes.
    pub fn watching(on_bytes: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self::new(Box::new(on_bytes), Ending::Well)
    }

    fn new(on_bytes: OnBytes, ending: Ending) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("a socket");
        let (sender, received) = channel();
        let on_bytes = Arc::new(on_bytes);
        // Ends with the test process: a connection of its own a request, none of them stays.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, on_bytes) = (sender.clone(), Arc::clone(&on_bytes));
                std::thread::spawn(move || serve(stream, &sender, &on_bytes, ending));
            }
        });
        Self { folder, received: Mutex::new(received) }
    }

    /// As in `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// The next context that was sent; None for one that broke off before its end.
    pub fn context(&self) -> Option<Context> {
        let received = self.received.lock().expect("no test holds it");
        received.recv_timeout(Duration::from_mins(1)).expect("a context was sent")
    }
}

fn serve(stream: UnixStream, received: &Sender<Option<Context>>, on_bytes: &OnBytes, ending: Ending) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut request = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        request.push_str(&line);
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = if path.contains("/build?") {
        let mut chunks = Chunks { reader: &mut reader, left: 0, ended: false, total: 0, on_bytes };
        let entries = entries(&mut chunks);
        // What is left after the end of the tar is padding; an archive may break inside it as well.
        let whole = entries.is_ok() && std::io::copy(&mut chunks, &mut std::io::sink()).is_ok() && chunks.ended;
        // A test that is over does not ask.
        let _ = received.send(entries.ok().filter(|_| whole));
        if !whole {
            return;
        }
        match ending {
            Ending::Well => {
                format!("{{\"aux\":{{\"ID\":\"sha256:{}\"}}}}\r\n{{\"stream\":\"Successfully built\\n\"}}\r\n", "0".repeat(64))
            }
            Ending::Closed(lines) => lines.to_owned(),
            Ending::Cut(lines) | Ending::Silent(lines) => {
                let _ = write!(&stream, "{HEAD}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{lines}\r\n", lines.len());
                if matches!(ending, Ending::Silent(_)) {
                    // Until the client leaves.
                    let _ = std::io::copy(&mut reader, &mut std::io::sink());
                }
                return;
            }
        }
    } else if path.ends_with("/version") {
        "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\",\"Arch\":\"amd64\"}".to_owned()
    } else if path.ends_with("/_ping") {
        "OK".to_owned()
    } else {
        "{}".to_owned()
    };
    let _ = write!(&stream, "{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
}

fn entries(tar: impl Read) -> std::io::Result<Context> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').to_owned();
        let mut hash = DefaultHasher::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = entry.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.write(&buffer[..count]);
        }
        let header = entry.header();
        let value = Entry {
            kind: format!("{:?}", header.entry_type()),
            mode: header.mode()?,
            target: entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned()),
            content: hash.finish(),
        };
        found.insert(path, value);
    }
    Ok(found)
}

/// The body of a chunked request.
struct Chunks<'a> {
    reader: &'a mut BufReader<UnixStream>,
    left: usize,
    /// Whether the last chunk came: a connection that closes before it broke off.
    ended: bool,
    total: u64,
    on_bytes: &'a OnBytes,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut line = String::new();
            while line.trim().is_empty() {
                line.clear();
                if self.reader.read_line(&mut line)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.left = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            self.ended = self.left == 0;
        }
        if self.ended {
            return Ok(0);
        }
        let want = buffer.len().min(self.left);
        let count = self.reader.read(&mut buffer[..want])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        self.total += count as u64;
        (self.on_bytes)(self.total);
        Ok(count)
    }
}
