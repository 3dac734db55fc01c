//! Globs, one component at a time: `*`, `?`, `[…]` and `{a,b}` within a name, `**` for any number of folders.
//!
//! As in a shell, a name that begins with a dot must be asked for by a dot: `**/*.toml` does not look into `.git`. Links to
//! folders are followed where they are named or matched, not below `**`. What a link leads outside is left out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use rustix::fs::{Dir, FileType};

use super::errors::cannot;
use super::walk::{folder, place, readable, regular};
use crate::world::{PortError, PortErrorKind, PortResult};

enum Part {
    /// A name without wildcards.
    Name(String),
    /// A name with wildcards; whether it begins with a dot.
    Wild(GlobMatcher, bool),
    /// Any number of folders.
    Deep,
}

/// The files that match, in name order.
pub(super) fn glob(root: &Path, pattern: &str) -> PortResult<Vec<PathBuf>> {
    let parts = parse(pattern)?;
    let mut found = BTreeSet::new();
    Search { root, found: &mut found }.expand(&PathBuf::new(), &parts)?;
    Ok(found.into_iter().collect())
}

fn parse(pattern: &str) -> PortResult<Vec<Part>> {
    let bad = |why: &str| {
        PortError::invalid(format!("`{pattern}` is not a pattern for files: {why}"))
            .hint("write it relative to the working directory, such as `projects/*.toml` or `migrations/**/*.sh`")
    };
    if pattern.starts_with('/') {
        return Err(bad("it is absolute"));
    }
    let mut parts = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let parsed = match part {
            ".." => return Err(bad("it has `..` in it")),
            "**" if matches!(parts.last(), Some(Part::Deep)) => continue,
            "**" => Part::Deep,
            name if !name.contains(['*', '?', '[', '{', '\\']) => Part::Name(name.to_owned()),
            wild => {
                let glob = GlobBuilder::new(wild).literal_separator(true).build().map_err(|error| bad(&error.kind().to_string()))?;
                Part::Wild(glob.compile_matcher(), wild.starts_with('.'))
            }
        };
        parts.push(parsed);
    }
    if parts.is_empty() { Err(bad("it is empty")) } else { Ok(parts) }
}

struct Search<'a> {
    root: &'a Path,
    found: &'a mut BTreeSet<PathBuf>,
}

impl Search<'_> {
    fn expand(&mut self, at: &Path, parts: &[Part]) -> PortResult<()> {
        match parts.split_first() {
            None => Ok(()),
            Some((Part::Name(name), [])) => self.add(at.join(name)),
            Some((Part::Name(name), rest)) => self.expand(&at.join(name), rest),
            Some((Part::Wild(glob, dot), rest)) => {
                for (name, _) in self.list(at)? {
                    if hidden(&name) && !dot || !glob.is_match(&name) {
                        continue;
                    }
                    if rest.is_empty() {
                        self.add(at.join(name))?;
                    } else {
                        self.expand(&at.join(name), rest)?;
                    }
                }
                Ok(())
            }
            Some((Part::Deep, rest)) => {
                self.expand(at, rest)?;
                for (name, kind) in self.list(at)? {
                    if hidden(&name) {
                        continue;
                    }
                    if kind == FileType::Directory {
                        self.expand(&at.join(name), parts)?;
                    } else if rest.is_empty() {
                        self.add(at.join(name))?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Adds what is a file inside the root.
    fn add(&mut self, path: PathBuf) -> PortResult<()> {
        if let Some(place) = lenient(place(self.root, &path, false))?.flatten()
            && place.found.is_some_and(|stat| regular(&path, &stat).is_ok())
        {
            self.found.insert(path);
        }
        Ok(())
    }

    /// The names in a folder, each with its type; empty where there is no such folder inside the root.
    fn list(&self, at: &Path) -> PortResult<Vec<(PathBuf, FileType)>> {
        let Some(folder) = lenient(folder(self.root, at))?.flatten() else { return Ok(Vec::new()) };
        let shown = self.root.join(at);
        let failed = |error| cannot("list the folder", &shown, error);
        let mut names = Vec::new();
        for entry in Dir::new(readable(&folder).map_err(failed)?).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not tell while listing.
                FileType::Unknown => rustix::fs::statat(&folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                known => known,
            };
            names.push((PathBuf::from(name), kind));
        }
        Ok(names)
    }
}

fn hidden(name: &Path) -> bool {
    name.as_os_str().as_bytes().starts_with(b".")
}

/// What a path that leads nowhere, outside or through a file means to a glob: no match.
fn lenient<T>(result: PortResult<T>) -> PortResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind, PortErrorKind::Invalid | PortErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
