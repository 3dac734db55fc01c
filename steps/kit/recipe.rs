//! How a container is made again. What the engine says about it holds what the container was told, secrets too: in the environment, in its
//! command, in labels. None of that belongs into a checkpoint, which lies in the journal. It is kept in a file of its own, for the user
//! alone, from just before the container goes until nobody can want it back; the checkpoint has the file's name and digest.
//!
//! Where those files lie: `containers/<project>.<run>.<service>.<container>-<step>` in the state directory.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{compose, keep};
use crate::contract::{Context, StepError};
use crate::world::{Blueprint, Files, PortErrorKind, PortResult};

/// The folder of these files in the state directory.
const FOLDER: &str = "containers";

/// How a container is made again, as a checkpoint records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Name of the container.
    pub name: String,
    /// Reference or id that the image is found by.
    pub image: String,
    /// Containers, by id or name, whose network, processes or volumes it shares.
    pub shares: Vec<String>,
    detail: Detail,
}

/// The rest, in the engine's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Detail {
    /// In a file.
    Apart(Apart),
    /// In the checkpoint itself, where earlier versions of this program had it.
    Here(Value),
}

/// A file and what must be in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Apart {
    /// Relative to the state directory.
    file: String,
    /// `sha256:…` of its bytes.
    digest: String,
}

/// A container that is there: how it would be made again, None where there is none. Writes nothing: see [`write_down`].
///
/// # Errors
/// As the engine.
pub async fn of(cx: &Context, project: &str, service: &str, container: &str) -> Result<Option<Recipe>, StepError> {
    let found = cx.unless_cancelled(cx.world.docker.blueprint(container)).await?;
    Ok(found.map(|blueprint| {
        let (_, digest) = written(&blueprint);
        let file = cx.scratch_name(compose::short(container));
        let owner = format!("{}.{}.{}", keep::part(project), keep::part(&cx.run.id), keep::part(service));
        let apart = Apart { file: format!("{FOLDER}/{owner}.{}", file.display()), digest };
        Recipe { name: blueprint.name, image: blueprint.image, shares: blueprint.shares, detail: Detail::Apart(apart) }
    }))
}

/// Writes down, durably, what containers are made of, before anything happens to them. Each by its id. What an earlier attempt wrote
/// down stays: by now the containers may be gone.
///
/// # Errors
/// Conflict where a container is not what it was when the checkpoint was made, before anything is written; as the ports; Cancelled.
pub async fn write_down<'a>(cx: &Context, recipes: impl Iterator<Item = (&'a str, &'a Recipe)> + Send) -> Result<(), StepError> {
    let mut open = Vec::new();
    for (container, recipe) in recipes {
        let Detail::Apart(apart) = &recipe.detail else { continue };
        if matches!(read(cx, apart).await?, Found::Whole(_)) {
            continue;
        }
        let blueprint = cx.unless_cancelled(cx.world.docker.blueprint(container)).await?;
        match blueprint.as_ref().map(written) {
            Some((bytes, digest)) if digest == apart.digest => open.push((apart, bytes)),
            now => {
                let what = if now.is_some() { "is not what it was any more" } else { "is gone" };
                return Err(StepError::conflict(format!(
                    "`{}` {what} since this step first looked at it; nothing was changed",
                    recipe.name
                ))
                .hint("find out who changed it; `formula rollback` takes back what this run did so far, then run anew"));
            }
        }
    }
    if !open.is_empty() {
        cx.proceed()?;
        cx.world.files.private_folder(&cx.state, Path::new(FOLDER)).await?;
    }
    for (apart, bytes) in open {
        cx.proceed()?;
        cx.world.files.write(&cx.state, Path::new(&apart.file), &bytes, 0o600, true).await?;
    }
    Ok(())
}

impl Recipe {
    /// All that is needed to make the container.
    ///
    /// # Errors
    /// Conflict where the file is gone or altered; as the files port.
    pub async fn blueprint(&self, cx: &Context) -> Result<Blueprint, StepError> {
        let detail = match &self.detail {
            Detail::Here(detail) => detail.clone(),
            Detail::Apart(apart) => match read(cx, apart).await? {
                Found::Whole(detail) => detail,
                Found::Gone => return Err(self.lost(cx, apart, "is gone")),
                Found::Altered(digest) => {
                    let what = format!("was altered: it is {digest}, and was {}", apart.digest);
                    return Err(self.lost(cx, apart, &what));
                }
            },
        };
        Ok(Blueprint { name: self.name.clone(), image: self.image.clone(), shares: self.shares.clone(), detail })
    }

    fn lost(&self, cx: &Context, apart: &Apart, what: &str) -> StepError {
        let path = cx.state.join(&apart.file);
        let message = format!("`{}` cannot be made again as it was: `{}`, which says how, {what}", self.name, path.display());
        StepError::conflict(message).hint(format!(
            "put the file back as it was, or bring `{}` up by hand with the compose file and the env file of before (`docker compose up -d`); \
             then roll back again",
            self.name
        ))
    }
}

/// Removes what was written down; fine if it is gone.
///
/// # Errors
/// As the files port.
pub async fn forget<'a>(cx: &Context, recipes: impl Iterator<Item = &'a Recipe> + Send) -> Result<(), StepError> {
    for recipe in recipes {
        if let Detail::Apart(apart) = &recipe.detail {
            cx.world.files.remove(&cx.state, Path::new(&apart.file)).await?;
        }
    }
    Ok(())
}

/// Removes what earlier runs wrote down about a project, or only about some of its services: since this one has gone well nobody goes
/// back behind it.
///
/// # Errors
/// As the files port; Cancelled.
pub async fn forget_earlier(cx: &Context, project: &str, services: Option<&[String]>) -> Result<(), StepError> {
    let (ours, now) = (keep::part(project), keep::part(&cx.run.id));
    let services: Option<Vec<String>> = services.map(|names| names.iter().map(|name| keep::part(name)).collect());
    let of_them = |service: &str| services.as_ref().is_none_or(|names| names.iter().any(|name| name == service));
    cx.proceed()?;
    let unwanted = |project: &str, run: &str, service: &str| project == ours && run != now && of_them(service);
    Ok(let_go(&*cx.world.files, &cx.state, unwanted).await?)
}

/// Removes those files below a state directory whose project, run and service, all as [`keep::part`] has them, are not wanted any more.
///
/// # Errors
/// As the files port.
pub async fn let_go(files: &dyn Files, state: &Path, unwanted: impl Fn(&str, &str, &str) -> bool + Send + Sync) -> PortResult<()> {
    let there = match files.glob(state, &format!("{FOLDER}/*")).await {
        Err(error) if error.kind == PortErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    for path in there {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut parts = name.split('.');
        if let (Some(project), Some(run), Some(service), Some(_)) = (parts.next(), parts.next(), parts.next(), parts.next())
            && unwanted(project, run, service)
        {
            files.remove(state, &path).await?;
        }
    }
    Ok(())
}

/// What a file was found to be.
enum Found {
    Whole(Value),
    Gone,
    Altered(String),
}

async fn read(cx: &Context, apart: &Apart) -> Result<Found, StepError> {
    let file = match cx.world.files.read(&cx.state, Path::new(&apart.file)).await {
        Err(error) if error.kind == PortErrorKind::NotFound => None,
        file => file?,
    };
    let Some(file) = file else { return Ok(Found::Gone) };
    let found = digest(&file.bytes);
    Ok(match serde_json::from_slice(&file.bytes) {
        Ok(detail) if found == apart.digest => Found::Whole(detail),
        _ => Found::Altered(found),
    })
}

/// The bytes of the file, and their digest: the same for the same container, however often the engine is asked.
fn written(blueprint: &Blueprint) -> (Vec<u8>, String) {
    let mut detail = blueprint.detail.clone();
    detail.sort_all_objects();
    let bytes = detail.to_string().into_bytes();
    let digest = digest(&bytes);
    (bytes, digest)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// What containers are made again from, by their ids: read and found whole before anything is done on the way back.
///
/// # Errors
/// As [`Recipe::blueprint`].
pub async fn blueprints<'a>(
    cx: &Context,
    recipes: impl Iterator<Item = (&'a str, &'a Recipe)> + Send,
) -> Result<BTreeMap<String, Blueprint>, StepError> {
    let mut found = BTreeMap::new();
    for (container, recipe) in recipes {
        found.insert(container.to_owned(), recipe.blueprint(cx).await?);
    }
    Ok(found)
}
