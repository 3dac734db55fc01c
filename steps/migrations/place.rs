//! Where the migrations of a box are, and where it is written down which of them were applied.

use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::contract::StepError;
use crate::kit::text::hex;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The working directory, absolute.
    pub workdir: PathBuf,
    /// The state directory, absolute; need not exist.
    pub state: PathBuf,
    /// The folder of migrations, below the working directory.
    pub dir: String,
    /// Another file for the ledger, below the working directory.
    pub ledger: Option<String>,
    /// The env file, below the working directory, and the key in it that holds the last migration.
    pub key: Option<(String, String)>,
    /// The revision whose tree holds the folder, if that is not the working tree as it is.
    pub r#ref: Option<String>,
    /// What counts as the level of a box that has neither ledger nor key: a version, or a revision that a release tag stands for.
    pub from: Option<String>,
}

impl Place {
    /// A place with the folder `migrations` and nothing else.
    pub fn new(workdir: &Path, state: &Path) -> Self {
        let (workdir, state) = (workdir.to_owned(), state.to_owned());
        Self { workdir, state, dir: "migrations".into(), ledger: None, key: None, r#ref: None, from: None }
    }

    /// What is wrong with the paths, one message each.
    pub fn problems(&self) -> Vec<String> {
        let paths = [("dir", Some(&self.dir)), ("ledger", self.ledger.as_ref()), ("env_file", self.key.as_ref().map(|(file, _)| file))];
        let wrong = paths.into_iter().filter_map(|(name, path)| Some((name, path.filter(|path| !is_below(path))?)));
        wrong.map(|(name, path)| format!("`{name}` is `{path}`, which is not a path below the working directory")).collect()
    }

    /// The folder that the ledger may not leave, and its path below it. A state directory outside the working directory may serve
    /// several boxes, so each has a file of its own there.
    ///
    /// # Errors
    /// Refused for a `ledger` that leaves the working directory.
    pub fn ledger(&self) -> Result<(PathBuf, PathBuf), StepError> {
        if let Some(ledger) = &self.ledger {
            if !is_below(ledger) {
                return Err(StepError::refused(format!("`{ledger}` is not a path below the working directory")));
            }
            return Ok((self.workdir.clone(), PathBuf::from(ledger)));
        }
        let name = if self.state.starts_with(&self.workdir) {
            "ledger.jsonl".to_owned()
        } else {
            let folder = self.workdir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{folder}-{}.jsonl", &hex(&Sha256::digest(self.workdir.as_os_str().as_encoded_bytes()))[..12])
        };
        Ok((self.state.clone(), Path::new("migrations").join(name)))
    }

    /// Options that commands about this place need, for messages.
    pub fn options(&self) -> String {
        let mut options = if self.dir == "migrations" { String::new() } else { format!(" --dir {}", self.dir) };
        if let Some(ledger) = &self.ledger {
            options.push_str(" --ledger ");
            options.push_str(ledger);
        }
        options
    }
}

/// Whether a path leads to something below the working directory by its spelling, and is no pattern.
fn is_below(path: &str) -> bool {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.is_empty() && !path.starts_with('-') && !path.contains(['*', '?', '[', '{', '\\']) && Path::new(path).components().all(inside)
}
