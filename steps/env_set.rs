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
        for key in params.set.keys().chain(&params.unset).filter(|key| !is_key(key)) {
            problems.push(format!("`{key}` is not a name for a variable: letters, digits and `_`, not beginning with a digit"));
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
        if params.set.is_empty() && params.unset.is_empty() {
            problems.push("neither `set` nor `unset` names a key".to_owned());
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
    for (key, value) in &params.set {
        edited.set(key, &text(value).unwrap_or_default()).map_err(|why| refused(key, why))?;
    }
    Ok(edited)
}

/// Lines without their ends: the last one may get an end that it lacked without being changed.
fn lines(entries: &[(usize, String)]) -> Vec<&str> {
    entries.iter().map(|(_, raw)| raw.trim_end_matches('\n')).collect()
}

/// What undo will need to turn `edited` into what was found.
fn compare(found: &Found, edited: &EnvFile, params: &Params) -> Before {
    let mut keys = Vec::new();
    for key in params.unset.iter().chain(params.set.keys()) {
        let (old, new) = (found.file.raw(key), edited.raw(key));
        if lines(&old) != lines(&new) {
            keys.push(KeyBefore { key: key.clone(), old, new });
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
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeFile, FakeWorld};

    const ENV: &str = "/work/.env";

    fn world(text: &str) -> (FakeWorld, Context) {
        let fake = FakeWorld::new();
        fake.edit(|state| state.files.insert(ENV.into(), FakeFile::new(text).mode(0o640)));
        let cx = Context::bare(fake.world(), Path::new("/work"));
        (fake, cx)
    }

    async fn absent(cx: &Context, params: &Value) -> (Value, Vec<Change>) {
        match StepType::probe(&EnvSet, cx, params).await.unwrap() {
            Probe::Absent { before, changes } => (before, changes),
            other => panic!("the probe answers {}", other.name()),
        }
    }

    async fn run(cx: &Context, params: &Value) -> Value {
        let (before, _) = absent(cx, params).await;
        StepType::run(&EnvSet, cx, params, Some(&before)).await.unwrap();
        before
    }

    #[tokio::test]
    async fn every_start_is_put_back_byte_for_byte() {
        let params = json!({ "set": { "K": "new value", "B": 2 }, "unset": ["GONE"] });
        for text in [
            "",
            "A=1",
            "A=1\n",
            "K=1",
            "K=1\nGONE=x\nA=1\nK=2\n# K=3\nGONE=y",
            "GONE='two\nlines'\r\nexport K = x # why\r\n",
            "B=2\n\n\nK=\"new value\"\nK=x",
            "K=1\nB=2",
        ] {
            let (fake, cx) = world(text);
            let start = fake.snapshot();
            let before = run(&cx, &params).await;
            assert!(matches!(StepType::probe(&EnvSet, &cx, &params).await.unwrap(), Probe::Present { .. }), "{text:?}");
            StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
            assert_eq!(fake.snapshot(), start, "{text:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_where_all_is_so() {
        let (fake, cx) = world("K='a b'\n");
        let params = json!({ "set": { "K": "a b" }, "unset": ["X"] });
        StepType::run(&EnvSet, &cx, &params, None).await.unwrap();
        assert!(fake.calls().iter().all(|call| !call.changes), "{:?}", fake.calls());
    }

    #[tokio::test]
    async fn a_new_file_is_for_the_user_alone_and_not_made_beside_an_encrypted_one() {
        let fake = FakeWorld::new();
        let cx = Context::bare(fake.world(), Path::new("/work"));
        let params = json!({ "set": { "K": "1" } });
        run(&cx, &params).await;
        assert_eq!(fake.state().files[Path::new(ENV)].mode, 0o600);
        fake.edit(|state| {
            state.files.clear();
            state.put("/work/.env.enc", "x");
        });
        let error = StepType::probe(&EnvSet, &cx, &params).await.unwrap_err();
        assert_eq!(error.class, Class::Refused);
        assert!(error.message.contains("`.env.enc`"), "{error}");
        StepType::run(&EnvSet, &cx, &params, None).await.unwrap_err();
        assert!(fake.state().text(ENV).is_none());
    }

    #[tokio::test]
    async fn what_others_set_meanwhile_survives_going_back() {
        let (fake, cx) = world("A=1\nK=old\nGONE=x");
        let params = json!({ "set": { "K": "new", "ADDED": "1" }, "unset": ["GONE"] });
        let before = run(&cx, &params).await;
        let other = json!({ "set": { "OTHER": "theirs" } });
        run(&cx, &other).await;
        StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap();
        assert_eq!(fake.state().text(ENV).unwrap(), "A=1\nK=old\nOTHER=theirs\nGONE=x");
    }

    #[tokio::test]
    async fn a_key_that_somebody_changed_since_is_left_alone() {
        let (fake, cx) = world("K=old\n");
        let params = json!({ "set": { "K": "new" } });
        let before = run(&cx, &params).await;
        fake.edit(|state| state.put(ENV, "K=theirs\n"));
        let error = StepType::undo(&EnvSet, &cx, &params, Some(&before), None).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        assert_eq!(fake.state().text(ENV).unwrap(), "K=theirs\n");
    }

    #[tokio::test]
    async fn duplicates_are_collapsed_with_a_notice() {
        let (fake, mut cx) = world("K=new\nA=1\nK=old\n");
        let log = std::sync::Arc::new(crate::world::OutputBuffer::new());
        cx.output = log.clone();
        let params = json!({ "set": { "K": "new" } });
        run(&cx, &params).await;
        assert_eq!(fake.state().text(ENV).unwrap(), "A=1\nK=new\n");
        assert!(log.text().contains("`K` was assigned 2 times"), "{}", log.text());
    }

    #[tokio::test]
    async fn values_of_secrets_are_not_shown_and_other_lines_are_not_kept() {
        let (_, cx) = world("FORGE_TOKEN=old-hush\nDB_PASS=their-hush\nV=v1\nFORGE_URL=https://bot:in-hush@x\n");
        let params = json!({ "set": { "FORGE_TOKEN": "new-hush", "V": "v2", "FORGE_URL": "https://bot:in2-hush@x" } });
        let (before, changes) = absent(&cx, &params).await;
        let told = serde_json::to_string(&changes).unwrap();
        assert!(!told.contains("hush"), "{told}");
        assert!(told.contains("set `V` in `.env` to `v2`; it was `v1`"), "{told}");
        assert!(!before.to_string().contains("their-hush"), "{before}");
        let bad = json!({ "set": { "FORGE_TOKEN": "hush`'" } });
        let error = StepType::probe(&EnvSet, &cx, &bad).await.unwrap_err();
        assert!(error.message.contains("FORGE_TOKEN") && !error.message.contains("hush"), "{error}");
    }

    #[test]
    fn params_that_make_no_sense_are_told_all_at_once() {
        let params = json!({ "set": { "1A": "", "L": [1], "B": "" }, "unset": ["B", "x-y"] });
        assert_eq!(StepType::check(&EnvSet, &params).len(), 4);
        assert_eq!(StepType::check(&EnvSet, &json!({})).len(), 1);
    }
}
