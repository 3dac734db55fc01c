//! `image-tag` gives an image of the engine more names.
//!
//! **Takes** an image, by id or name, and tags.
//!
//! **Gives** the image's id, and it again for each tag.
//!
//! **Probes** whether each tag stands for that image.
//!
//! **Undoes** by putting every tag back to the image it stood for. A tag that was not there is taken away, if it still stands for
//! this image and is not its last name; one that somebody else moved meanwhile is a conflict and stays.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::engine_tag;
use crate::world::ImageRef;

/// The kind `image-tag`.
#[derive(Debug, Clone, Copy)]
pub struct ImageTag;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The image: `sha256:…` or a name that the engine knows.
    pub image: String,
    /// The names to give it, such as `ghcr.io/acme/agents:latest`. At least one.
    pub tags: Vec<String>,
}

/// What the tags stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Id of the image to be tagged, if it was there.
    pub image_id: Option<String>,
    /// Image id behind each tag, None where it was not there.
    pub tags: BTreeMap<String, Option<String>>,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// `sha256:…` of the image.
    pub image_id: String,
    /// Image id behind each tag.
    pub tags: BTreeMap<String, String>,
}

impl Step for ImageTag {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "image-tag",
        version: 1,
        summary: "Gives an image of the engine more names",
        example: r#"[[steps]]
id = "tag-image"
uses = "image-tag"
with = { image = "ghcr.io/acme/agents:v1.2.0", tags = ["ghcr.io/acme/agents:candidate"] }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        engine_tag::check(&params.tags)
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let image_id = engine_tag::image_id(cx, &params.image).await?;
        let mut tags = BTreeMap::new();
        let mut changes = Vec::new();
        for name in engine_tag::names(&params.tags)? {
            let now = engine_tag::image_id(cx, &name.to_string()).await?;
            if now.is_none() || now != image_id {
                let was = now.as_ref().map_or_else(String::new, |id| format!(", which was {id}"));
                changes.push(Change::new(format!("tag `{}` as `{name}`{was}", params.image)));
            }
            tags.insert(name.to_string(), now);
        }
        Ok(match image_id {
            Some(image_id) if changes.is_empty() => Probe::Present { output: output(image_id, tags.into_keys()) },
            image_id => Probe::Absent { before: Before { image_id, tags }, changes },
        })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        let image_id = engine_tag::image_id(cx, &params.image).await?.ok_or_else(|| {
            StepError::permanent(format!("the engine has no image `{}`", params.image)).hint("build or pull it in an earlier step")
        })?;
        let names = engine_tag::names(&params.tags)?;
        for name in &names {
            if engine_tag::image_id(cx, &name.to_string()).await?.as_ref() != Some(&image_id) {
                cx.unless_cancelled(cx.world.docker.tag(&image_id, name)).await?;
            }
        }
        Ok(output(image_id, names.iter().map(ToString::to_string)))
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let before = before.ok_or_else(|| StepError::refused("what the tags stood for was not recorded"))?;
        let ours = match output.map(|output| output.image_id.clone()).or_else(|| before.image_id.clone()) {
            Some(id) => id,
            None => match engine_tag::image_id(cx, &params.image).await? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        for (name, was) in &before.tags {
            engine_tag::restore(cx, &ImageRef::parse(name)?, was.as_deref(), &ours).await?;
        }
        Ok(())
    }
}

fn output(image_id: String, names: impl Iterator<Item = String>) -> Output {
    Output { tags: names.map(|name| (name, image_id.clone())).collect(), image_id }
}
