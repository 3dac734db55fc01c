//! A compose file as a kind's params name it.

use std::path::PathBuf;

use crate::contract::{Context, StepError};
use crate::world::ComposeFile;

/// What every call of the compose program needs. Empty texts count as left out; the step's `env` goes to the program.
///
/// # Errors
/// Refused for a path outside the working directory.
pub fn file(
    cx: &Context,
    file: &str,
    project: Option<&str>,
    env_file: Option<&str>,
    profiles: &[String],
) -> Result<ComposeFile, StepError> {
    let file = cx.path(file)?;
    Ok(ComposeFile {
        dir: file.parent().map_or_else(|| cx.workdir.to_path_buf(), PathBuf::from),
        file,
        project: project.filter(|name| !name.is_empty()).map(str::to_owned),
        env_file: env_file.filter(|path| !path.is_empty()).map(|path| cx.path(path)).transpose()?,
        profiles: profiles.to_vec(),
        env: cx.env.as_ref().clone(),
    })
}
