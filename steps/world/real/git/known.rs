//! What cannot change any more: a commit that is there, and what its files are. Both are named by a digest of what they hold.
//!
//! A run asks for the same ones in one step after another, and each answer costs a process. Names (tags, branches, HEAD) are asked anew.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Larger files are read again.
const LARGEST: usize = 1 << 20;
/// So many files are kept.
const MOST: usize = 16;

/// Of one process, in memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    commits: Mutex<HashSet<(PathBuf, String)>>,
    files: Mutex<Vec<(File, Option<Vec<u8>>)>>,
}

/// Nobody has asked for it.
pub(super) struct NotYet;

/// Folder of the repository, id of the commit, path in it.
type File = (PathBuf, String, String);

impl Known {
    /// Whether that is the whole id of a commit that was found in the folder's repository. No name can be it: `git` reads such a word as an
    /// id before it looks for names.
    pub(super) fn has_commit(&self, dir: &Path, revision: &str) -> bool {
        let commits = self.commits.lock().expect("nobody panics with it");
        !commits.is_empty() && commits.contains(&(dir.to_owned(), revision.to_owned()))
    }

    /// Notes a commit that git has just named by its whole id.
    pub(super) fn commit(&self, dir: &Path, id: &str) {
        if super::names::check_id(id).is_ok() {
            self.commits.lock().expect("nobody panics with it").insert((dir.to_owned(), id.to_owned()));
        }
    }

    /// A file of a commit, by the commit's whole id; None where the commit has none.
    ///
    /// # Errors
    /// Where git must be asked.
    pub(super) fn file(&self, dir: &Path, commit: &str, path: &str) -> Result<Option<Vec<u8>>, NotYet> {
        let files = self.files.lock().expect("nobody panics with it");
        let found = files.iter().find(|((at, id, name), _)| at == dir && id == commit && name == path);
        found.map(|(_, bytes)| bytes.clone()).ok_or(NotYet)
    }

    /// Notes a file of a commit.
    pub(super) fn keep_file(&self, dir: &Path, commit: &str, path: &str, bytes: Option<&[u8]>) {
        if bytes.is_some_and(|bytes| bytes.len() > LARGEST) {
            return;
        }
        let mut files = self.files.lock().expect("nobody panics with it");
        if files.len() >= MOST {
            files.remove(0);
        }
        files.push(((dir.to_owned(), commit.to_owned(), path.to_owned()), bytes.map(<[u8]>::to_vec)));
    }
}
