//! Keeping the images that a way back needs.

use std::collections::BTreeSet;

use super::Before;
use crate::contract::{Context, StepError};
use crate::kit::keep;
use crate::world::{ImageRef, PortErrorKind};

/// The images of the containers that will be replaced or removed, with the names that keep them.
fn names(cx: &Context, before: &Before) -> Result<Vec<(String, ImageRef)>, StepError> {
    let replaced = before.containers.iter().filter(|was| was.blueprint.is_some());
    let images: BTreeSet<&str> = replaced.map(|was| was.image_id.as_str()).collect();
    images.into_iter().map(|id| Ok((id.to_owned(), keep::name(&before.project, &cx.run.id, id)?))).collect()
}

/// Gives them their names.
pub(super) async fn keep(cx: &Context, before: Option<&Before>) -> Result<(), StepError> {
    let Some(before) = before else { return Ok(()) };
    for (id, name) in names(cx, before)? {
        cx.proceed()?;
        // Where the image is gone already there is nothing to keep; going back will say so.
        match cx.world.docker.tag(&id, &name).await {
            Err(error) if error.kind == PortErrorKind::NotFound => cx.log(format!("{}; there is no way back to that image", error.message)),
            tagged => tagged?,
        }
    }
    Ok(())
}

/// Takes the names of this run away.
pub(super) async fn forget(cx: &Context, before: &Before) -> Result<(), StepError> {
    for (_, name) in names(cx, before)? {
        keep::untag(&*cx.world.docker, &name).await?;
    }
    Ok(())
}

/// Takes the names of earlier runs away: since this one has gone well nobody goes back behind it.
pub(super) async fn forget_earlier(cx: &Context, project: &str) -> Result<(), StepError> {
    let (ours, now) = (keep::part(project), keep::part(&cx.run.id));
    cx.proceed()?;
    Ok(keep::let_go(&*cx.world.docker, |project, run| project == ours && run != now).await?)
}
