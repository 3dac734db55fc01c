//! Where formulas are found: folders in order, then the shipped ones.
//!
//! Reads no environment: which folders there are is settled by the command line. Knows nothing of what is in a formula.

mod shipped;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use shipped::{SHIPPED, SHIPPED_TESTS};

use crate::diagnostic::{Diagnostic, SourceFile, codes, nearest};

/// What stands before the name of a shipped formula where a path is shown.
const SHIPPED_FOLDER: &str = "<shipped>";

/// Folders in the order in which they are searched; the shipped formulas come after all of them.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    folders: Vec<PathBuf>,
}

/// A formula as `formula list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name, from the file's.
    pub name: String,
    /// The file that is used; `<shipped>/NAME.toml` for a shipped one.
    pub path: PathBuf,
    /// Files of the same name that are never reached.
    pub hides: Vec<PathBuf>,
}

/// Why a formula could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such name.
    #[error("there is no formula `{name}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// A name that is there and looks alike.
        near: Option<String>,
        /// Where was looked, in order.
        searched: Vec<PathBuf>,
    },
    /// The file is there, or should be, and cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no text that can be a formula.
    #[error("{}: {}", path.display(), problem.message)]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its code.
        problem: Box<Diagnostic>,
    },
}

impl Catalog {
    /// Searches `workdir/formulas`, then each of `path` (`FORMULA_PATH`; empty entries do not count), then `user/formulas` (the
    /// configuration folder of this program).
    pub fn new(workdir: &Path, path: impl IntoIterator<Item = PathBuf>, user: Option<&Path>) -> Self {
        let mut folders = vec![workdir.join("formulas")];
        folders.extend(path.into_iter().filter(|folder| !folder.as_os_str().is_empty()).map(|folder| workdir.join(folder)));
        folders.extend(user.map(|user| user.join("formulas")));
        Self { folders }
    }

    /// The folders, in order.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The formula of that name, or at that path: whatever ends in `.toml` or holds a separator is a path, below `workdir` unless absolute.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, workdir: &Path, name: &str) -> Result<SourceFile, Error> {
        if is_path(name) {
            return read_file(&workdir.join(name), PathBuf::from(name));
        }
        for folder in &self.folders {
            let path = folder.join(format!("{name}.toml"));
            if path.is_file() {
                let shown = path.strip_prefix(workdir).unwrap_or(&path).to_owned();
                return read_file(&path, shown);
            }
        }
        if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            return Ok(SourceFile::new(shipped_path(name), *text));
        }
        let known = self.list();
        let near = nearest(name, known.iter().map(|listed| listed.name.as_str())).map(str::to_owned);
        Err(Error::Unknown { name: name.to_owned(), near, searched: self.folders.clone() })
    }

    /// Every formula that a name reaches, by name, with what it hides. Folders that are not there count as empty.
    pub fn list(&self) -> Vec<Listed> {
        let mut found: Vec<Listed> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut add = |name: String, path: PathBuf| {
            if let Some(place) = places.get(&name) {
                found[*place].hides.push(path);
            } else {
                places.insert(name.clone(), found.len());
                found.push(Listed { name, path, hides: Vec::new() });
            }
        };
        let mut seen: Vec<&Path> = Vec::new();
        for folder in &self.folders {
            // A folder named twice hides nothing.
            if !seen.contains(&folder.as_path()) {
                seen.push(folder);
                for (name, path) in files(folder) {
                    add(name, path);
                }
            }
        }
        for (name, _) in SHIPPED {
            add((*name).to_owned(), shipped_path(name));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }
}

fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(|extension| extension == "toml")
}

/// Whether a path that was shown stands for a formula that came with the program.
pub fn is_shipped(path: &Path) -> bool {
    path.starts_with(SHIPPED_FOLDER)
}

fn shipped_path(name: &str) -> PathBuf {
    Path::new(SHIPPED_FOLDER).join(format!("{name}.toml"))
}

/// The `.toml` files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml") && path.is_file())
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    files.sort();
    files
}

/// Reads a file that must be UTF-8 text of at most [`SourceFile::LARGEST`] bytes; `shown` is how messages name it.
///
/// # Errors
/// When it cannot be read or is no such text.
pub fn read_file(path: &Path, shown: PathBuf) -> Result<SourceFile, Error> {
    let io = |source| Error::Io { path: shown.clone(), source };
    let mut bytes = Vec::new();
    // One byte more tells a file that is too large from one that just fits; a device or a pipe ends there as well.
    File::open(path).map_err(io)?.take(SourceFile::LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    let unreadable = |problem: Diagnostic| Error::Unreadable { path: shown.clone(), problem: Box::new(problem) };
    if bytes.len() > SourceFile::LARGEST {
        let problem = Diagnostic::error(codes::TOO_LARGE, "the file is larger than 16 MiB");
        return Err(unreadable(problem.help("is this the right file?")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile::new(shown, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..at];
            let line = before.split(|byte| *byte == b'\n').count();
            let problem = Diagnostic::error(codes::NOT_UTF8, format!("the file is not UTF-8 text, as of byte {at} on line {line}"));
            Err(unreadable(problem.help("save it as UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("formulas")).unwrap();
        for name in names {
            fs::write(folder.path().join("formulas").join(name), format!("name = \"{name}\"\n")).unwrap();
        }
        folder
    }

    #[test]
    fn the_first_folder_wins_and_shows_what_it_hides() {
        let work = folder_with(&["a.toml", "hello.toml", "notes.md"]);
        let more = folder_with(&["a.toml", "b.toml"]);
        let user = folder_with(&["a.toml", "c.toml"]);
        let catalog = Catalog::new(work.path(), [more.path().join("formulas"), PathBuf::new()], Some(user.path()));
        let list = catalog.list();
        let of = |name: &str| list.iter().find(|listed| listed.name == name).unwrap();
        assert_eq!(of("a").path, work.path().join("formulas/a.toml"));
        assert_eq!(of("a").hides, [more.path().join("formulas/a.toml"), user.path().join("formulas/a.toml")]);
        assert_eq!(of("hello").hides, [PathBuf::from("<shipped>/hello.toml")]);
        assert_eq!((of("b").hides.len(), of("c").hides.len()), (0, 0));
        assert!(list.iter().all(|listed| listed.name != "notes"));
        let read = catalog.read(work.path(), "a").unwrap();
        assert_eq!(read.path, Path::new("formulas/a.toml"), "shown relative to where the person is");
        assert_eq!(catalog.read(work.path(), "b").unwrap().path, more.path().join("formulas/b.toml"));
    }

    #[test]
    fn a_path_is_read_as_it_is_and_a_shipped_one_needs_no_file() {
        let work = folder_with(&["a.toml"]);
        let catalog = Catalog::new(work.path(), [], None);
        assert_eq!(catalog.read(work.path(), "./formulas/a.toml").unwrap().path, Path::new("./formulas/a.toml"));
        assert_eq!(catalog.read(work.path(), "hello").unwrap().path, Path::new("<shipped>/hello.toml"));
        assert!(matches!(catalog.read(work.path(), "a.toml"), Err(Error::Io { .. })), "a file, not a name");
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let work = folder_with(&["release-all.toml"]);
        let catalog = Catalog::new(work.path(), [], None);
        let error = catalog.read(work.path(), "relese-all").unwrap_err();
        assert_eq!(error.to_string(), "there is no formula `relese-all`; did you mean `release-all`?");
    }

    #[test]
    fn bytes_that_are_no_text_and_files_without_end_are_refused() {
        let work = folder_with(&[]);
        fs::write(work.path().join("latin.toml"), b"name = \"a\"\n# gr\xfc\xdfe\n").unwrap();
        let catalog = Catalog::new(work.path(), [], None);
        let error = catalog.read(work.path(), "latin.toml").unwrap_err();
        assert_eq!(error.to_string(), "latin.toml: the file is not UTF-8 text, as of byte 15 on line 2");
        let error = read_file(Path::new("/dev/zero"), "zero.toml".into()).unwrap_err();
        assert!(matches!(error, Error::Unreadable { problem, .. } if problem.code == codes::TOO_LARGE));
    }
}
