//! Names of images on the engine: what they stand for, and putting them back.

use crate::contract::{Context, StepError};
use crate::world::ImageRef;

/// A name that can be given to an image: with a tag, without a digest.
///
/// # Errors
/// Refused, with what is wrong about it.
pub fn name(text: &str) -> Result<ImageRef, StepError> {
    let name = ImageRef::parse(text)?;
    match (&name.tag, &name.digest) {
        (_, Some(_)) => Err(StepError::refused(format!("`{text}` names a digest: only a tag can be given to an image"))),
        (None, None) => Err(StepError::refused(format!("`{text}` names no tag: write it out, such as `{text}:latest`"))),
        (Some(_), None) => Ok(name),
    }
}

/// The names, parsed.
///
/// # Errors
/// Refused for the first that is none.
pub fn names(texts: &[String]) -> Result<Vec<ImageRef>, StepError> {
    texts.iter().map(|text| name(text)).collect()
}

/// One message for each text that is no name for an image, and one where there is none at all.
pub fn check(texts: &[String]) -> Vec<String> {
    if texts.is_empty() {
        return vec!["`tags` is empty: there is nothing to name".into()];
    }
    texts.iter().filter_map(|text| name(text).err()).map(|error| error.message).collect()
}

/// Id of the image behind a name or id on the engine.
pub async fn image_id(cx: &Context, reference: &str) -> Result<Option<String>, StepError> {
    Ok(cx.world.docker.image(reference).await?.map(|image| image.id))
}

/// Puts a name back to what it stood for before a step moved it to `ours`. Touches nothing where it already stands for that.
///
/// A name that was not there is taken away, unless it is the last one of its image: the engine would delete the image with it,
/// and that was there before.
///
/// # Errors
/// Conflict where the name meanwhile stands for something else, or the earlier image is gone.
pub async fn restore(cx: &Context, name: &ImageRef, before: Option<&str>, ours: &str) -> Result<(), StepError> {
    let now = cx.world.docker.image(&name.to_string()).await?;
    let now_id = now.as_ref().map(|image| image.id.as_str());
    if now_id == before {
        return Ok(());
    }
    if now_id.is_some_and(|id| id != ours) {
        return Err(StepError::conflict(format!(
            "`{name}` meanwhile stands for {}, not for {ours} that this step gave it",
            now_id.unwrap_or("nothing")
        ))
        .hint("look at who moved it, then put it where it belongs with `docker tag`"));
    }
    match (before, now) {
        (Some(old), _) => {
            if cx.world.docker.image(old).await?.is_none() {
                return Err(StepError::conflict(format!("`{name}` stood for {old}, and that image is gone from the engine"))
                    .hint("pull or build it again, then tag it"));
            }
            cx.world.docker.tag(old, name).await?;
        }
        (None, Some(image)) if image.tags.len() > 1 => cx.world.docker.untag(name).await?,
        (None, Some(_)) => cx.log(format!("`{name}` stays: it is the only name of {ours}, which the engine would delete with it")),
        (None, None) => {}
    }
    Ok(())
}
