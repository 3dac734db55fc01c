//! `image-push` pushes an image of the engine to registries and proves that it arrived.
//!
//! **Takes** an image (id or name), the tags to push it under, and tags in `move_last` that are moved once all others are verified.
//! A tag that already stands for another image is a conflict unless `overwrite = true`; those in `move_last` are meant to move.
//!
//! **Gives** the digest read back from the registry, the pinned reference `name@sha256:…`, and both for each tag. Later steps use
//! these, never a tag.
//!
//! **Probes** by asking the registry what each tag stands for: nothing is pushed where that is our image already.
//!
//! **Undoes** only with `undo = "delete"`; else it is one-way. A tag that stood for something else gets its old manifest back, byte
//! for byte; one that was not there is deleted. Registries delete by digest, and with it every tag on that digest: where a tag
//! that is not ours stands for the same image, ours is first put on a copy of the manifest with a digest of its own, and that is
//! deleted. Many registries do not allow deletion at all.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::{RegistryAuth, auth, engine_tag, manifest, text};
use crate::world::{Image, ImageRef, Manifest};

/// The kind `image-push`.
#[derive(Debug, Clone, Copy)]
pub struct ImagePush;

/// What happens on a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUndo {
    /// What was pushed stays: the step is one-way.
    #[default]
    Keep,
    /// Tags go back to what they stood for, new ones are deleted.
    Delete,
}

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The image: `sha256:…` or a name that the engine knows.
    pub image: String,
    /// References to push it under, such as `ghcr.io/acme/agents:v1.2.0`. At least one.
    pub tags: Vec<String>,
    /// Tags moved after those in `tags` are verified: references, or bare tags such as `latest` in the repository of the first of `tags`.
    #[serde(default)]
    pub move_last: Vec<String>,
    /// Credentials, if not those of the Docker configuration.
    #[serde(default)]
    pub registry_auth: Option<RegistryAuth>,
    /// Push over a tag that stands for another image.
    #[serde(default)]
    pub overwrite: bool,
    /// `keep` (what was pushed stays) or `delete` (taken back on a rollback, where the registry allows it).
    #[serde(default)]
    pub undo: OnUndo,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Id of the image to be pushed.
    pub image_id: String,
    /// By reference.
    pub tags: BTreeMap<String, Was>,
}

/// What one tag stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// At the registry.
    pub manifest: Option<Kept>,
    /// On the engine: an image id.
    pub local: Option<String>,
}

/// A manifest, kept so that it can be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// `sha256:…` of the bytes.
    pub digest: String,
    /// Media type.
    pub media_type: String,
    /// The very bytes, in base64.
    pub bytes: String,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Digest of the manifest as the registry has it, of the first of `tags`.
    pub digest: String,
    /// The first of `tags`, pinned: `name@sha256:…`.
    pub reference: String,
    /// Digest at the registry by reference.
    pub tags: BTreeMap<String, String>,
    /// Pinned reference by reference.
    pub references: BTreeMap<String, String>,
}

impl Step for ImagePush {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "image-push",
        version: 1,
        summary: "Pushes an image and reads its digest back from the registry",
        example: r#"[[steps]]
id = "push"
uses = "image-push"
with = { image = "ghcr.io/acme/agents:v1.2.0", tags = ["ghcr.io/acme/agents:v1.2.0"], move_last = ["latest"] }
retry = { attempts = 3, wait = "2s..30s" }
"#,
        behaviour: Behaviour { effect: Effect::OneWay, repeat: Repeat::Safe, undo: Undo::Impossible, probes: true },
    };

    fn behaviour(&self, with: &Value) -> Behaviour {
        if with.get("undo").and_then(Value::as_str) == Some("delete") {
            Behaviour { effect: Effect::Reversible, undo: Undo::Reverse, ..Self::META.behaviour }
        } else {
            Self::META.behaviour
        }
    }

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = engine_tag::check(&params.tags);
        if problems.is_empty() {
            match targets(params) {
                Ok(targets) => problems
                    .extend(auth::check_hosts(params.registry_auth.as_ref(), targets.iter().map(|target| target.name.registry.as_str()))),
                Err(error) => problems.push(error.message),
            }
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let Some(image) = cx.world.docker.image(&params.image).await? else {
            return Ok(Probe::unknown(format!("the engine has no image `{}` to compare with", params.image)));
        };
        let targets = targets(params)?;
        let mut before = Before { image_id: image.id.clone(), tags: BTreeMap::new() };
        let (mut there, mut changes, mut others) = (BTreeMap::new(), Vec::new(), Vec::new());
        for target in &targets {
            let manifest = auth::manifest(cx, params.registry_auth.as_ref(), &target.name).await?;
            match standing(manifest.as_ref(), target, &image) {
                Standing::Ours(digest) => {
                    there.insert(target.name.to_string(), digest);
                }
                Standing::Free => changes.push(Change::new(format!("push {} as `{}`", params.image, target.name))),
                Standing::Other(digest) if target.moves => {
                    changes.push(Change::new(format!("move `{}` from {digest} to {}", target.name, params.image)));
                }
                Standing::Other(digest) => others.push(format!("`{}` at {digest}", target.name)),
            }
            let local = engine_tag::image_id(cx, &target.name.to_string()).await?;
            before.tags.insert(target.name.to_string(), Was { manifest: manifest.map(Kept::from), local });
        }
        Ok(if !others.is_empty() {
            Probe::Diverged { expected: format!("image {}", image.id), found: format!("another image: {}", others.join(", ")) }
        } else if changes.is_empty() {
            Probe::Present { output: output(&targets, there) }
        } else {
            Probe::Absent { before, changes }
        })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let image = cx.world.docker.image(&params.image).await?.ok_or_else(|| {
            StepError::permanent(format!("the engine has no image `{}`", params.image)).hint("build or pull it in an earlier step")
        })?;
        let targets = targets(params)?;
        let mut done = BTreeMap::new();
        for target in &targets {
            let manifest = auth::manifest(cx, params.registry_auth.as_ref(), &target.name).await?;
            match standing(manifest.as_ref(), target, &image) {
                Standing::Ours(digest) => {
                    done.insert(target.name.to_string(), digest);
                }
                Standing::Free => {}
                Standing::Other(digest) => may_move(target, &digest, before)?,
            }
        }
        for (number, target) in targets.iter().enumerate() {
            let name = target.name.to_string();
            if done.contains_key(&name) {
                cx.log(format!("`{name}` is at the registry already"));
                continue;
            }
            cx.progress.update(&format!("pushing {name}"), Some(number as u64), Some(targets.len() as u64));
            let digest = push(cx, params, &target.name, &image).await?;
            cx.log(format!("`{name}` is at the registry as {digest}"));
            done.insert(name, digest);
        }
        Ok(output(&targets, done))
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let before = before.ok_or_else(|| StepError::refused("what the tags stood for was not recorded"))?;
        let mut problems = Vec::new();
        let mut created: Vec<(ImageRef, String)> = Vec::new();
        for target in targets(params)?.into_iter().rev() {
            let name = target.name.to_string();
            let Some(was) = before.tags.get(&name) else { continue };
            let made = output.and_then(|output| output.tags.get(&name)).map(String::as_str);
            match put_back(cx, params, &target.name, was, made, &before.image_id).await {
                Ok(None) => {}
                Ok(Some(digest)) => created.push((target.name.clone(), digest)),
                Err(error) => problems.push(error),
            }
            if let Err(error) = engine_tag::restore(cx, &target.name, was.local.as_deref(), &before.image_id).await {
                problems.push(error);
            }
        }
        if let Err(error) = delete(cx, params, &created).await {
            problems.push(error);
        }
        let more = problems.iter().skip(1).map(|error| error.message.clone()).collect::<Vec<_>>();
        match problems.into_iter().next() {
            None => Ok(()),
            Some(mut first) => {
                for message in more {
                    first.message = format!("{}; {message}", first.message);
                }
                Err(first)
            }
        }
    }
}

/// A reference to push under.
struct Target {
    name: ImageRef,
    /// Whether it may leave what it stands for now.
    moves: bool,
}

/// The references in the order they are pushed.
fn targets(params: &Params) -> Result<Vec<Target>, StepError> {
    let mut targets: Vec<Target> = Vec::new();
    for name in engine_tag::names(&params.tags)? {
        targets.push(Target { name, moves: params.overwrite });
    }
    let first = targets.first().map(|target| target.name.clone()).ok_or_else(|| StepError::refused("`tags` is empty"))?;
    for tag in params.move_last.iter().filter(|tag| !tag.is_empty()) {
        let bare = !tag.contains(['/', ':', '@']);
        let full = if bare { format!("{}:{tag}", first.name()) } else { tag.clone() };
        targets.push(Target { name: engine_tag::name(&full)?, moves: true });
    }
    let mut seen = std::collections::BTreeSet::new();
    targets.retain(|target| seen.insert(target.name.to_string()));
    Ok(targets)
}

/// What a tag stands for at the registry.
enum Standing {
    Ours(String),
    Free,
    Other(String),
}

fn standing(found: Option<&Manifest>, target: &Target, image: &Image) -> Standing {
    match found {
        None => Standing::Free,
        Some(found) if manifest::is_held_as(found, &target.name, image) => Standing::Ours(found.digest.clone()),
        Some(found) => Standing::Other(found.digest.clone()),
    }
}

/// Conflict unless the tag may move, and still stands for what the checkpoint says.
fn may_move(target: &Target, now: &str, before: Option<&Before>) -> Result<(), StepError> {
    if !target.moves {
        return Err(StepError::conflict(format!("`{}` stands for another image already: {now}", target.name))
            .hint("release under another tag, or set `overwrite = true` if it is meant to be replaced"));
    }
    let was = before.and_then(|before| before.tags.get(&target.name.to_string())).and_then(|was| was.manifest.as_ref());
    match was {
        Some(was) if was.digest == now => Ok(()),
        None if before.is_none() => Ok(()),
        _ => {
            Err(StepError::conflict(format!("`{}` was moved to {now} by somebody else while this step was about to move it", target.name)))
        }
    }
}

/// Pushes one tag and answers the digest that the registry has for it.
async fn push(cx: &Context, params: &Params, name: &ImageRef, image: &Image) -> Result<String, StepError> {
    let auth = params.registry_auth.as_ref();
    let text = name.to_string();
    if engine_tag::image_id(cx, &text).await?.as_deref() != Some(image.id.as_str()) {
        cx.unless_cancelled(cx.world.docker.tag(&image.id, name)).await?;
    }
    let who = auth::credentials(cx, auth, &name.registry).await?;
    let pushing =
        async { cx.world.docker.push(name, &who, cx.output.as_ref()).await.map_err(|error| auth::explain(error, auth, &name.registry)) };
    let transfer = cx.unless_cancelled(pushing).await.map_err(|error| error.context(format!("pushing `{name}`")))?;
    let found = auth::manifest(cx, auth, name).await?;
    let found = found.ok_or_else(|| StepError::transient(format!("`{name}` was pushed, and the registry does not have it")))?;
    let same = transfer.digest.as_ref().map_or_else(|| manifest::stands_for(&found, &image.id), |digest| *digest == found.digest);
    if same {
        return Ok(found.digest);
    }
    let pushed = transfer.digest.unwrap_or_else(|| image.id.clone());
    Err(StepError::conflict(format!("`{name}` was pushed as {pushed}, and the registry has {} under it", found.digest))
        .hint("somebody else pushes the same tag: settle who owns it before trying again"))
}

/// Puts the tag's old manifest back. Answers the digest that is there if it is ours and nothing was there before.
async fn put_back(
    cx: &Context,
    params: &Params,
    name: &ImageRef,
    was: &Was,
    made: Option<&str>,
    image_id: &str,
) -> Result<Option<String>, StepError> {
    let auth = params.registry_auth.as_ref();
    let now = auth::manifest(cx, auth, name).await?;
    let (now, was) = match (now, &was.manifest) {
        (None, None) => return Ok(None),
        (Some(now), Some(was)) if now.digest == was.digest => return Ok(None),
        (None, Some(was)) => {
            return Err(StepError::conflict(format!("`{name}` stood for {}, and is gone from the registry", was.digest)));
        }
        (Some(now), was) => (now, was),
    };
    if made != Some(now.digest.as_str()) && !manifest::stands_for(&now, image_id) {
        return Err(StepError::conflict(format!("`{name}` meanwhile stands for {}, which this step did not push", now.digest)));
    }
    let Some(was) = was else { return Ok(Some(now.digest)) };
    put(cx, params, name, &Manifest::try_from(was)?).await?;
    Ok(None)
}

/// Deletes tags that this step made, and no other tag.
async fn delete(cx: &Context, params: &Params, created: &[(ImageRef, String)]) -> Result<(), StepError> {
    if created.is_empty() {
        return Ok(());
    }
    let names = created.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    if params.undo != OnUndo::Delete {
        return Err(StepError::refused(format!("{} stays at the registry: the step is one-way", text::some_of(&names)))
            .hint("set `undo = \"delete\"` on steps whose pushes may be taken back"));
    }
    for (name, digest) in created {
        if shared(cx, params, name, digest, created).await? {
            let own = set_apart(cx, params, name, digest).await?;
            if let Err(error) = delete_digest(cx, params, name, &own.digest).await {
                // Better the old digest under the tag than one that nobody knows.
                let _ = put(cx, params, name, &manifest_of(cx, params, name, digest).await?).await;
                return Err(error);
            }
        } else {
            delete_digest(cx, params, name, digest).await?;
        }
    }
    Ok(())
}

/// Whether a tag that this step did not make stands for that digest too.
async fn shared(cx: &Context, params: &Params, name: &ImageRef, digest: &str, created: &[(ImageRef, String)]) -> Result<bool, StepError> {
    let auth = params.registry_auth.as_ref();
    let who = auth::credentials(cx, auth, &name.registry).await?;
    for tag in cx.world.registry.tags(name, &who).await.map_err(|error| auth::explain(error, auth, &name.registry))? {
        let other = name.with_tag(&tag);
        let ours = created.iter().any(|(name, _)| *name == other);
        if !ours && auth::manifest(cx, auth, &other).await?.is_some_and(|manifest| manifest.digest == digest) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the tag on a copy of its manifest that nothing else stands for.
async fn set_apart(cx: &Context, params: &Params, name: &ImageRef, digest: &str) -> Result<Manifest, StepError> {
    let own = manifest::copy(&manifest_of(cx, params, name, digest).await?);
    put(cx, params, name, &own).await?;
    Ok(own)
}

async fn manifest_of(cx: &Context, params: &Params, name: &ImageRef, digest: &str) -> Result<Manifest, StepError> {
    let found = auth::manifest(cx, params.registry_auth.as_ref(), &name.with_digest(digest)).await?;
    found.ok_or_else(|| StepError::conflict(format!("{digest}, which `{name}` stood for, is gone from the registry")))
}

async fn put(cx: &Context, params: &Params, name: &ImageRef, manifest: &Manifest) -> Result<(), StepError> {
    let auth = params.registry_auth.as_ref();
    let who = auth::credentials(cx, auth, &name.registry).await?;
    let put = cx.world.registry.put_manifest(name, manifest, &who).await;
    put.map_err(|error| auth::explain(error, auth, &name.registry).context(format!("putting `{name}` on {}", manifest.digest)))
}

async fn delete_digest(cx: &Context, params: &Params, name: &ImageRef, digest: &str) -> Result<(), StepError> {
    let auth = params.registry_auth.as_ref();
    let who = auth::credentials(cx, auth, &name.registry).await?;
    cx.world.registry.delete_manifest(&name.with_digest(digest), &who).await.map_err(|error| {
        let explained = auth::explain(error, auth, &name.registry).context(format!("deleting `{name}` ({digest})"));
        if explained.hint.is_some() {
            return explained;
        }
        explained.hint("if the registry has deletion disabled, enable it or delete the tag with the registry's own tools")
    })
}

fn output(targets: &[Target], tags: BTreeMap<String, String>) -> Output {
    let pinned = |target: &Target| tags.get(&target.name.to_string()).map(|digest| target.name.with_digest(digest).to_string());
    Output {
        digest: targets.first().and_then(|target| tags.get(&target.name.to_string())).cloned().unwrap_or_default(),
        reference: targets.first().and_then(pinned).unwrap_or_default(),
        references: targets.iter().filter_map(|target| Some((target.name.to_string(), pinned(target)?))).collect(),
        tags,
    }
}

impl From<Manifest> for Kept {
    fn from(manifest: Manifest) -> Self {
        Self { digest: manifest.digest, media_type: manifest.media_type, bytes: STANDARD.encode(manifest.bytes) }
    }
}

impl TryFrom<&Kept> for Manifest {
    type Error = StepError;
    fn try_from(kept: &Kept) -> Result<Self, StepError> {
        let bytes = STANDARD
            .decode(&kept.bytes)
            .map_err(|error| StepError::permanent(format!("the recorded manifest {} is damaged: {error}", kept.digest)))?;
        Ok(Self { digest: kept.digest.clone(), media_type: kept.media_type.clone(), bytes })
    }
}
