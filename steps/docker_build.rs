//! `docker-build` builds an image and names it.
//!
//! **Takes** a context folder, a Dockerfile and tags; arguments, labels, a target stage, platforms, a builder. `clean = true` builds
//! from an export of the commit in `revision`, or of HEAD, so that no untracked or changed file can get into the image, and none that was
//! committed meanwhile. `volumes` are paths that the image must
//! declare as volumes.
//!
//! **Gives** the image's id, the digest of what it was built from, its size and its version label.
//!
//! **Probes** by content: the image gets the label `formula.build.digest`, a digest of context (as `.dockerignore` leaves it),
//! Dockerfile, arguments, target, platforms and labels. Where all tags stand for an image that bears the same digest, nothing is
//! built. A base image that moved under its tag is not noticed: name it by digest where that matters. Labels must follow from the content too: the id of a run in a label would make every build a new image.
//!
//! **Undoes** nothing: images are content, and an image nobody refers to does no harm. Use `image-tag` for names that must go back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::{engine_tag, text};
use crate::world::{Build, Builder, Image, ImageRef};

/// The label that says what an image was built from.
const DIGEST_LABEL: &str = "formula.build.digest";
/// The label that says which version an image is.
const VERSION_LABEL: &str = "org.opencontainers.image.version";
/// The label that says which commit an image was built from.
const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The kind `docker-build`.
#[derive(Debug, Clone, Copy)]
pub struct DockerBuild;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The folder of the context, below the working directory.
    #[serde(default = "here")]
    pub context: String,
    /// The Dockerfile, relative to the context.
    #[serde(default = "dockerfile")]
    pub dockerfile: String,
    /// Names for the image, such as `ghcr.io/acme/agents:v1.2.0`. At least one.
    pub tags: Vec<String>,
    /// Build arguments. Not for secrets: they stay readable in the image.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// Labels for the image. They must follow from the content; the id of a run would make each build another image.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Written to the label `org.opencontainers.image.version`.
    #[serde(default)]
    pub version: Option<String>,
    /// The commit, written to the label `org.opencontainers.image.revision`. With `clean` it is also what is built.
    #[serde(default)]
    pub revision: Option<String>,
    /// Stage of the Dockerfile to stop at.
    #[serde(default)]
    pub target: Option<String>,
    /// Build every instruction anew, where it must be built at all.
    #[serde(default)]
    pub no_cache: bool,
    /// `os/arch` names; none for the engine's own. More than one needs `buildkit`.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// The builder: `classic` (the engine's own) or `buildkit` (through the buildx plugin of the docker program).
    #[serde(default)]
    pub builder: Builder,
    /// Build from an export of `revision`, or of HEAD, instead of the working tree: what is not committed cannot get into the image.
    /// The working directory must be the root of the repository.
    #[serde(default)]
    pub clean: bool,
    /// Paths that the image must declare as volumes.
    #[serde(default)]
    pub volumes: Vec<String>,
}

fn here() -> String {
    ".".into()
}
fn dockerfile() -> String {
    "Dockerfile".into()
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// `sha256:…` of the image.
    pub image_id: String,
    /// `sha256:…` of what the image was built from.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// The image's label `org.opencontainers.image.version`; empty where it has none.
    pub version_label: String,
}

impl Step for DockerBuild {
    type Params = Params;
    type Before = ();
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "docker-build",
        version: 1,
        summary: "Builds an image, unless the same content is built already",
        example: r#"[[steps]]
id = "build"
uses = "docker-build"
with = { context = ".", dockerfile = "Dockerfile", tags = ["ghcr.io/acme/agents:v1.2.0"], version = "v1.2.0", clean = true }
timeout = "30m"
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Nothing, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = engine_tag::check(&params.tags);
        if params.labels.contains_key(DIGEST_LABEL) {
            problems.push(format!("the label `{DIGEST_LABEL}` is set by this kind"));
        }
        for (label, short, value) in [(VERSION_LABEL, "version", &params.version), (REVISION_LABEL, "revision", &params.revision)] {
            if value.is_some() && params.labels.contains_key(label) {
                problems.push(format!("`{short}` and the label `{label}` are the same thing: keep one"));
            }
        }
        if params.platforms.len() > 1 && params.builder == Builder::Classic {
            problems.push("several `platforms` need `builder = \"buildkit\"`".into());
        }
        for (what, value) in [("dockerfile", Some(&params.dockerfile)), ("target", params.target.as_ref())] {
            if value.is_some_and(|value| value.is_empty() || value.starts_with('-')) {
                problems.push(format!("`{what}` must not be empty or begin with `-`"));
            }
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<(), Output>, StepError> {
        let prepared = Prepared::new(cx, params).await?;
        if let Some(output) = prepared.already_there(cx, params).await? {
            return Ok(Probe::Present { output });
        }
        let names = prepared.build.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        let from = if params.clean { "a clean export".to_owned() } else { format!("`{}`", params.context) };
        Ok(Probe::Absent { before: (), changes: vec![Change::new(format!("build {} from {from}", text::some_of(&names)))] })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&()>) -> Result<Output, StepError> {
        let prepared = Prepared::new(cx, params).await?;
        let image = match prepared.built(cx).await? {
            Some(image) => {
                cx.log(format!("{} holds the same content already", image.id));
                image
            }
            None => match prepared.build(cx).await {
                Ok(image) => image,
                Err(error) => return Err(explained(cx, params, error).await),
            },
        };
        missing_volumes(params, &image)?;
        for tag in &prepared.build.tags {
            if image_id(cx, tag).await?.as_deref() != Some(image.id.as_str()) {
                cx.unless_cancelled(cx.world.docker.tag(&image.id, tag)).await?;
            }
        }
        Ok(prepared.output(&image))
    }

    async fn undo(&self, _cx: &Context, _params: &Params, _before: Option<&()>, _output: Option<&Output>) -> Result<(), StepError> {
        Ok(())
    }
}

/// A build with its content digest in its labels. Holds the exported tree, where there is one, as long as it lives.
struct Prepared {
    build: Build,
    digest: String,
    _tree: Option<Box<dyn Send + Sync>>,
}

impl Prepared {
    async fn new(cx: &Context, params: &Params) -> Result<Self, StepError> {
        let inside = cx.path(&params.context)?;
        let (context, tree) = if params.clean {
            let relative = inside.strip_prefix(&cx.workdir).expect("Context::path stays below the working directory").to_owned();
            let (tree, guard) = export(cx, params).await?;
            (tree.join(relative), Some(guard))
        } else {
            (inside, None)
        };
        let mut build = Build {
            context,
            dockerfile: params.dockerfile.clone(),
            tags: engine_tag::names(&params.tags)?,
            args: params.args.clone(),
            labels: labels(params),
            target: params.target.clone(),
            no_cache: params.no_cache,
            platforms: params.platforms.clone(),
            builder: params.builder,
            digest: None,
        };
        if build.tags.is_empty() {
            return Err(StepError::refused("`tags` is empty: an image needs a name"));
        }
        let content = cx.unless_cancelled(cx.world.docker.build_digest(&build)).await?;
        let digest = with_labels(&content, &build.labels);
        build.labels.insert(DIGEST_LABEL.into(), digest.clone());
        build.digest = Some(content);
        Ok(Self { build, digest, _tree: tree })
    }

    /// The image under the first tag, if it was built from the same content.
    async fn built(&self, cx: &Context) -> Result<Option<Image>, StepError> {
        let image = cx.world.docker.image(&self.build.tags[0].to_string()).await?;
        Ok(image.filter(|image| image.labels.get(DIGEST_LABEL) == Some(&self.digest)))
    }

    /// The output, if all tags stand for an image with this content and the volumes asked for.
    async fn already_there(&self, cx: &Context, params: &Params) -> Result<Option<Output>, StepError> {
        let Some(image) = self.built(cx).await? else { return Ok(None) };
        for tag in &self.build.tags[1..] {
            if image_id(cx, tag).await?.as_deref() != Some(image.id.as_str()) {
                return Ok(None);
            }
        }
        Ok(missing_volumes(params, &image).is_ok().then(|| self.output(&image)))
    }

    async fn build(&self, cx: &Context) -> Result<Image, StepError> {
        let built = cx.unless_cancelled(cx.world.docker.build(&self.build, cx.output.as_ref())).await?;
        let image = cx.world.docker.image(&built.image_id).await?;
        image.ok_or_else(|| {
            StepError::transient(format!("the engine said it built {}, and does not have it", built.image_id))
                .hint("look whether something prunes images while builds run")
        })
    }

    fn output(&self, image: &Image) -> Output {
        Output {
            image_id: image.id.clone(),
            digest: self.digest.clone(),
            size: image.size,
            version_label: image.labels.get(VERSION_LABEL).cloned().unwrap_or_default(),
        }
    }
}

/// The files of the commit in a folder of their own, which goes away with the guard.
async fn export(cx: &Context, params: &Params) -> Result<(PathBuf, Box<dyn Send + Sync>), StepError> {
    let git = &cx.world.git;
    let commit = match params.revision.as_ref().filter(|revision| !revision.is_empty()) {
        None => git.head(&cx.workdir).await?.commit,
        Some(revision) => git.resolve(&cx.workdir, revision).await?.ok_or_else(|| {
            StepError::permanent(format!("there is no commit `{revision}` in `{}`", cx.workdir.display()))
                .hint("`clean` builds the commit in `revision`; name one that is here, or leave it out to build HEAD")
        })?,
    };
    let (tree, guard) = cx.world.files.temp_dir().await?;
    let exporting = cx.unless_cancelled(git.export(&cx.workdir, &commit, &tree)).await;
    exporting.map_err(|error| error.context(format!("clean export of {commit}")))?;
    Ok((tree, guard))
}

/// Whoever has mended and committed what failed must learn that this is not what is built.
async fn explained(cx: &Context, params: &Params, error: StepError) -> StepError {
    let (git, dir) = (&cx.world.git, &cx.workdir);
    let Some(revision) = params.revision.as_ref().filter(|revision| params.clean && !revision.is_empty()) else { return error };
    match (git.head(dir).await, git.resolve(dir, revision).await) {
        (Ok(head), Ok(Some(commit))) if head.commit != commit => error
            .hint("HEAD has moved on, and this run builds the commit it began with: take it back with `formula rollback` and begin anew"),
        _ => error,
    }
}

async fn image_id(cx: &Context, name: &ImageRef) -> Result<Option<String>, StepError> {
    engine_tag::image_id(cx, &name.to_string()).await
}

/// The author's labels with version and revision.
fn labels(params: &Params) -> BTreeMap<String, String> {
    let mut labels = params.labels.clone();
    for (label, value) in [(VERSION_LABEL, &params.version), (REVISION_LABEL, &params.revision)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            labels.insert(label.into(), value.clone());
        }
    }
    labels
}

/// One digest over the content and the labels: another label is another image.
fn with_labels(content: &str, labels: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    hash.update(content.as_bytes());
    for (name, value) in labels {
        for part in [name, value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// Permanent failure that names the volumes asked for and not declared by the image.
fn missing_volumes(params: &Params, image: &Image) -> Result<(), StepError> {
    let declared: BTreeSet<&str> = image.volumes.iter().map(|path| path.trim_end_matches('/')).collect();
    let missing: Vec<String> = params.volumes.iter().filter(|path| !declared.contains(path.trim_end_matches('/'))).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StepError::permanent(format!(
        "the image does not declare {}: {}",
        if missing.len() == 1 { "a volume it must" } else { "volumes it must" },
        text::some_of(&missing)
    ))
    .hint(format!("add `VOLUME {}` to `{}`", missing.join(" "), params.dockerfile)))
}
