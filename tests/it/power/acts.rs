//! From system calls to what they do to the disk: which bytes of which file, which name in which folder, and what was waited for.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::trace::Call;

/// A file or folder, whatever it is called.
pub type Inode = usize;

/// A name in a folder.
pub type Name = (Inode, String);

/// What one call does.
#[derive(Debug, Clone)]
pub enum What {
    /// Bytes at a place of a file.
    Data { file: Inode, at: usize, bytes: Vec<u8> },
    /// A new length.
    Length { file: Inode, length: usize },
    /// A name for a file or folder, also instead of another.
    Link { name: Name, inode: Inode },
    /// A name goes.
    Unlink { name: Name },
    /// One name for another.
    Rename { from: Name, to: Name, inode: Inode },
    /// Everything that was done to this file or folder before it began is on the disk.
    Sync { inode: Inode },
    /// The program told the one who started it.
    Said { text: String },
}

/// What a call does, and when.
#[derive(Debug, Clone)]
pub struct Act {
    pub what: What,
    pub begin: usize,
    pub end: usize,
}

/// A recording: what lay there before, and everything since.
pub struct Story {
    /// Content by number; folders have none. What came into being later begins empty.
    pub contents: Vec<Vec<u8>>,
    /// Names before. The root is number 0.
    pub names: BTreeMap<Name, Inode>,
    /// Folders among the numbers.
    pub folders: Vec<bool>,
    /// In the order of their ends.
    pub acts: Vec<Act>,
    /// The last path that a number had, for messages.
    pub paths: Vec<PathBuf>,
}

/// What the content of a symbolic link begins with here; its target follows.
pub const LINK: &[u8] = b"\0link:";

/// An open file: several descriptors may share it.
#[derive(Clone)]
struct Opened {
    inode: Inode,
    at: usize,
    append: bool,
    sync: bool,
}

impl Story {
    /// The acts up to a cut, one a line: what a person needs who wants to know how a state came about.
    pub fn told(&self, cut: usize) -> String {
        let path = |inode: &Inode| self.paths[*inode].display().to_string();
        let name = |name: &Name| self.paths[name.0].join(&name.1).display().to_string();
        let line = |(number, act): (usize, &Act)| {
            let what = match &act.what {
                What::Data { file, at, bytes } => format!("write {} bytes at {at} of {}", bytes.len(), path(file)),
                What::Length { file, length } => format!("cut {} to {length} bytes", path(file)),
                What::Link { name: link, inode } => format!("name {} for file {inode}", name(link)),
                What::Unlink { name: link } => format!("remove the name {}", name(link)),
                What::Rename { from, to, .. } => format!("rename {} to {}", name(from), name(to)),
                What::Sync { inode } => format!("sync {}", path(inode)),
                What::Said { text } => format!("say {}", text.trim_end()),
            };
            format!("{number} [{}-{}] {what}\n", act.begin / 2, act.end / 2)
        };
        self.acts.iter().enumerate().take(cut + 1).map(line).collect()
    }
}

struct Reader<'a> {
    root: &'a Path,
    story: Story,
    /// What is where right now.
    live: BTreeMap<PathBuf, Inode>,
    lengths: Vec<usize>,
    opened: Vec<Opened>,
    tables: HashMap<u32, HashMap<i32, usize>>,
    process_of: HashMap<u32, u32>,
    parent_of: HashMap<u32, (u32, bool)>,
    main: u32,
}

/// Reads a recording of a program that worked in `root`, which held what `before` holds.
pub fn read(root: &Path, before: &Path, calls: &[Call]) -> Story {
    let story = Story { contents: Vec::new(), names: BTreeMap::new(), folders: Vec::new(), acts: Vec::new(), paths: Vec::new() };
    let mut reader = Reader {
        root,
        story,
        live: BTreeMap::new(),
        lengths: Vec::new(),
        opened: Vec::new(),
        tables: HashMap::new(),
        process_of: HashMap::new(),
        parent_of: HashMap::new(),
        main: calls.first().expect("something was recorded").thread,
    };
    reader.new_inode(root.to_path_buf(), true);
    reader.begin_with(before, root);
    for call in calls.iter().filter(|call| ["clone", "clone3", "fork", "vfork"].contains(&call.name.as_str())) {
        let thread = call.args.iter().any(|argument| argument.contains("CLONE_THREAD"));
        reader.parent_of.insert(call.result as u32, (call.thread, thread));
    }
    for call in calls {
        reader.call(call);
    }
    reader.story
}

impl Reader<'_> {
    fn new_inode(&mut self, path: PathBuf, folder: bool) -> Inode {
        self.story.contents.push(Vec::new());
        self.story.folders.push(folder);
        self.story.paths.push(path.clone());
        self.lengths.push(0);
        let inode = self.story.contents.len() - 1;
        self.live.insert(path, inode);
        inode
    }

    fn begin_with(&mut self, from: &Path, to: &Path) {
        let mut entries: Vec<_> = fs::read_dir(from).expect("the start of the recording").flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = to.join(entry.file_name());
            let folder = entry.path().is_dir();
            let inode = self.new_inode(path.clone(), folder);
            self.story.names.insert(self.name(&path), inode);
            if folder {
                self.begin_with(&entry.path(), &path);
            } else {
                self.story.contents[inode] = fs::read(entry.path()).expect("the start of the recording");
                self.lengths[inode] = self.story.contents[inode].len();
            }
        }
    }

    fn name(&self, path: &Path) -> Name {
        let parent = path.parent().expect("below the root");
        let folder = self.live.get(parent).unwrap_or_else(|| panic!("`{}` is not known", parent.display()));
        (*folder, path.file_name().expect("a name").to_string_lossy().into_owned())
    }

    /// The process of a thread; a process that is new begins with the descriptors of its parent.
    fn process(&mut self, thread: u32) -> u32 {
        if let Some(process) = self.process_of.get(&thread) {
            return *process;
        }
        let process = match self.parent_of.get(&thread).copied() {
            Some((parent, true)) => self.process(parent),
            Some((parent, false)) => {
                let parent = self.process(parent);
                let table = self.tables.get(&parent).cloned().unwrap_or_default();
                self.tables.insert(thread, table);
                thread
            }
            None => thread,
        };
        self.process_of.insert(thread, process);
        process
    }

    fn file(&mut self, call: &Call, argument: usize) -> Option<usize> {
        let process = self.process(call.thread);
        // What a program inherits and closes when it begins is not followed; the path tells.
        if !call.fd_path(argument).is_some_and(|path| self.is_ours(Path::new(&path))) {
            return None;
        }
        let found = self.tables.get(&process).and_then(|table| table.get(&call.fd(argument)?)).copied();
        assert!(found.is_some(), "the recording lost track of a descriptor: {call:?}");
        found
    }

    /// Whether it is in the root, and is no memory shared by processes, which no power cut leaves anything of.
    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(self.root) && !path.to_string_lossy().ends_with("-shm")
    }

    /// The path of an argument, relative to the descriptor before it where there is one.
    fn path(&self, call: &Call, folder: Option<usize>, argument: usize) -> Option<PathBuf> {
        let text = call.text(argument);
        let here = || match folder {
            Some(folder) => call.fd_path(folder).unwrap_or_default(),
            None => self.root.to_string_lossy().into_owned(),
        };
        let path = if text.starts_with('/') { PathBuf::from(text) } else { Path::new(&here()).join(text) };
        let path: PathBuf = path.components().collect();
        let path = if path.ends_with(".") { path.parent().map(Path::to_path_buf).unwrap_or_default() } else { path };
        self.is_ours(&path).then_some(path)
    }

    fn act(&mut self, call: &Call, what: What) {
        self.story.acts.push(Act { what, begin: call.begin, end: call.end });
    }

    fn call(&mut self, call: &Call) {
        self.process(call.thread);
        match call.name.as_str() {
            "open" => self.open(call, None, 0, 1),
            "openat" => self.open(call, Some(0), 1, 2),
            "close" => {
                let process = self.process(call.thread);
                if let (Some(fd), Some(table)) = (call.fd(0), self.tables.get_mut(&process)) {
                    table.remove(&fd);
                }
            }
            "dup" | "dup2" | "dup3" => self.dup(call),
            "lseek" => {
                if let Some(file) = self.file(call, 0) {
                    self.opened[file].at = call.result as usize;
                }
            }
            "write" => self.write(call),
            "pwrite64" => {
                if let Some(file) = self.file(call, 0) {
                    self.data(call, file, call.number(3) as usize);
                }
            }
            "ftruncate" => {
                if let Some(file) = self.file(call, 0) {
                    let (inode, length) = (self.opened[file].inode, call.number(1) as usize);
                    self.length(call, inode, length);
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(file) = self.file(call, 0) {
                    let inode = self.opened[file].inode;
                    self.act(call, What::Sync { inode });
                }
            }
            "mkdir" => self.mkdir(call, None, 0),
            "mkdirat" => self.mkdir(call, Some(0), 1),
            "unlink" | "rmdir" => self.unlink(call, None, 0),
            "unlinkat" => self.unlink(call, Some(0), 1),
            "rename" => self.rename(call, (None, 0), (None, 1)),
            "renameat" | "renameat2" => self.rename(call, (Some(0), 1), (Some(2), 3)),
            "linkat" => self.link(call),
            "symlinkat" => {
                if let Some(path) = self.path(call, Some(1), 2) {
                    let name = self.name(&path);
                    let inode = self.new_inode(path, false);
                    // Its text comes with its name, whole.
                    self.story.contents[inode] = [LINK, call.text(0).as_bytes()].concat();
                    self.act(call, What::Link { name, inode });
                }
            }
            "clone" | "clone3" | "fork" | "vfork" | "sync_file_range" => {}
            other => {
                let known = call.args.iter().filter_map(|argument| argument.split_once('<'));
                let touched = known.into_iter().any(|(_, path)| path.starts_with(&hex(&self.root.to_string_lossy())));
                assert!(!touched, "the replayer does not know `{other}`: {call:?}");
            }
        }
    }

    fn open(&mut self, call: &Call, folder: Option<usize>, argument: usize, flags: usize) {
        let process = self.process(call.thread);
        let fd = call.result as i32;
        let Some(path) = self.path(call, folder, argument) else {
            self.tables.entry(process).or_default().remove(&fd);
            return;
        };
        let inode = if call.has(flags, "O_TMPFILE") {
            self.new_inode(path.join(format!("#{}", self.story.contents.len())), false)
        } else if let Some(inode) = self.live.get(&path) {
            *inode
        } else {
            assert!(call.has(flags, "O_CREAT"), "`{}` was not known to be there", path.display());
            let name = self.name(&path);
            let inode = self.new_inode(path, false);
            self.act(call, What::Link { name, inode });
            inode
        };
        if call.has(flags, "O_TRUNC") && self.lengths[inode] > 0 {
            self.length(call, inode, 0);
        }
        let sync = call.has(flags, "O_SYNC") || call.has(flags, "O_DSYNC");
        self.opened.push(Opened { inode, at: 0, append: call.has(flags, "O_APPEND"), sync });
        let file = self.opened.len() - 1;
        self.tables.entry(process).or_default().insert(fd, file);
    }

    fn dup(&mut self, call: &Call) {
        let file = self.file(call, 0);
        let process = self.process(call.thread);
        let table = self.tables.entry(process).or_default();
        match file {
            Some(file) => drop(table.insert(call.result as i32, file)),
            None => drop(table.remove(&(call.result as i32))),
        }
    }

    fn write(&mut self, call: &Call) {
        if let Some(file) = self.file(call, 0) {
            let inode = self.opened[file].inode;
            let at = if self.opened[file].append { self.lengths[inode] } else { self.opened[file].at };
            self.opened[file].at = at + call.result as usize;
            self.data(call, file, at);
        } else if call.fd(0) == Some(1) && self.process(call.thread) == self.main {
            self.act(call, What::Said { text: call.text(1) });
        }
    }

    fn data(&mut self, call: &Call, file: usize, at: usize) {
        let Opened { inode, sync, .. } = self.opened[file];
        let mut bytes = call.bytes(1);
        bytes.truncate(call.result as usize);
        self.lengths[inode] = self.lengths[inode].max(at + bytes.len());
        self.act(call, What::Data { file: inode, at, bytes });
        if sync {
            // As if it waited for the disk by itself, once it was done.
            self.story.acts.push(Act { what: What::Sync { inode }, begin: call.end + 1, end: call.end + 1 });
        }
    }

    fn length(&mut self, call: &Call, inode: Inode, length: usize) {
        self.lengths[inode] = length;
        self.act(call, What::Length { file: inode, length });
    }

    fn mkdir(&mut self, call: &Call, folder: Option<usize>, argument: usize) {
        let Some(path) = self.path(call, folder, argument) else { return };
        let name = self.name(&path);
        let inode = self.new_inode(path, true);
        self.act(call, What::Link { name, inode });
    }

    fn unlink(&mut self, call: &Call, folder: Option<usize>, argument: usize) {
        let Some(path) = self.path(call, folder, argument) else { return };
        let name = self.name(&path);
        self.live.remove(&path);
        self.act(call, What::Unlink { name });
    }

    fn rename(&mut self, call: &Call, from: (Option<usize>, usize), to: (Option<usize>, usize)) {
        let (Some(from), Some(to)) = (self.path(call, from.0, from.1), self.path(call, to.0, to.1)) else { return };
        let names = (self.name(&from), self.name(&to));
        let inode = self.live.remove(&from).unwrap_or_else(|| panic!("`{}` is not known", from.display()));
        self.story.paths[inode].clone_from(&to);
        self.live.insert(to, inode);
        self.act(call, What::Rename { from: names.0, to: names.1, inode });
    }

    /// Only a file without a name gets one this way, by the descriptor that it is open at.
    fn link(&mut self, call: &Call) {
        let Some(path) = self.path(call, Some(2), 3) else { return };
        let source = call.text(1);
        let fd = source.strip_prefix("/proc/self/fd/").and_then(|fd| fd.parse::<i32>().ok());
        let fd = fd.unwrap_or_else(|| panic!("the replayer does not know hard links: {call:?}"));
        let process = self.process(call.thread);
        let inode = self.opened[self.tables[&process][&fd]].inode;
        let name = self.name(&path);
        self.story.paths[inode].clone_from(&path);
        self.live.insert(path, inode);
        self.act(call, What::Link { name, inode });
    }
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}
