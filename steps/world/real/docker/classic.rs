//! Building with the engine's own builder: the context is streamed, the answer read to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use futures_util::{Stream, StreamExt as _};

use super::text::{Tail, size};
use super::{RealDocker, blocking, error, names, transfer};
use crate::world::real::build_context::{BuildContext, Sent};
use crate::world::{Build, Built, Docker as _, Output, PortError, PortErrorKind, PortResult};

/// The library's timeout runs until the headers come, and those come after the whole context: it must not be the one that counts.
const NO_LIMIT: Duration = Duration::from_hours(7 * 24);

pub(super) async fn build(docker: &RealDocker, build: &Build, output: &dyn Output) -> PortResult<Built> {
    let tags = build.tags.iter().map(names::parts).collect::<PortResult<Vec<_>>>()?;
    let given = build.clone();
    let context = blocking(move || BuildContext::open(&given)).await?;
    let options = options(build, context.dockerfile(), tags.first())?;
    let client = docker.client().await?.clone().with_timeout(NO_LIMIT);
    let credentials = docker.config.all().await;
    let credentials: HashMap<String, DockerCredentials> =
        credentials.iter().filter_map(|(host, who)| Some((host.clone(), transfer::credentials(host, who)?))).collect();
    let stream = context.stream(build);
    let sent = stream.sent();
    let answer = client.build_image(options, Some(credentials), Some(bollard::body_try_stream(stream)));
    let tail = Tail::new(output);
    let image_id = read(docker, answer, &sent, &tail).await?;
    for name in build.tags.iter().skip(1) {
        docker.tag(&image_id, name).await?;
    }
    Ok(Built { image_id })
}

fn options(build: &Build, dockerfile: &str, tag: Option<&(String, String)>) -> PortResult<BuildImageOptions> {
    let platform = match build.platforms.as_slice() {
        [] => "",
        [one] => one,
        more => {
            let message = format!("the classic builder builds for one platform, not for {}", more.join(", "));
            return Err(PortError::invalid(message).hint("set `builder = \"buildkit\"`"));
        }
    };
    let mut options = BuildImageOptionsBuilder::default()
        .dockerfile(dockerfile)
        .buildargs(&build.args.clone().into_iter().collect())
        .labels(&build.labels.clone().into_iter().collect())
        .nocache(build.no_cache)
        .platform(platform)
        .target(build.target.as_deref().unwrap_or_default())
        .rm(true)
        .forcerm(true);
    if let Some((repository, tag)) = tag {
        options = options.t(&format!("{repository}:{tag}"));
    }
    Ok(options.build())
}

/// Reads the answer to its end; the id of the image that came out.
async fn read(
    docker: &RealDocker,
    answer: impl Stream<Item = Result<BuildInfo, Error>>,
    sent: &Arc<Sent>,
    tail: &Tail<'_>,
) -> PortResult<String> {
    let mut answer = std::pin::pin!(answer);
    let mut watch = Watch { docker, sent, bytes: 0, silent: Duration::ZERO, dead: 0 };
    let mut id = None;
    let mut announced = false;
    loop {
        let Ok(item) = tokio::time::timeout(docker.patience.ping, answer.next()).await else {
            watch.tick().await?;
            continue;
        };
        watch.silent = Duration::ZERO;
        let Some(item) = item else { break };
        let item = match item {
            Ok(item) => item,
            Err(error) => return Err(failure(docker, error, sent, tail).await),
        };
        if !announced {
            announced = true;
            tail.line(&format!("context of {} sent", size(sent.bytes())));
        }
        if let Some(message) = item.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
            return Err(failure(docker, Error::DockerStreamError { error: message }, sent, tail).await);
        }
        id = show(item, tail).or(id);
    }
    if let Some(error) = sent.failure() {
        return Err(error);
    }
    id.ok_or_else(|| PortError::new(PortErrorKind::Transient, "the engine ended the build without an image and without an error"))
}

/// Writes an item to the output; the image id if it says one.
fn show(item: BuildInfo, tail: &Tail<'_>) -> Option<String> {
    if let Some(text) = &item.stream {
        tail.write(text.as_bytes());
    } else if let Some(status) = item.status {
        // A base image being pulled; its progress bars are noise.
        if item.progress_detail.is_none_or(|progress| progress.total.is_none() && progress.current.is_none()) {
            tail.line(&item.id.map(|id| format!("{id}: {status}")).unwrap_or(status));
        }
    }
    item.aux.and_then(|aux| aux.id)
}

async fn failure(docker: &RealDocker, error: Error, sent: &Sent, tail: &Tail<'_>) -> PortError {
    // If reading the context failed, the engine's complaint is only the echo.
    if let Some(failure) = sent.failure() {
        return failure;
    }
    let Error::DockerStreamError { error: words } = error else { return error::map(error, "building") };
    let said = words.trim();
    let killed = ["returned a non-zero code: 137", "returned a non-zero code: 143"].iter().any(|end| said.ends_with(end));
    if killed && !alive(docker).await {
        return PortError::new(PortErrorKind::Transient, format!("building: the engine stopped meanwhile: {said}"));
    }
    let own = said.contains("returned a non-zero code") || said.starts_with("COPY failed") || said.starts_with("ADD failed");
    let kind = match error::of_words(said) {
        kind @ (PortErrorKind::Denied | PortErrorKind::Unreachable | PortErrorKind::Transient) if !own => kind,
        _ => PortErrorKind::Failed,
    };
    let mut message = format!("building: {said}");
    for line in tail.last().iter().filter(|line| !said.contains(line.as_str())) {
        message.push_str("\n  ");
        message.push_str(line);
    }
    let mut failed = PortError::new(kind, message);
    failed.hint = if killed {
        Some("the command was killed: out of memory, or the engine was stopped".to_owned())
    } else if own {
        None
    } else {
        error::hint(kind, said).map(str::to_owned)
    };
    failed
}

async fn alive(docker: &RealDocker) -> bool {
    let Ok(client) = docker.client().await else { return false };
    let patience = docker.patience.ping.min(Duration::from_secs(20));
    matches!(tokio::time::timeout(patience, client.ping()).await, Ok(Ok(_)))
}

/// Tells a build that takes its time from an engine that is gone.
struct Watch<'a> {
    docker: &'a RealDocker,
    sent: &'a Sent,
    /// Bytes of the context that had been taken at the last look.
    bytes: u64,
    silent: Duration,
    dead: u32,
}

impl Watch<'_> {
    /// Called after each `ping` interval without a word.
    async fn tick(&mut self) -> PortResult<()> {
        let patience = self.docker.patience;
        let bytes = self.sent.bytes();
        if bytes != self.bytes {
            self.bytes = bytes;
            self.silent = Duration::ZERO;
            return Ok(());
        }
        self.silent += patience.ping;
        self.dead = if alive(self.docker).await { 0 } else { self.dead + 1 };
        if self.dead >= 2 {
            return Err(PortError::new(PortErrorKind::Unreachable, "building: the engine does not answer any more"));
        }
        if self.silent >= patience.build {
            let message = format!("building: the engine said nothing for {} s", self.silent.as_secs());
            return Err(PortError::new(PortErrorKind::Timeout, message)
                .hint("a step of the Dockerfile hangs, or is silent for very long: let it print something"));
        }
        Ok(())
    }
}
