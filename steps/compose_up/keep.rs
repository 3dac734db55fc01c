//! Names for the images that a way back needs, so that nothing clears them away meanwhile.

use std::collections::BTreeSet;

use super::Before;
use crate::contract::{Context, StepError};
use crate::kit::compose;
use crate::world::{ImageRef, PortErrorKind};

/// The repository of all such names. No registry has it.
const KEEP: &str = "formula/keep";

/// What the tags of a project, or of one run of it, begin with.
fn prefix(project: &str, run: Option<&str>) -> String {
    // A tag has 128 characters at most.
    let part = |text: &str| -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
        text.chars().map(plain).take(50).collect()
    };
    match run {
        Some(run) => format!("{}.{}.", part(project), part(run)),
        None => format!("{}.", part(project)),
    }
}

/// The images of the containers that will be replaced or removed, with the names that keep them.
fn names(cx: &Context, before: &Before) -> Result<Vec<(String, ImageRef)>, StepError> {
    let replaced = before.containers.iter().filter(|was| was.blueprint.is_some());
    let images: BTreeSet<&str> = replaced.map(|was| was.image_id.as_str()).collect();
    let prefix = prefix(&before.project, Some(&cx.run.id));
    images.into_iter().map(|id| Ok((id.to_owned(), ImageRef::parse(&format!("{KEEP}:{prefix}{}", compose::short(id)))?))).collect()
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
        untag(cx, &name).await?;
    }
    Ok(())
}

/// Takes the names of earlier runs away: since this one has gone well nobody goes back behind it.
pub(super) async fn forget_earlier(cx: &Context, project: &str) -> Result<(), StepError> {
    let (ours, now) = (prefix(project, None), prefix(project, Some(&cx.run.id)));
    for image in cx.unless_cancelled(cx.world.docker.images(KEEP)).await? {
        for name in &image.tags {
            let tag = name.strip_prefix(KEEP).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
            if tag.starts_with(&ours) && !tag.starts_with(&now) {
                cx.proceed()?;
                untag(cx, &ImageRef::parse(name)?).await?;
            }
        }
    }
    Ok(())
}

/// An image that is used and has no other name keeps this one.
async fn untag(cx: &Context, name: &ImageRef) -> Result<(), StepError> {
    match cx.world.docker.untag(name).await {
        Err(error) if error.kind == PortErrorKind::Conflict => Ok(()),
        done => Ok(done?),
    }
}
