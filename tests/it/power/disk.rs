//! What a power cut may leave of a recording: everything that was waited for, and of the rest any part, torn and in any order.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acts::{Act, Inode, Name, Story, What};

/// What a disk writes in one piece, at most.
const SECTOR: usize = 512;
/// Unsynced acts that are left out or kept one by one; older ones only together and at random.
const ONE_BY_ONE: usize = 24;
/// Random choices at each cut.
const RANDOM: usize = 96;

/// Acts that the disk forgets to wait for: a broken program, for the oracle to be tried on.
pub type Forget<'a> = &'a dyn Fn(&Story, Inode) -> bool;

/// How much of an act that was not waited for is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Nothing,
    All,
    /// The sectors whose bit is set, counted round.
    Sectors(u64),
}

/// Content with the digest that tells it from others.
#[derive(Clone)]
pub struct Content {
    pub bytes: Arc<Vec<u8>>,
    pub digest: u64,
}

impl Content {
    fn new(bytes: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        Self { digest: hasher.finish(), bytes: Arc::new(bytes) }
    }
}

/// All files that there are after a cut, by path from the root; folders have no content.
pub type Tree = BTreeMap<PathBuf, Option<Content>>;

/// One thing that a cut may leave.
pub struct State {
    /// The number of the act after which the power went.
    pub cut: usize,
    /// Which of the choices at that cut.
    pub variant: usize,
    /// The files.
    pub tree: Tree,
    /// Tells it from others.
    pub digest: u64,
}

/// The disk while the recording is played.
pub struct Disk<'a> {
    story: &'a Story,
    forget: Forget<'a>,
    contents: Vec<Content>,
    names: BTreeMap<Name, Inode>,
    /// Acts that nobody waited for yet.
    pending: Vec<usize>,
}

impl<'a> Disk<'a> {
    pub fn new(story: &'a Story, forget: Forget<'a>) -> Self {
        let contents = story.contents.iter().cloned().map(Content::new).collect();
        Self { story, forget, contents, names: story.names.clone(), pending: Vec::new() }
    }

    /// Plays the recording; shows `each` state after every act that `wanted` names, and stops where it says so.
    pub fn play(&mut self, wanted: impl Fn(usize) -> bool, mut each: impl FnMut(State)) {
        for (cut, act) in self.story.acts.iter().enumerate() {
            match &act.what {
                What::Sync { inode } => self.sync(*inode, act),
                What::Said { .. } => {}
                _ => self.pending.push(cut),
            }
            if wanted(cut) {
                let mut variants: Vec<Vec<Part>> = Vec::new();
                self.choices(cut, &mut variants);
                for (variant, parts) in variants.iter().enumerate() {
                    let (tree, digest) = self.tree(parts);
                    each(State { cut, variant, tree, digest });
                }
            }
        }
    }

    fn sync(&mut self, inode: Inode, sync: &Act) {
        if (self.forget)(self.story, inode) {
            return;
        }
        let waits = |at: &usize| {
            let act = &self.story.acts[*at];
            act.end < sync.begin && concerns(&act.what) == Some(inode)
        };
        let (done, pending): (Vec<usize>, Vec<usize>) = self.pending.iter().partition(|at| waits(at));
        self.pending = pending;
        for at in done {
            let what = &self.story.acts[at].what;
            if let What::Data { file, .. } | What::Length { file, .. } = what {
                let mut bytes = self.contents[*file].bytes.as_ref().clone();
                write(&mut bytes, what, Part::All);
                self.contents[*file] = Content::new(bytes);
            } else {
                name(&mut self.names, what);
            }
        }
    }

    /// Nothing, everything, prefixes, each one alone, each one missing, the last one torn, and some at random.
    fn choices(&self, cut: usize, variants: &mut Vec<Vec<Part>>) {
        let count = self.pending.len();
        let prefix = |length: usize| (0..count).map(|at| if at < length { Part::All } else { Part::Nothing }).collect::<Vec<_>>();
        variants.push(prefix(count));
        if count == 0 {
            return;
        }
        variants.push(prefix(0));
        for back in 0..count.min(ONE_BY_ONE) {
            let at = count - 1 - back;
            if at > 0 {
                variants.push(prefix(at));
            }
            let mut alone = prefix(0);
            alone[at] = Part::All;
            variants.push(alone);
            let mut missing = prefix(count);
            missing[at] = Part::Nothing;
            variants.push(missing);
        }
        let torn: Vec<Part> =
            [0x01, 0x0f, 0x80, 0xfe, 0x5a, 0xa5].into_iter().map(|mask: u64| Part::Sectors(mask * 0x0101_0101_0101_0101)).collect();
        let large = |at: &usize| matches!(&self.story.acts[self.pending[*at]].what, What::Data { bytes, .. } if bytes.len() > SECTOR);
        for at in (0..count).rev().filter(large).take(3) {
            for part in &torn {
                let mut one = prefix(count);
                one[at] = *part;
                variants.push(one.clone());
                one.truncate(at + 1);
                one.resize(count, Part::Nothing);
                variants.push(one);
            }
        }
        let mut random = Random(cut as u64 + 1);
        for _ in 0..RANDOM {
            variants.push((0..count).map(|_| random.part()).collect());
        }
    }

    fn tree(&self, parts: &[Part]) -> (Tree, u64) {
        let mut names = self.names.clone();
        let mut changed: HashMap<Inode, Vec<u8>> = HashMap::new();
        for (at, part) in self.pending.iter().zip(parts).filter(|(_, part)| **part != Part::Nothing) {
            let what = &self.story.acts[*at].what;
            if let What::Data { file, .. } | What::Length { file, .. } = what {
                let bytes = changed.entry(*file).or_insert_with(|| self.contents[*file].bytes.as_ref().clone());
                write(bytes, what, *part);
            } else {
                name(&mut names, what);
            }
        }
        let changed: HashMap<Inode, Content> = changed.into_iter().map(|(inode, bytes)| (inode, Content::new(bytes))).collect();
        let mut tree = Tree::new();
        let mut hasher = DefaultHasher::new();
        self.walk(&names, &changed, 0, Path::new(""), &mut tree);
        for (path, content) in &tree {
            (path, content.as_ref().map(|content| content.digest)).hash(&mut hasher);
        }
        (tree, hasher.finish())
    }

    fn walk(&self, names: &BTreeMap<Name, Inode>, changed: &HashMap<Inode, Content>, folder: Inode, at: &Path, tree: &mut Tree) {
        for ((_, name), inode) in names.range((folder, String::new())..(folder + 1, String::new())) {
            let path = at.join(name);
            if self.story.folders[*inode] {
                tree.insert(path.clone(), None);
                self.walk(names, changed, *inode, &path, tree);
            } else {
                tree.insert(path, Some(changed.get(inode).unwrap_or(&self.contents[*inode]).clone()));
            }
        }
    }
}

/// The file or folder whose sync makes it durable.
fn concerns(what: &What) -> Option<Inode> {
    match what {
        What::Data { file, .. } | What::Length { file, .. } => Some(*file),
        What::Link { name, .. } | What::Unlink { name } | What::Rename { to: name, .. } => Some(name.0),
        What::Sync { .. } | What::Said { .. } => None,
    }
}

fn name(names: &mut BTreeMap<Name, Inode>, what: &What) {
    match what {
        What::Link { name, inode } => drop(names.insert(name.clone(), *inode)),
        What::Unlink { name } => drop(names.remove(name)),
        What::Rename { from, to, inode } => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        _ => {}
    }
}

fn write(content: &mut Vec<u8>, what: &What, part: Part) {
    match what {
        What::Length { length, .. } => content.resize(*length, 0),
        What::Data { at, bytes, .. } => {
            let mut from = 0;
            while from < bytes.len() {
                let sector = (at + from) / SECTOR;
                let to = ((sector + 1) * SECTOR - at).min(bytes.len());
                let there = match part {
                    Part::All => true,
                    Part::Nothing => false,
                    Part::Sectors(mask) => mask >> (sector % 64) & 1 == 1,
                };
                if there {
                    if content.len() < at + to {
                        content.resize(at + to, 0);
                    }
                    content[at + from..at + to].copy_from_slice(&bytes[from..to]);
                }
                from = to;
            }
        }
        _ => {}
    }
}

/// Marsaglia's xorshift: the same choices in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn part(&mut self) -> Part {
        match self.next() >> 61 {
            0..=2 => Part::All,
            3..=5 => Part::Nothing,
            _ => Part::Sectors(self.next()),
        }
    }
}
