//! What a rendering is made of, read from the working directory and the repository.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Data, RenderError, SHIPPED_TEMPLATE, TEMPLATE_NAME, Template};
use crate::contract::StepError;
use crate::world::{Files, World};

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether it is the one that comes with the program.
    pub shipped: bool,
}

impl Loaded {
    /// The template, for [`super::render`].
    pub fn template(&self) -> Template<'_> {
        Template { name: &self.name, text: &self.text }
    }
}

impl From<RenderError> for StepError {
    fn from(error: RenderError) -> Self {
        let refused = Self::refused(error.message);
        match error.hint {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }
}

/// Reads data below `root`: a file, or for a pattern (`*`, `?`, `[`) all files that match, in name order.
///
/// # Errors
/// Refused for a file that is not there or does not parse, with file and line.
pub async fn data(files: &dyn Files, root: &Path, sources: &BTreeMap<String, String>) -> Result<Data, StepError> {
    let mut data = Data::default();
    for (name, source) in sources {
        if source.contains(['*', '?', '[']) {
            data.list(name);
            for path in files.glob(root, source).await? {
                let shown = path.to_string_lossy().into_owned();
                if let Some(text) = text(files, root, &shown).await? {
                    data.push(name, &shown, &text)?;
                }
            }
        } else {
            let text = text(files, root, source).await?;
            let text =
                text.ok_or_else(|| StepError::refused(format!("the data `{name}` is to come from `{source}`, which is not there")))?;
            data.set(name, source, &text)?;
        }
    }
    Ok(data)
}

/// Reads the template at `path` below `root`: the file on disk, or with `revision` the one of that commit, whatever lies on the disk.
/// Where there is none and the file has the name [`TEMPLATE_NAME`], the template that comes with the program stands in.
///
/// # Errors
/// Refused where there is no template, or no such commit.
pub async fn template(world: &World, root: &Path, path: &str, revision: Option<&str>) -> Result<Loaded, StepError> {
    let (found, name) = match revision {
        None => (text(world.files.as_ref(), root, path).await?, path.to_owned()),
        Some(revision) => {
            let commit = world.git.resolve(root, revision).await?.ok_or_else(|| {
                StepError::refused(format!("there is no commit `{revision}` to take the template from"))
                    .hint("fetch it first, or correct `ref`")
            })?;
            let bytes = world.git.show(root, &commit, path).await?;
            let name = format!("{path} of {revision}");
            (bytes.map(|bytes| utf8(&name, bytes)).transpose()?, name)
        }
    };
    if let Some(text) = found {
        return Ok(Loaded { name, text, shipped: false });
    }
    if Path::new(path).file_name().is_some_and(|file| file == TEMPLATE_NAME) {
        return Ok(Loaded { name: format!("{TEMPLATE_NAME} of this program"), text: SHIPPED_TEMPLATE.to_owned(), shipped: true });
    }
    Err(StepError::refused(format!("there is no template `{name}`"))
        .hint(format!("correct `template`; only for a file called `{TEMPLATE_NAME}` the one of this program stands in")))
}

/// The file at `path` as a commit has it, None where it has none, and what messages call it.
///
/// # Errors
/// As git; refused where it is not UTF-8.
pub async fn tracked(world: &World, root: &Path, path: &str, revision: &str) -> Result<Option<(String, String)>, StepError> {
    let Some(commit) = world.git.resolve(root, revision).await? else { return Ok(None) };
    let name = format!("{path} of {revision}");
    let Some(bytes) = world.git.show(root, &commit, path).await? else { return Ok(None) };
    Ok(Some((utf8(&name, bytes)?, name)))
}

async fn text(files: &dyn Files, root: &Path, path: &str) -> Result<Option<String>, StepError> {
    let file = files.read(root, Path::new(path)).await?;
    file.map(|file| utf8(path, file.bytes)).transpose()
}

fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, StepError> {
    String::from_utf8(bytes).map_err(|_| StepError::refused(format!("`{name}` is not UTF-8")))
}
