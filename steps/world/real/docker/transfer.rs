//! Pushing and pulling. Both answer 200 at once: how it went is said inside the stream.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::ProgressDetail;
use bollard::query_parameters::{CreateImageOptionsBuilder, PushImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::text::{Tail, size};
use super::{RealDocker, error, names, within};
use crate::world::{Credentials, ImageRef, Output, PortError, PortErrorKind, PortResult, Transfer};

/// Progress is written at most that often.
const BETWEEN: Duration = Duration::from_secs(5);

pub(super) async fn push(docker: &RealDocker, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
    let (repository, tag) = names::parts(image)?;
    let doing = format!("pushing `{repository}:{tag}`");
    let client = docker.client().await?;
    let options = PushImageOptionsBuilder::default().tag(&tag).build();
    let mut stream = std::pin::pin!(client.push_image(&repository, Some(options), credentials(&image.registry, who)));
    let tail = Tail::new(output);
    let mut progress = Progress::default();
    let mut digest = None;
    while let Some(item) = within(docker.patience.transfer, stream.next(), &doing).await? {
        let item = item.map_err(|error| error::map(error, &doing))?;
        let Some(status) = item.status else { continue };
        digest = pushed_digest(&status, &tag).or(digest);
        // The library drops the layer that these are about; without it they only repeat themselves.
        if matches!(status.as_str(), "Preparing" | "Waiting") {
            continue;
        }
        progress.show(&tail, &status, None, item.progress_detail.as_ref());
    }
    // The engine says the digest once the manifest is put: a stream without it was cut off.
    if digest.is_none() {
        let message = format!("{doing}: the engine stopped before it said the digest");
        return Err(PortError::new(PortErrorKind::Transient, message));
    }
    Ok(Transfer { digest })
}

pub(super) async fn pull(docker: &RealDocker, image: &ImageRef, who: &Credentials, output: &dyn Output) -> PortResult<Transfer> {
    let image = ImageRef::parse(&image.to_string())?;
    let doing = format!("pulling `{image}`");
    let client = docker.client().await?;
    // Without either, the engine would pull every tag there is. With both, the digest is what counts.
    let reference = image.digest.clone().or_else(|| image.tag.clone()).unwrap_or_else(|| "latest".to_owned());
    let options = CreateImageOptionsBuilder::default().from_image(&image.name()).tag(&reference).build();
    let mut stream = std::pin::pin!(client.create_image(Some(options), None, credentials(&image.registry, who)));
    let tail = Tail::new(output);
    let mut progress = Progress::default();
    let mut digest = None;
    let mut settled = false;
    while let Some(item) = within(docker.patience.transfer, stream.next(), &doing).await? {
        let item = item.map_err(|error| error::map(error, &doing))?;
        let Some(status) = item.status else { continue };
        digest = status.strip_prefix("Digest: ").map(|text| text.trim().to_owned()).or(digest);
        settled |= status.starts_with("Status: ");
        progress.show(&tail, &status, item.id.as_deref(), item.progress_detail.as_ref());
    }
    if digest.is_none() && !settled {
        let message = format!("{doing}: the engine stopped before it was done");
        return Err(PortError::new(PortErrorKind::Transient, message));
    }
    Ok(Transfer { digest })
}

/// The library's form of credentials; None for nobody.
pub(super) fn credentials(registry: &str, who: &Credentials) -> Option<DockerCredentials> {
    let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    let empty = DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
    match who {
        Credentials::Anonymous => None,
        Credentials::Basic { username, password } => {
            Some(DockerCredentials { username: Some(username.clone()), password: Some(password.expose().to_owned()), ..empty })
        }
        Credentials::IdentityToken(token) => Some(DockerCredentials { identitytoken: Some(token.expose().to_owned()), ..empty }),
    }
}

/// The digest in `TAG: digest: sha256:… size: N`.
fn pushed_digest(status: &str, tag: &str) -> Option<String> {
    let digest = status.strip_prefix(tag)?.strip_prefix(": digest: ")?.split_whitespace().next()?;
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digest.to_owned())
}

/// Lines for what changes, and now and then one for what grows.
#[derive(Default)]
struct Progress {
    shown: Option<tokio::time::Instant>,
}

impl Progress {
    fn show(&mut self, tail: &Tail<'_>, status: &str, id: Option<&str>, detail: Option<&ProgressDetail>) {
        let line = match id {
            Some(id) => format!("{id}: {status}"),
            None => status.to_owned(),
        };
        let Some(current) = detail.and_then(|detail| detail.current).and_then(|current| u64::try_from(current).ok()) else {
            return tail.line(&line);
        };
        let now = tokio::time::Instant::now();
        if self.shown.is_none_or(|last| now.duration_since(last) >= BETWEEN) {
            self.shown = Some(now);
            let total = detail.and_then(|detail| detail.total).and_then(|total| u64::try_from(total).ok()).filter(|total| *total > 0);
            let total = total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
            tail.line(&format!("{line} {}{total}", size(current)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_tag() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let said = format!("v1: digest: {digest} size: 525");
        assert_eq!(pushed_digest(&said, "v1"), Some(digest));
        assert_eq!(pushed_digest(&said, "v2"), None);
        assert_eq!(pushed_digest("v1: digest: sha256:12 size: 1", "v1"), None);
        assert_eq!(pushed_digest("The push refers to repository [x]", "v1"), None);
    }
}
