//! `line-in-file` makes sure that a file has a line.
//!
//! **Takes** a file and a line. **Gives** whether the line was added. **Probes** by reading the file. **Undoes** by taking the line out
//! again, whatever else came into the file meanwhile; a file that the step made goes when nothing else is in it.

use formula_steps::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind `line-in-file`.
#[derive(Debug, Clone, Copy)]
pub struct LineInFile;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The file, below the working directory. It is made where it is not there.
    pub path: String,
    /// The line, without its end.
    pub line: String,
}

/// The checkpoint: what undo has to know, durable before `run` is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Whether there was a file.
    pub file: bool,
    /// Whether its last line had an end.
    pub ended: bool,
}

/// What later steps see as `steps.ID.outputs`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// How many lines the file has.
    pub lines: u64,
}

impl Step for LineInFile {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "line-in-file",
        version: 1,
        summary: "Makes sure that a file has a line",
        example: r#"
[[steps]]
id   = "greet"
uses = "line-in-file"
with = { path = "motd", line = "Be kind" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Reverse, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        if params.line.contains(['\n', '\r']) { vec!["`line` is more than one line".to_owned()] } else { Vec::new() }
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let file = read(cx, params).await?;
        let text = file.as_ref().map(|(text, _)| text.as_str()).unwrap_or_default();
        if has(text, &params.line) {
            return Ok(Probe::Present { output: count(text) });
        }
        let before = Before { file: file.is_some(), ended: text.is_empty() || text.ends_with('\n') };
        Ok(Probe::Absent { before, changes: vec![Change::new(format!("add `{}` to `{}`", params.line, params.path))] })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        let path = cx.path(&params.path)?;
        let _held = cx.world.files.lock(&cx.workdir, &path).await?;
        let (mut text, mode) = read(cx, params).await?.unwrap_or((String::new(), 0o644));
        if !has(&text, &params.line) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&params.line);
            text.push('\n');
            // From here on something changes: not for one who has been told to stop.
            cx.proceed()?;
            cx.world.files.write(&cx.workdir, &path, text.as_bytes(), mode, false).await?;
        }
        Ok(count(&text))
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        let Some(before) = before else {
            return Err(StepError::refused(format!("what was in `{}` before is not known", params.path)));
        };
        let path = cx.path(&params.path)?;
        let _held = cx.world.files.lock(&cx.workdir, &path).await?;
        let Some((text, mode)) = read(cx, params).await? else { return Ok(()) };
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let Some(at) = lines.iter().rposition(|line| line.trim_end_matches('\n') == params.line) else { return Ok(()) };
        lines.remove(at);
        let was_last = at == lines.len();
        let mut left = lines.concat();
        if was_last && !before.ended {
            left.truncate(left.trim_end_matches('\n').len());
        }
        if left.is_empty() && !before.file {
            cx.world.files.remove(&cx.workdir, &path).await?;
        } else {
            cx.world.files.write(&cx.workdir, &path, left.as_bytes(), mode, false).await?;
        }
        Ok(())
    }
}

/// The file's text and mode.
async fn read(cx: &Context, params: &Params) -> Result<Option<(String, u32)>, StepError> {
    let file = cx.world.files.read(&cx.workdir, &cx.path(&params.path)?).await?;
    file.map(|file| match String::from_utf8(file.bytes) {
        Ok(text) => Ok((text, file.mode)),
        Err(_) => Err(StepError::refused(format!("`{}` is not UTF-8", params.path)).hint("name a file of text in `path`")),
    })
    .transpose()
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|one| one == line)
}

fn count(text: &str) -> Output {
    Output { lines: text.lines().count() as u64 }
}
