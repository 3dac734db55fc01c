//! Writes a file: a text as it stands, or any other value as indented JSON.
//!
//! The file is replaced in one step, so that a reader sees the old or the new one and never a mixture. A link is followed. An
//! existing file keeps its owner, and its mode unless `mode` says another; a new one gets `mode`, or 0644. Nothing is written
//! where bytes and mode are right already.
//!
//! Going back puts the old bytes and mode back, or removes the file, as long as it still is what this step wrote; a file that
//! somebody changed since is left alone and reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::world::FileContent;

/// The kind `write-file`.
#[derive(Debug, Clone, Copy)]
pub struct WriteFile;

/// What to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Where to write, below the working directory. Missing folders are made.
    pub path: String,
    /// A text, written as it stands, or any other value, written as indented JSON with a final newline.
    pub content: Value,
    /// Permission bits in octal, such as "0644". Left out: a new file gets 0644, an existing one keeps its own.
    pub mode: Option<String>,
}

/// What was there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The file, if there was one.
    pub file: Option<FileContent>,
}

/// What is there now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// `sha256:…` of the bytes.
    pub digest: String,
}

impl Params {
    fn bytes(&self) -> Vec<u8> {
        match &self.content {
            Value::String(text) => text.clone().into_bytes(),
            other => format!("{other:#}\n").into_bytes(),
        }
    }

    fn mode(&self) -> Result<Option<u32>, String> {
        let Some(text) = &self.mode else { return Ok(None) };
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o7777 && !digits.starts_with('+') => Ok(Some(mode)),
            _ => Err(format!("`mode` is `{text}`: write it in octal, such as \"0644\"")),
        }
    }

    fn is_there(&self, file: &FileContent) -> Result<bool, StepError> {
        let mode = self.mode().map_err(StepError::refused)?;
        Ok(file.bytes == self.bytes() && mode.is_none_or(|mode| file.mode == mode))
    }
}

impl Step for WriteFile {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "write-file",
        version: 1,
        summary: "Writes a text or a JSON value to a file",
        example: r#"
[[steps]]
id   = "record"
uses = "write-file"
with = { path = "release/v1.2.0.json", content = { version = "v1.2.0" }, mode = "0644" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        params.mode().err().into_iter().collect()
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let path = cx.path(&params.path)?;
        let file = cx.world.files.read(&cx.workdir, &path).await?;
        if let Some(file) = &file
            && params.is_there(file)?
        {
            return Ok(Probe::Present { output: Output { digest: digest(&file.bytes) } });
        }
        let change = change(params, file.as_ref())?;
        Ok(Probe::Absent { before: Before { file }, changes: vec![change] })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        let path = cx.path(&params.path)?;
        let mode = params.mode().map_err(StepError::refused)?;
        let bytes = params.bytes();
        let file = cx.world.files.read(&cx.workdir, &path).await?;
        if !file.is_some_and(|file| params.is_there(&file).unwrap_or(false)) {
            cx.proceed()?;
            cx.world.files.write(&cx.workdir, &path, &bytes, mode.unwrap_or(0o644), mode.is_some()).await?;
        }
        Ok(Output { digest: digest(&bytes) })
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused(format!("what was at `{}` before is not known", params.path)));
        };
        let path = cx.path(&params.path)?;
        let now = cx.world.files.read(&cx.workdir, &path).await?;
        if now == before.file {
            return Ok(());
        }
        if !now.as_ref().is_some_and(|now| params.is_there(now).unwrap_or(false)) {
            return Err(StepError::conflict(format!("`{}` was changed after this step wrote it", params.path))
                .hint("compare it with what it should be, put it right by hand, then go on with the rollback"));
        }
        match &before.file {
            Some(file) => cx.world.files.write(&cx.workdir, &path, &file.bytes, file.mode, true).await?,
            None => cx.world.files.remove(&cx.workdir, &path).await?,
        }
        Ok(())
    }
}

fn change(params: &Params, file: Option<&FileContent>) -> Result<Change, StepError> {
    let new = params.bytes();
    let Some(file) = file else {
        return Ok(Change::new(format!("create `{}` ({} bytes)", params.path, new.len())).compare("", &String::from_utf8_lossy(&new)));
    };
    if file.bytes == new {
        let mode = params.mode().map_err(StepError::refused)?.unwrap_or(file.mode);
        return Ok(Change::new(format!("change the mode of `{}` from {:04o} to {mode:04o}", params.path, file.mode)));
    }
    let (old, new) = (String::from_utf8_lossy(&file.bytes), String::from_utf8_lossy(&new));
    Ok(Change::new(format!("change `{}`", params.path)).compare(&old, &new))
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::contract::{Class, StepType};
    use crate::world::fake::{FakeFile, FakeWorld};
    use serde_json::json;

    fn world() -> (FakeWorld, Context) {
        let fake = FakeWorld::new();
        let cx = Context::bare(fake.world(), Path::new("/acme"));
        (fake, cx)
    }

    async fn run(cx: &Context, params: &Value) -> Value {
        let Probe::Absent { before, .. } = StepType::probe(&WriteFile, cx, params).await.unwrap() else { panic!("not absent") };
        StepType::run(&WriteFile, cx, params, Some(&before)).await.unwrap();
        before
    }

    #[tokio::test]
    async fn text_is_written_as_it_stands_and_values_as_json() {
        let (fake, cx) = world();
        run(&cx, &json!({ "path": "a", "content": "no newline" })).await;
        run(&cx, &json!({ "path": "b/c.json", "content": { "b": [1], "a": null } })).await;
        assert_eq!(fake.state().text("/acme/a").as_deref(), Some("no newline"));
        assert_eq!(fake.state().text("/acme/b/c.json").as_deref(), Some("{\n  \"b\": [\n    1\n  ],\n  \"a\": null\n}\n"));
    }

    #[tokio::test]
    async fn the_mode_is_set_where_asked_for_and_kept_otherwise() {
        let (fake, cx) = world();
        fake.edit(|state| state.files.insert("/acme/a".into(), FakeFile::new("x").mode(0o640)));
        run(&cx, &json!({ "path": "a", "content": "y" })).await;
        let mode = |fake: &FakeWorld| fake.state().files[Path::new("/acme/a")].mode;
        assert_eq!(mode(&fake), 0o640);
        let before = run(&cx, &json!({ "path": "a", "content": "y", "mode": "0600" })).await;
        assert_eq!(mode(&fake), 0o600);
        let params = json!({ "path": "a", "content": "y", "mode": "0600" });
        StepType::undo(&WriteFile, &cx, &params, Some(&before), None).await.unwrap();
        assert_eq!(mode(&fake), 0o640);
        assert_eq!(StepType::check(&WriteFile, &json!({ "path": "a", "content": "", "mode": "rw-" })).len(), 1);
    }

    #[tokio::test]
    async fn what_somebody_changed_since_is_left_alone() {
        let (fake, cx) = world();
        let params = json!({ "path": "a", "content": "ours" });
        let before = run(&cx, &params).await;
        fake.edit(|state| state.put("/acme/a", "theirs"));
        let error = StepType::undo(&WriteFile, &cx, &params, Some(&before), None).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        assert_eq!(fake.state().text("/acme/a").as_deref(), Some("theirs"));
    }

    #[tokio::test]
    async fn a_plan_shows_the_difference() {
        let (fake, cx) = world();
        fake.edit(|state| state.put("/acme/a", "1\n2\n"));
        let params = json!({ "path": "a", "content": "1\n3\n" });
        let Probe::Absent { changes, .. } = StepType::probe(&WriteFile, &cx, &params).await.unwrap() else { panic!("not absent") };
        let diff = changes[0].diff.as_deref().unwrap();
        assert!(diff.contains("-2\n+3\n"), "{diff}");
        for path in ["../x", "/etc/x", "-x", ""] {
            let error = StepType::probe(&WriteFile, &cx, &json!({ "path": path, "content": "" })).await.unwrap_err();
            assert_eq!(error.class, Class::Refused, "{path}");
        }
    }
}
