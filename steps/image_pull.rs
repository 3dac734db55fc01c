//! `image-pull` gets images from their registries onto the engine.
//!
//! **Takes** a list of images, or a compose file, whose services' images are all pulled; services that compose builds, or whose
//! `pull_policy` is `never` or `build`, are left out.
//!
//! **Gives** id and digest of each image.
//!
//! **Probes** by asking the registry: an image is there when the engine holds the very one that the registry has under that name now.
//! A tag that the registry moved is thus pulled again; a name with a digest is not asked for where the engine holds it, and with
//! `policy = "missing"` none that the engine holds: to go back to what ran here, no registry is needed.
//!
//! **Undoes** by putting tags that were there before back to the image they stood for. Images that came anew stay: they are content,
//! and the next attempt needs them.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Behaviour, Change, Class, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::{RegistryAuth, auth, compose, engine_tag, manifest};
use crate::world::{Image, ImageRef};

/// So many registries are asked, and images pulled, at the same time.
const AT_ONCE: usize = 3;

/// The kind `image-pull`.
#[derive(Debug, Clone, Copy)]
pub struct ImagePull;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Images to pull, each with a tag or a digest.
    #[serde(default)]
    pub images: Vec<String>,
    /// A compose file, all of whose images are pulled.
    #[serde(default)]
    pub compose: Option<String>,
    /// Compose project name; compose's own default where left out.
    #[serde(default)]
    pub project: Option<String>,
    /// The env file for the compose file's variables, if not `.env` beside it.
    #[serde(default)]
    pub env_file: Option<String>,
    /// Compose profiles that are on.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// When the registry is asked: `always`, or `missing`, for images that the engine does not have under their names.
    #[serde(default)]
    pub policy: Policy,
    /// Credentials, if not those of the Docker configuration.
    #[serde(default)]
    pub registry_auth: Option<RegistryAuth>,
}

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Always: a tag may have moved.
    #[default]
    Always,
    /// Where the engine has none under that name.
    Missing,
}

/// What the engine had under the names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Image id by name, None where there was none.
    pub images: BTreeMap<String, Option<String>>,
}

/// One image on the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pulled {
    /// `sha256:…` of the image.
    pub id: String,
    /// `sha256:…` of its manifest at the registry; empty for one that came from none.
    pub digest: String,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// By name of the image.
    pub images: BTreeMap<String, Pulled>,
}

impl Step for ImagePull {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "image-pull",
        version: 1,
        summary: "Gets images, or all of a compose file, onto the engine",
        example: r#"[[steps]]
id = "pull"
uses = "image-pull"
with = { images = ["ghcr.io/acme/agents:v1.2.0"] }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if params.images.is_empty() && params.compose.is_none() {
            problems.push("name `images` or a `compose` file: there is nothing to pull".into());
        }
        let mut hosts = Vec::new();
        for image in &params.images {
            match exact(image) {
                Ok(image) => hosts.push(image.registry),
                Err(error) => problems.push(error.message),
            }
        }
        problems.extend(auth::check_hosts(params.registry_auth.as_ref(), hosts.iter().map(String::as_str)));
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let mut before = BTreeMap::new();
        let mut images = BTreeMap::new();
        let mut changes = Vec::new();
        let names = wanted(cx, params).await?;
        let looks = stream::iter(names).map(async |name| {
            let here = cx.world.docker.image(&name.to_string()).await?;
            let state = state(cx, params, &name, here.as_ref()).await?;
            Ok::<_, StepError>((name, here, state))
        });
        let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
        while let Some((name, here, state)) = looks.try_next().await? {
            match state {
                State::Here(pulled) => {
                    images.insert(name.to_string(), pulled);
                }
                State::Elsewhere => changes.push(Change::new(format!("pull `{name}`"))),
                State::Nowhere => changes.push(Change::new(format!("pull `{name}`, which its registry does not have yet"))),
            }
            before.insert(name.to_string(), here.map(|image| image.id));
        }
        Ok(if changes.is_empty() {
            Probe::Present { output: Output { images } }
        } else {
            Probe::Absent { before: Before { images: before }, changes }
        })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        let names = wanted(cx, params).await?;
        let pulls = stream::iter(names).map(async |name| {
            let here = cx.world.docker.image(&name.to_string()).await?;
            let pulled = match state(cx, params, &name, here.as_ref()).await? {
                State::Here(pulled) => pulled,
                State::Elsewhere => pull(cx, params, &name).await?,
                State::Nowhere => return Err(missing(&name)),
            };
            Ok((name.to_string(), pulled))
        });
        Ok(Output { images: pulls.buffered(AT_ONCE).try_collect().await? })
    }

    async fn undo(&self, cx: &Context, _params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else { return Ok(()) };
        for (name, was) in &before.images {
            let reference = ImageRef::parse(name)?;
            let (Some(was), None) = (was, &reference.digest) else { continue };
            let now = engine_tag::image_id(cx, name).await?;
            let ours = output.and_then(|output| output.images.get(name)).map(|pulled| pulled.id.clone()).or_else(|| now.clone());
            if let Some(ours) = ours {
                engine_tag::restore(cx, &reference, Some(was), &ours).await?;
            }
        }
        Ok(())
    }
}

/// Where an image is.
enum State {
    /// On the engine, and the registry has no other under that name.
    Here(Pulled),
    /// At the registry.
    Elsewhere,
    /// Not even at the registry.
    Nowhere,
}

async fn state(cx: &Context, params: &Params, name: &ImageRef, here: Option<&Image>) -> Result<State, StepError> {
    if let (Some(image), Some(digest)) = (here, &name.digest) {
        return Ok(State::Here(Pulled { id: image.id.clone(), digest: digest.clone() }));
    }
    if let (Some(image), Policy::Missing) = (here, params.policy) {
        let digest = image.digests.iter().filter_map(|known| known.rsplit_once('@')).map(|(_, digest)| digest.to_owned()).next();
        return Ok(State::Here(Pulled { id: image.id.clone(), digest: digest.unwrap_or_default() }));
    }
    let Some(manifest) = auth::manifest(cx, params.registry_auth.as_ref(), name).await? else { return Ok(State::Nowhere) };
    Ok(match here {
        Some(image) if manifest::is_held_as(&manifest, name, image) => {
            State::Here(Pulled { id: image.id.clone(), digest: manifest.digest })
        }
        _ => State::Elsewhere,
    })
}

async fn pull(cx: &Context, params: &Params, name: &ImageRef) -> Result<Pulled, StepError> {
    let auth = params.registry_auth.as_ref();
    let who = auth::credentials(cx, auth, &name.registry).await?;
    let pulling =
        async { cx.world.docker.pull(name, &who, cx.output.as_ref()).await.map_err(|error| auth::explain(error, auth, &name.registry)) };
    cx.unless_cancelled(pulling).await.map_err(|error| error.context(format!("pulling `{name}`")))?;
    let image = cx
        .world
        .docker
        .image(&name.to_string())
        .await?
        .ok_or_else(|| StepError::transient(format!("the engine said it pulled `{name}`, and does not have it")))?;
    match state(cx, params, name, Some(&image)).await? {
        State::Here(pulled) => Ok(pulled),
        State::Elsewhere => Err(StepError::transient(format!(
            "`{name}` was pulled as {}, and its registry has another one under that name: it moved meanwhile",
            image.id
        ))),
        State::Nowhere => Err(missing(name)),
    }
}

fn missing(name: &ImageRef) -> StepError {
    StepError::new(Class::Permanent, format!("registry `{}` has no image `{name}`", name.registry))
        .hint("look whether that version was released, and whether the name is spelt right")
}

/// An image that can be asked for: with a tag or a digest.
fn exact(text: &str) -> Result<ImageRef, StepError> {
    let name = ImageRef::parse(text)?;
    if name.tag.is_none() && name.digest.is_none() {
        return Err(StepError::refused(format!("`{text}` names neither tag nor digest: write it out, such as `{text}:latest`")));
    }
    Ok(name)
}

/// All images asked for, each once, in the order they are named.
async fn wanted(cx: &Context, params: &Params) -> Result<Vec<ImageRef>, StepError> {
    let mut all: Vec<ImageRef> = params.images.iter().map(|image| exact(image)).collect::<Result<_, _>>()?;
    if let Some(file) = params.compose.as_ref().filter(|file| !file.is_empty()) {
        let compose = compose::file(cx, file, params.project.as_deref(), params.env_file.as_deref(), &params.profiles)?;
        let (_, services) = cx.unless_cancelled(cx.world.compose.config(&compose)).await?;
        for service in services.iter().filter(|service| is_pulled(&service.config)) {
            if let Some(image) = &service.image {
                let mut name = ImageRef::parse(image)?;
                if name.tag.is_none() && name.digest.is_none() {
                    name = name.with_tag("latest");
                }
                all.push(name);
            }
        }
    }
    if let Some(problem) = auth::check_hosts(params.registry_auth.as_ref(), all.iter().map(|name| name.registry.as_str())) {
        return Err(StepError::refused(problem));
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|name| seen.insert(name.to_string()));
    Ok(all)
}

/// Whether compose itself would pull the image of that service.
fn is_pulled(service: &Value) -> bool {
    let policy = service.get("pull_policy").and_then(Value::as_str);
    service.get("build").is_none_or(Value::is_null) && !matches!(policy, Some("never" | "build"))
}
