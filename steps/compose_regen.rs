//! Makes a compose file from a Handlebars template and data, checks it and puts it in place.
//!
//! **What a template sees.** `values` (the step's), `mode` (`pinned` or `build`) and `data.<name>`: the table that a TOML, JSON or YAML
//! file holds, or for a pattern a list of them in name order. Tables keep the order of the file, `@key` is their name, and each file's
//! table has its name as `_file`. Handlebars is strict: a name that is not there is an error, except in `if`, `unless`, `each` and in
//! the helpers that ask (`and or not eq ne default`). There is nothing else: no clock, no environment, no file but those of `data`.
//! The same inputs give the same bytes.
//!
//! **Helpers.** `yaml X`: any scalar as a quoted text, each `$` doubled so that compose takes it as it is. `json X`: the same for any
//! value. `runtime KEY [DEFAULT]`: `${KEY:-DEFAULT}`, looked up by compose. `required KEY [MESSAGE]`: `${KEY:?MESSAGE}`. `slug X`: lower
//! case, other than letters and digits become `-`. `env_suffix X`: upper case, `-` becomes `_`; an error where that cannot end the
//! name of a variable. `join LIST SEPARATOR` (a text counts as its words), `concat …`, `default X ELSE`, `largest LIST PATH` (the
//! largest number at a dotted path in the items), `eq ne and or not`. `origin FILE TABLE` within a service makes a comment that says
//! what the service was made of. `unique GROUP VALUE FILE TABLE` renders nothing; the same value again is an error. `note …` and
//! `warn …` (a text, or file, table and text) tell the reader something, `fail TEXT` ends it all.
//!
//! **What is checked.** The result is YAML; no service, container, volume, network or key is there twice, and a message about two names
//! both tables they come from; every volume, network, secret, config and service that is used is declared. Then `docker compose config`
//! judges it, where there is a compose program. Until then nothing is written.
//!
//! **Whose file it is.** Two lines at the top say who made the file, in which mode, of which inputs, and hold a digest by which an edit
//! shows. A file that was edited, or that something else made, is not overwritten unless `accept_hand_edits = true`. It is no hand edit
//! where git has the very bytes: a file that a commit in the history of HEAD, or of `ref`, holds at that path can be had again, so a
//! box whose compose file was tracked moves on to a generated one as long as nobody touched it.
//!
//! **A version that has the file itself.** Where the commit in `ref` has no such template, and has the file, that is the file: to go
//! back to a version from before the file was generated must not mean to generate it.
//!
//! **The mode** is kept in that header. Left out it stays what it is, `pinned` in a new file; it is never guessed from anything else.
//!
//! **Writing.** The file is replaced in one step with its permissions kept, and what was there before is `FILE.prev`. Where the file is
//! right already nothing is written, also if only the version of this program in its header is another. A plan shows what goes first.
//!
//! Going back puts the old bytes and permissions of the file and of its `.prev` back, as long as the file is what this step wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compose_file::{DifferenceKind, Inputs, Made, Mode, Rendered, load, made, render, sha256, unified, written};
use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit;
use crate::world::{FileContent, PortErrorKind};

/// The kind `compose-regen`.
#[derive(Debug, Clone, Copy)]
pub struct ComposeRegen;

/// What to make of what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The template, below the working directory. Where there is no such file and it is called `docker-compose.yml.hbs`, the one that
    /// comes with this program stands in.
    #[serde(default = "default_template")]
    pub template: String,
    /// Take the template from this commit, tag or branch, whatever lies on the disk: a plan can then show what a version will bring
    /// before it is checked out. Empty: the file on the disk.
    #[serde(default)]
    pub r#ref: String,
    /// The file to make, below the working directory.
    #[serde(default = "default_output")]
    pub output: String,
    /// Names that the template uses, and for each a TOML, JSON or YAML file or a pattern such as `projects/*.toml`.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// What the template sees as `values`.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// `pinned` (images from a registry) or `build` (built here). Empty: as the file that is there says, `pinned` for a new one.
    #[serde(default)]
    pub mode: String,
    /// Overwrite a file that was edited by hand or that something else made.
    #[serde(default)]
    pub accept_hand_edits: bool,
    /// The compose project, for the check by compose; its own default where empty.
    #[serde(default)]
    pub project: String,
    /// The env file, for the check by compose; `.env` beside the file where empty.
    #[serde(default)]
    pub env_file: String,
}

fn default_template() -> String {
    crate::compose_file::TEMPLATE_NAME.to_owned()
}

fn default_output() -> String {
    "docker-compose.yml".to_owned()
}

/// What was there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The file, if there was one.
    pub file: Option<FileContent>,
    /// Its `.prev`, if there was one.
    pub prev: Option<FileContent>,
    /// Digest of what is to be written.
    pub new: String,
}

/// What is there now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// `sha256:…` of the file.
    pub digest: String,
    /// The services, in the order of the file.
    pub services: Vec<String>,
    /// The variables that compose looks up when it reads the file.
    pub variables: Vec<String>,
    /// Images come from a registry (`pinned`) or are built here (`build`).
    pub mode: Mode,
    /// Whether the file was another before.
    pub changed: bool,
    /// What changed, removals first; the first hundred differences.
    pub diff: Vec<String>,
}

/// Under which it is remembered what an attempt changed.
const MEMO: &str = "compose-regen";
/// How many differences are told.
const TOLD: usize = 100;

impl Step for ComposeRegen {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "compose-regen",
        version: 1,
        summary: "Makes a compose file from a template and data",
        example: r#"
[[steps]]
id   = "regenerate"
uses = "compose-regen"
with = { ref = "v1.2.0", output = "docker-compose.yml", data = { projects = "projects/*.toml" }, values = { forge_port = 3000 } }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = mode(&params.mode) {
            problems.push(problem);
        }
        if params.r#ref.starts_with('-') {
            problems.push(format!("`{}` is not a ref", params.r#ref));
        }
        let odd = |name: &&String| name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        for name in params.data.keys().filter(odd) {
            problems.push(format!("`{name}` is not a name that a template can use: letters, digits and `_`"));
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let found = look(cx, params).await?;
        if let Some(digest) = found.same() {
            // Of an attempt that was cut off after it wrote the file, the file no longer tells what it changed.
            let output = cx.remembered(MEMO).await?.unwrap_or_else(|| found.output(digest, false));
            return Ok(Probe::Present { output });
        }
        found.refuse_overwriting(cx, params).await?;
        let prev = cx.world.files.read(&cx.workdir, &found.prev).await?;
        let changes = found.changes(params);
        Ok(Probe::Absent { before: Before { file: found.file, prev, new: found.rendered.digest }, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let _held = cx.world.files.lock(&cx.workdir, &cx.path(&params.output)?).await?;
        let found = look(cx, params).await?;
        if let Some(digest) = found.same() {
            return Ok(cx.remembered(MEMO).await?.unwrap_or_else(|| found.output(digest, false)));
        }
        found.refuse_overwriting(cx, params).await?;
        if before.is_some_and(|before| before.new != found.rendered.digest) {
            return Err(StepError::refused(format!("what `{}` is made of changed since this step looked", params.output)).hint("try again"));
        }
        found.rendered.notes.iter().for_each(|note| cx.log(note.to_string()));
        ask_compose(cx, params, &found.rendered).await?;
        let output = found.output(found.rendered.digest.clone(), true);
        cx.proceed()?;
        cx.remember(MEMO, &output).await?;
        if let Some(old) = &found.file {
            cx.world.files.write(&cx.workdir, &found.prev, &old.bytes, old.mode, true).await?;
        }
        cx.world.files.write(&cx.workdir, &found.path, found.rendered.text.as_bytes(), 0o644, false).await?;
        Ok(output)
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused(format!("what was at `{}` before is not known", params.output)));
        };
        let path = cx.path(&params.output)?;
        let _held = cx.world.files.lock(&cx.workdir, &path).await?;
        let now = cx.world.files.read(&cx.workdir, &path).await?;
        if !alike(now.as_ref(), before.file.as_ref()) {
            let digest = now.as_ref().map(|file| sha256(&file.bytes));
            let ours = |known: &String| digest.as_ref() == Some(known);
            if !ours(&before.new) && !output.is_some_and(|output| ours(&output.digest)) {
                return Err(StepError::conflict(format!("`{}` was changed after this step wrote it", params.output))
                    .hint("compare it with `FILE.prev`, put it right by hand, then go on with the rollback"));
            }
        }
        let prev = prev_of(&path);
        let now_prev = cx.world.files.read(&cx.workdir, &prev).await?;
        // A `.prev` that this step did not write is somebody else's backup.
        if before.file.is_some() && alike(now_prev.as_ref(), before.file.as_ref()) && !alike(now_prev.as_ref(), before.prev.as_ref()) {
            restore(cx, &prev, before.prev.as_ref()).await?;
        }
        if !alike(now.as_ref(), before.file.as_ref()) {
            restore(cx, &path, before.file.as_ref()).await?;
        }
        cx.forget(MEMO).await
    }
}

fn alike(one: Option<&FileContent>, other: Option<&FileContent>) -> bool {
    let essence = |file: &FileContent| (file.mode, sha256(&file.bytes));
    one.map(essence) == other.map(essence)
}

async fn restore(cx: &Context, path: &std::path::Path, file: Option<&FileContent>) -> Result<(), StepError> {
    match file {
        Some(file) => cx.world.files.write(&cx.workdir, path, &file.bytes, file.mode, true).await?,
        None => cx.world.files.remove(&cx.workdir, path).await?,
    }
    Ok(())
}

fn prev_of(path: &std::path::Path) -> PathBuf {
    let mut prev = path.as_os_str().to_owned();
    prev.push(".prev");
    PathBuf::from(prev)
}

/// The mode that the params ask for, if they do.
fn mode(text: &str) -> Result<Option<Mode>, String> {
    match text {
        "" => Ok(None),
        "pinned" => Ok(Some(Mode::Pinned)),
        "build" => Ok(Some(Mode::Build)),
        other => Err(format!("`mode` is `{other}`: it is `pinned` or `build`")),
    }
}

/// What is there, and what should be.
struct Found {
    path: PathBuf,
    prev: PathBuf,
    file: Option<FileContent>,
    made: Made,
    /// What it is made from, as a plan says it.
    from: String,
    mode: Mode,
    rendered: Rendered,
}

async fn look(cx: &Context, params: &Params) -> Result<Found, StepError> {
    if let Some(problem) = ComposeRegen.check(params).into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let path = cx.path(&params.output)?;
    cx.path(&params.template)?;
    for source in params.data.values() {
        cx.path(source)?;
    }
    let file = cx.world.files.read(&cx.workdir, &path).await?;
    let made = file.as_ref().map_or(Made::Foreign, |file| made(&String::from_utf8_lossy(&file.bytes)));
    let asked = mode(&params.mode).map_err(StepError::refused)?;
    let mode = asked.or(made.header().map(|header| header.mode)).unwrap_or_default();
    let revision = Some(params.r#ref.as_str()).filter(|revision| !revision.is_empty());
    let template = load::template(&cx.world, &cx.workdir, &params.template, revision).await?;
    let tracked = match revision.filter(|_| template.shipped) {
        Some(revision) => load::tracked(&cx.world, &cx.workdir, &params.output, revision).await?,
        None => None,
    };
    let (rendered, from) = if let Some((text, name)) = tracked {
        (written(&name, text)?, format!("as it is in `{name}`"))
    } else {
        let data = load::data(cx.world.files.as_ref(), &cx.workdir, &params.data).await?;
        let rendered = render(&template.template(), &Inputs { data, values: params.values.clone(), mode })?;
        (rendered, format!("from `{}`, {}", template.name, mode.as_str()))
    };
    Ok(Found { prev: prev_of(&path), path, file, made, from, mode, rendered })
}

impl Found {
    fn old(&self) -> String {
        self.file.as_ref().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default()
    }

    /// Digest of the file where it is right as it is.
    fn same(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        let text = std::str::from_utf8(&file.bytes).ok()?;
        self.rendered.is(text).then(|| sha256(&file.bytes))
    }

    /// Refuses to overwrite what somebody wrote and git does not have.
    async fn refuse_overwriting(&self, cx: &Context, params: &Params) -> Result<(), StepError> {
        let Some(file) = self.file.as_ref().filter(|_| !params.accept_hand_edits) else { return Ok(()) };
        let reason = match self.made {
            Made::Ours(_) => return Ok(()),
            Made::Edited(_) => "was edited by hand since it was made",
            Made::Foreign => "was not made by this program",
        };
        let mut unknown = String::new();
        for revision in std::iter::once("HEAD").chain(Some(params.r#ref.as_str()).filter(|revision| !revision.is_empty())) {
            match held(cx, revision, params, &file.bytes).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => unknown = format!(" (git cannot tell: {})", error.message),
            }
        }
        let found = self.rendered.differences_from(&self.old());
        let lost: Vec<_> = found.iter().filter(|one| one.kind != DifferenceKind::Added).map(ToString::to_string).collect();
        let lost = if lost.is_empty() { String::new() } else { format!("; what would go: {}", lost[..lost.len().min(5)].join(", ")) };
        let message = format!("`{}` {reason}, and no commit in the history of HEAD holds it as it is{unknown}", params.output);
        Err(StepError::refused(message).hint(format!(
            "move what is worth keeping into the template or its data{lost}; then `accept_hand_edits = true` overwrites the file"
        )))
    }

    fn output(&self, digest: String, changed: bool) -> Output {
        let mut diff = Vec::new();
        if changed {
            let found = self.rendered.differences_from(&self.old());
            diff.extend(found.iter().take(TOLD).map(ToString::to_string));
            if found.len() > TOLD {
                diff.push(format!("… and {} more", found.len() - TOLD));
            }
        }
        Output {
            digest,
            services: self.rendered.services.iter().map(|service| service.name.clone()).collect(),
            variables: self.rendered.keys.iter().map(|key| key.name.clone()).collect(),
            mode: self.mode,
            changed,
            diff,
        }
    }

    /// What a plan shows: the file as a whole, then each difference, removals first, then what the template has to say.
    fn changes(&self, params: &Params) -> Vec<Change> {
        let old = self.old();
        let from = &self.from;
        let verb = match (&self.file, self.made.header()) {
            (None, _) => "make",
            (Some(_), Some(header)) if header.mode != self.mode => "change the mode of",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "replace",
        };
        let head = Change::new(format!("{verb} `{}` ({from})", params.output));
        let diff = unified(&old, &self.rendered.text);
        let mut changes = vec![if diff.is_empty() { head } else { head.diff(diff) }];
        if self.file.is_some() {
            let found = self.rendered.differences_from(&old);
            changes.extend(found.iter().take(TOLD).map(|difference| {
                let verb = match difference.kind {
                    DifferenceKind::Removed => "remove",
                    DifferenceKind::Changed => "change",
                    DifferenceKind::Added => "add",
                };
                Change::new(format!("{verb} {}", difference.what))
            }));
            if found.len() > TOLD {
                changes.push(Change::new(format!("and {}", kit::text::count(found.len() - TOLD, "more difference"))));
            }
        }
        changes.extend(self.rendered.notes.iter().map(|note| Change::new(format!("note: {note}"))));
        changes
    }
}

/// Whether the history of a revision holds the output with these bytes.
async fn held(cx: &Context, revision: &str, params: &Params, bytes: &[u8]) -> Result<bool, StepError> {
    let git = &cx.world.git;
    let Some(commit) = git.resolve(&cx.workdir, revision).await? else { return Ok(false) };
    Ok(git.ever_held(&cx.workdir, &commit, &params.output, bytes).await?)
}

/// Lets compose judge what is about to be written, from a file outside the working directory.
async fn ask_compose(cx: &Context, params: &Params, rendered: &Rendered) -> Result<(), StepError> {
    let (folder, _goes_with_this) = cx.world.files.temp_dir().await?;
    let name = PathBuf::from("docker-compose.yml");
    cx.world.files.write(&folder, &name, rendered.text.as_bytes(), 0o600, true).await?;
    let mut file = kit::compose::file(cx, &params.output, Some(&params.project), Some(&params.env_file), &[])?;
    file.file = folder.join(name);
    match cx.world.compose.config(&file).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == PortErrorKind::NotFound => {
            cx.log(format!("`{}` was not shown to compose: {}", params.output, error.message));
            Ok(())
        }
        Err(error) if error.kind == PortErrorKind::Invalid => {
            let message = error.message.replace(&*file.file.to_string_lossy(), &format!("{} (new)", params.output));
            Err(StepError::refused(kit::text::quote(cx, &message)).hint("nothing was written; mend the template, its data or the env file"))
        }
        Err(error) => Err(error.into()),
    }
}
