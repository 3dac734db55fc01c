//! Compose projects: the file as a kind's params name it, bringing services up, and clearing away what an interrupted `up` left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::{Period, engine_tag, keep, readiness, text};
use crate::contract::{Context, StepError};
use crate::world::{ComposeFile, ComposeService, Container, PortError, PortErrorKind, Up};

/// Between two tries of `up`.
const INTERVAL: Duration = Duration::from_secs(1);
/// So often `up` is tried while leftovers of an interrupted one are in its way.
const TRIES: u32 = 3;

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

/// Keeps other steps and other runs of this user from a project of the engine, whatever folder they know it from, until the guard is
/// dropped: of two `up`s at the same time both fail, and leave a network behind that no later one can use. Another user's runs are kept
/// from the compose file, since their locks are elsewhere.
///
/// # Errors
/// As the ports; Cancelled.
pub async fn lock(cx: &Context, project: &str, file: &ComposeFile) -> Result<Box<dyn Send + Sync>, StepError> {
    let (files, engine) = (&cx.world.files, cx.unless_cancelled(cx.world.docker.engine()).await?.id);
    // A folder of its own: towards other processes a lock is one on the folder.
    let own = format!("compose-{}-{}", keep::part(&engine), keep::part(project));
    files.private_folder(Path::new("/"), &cx.locks.join(&own)).await?;
    let on_project = cx.unless_cancelled(files.lock(&cx.locks, &cx.locks.join(own).join("up"))).await?;
    let on_file = cx.unless_cancelled(files.lock(&cx.workdir, &file.file)).await?;
    Ok(Box::new((on_project, on_file)))
}

/// The reference of the image that a service runs: the one it names, or the one that compose gives to what it builds.
pub fn reference(project: &str, service: &ComposeService) -> String {
    service.image.clone().unwrap_or_else(|| format!("{project}-{}", service.name))
}

/// Id of the image that a service would run now, None where the engine does not have it.
///
/// # Errors
/// As the engine.
pub async fn image_id(cx: &Context, project: &str, service: &ComposeService) -> Result<Option<String>, StepError> {
    engine_tag::image_id(cx, &reference(project, service)).await
}

/// `sha256:1a2b3c4d…` as people read it.
pub fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

/// What would make compose replace a container: in words, None where nothing.
pub fn differs(service: &ComposeService, image: Option<&str>, container: &Container) -> Option<String> {
    let other_image = match image {
        Some(image) if image == container.image_id => None,
        Some(image) => Some(format!("image {} → {}", short(&container.image_id), short(image))),
        None => Some("its image is not on the engine yet".to_owned()),
    };
    let other_config = container.labels.get(readiness::CONFIG_HASH) != Some(&service.config_hash);
    match (other_image, other_config) {
        (Some(image), true) => Some(format!("{image}, another configuration")),
        (Some(image), false) => Some(image),
        (None, true) => Some("another configuration".to_owned()),
        (None, false) => None,
    }
}

/// Brings services up, with what they depend on. What an interrupted `up` left in the way is cleared away first; where there was such,
/// a failure is not final, since what that one was stopping may still be going down. Compose itself waits without end for what a service
/// depends on: after `limit` it is killed.
///
/// # Errors
/// As compose, in its own words; Permanent where it takes too long; Cancelled.
pub async fn up(cx: &Context, project: &str, file: &ComposeFile, up: &Up, limit: Option<Duration>) -> Result<(), StepError> {
    let mut swept = false;
    for number in 1.. {
        swept |= sweep(cx, project).await?;
        cx.proceed()?;
        match call_up(cx, file, up, limit).await {
            Ok(()) => break,
            Err(Failure::Said(error)) if error.kind != PortErrorKind::Cancelled && number < TRIES && swept => {
                cx.log(format!("trying again: {}", error.message));
                cx.sleep(INTERVAL).await?;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// As [`up`], for calls about services that do not depend on each other, all at the same time. All are done when it returns, also when one
/// fails: none is left half-way. The networks that they need must be there: each call
/// would make those that it does not find, and of two with one name compose can use neither.
///
/// # Errors
/// As [`up`]; the first failure.
pub async fn up_beside(cx: &Context, project: &str, file: &ComposeFile, calls: &[Up], limit: Duration) -> Result<(), StepError> {
    let swept = sweep(cx, project).await?;
    cx.proceed()?;
    let done = join_all(calls.iter().map(|call| call_up(cx, file, call, Some(limit)))).await;
    for (call, done) in calls.iter().zip(done) {
        match done {
            Err(Failure::Said(error)) if error.kind != PortErrorKind::Cancelled && swept => {
                cx.log(format!("trying again: {}", error.message));
                up(cx, project, file, call, Some(limit)).await?;
            }
            done => done?,
        }
    }
    Ok(())
}

/// Why a call did not do it.
enum Failure {
    /// In compose's own words.
    Said(PortError),
    /// It took too long.
    Late(StepError),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Said(error) => error.into(),
            Failure::Late(error) => error,
        }
    }
}

async fn call_up(cx: &Context, file: &ComposeFile, up: &Up, limit: Option<Duration>) -> Result<(), Failure> {
    let working = cx.world.compose.up(file, up, cx.output.as_ref(), &cx.cancel);
    let Some(limit) = limit else { return working.await.map_err(Failure::Said) };
    tokio::select! {
        biased;
        done = working => done.map_err(Failure::Said),
        () = cx.world.clock.sleep(limit) => {
            let message = format!("`docker compose up` of {} was not done within {}", text::some_of(&up.services), Period(limit));
            Err(Failure::Late(StepError::permanent(message)))
        }
    }
}

/// Clears away containers that an interrupted `up` made and never started: while they hold their names, no `up` succeeds. One whose
/// predecessor is gone already gets the name it was made for, since it alone knows the volumes without a name that it took over.
/// Answers whether there were any.
///
/// # Errors
/// As the engine; Cancelled.
pub async fn sweep(cx: &Context, project: &str) -> Result<bool, StepError> {
    let services = readiness::services(cx, project).await?;
    let mut names: Vec<&str> = services.values().flatten().map(|container| container.name.as_str()).collect();
    let mut any = false;
    for (service, containers) in &services {
        for container in containers {
            let Some(meant) = meant(container) else { continue };
            cx.proceed()?;
            any = true;
            if names.contains(&meant) {
                cx.log(format!("removing `{}`, which an interrupted `up` of `{service}` left", container.name));
                cx.world.docker.remove_container(&container.id, true).await?;
            } else {
                cx.log(format!("naming `{}`, which an interrupted `up` of `{service}` left, `{meant}`", container.name));
                cx.world.docker.rename_container(&container.id, meant).await?;
                names.push(meant);
            }
        }
    }
    Ok(any)
}

/// The name that a leftover of an interrupted `up` was made for. Compose gives a new container twelve hexadecimal digits of the old one's
/// id and the old one's name, until the old one is gone.
pub fn meant(container: &Container) -> Option<&str> {
    let (start, name) = container.name.split_once('_').filter(|_| container.state == "created")?;
    (start.len() == 12 && start.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}
