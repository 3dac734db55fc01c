//! Names for images that a way back may need, so that nothing clears them away: `formula/keep:<project>.<run>.<image>`.

use crate::contract::StepError;
use crate::world::{Docker, ImageRef, PortErrorKind, PortResult};

/// The repository of all such names. No registry has it.
const KEEP: &str = "formula/keep";

/// A text as part of a tag, which has 128 characters at most, none of them a full stop here.
pub fn part(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    text.chars().map(plain).take(50).collect()
}

/// The name that keeps an image for a run on a project.
///
/// # Errors
/// None for an image's id.
pub fn name(project: &str, run: &str, image_id: &str) -> Result<ImageRef, StepError> {
    Ok(ImageRef::parse(&format!("{KEEP}:{}.{}.{}", part(project), part(run), super::compose::short(image_id)))?)
}

/// Takes the names away whose project and run, both as [`part`] has them, are not wanted any more; the images go where that was their
/// last name. One that a container uses and that has no other name stays.
///
/// # Errors
/// As the engine.
pub async fn let_go(docker: &dyn Docker, unwanted: impl Fn(&str, &str) -> bool + Send + Sync) -> PortResult<()> {
    for image in docker.images(KEEP).await? {
        for name in &image.tags {
            let tag = name.strip_prefix(KEEP).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
            let mut parts = tag.split('.');
            if let (Some(project), Some(run), Some(_)) = (parts.next(), parts.next(), parts.next())
                && unwanted(project, run)
            {
                untag(docker, &ImageRef::parse(name)?).await?;
            }
        }
    }
    Ok(())
}

/// Takes one such name away, as [`let_go`] does.
///
/// # Errors
/// As the engine.
pub async fn untag(docker: &dyn Docker, name: &ImageRef) -> PortResult<()> {
    match docker.untag(name).await {
        Err(error) if error.kind == PortErrorKind::Conflict => Ok(()),
        done => done,
    }
}
