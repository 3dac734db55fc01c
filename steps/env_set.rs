//! Sets and removes variables in an env file such as `.env`.
//!
//! Afterwards each key of `set` has exactly one assignment, and docker compose and a shell that sources the file read the same
//! bytes from it; a value for which there is no such spelling (for example one with both a single quote and a backquote) is
//! refused. Lines that are not concerned keep their bytes; comments, `export` and line ends are kept. Where a key is assigned more
//! than once the last assignment, which is the one that counts, is changed and the others go, with a notice. Nothing is written
//! where everything is so already.
//!
//! The file is replaced in one step, under an advisory lock, so that two steps that set different keys at the same time do not
//! lose each other's. A link is followed. An existing file keeps mode and owner, a new one gets 0600. Where the file is missing but
//! an encrypted one lies beside it (`.env.enc`), none is made: it would hide what the encrypted one holds.
//!
//! Values of keys that look like secrets (`*_TOKEN`, `*_PASS`, `*_SECRET`, `*_KEY`, …) are never shown.
//!
//! Going back puts the lines of these keys back, byte for byte, and removes a file that this step made. If the keys no longer are
//! what this step wrote, the file is left alone and reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::dotenv::{EnvFile, Reading, is_key, is_secret, quote};

/// The kind `env-set`.
#[derive(Debug, Clone, Copy)]
pub struct EnvSet;

/// What to set and remove.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The env file, below the working directory.
    #[serde(default = "default_file")]
    pub file: String,
    /// Keys and the values they shall have: texts, numbers or booleans.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// The same as a list of `KEY=value`, for keys that are vars of the formula.
    #[serde(default)]
    pub values: Vec<String>,
    /// Other names for the first of `values`: where the file assigns one, it gets that value too, an image reference as its tag. They are
    /// never added.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Keys that shall not be assigned at all.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// Under which it is remembered what an attempt is about to change.
const MEMO: &str = "env-set";

fn default_file() -> String {
    ".env".to_owned()
}

/// What is needed to go back, and no more: the lines of other keys stay out of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Whether there was a file.
    pub existed: bool,
    /// Digest of the file before.
    pub old: String,
    /// Digest of the file as this step leaves it.
    pub new: String,
    /// Whether the last line gets the end it lacked.
    pub newline_added: bool,
    /// The keys that change.
    pub keys: Vec<KeyBefore>,
}

/// The lines of one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyBefore {
    /// The key.
    pub key: String,
    /// Places and lines before.
    pub old: Vec<(usize, String)>,
    /// Places and lines as this step leaves them.
    pub new: Vec<(usize, String)>,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Keys whose lines changed.
    pub changed: Vec<String>,
}

impl Step for EnvSet {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "env-set",
        version: 1,
        summary: "Sets and removes variables in an env file",
        example: r#"
[[steps]]
id   = "version"
uses = "env-set"
with = { file = ".env", set = { APP_VERSION = "v1.2.0" }, unset = ["APP_IMAGE_TAG"] }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        let values = || params.values.iter().map(|value| value.split_once('='));
        let named = values().flatten().map(|(key, _)| key);
        let keys = params.set.keys().chain(&params.unset).chain(&params.aliases).map(String::as_str).chain(named);
        for key in keys.filter(|key| !is_key(key)) {
            problems.push(format!("`{key}` is not a name for a variable: letters, digits and `_`, not beginning with a digit"));
        }
        for value in params.values.iter().filter(|value| !value.contains('=')) {
            problems.push(format!("`{value}` in `values` is not of the form KEY=value"));
        }
        for (key, value) in values().flatten() {
            problems.extend(quote(value).err().map(|why| unwritable(key, why)));
        }
        if params.values.is_empty() && !params.aliases.is_empty() {
            problems.push("`aliases` are other names for the first of `values`, and there is none".to_owned());
        }
        for key in params.unset.iter().filter(|key| params.set.contains_key(*key)) {
            problems.push(format!("`{key}` is both set and unset"));
        }
        for (key, value) in &params.set {
            match text(value) {
                None => problems.push(format!("the value of `{key}` must be a text, a number or a boolean")),
                Some(value) => problems.extend(quote(&value).err().map(|why| unwritable(key, why))),
            }
        }
        if params.set.is_empty() && params.unset.is_empty() && params.values.is_empty() {
            problems.push("neither `set`, `values` nor `unset` names a key".to_owned());
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let found = load(cx, params).await?;
        let edited = edit(params, &found.file)?;
        let before = compare(&found, &edited, params);
        if before.keys.is_empty() {
            // Of an attempt that was cut off after it wrote the file, the file no longer tells what it changed.
            let output = cx.remembered(MEMO).await?.unwrap_or(Output { changed: Vec::new() });
            return Ok(Probe::Present { output });
        }
        let changes = before.keys.iter().map(|key| tell(&params.file, &found.file, &edited, &key.key)).collect();
        Ok(Probe::Absent { before, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let path = cx.path(&params.file)?;
        let _held = cx.world.files.lock(&cx.workdir, &path).await?;
        let found = load(cx, params).await?;
        let edited = edit(params, &found.file)?;
        let now = compare(&found, &edited, params);
        let changed = before.unwrap_or(&now).keys.iter().map(|key| key.key.clone()).collect();
        let output = Output { changed };
        if !now.keys.is_empty() {
            for key in now.keys.iter().filter(|key| key.old.len() > 1) {
                cx.log(format!("`{}` was assigned {} times in `{}`; now once", key.key, key.old.len(), params.file));
            }
            cx.proceed()?;
            cx.remember(MEMO, &output).await?;
            cx.world.files.write(&cx.workdir, &path, edited.to_string().as_bytes(), 0o600, false).await?;
        }
        Ok(output)
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused(format!("what `{}` held before is not known", params.file)));
        };
        let path = cx.path(&params.file)?;
        let _held = cx.world.files.lock(&cx.workdir, &path).await?;
        let Some(bytes) = cx.world.files.read(&cx.workdir, &path).await?.map(|file| file.bytes) else {
            if before.existed {
                return Err(StepError::conflict(format!("`{}` is gone", params.file)).hint("put it back, then go on with the rollback"));
            }
            return cx.forget(MEMO).await;
        };
        let now = parse(params, bytes)?;
        let restored = restore(params, before, now.clone())?;
        if !before.existed && restored.to_string().is_empty() {
            cx.world.files.remove(&cx.workdir, &path).await?;
        } else if restored != now {
            cx.world.files.write(&cx.workdir, &path, restored.to_string().as_bytes(), 0o600, false).await?;
        }
        cx.forget(MEMO).await
    }
}

/// The file as it was found.
struct Found {
    existed: bool,
    file: EnvFile,
}

async fn load(cx: &Context, params: &Params) -> Result<Found, StepError> {
    let path = cx.path(&params.file)?;
    if let Some(file) = cx.world.files.read(&cx.workdir, &path).await? {
        return Ok(Found { existed: true, file: parse(params, file.bytes)? });
    }
    let mut encrypted = path.into_os_string();
    encrypted.push(".enc");
    if cx.world.files.read(&cx.workdir, encrypted.as_ref()).await?.is_some() {
        return Err(StepError::refused(format!("`{0}` is not there, but `{0}.enc` is", params.file))
            .hint(format!("decrypt `{0}.enc` to `{0}` first: a new file would hide what it holds", params.file)));
    }
    Ok(Found { existed: false, file: parse(params, Vec::new())? })
}

fn parse(params: &Params, bytes: Vec<u8>) -> Result<EnvFile, StepError> {
    let text = String::from_utf8(bytes).map_err(|_| StepError::refused(format!("`{}` is not UTF-8", params.file)))?;
    EnvFile::parse(&text).map_err(|line| {
        StepError::refused(format!("`{}` line {line}: the quote is never closed", params.file))
            .hint("close it: docker compose does not read the file as it is")
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn unwritable(key: &str, why: &str) -> String {
    format!("the value of `{key}` cannot be written: {why}")
}

fn edit(params: &Params, file: &EnvFile) -> Result<EnvFile, StepError> {
    if let Some(problem) = EnvSet.check(params).into_iter().next() {
        return Err(StepError::refused(problem));
    }
    let mut edited = file.clone();
    let refused = |key: &str, why| StepError::refused(format!("`{}`: {}", params.file, unwritable(key, why)));
    for key in &params.unset {
        edited.unset(key).map_err(|why| refused(key, why))?;
    }
    for (key, value) in wanted(params, file) {
        edited.set(&key, &value).map_err(|why| refused(&key, why))?;
    }
    Ok(edited)
}

/// All keys and the values they shall have.
fn wanted(params: &Params, file: &EnvFile) -> Vec<(String, String)> {
    let set = params.set.iter().map(|(key, value)| (key.clone(), text(value).unwrap_or_default()));
    let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let mut wanted: Vec<_> = set.chain(params.values.iter().filter_map(|value| value.split_once('=').map(pair))).collect();
    let Some((first, value)) = params.values.first().and_then(|value| value.split_once('=')) else { return wanted };
    for alias in params.aliases.iter().filter(|alias| *alias != first && file.count(alias) > 0) {
        let value = match file.read(alias) {
            Reading::Value(old) => retagged(&old, value),
            Reading::Missing | Reading::Unclear => value.to_owned(),
        };
        wanted.push((alias.clone(), value));
    }
    wanted
}

/// An image reference with another tag; what is none is replaced as a whole.
fn retagged(old: &str, tag: &str) -> String {
    let name = old.split('@').next().unwrap_or(old);
    let (folder, last) = name.rsplit_once('/').map_or(("", name), |(folder, last)| (folder, last));
    match (folder, last.split_once(':')) {
        ("", None) => tag.to_owned(),
        ("", Some((image, _))) => format!("{image}:{tag}"),
        (folder, split) => format!("{folder}/{}:{tag}", split.map_or(last, |(image, _)| image)),
    }
}

/// Lines without their ends: the last one may get an end that it lacked without being changed.
fn lines(entries: &[(usize, String)]) -> Vec<&str> {
    entries.iter().map(|(_, raw)| raw.trim_end_matches('\n')).collect()
}

/// What undo will need to turn `edited` into what was found.
fn compare(found: &Found, edited: &EnvFile, params: &Params) -> Before {
    let mut keys = Vec::new();
    for key in params.unset.iter().cloned().chain(wanted(params, &found.file).into_iter().map(|(key, _)| key)) {
        let (old, new) = (found.file.raw(&key), edited.raw(&key));
        if lines(&old) != lines(&new) {
            keys.push(KeyBefore { key, old, new });
        }
    }
    let newline_added = !found.file.ends_with_newline() && edited.ends_with_newline();
    Before { existed: found.existed, old: digest(&found.file), new: digest(edited), newline_added, keys }
}

/// The file with the keys as they were: exactly as it was where nobody else touched it, else key by key.
fn restore(params: &Params, before: &Before, mut file: EnvFile) -> Result<EnvFile, StepError> {
    let now = digest(&file);
    if now == before.old {
        return Ok(file);
    }
    let untouched = now == before.new;
    let mut changed: Vec<&KeyBefore> = Vec::new();
    for key in &before.keys {
        let there = file.raw(&key.key);
        if lines(&there) == lines(&key.old) {
            continue;
        }
        if lines(&there) != lines(&key.new) {
            return Err(StepError::conflict(format!("`{}` in `{}` was changed after this step set it", key.key, params.file))
                .hint("put it right by hand, then go on with the rollback"));
        }
        changed.push(key);
    }
    if untouched {
        return exactly(params, before, file);
    }
    for key in changed {
        file.put_back(&key.key, &key.old);
    }
    Ok(file)
}

fn exactly(params: &Params, before: &Before, mut file: EnvFile) -> Result<EnvFile, StepError> {
    for key in &before.keys {
        file.put_back(&key.key, &[]);
    }
    let mut old: Vec<_> = before.keys.iter().flat_map(|key| &key.old).collect();
    old.sort_by_key(|(at, _)| *at);
    for (at, raw) in old {
        file.insert(*at, raw);
    }
    if before.newline_added {
        file.cut_final_newline();
    }
    if digest(&file) != before.old {
        return Err(StepError::conflict(format!("`{}` cannot be put back as it was", params.file)));
    }
    Ok(file)
}

fn tell(file: &str, old: &EnvFile, new: &EnvFile, key: &str) -> Change {
    let shown = |reading: Reading| match reading {
        Reading::Missing => "nothing".to_owned(),
        Reading::Unclear => "something that readers take differently".to_owned(),
        Reading::Value(value) if is_secret(key) || value.contains("://") && value.contains('@') => "a value that is not shown".to_owned(),
        Reading::Value(value) if value.is_empty() => "an empty text".to_owned(),
        Reading::Value(value) => format!("`{value}`"),
    };
    let (was, will) = (old.read(key), new.read(key));
    if will == Reading::Missing {
        return Change::new(format!("remove `{key}` from `{file}`"));
    }
    if was == will {
        return Change::new(format!("assign `{key}` once in `{file}`, not {} times", old.count(key)));
    }
    Change::new(format!("set `{key}` in `{file}` to {}; it was {}", shown(will), shown(was)))
}

fn digest(file: &EnvFile) -> String {
    use std::fmt::Write as _;
    Sha256::digest(file.to_string()).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests;
