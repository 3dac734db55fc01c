//! Runs a command or a script of yours.
//!
//! Exactly one of three says what: `command` is a program and its arguments, started as they stand; `script` is a text for
//! `sh -eu`; `file` is a script below the working directory, started itself if it may be executed and by `sh` otherwise. There is
//! no other shell in between, and templates are not filled in scripts: values arrive as variables, through the step's `env`.
//!
//! The program sees a fixed list of the variables this program was started with (`PATH`, `HOME`, `LANG`, `SSH_AUTH_SOCK`, those
//! of git and Docker, …), the step's `env`, each secret the step names as a variable of that name, and `FORMULA_RUN`,
//! `FORMULA_STEP`, `FORMULA_ATTEMPT`, `FORMULA_IDEMPOTENCY_KEY`. Its standard input is empty.
//!
//! **Exit code** 0 is success, 75 (`EX_TEMPFAIL`) a failure that may go away and is retried, any other one is final.
//!
//! **Outputs** are what the program writes to the file `$FORMULA_OUTPUT`: lines `KEY=value`, or one JSON object. All names of
//! `outputs` must be there; others are ignored. An output that holds a secret, and more than 256 KiB, are refused.
//!
//! **After a crash** the engine asks `probe`: exit code 0 means that the work is there, 1 that it is not, anything else that it
//! cannot tell. Mind programs that say something else of what is missing: `cmp` ends with 2 then, so write `[ -f out ] && cmp -s in out`.
//! A probe must change nothing, and where `outputs` are declared it writes them as well. A step without one is run
//! again only if `idempotent` or `read_only` says that this is safe; else a person decides.
//!
//! **Going back** runs `undo`. It may be run more than once and must not mind if there is nothing to take back. Without it the step
//! is one-way.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::program::{Tail, file_argv, run};
use crate::world::{Command, Exit};

/// The kind `shell`.
#[derive(Debug, Clone, Copy)]
pub struct Shell;

/// Largest file of outputs, in bytes.
const MAX_OUTPUT: usize = 256 * 1024;
/// Largest script, in bytes: the system takes no longer argument.
const MAX_SCRIPT: usize = 100 * 1024;
/// `EX_TEMPFAIL` of sysexits.h.
const TRY_AGAIN: i32 = 75;

/// What to run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A program and its arguments.
    pub command: Option<Vec<String>>,
    /// A text for `sh -eu`.
    pub script: Option<String>,
    /// Path of a script below the working directory.
    pub file: Option<String>,
    /// Folder to run in, below the working directory.
    pub dir: Option<String>,
    /// Tells whether the work is done: exit code 0 if it is, 1 if it is not, another one if it cannot tell. Must change nothing.
    pub probe: Option<Program>,
    /// Takes the work back; may be run more than once.
    pub undo: Option<Program>,
    /// Names to be read from the file `$FORMULA_OUTPUT`.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// It only looks.
    #[serde(default)]
    pub read_only: bool,
    /// Running it twice is the same as running it once.
    #[serde(default)]
    pub idempotent: bool,
}

/// A program and its arguments, or a text for `sh -eu`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of arguments, or a text for `sh -eu`")]
pub enum Program {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// A text for `sh -eu`.
    Script(String),
}

/// There is nothing to keep: `undo` is a program of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {}

/// What it gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Its exit code.
    pub exit_code: i32,
    /// The declared outputs.
    #[serde(flatten)]
    pub declared: Map<String, Value>,
}

impl Step for Shell {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "shell",
        version: 1,
        summary: "Runs a command or a script",
        example: r#"
[[steps]]
id   = "stamp"
uses = "shell"
with = { command = ["touch", "build/stamp"], probe = ["test", "-e", "build/stamp"], undo = ["rm", "-f", "build/stamp"] }
"#,
        behaviour: Behaviour { effect: Effect::OneWay, repeat: Repeat::Never, undo: Undo::Impossible, probes: false },
    };

    fn behaviour(&self, with: &Value) -> Behaviour {
        let flag = |name: &str| with.get(name).and_then(Value::as_bool).unwrap_or(false);
        let given = |name: &str| with.get(name).is_some_and(|value| !value.is_null());
        let (effect, undo) = match (flag("read_only"), given("undo")) {
            (true, _) => (Effect::ReadOnly, Undo::Nothing),
            (false, true) => (Effect::Reversible, Undo::Reverse),
            (false, false) => (Effect::OneWay, Undo::Impossible),
        };
        let repeat = if flag("read_only") || flag("idempotent") { Repeat::Safe } else { Repeat::Never };
        Behaviour { effect, repeat, undo, probes: given("probe") }
    }

    fn output_schema(&self, with: &Value) -> Value {
        let names = with.get("outputs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut properties = Map::from_iter([("exit_code".to_owned(), json!({ "type": "integer", "description": "Its exit code." }))]);
        properties.extend(names.map(|name| (name.to_owned(), json!({ "description": format!("The output `{name}`.") }))));
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        let given = [params.command.is_some(), params.script.is_some(), params.file.is_some()];
        if given.iter().filter(|&&given| given).count() != 1 {
            problems.push("exactly one of `command`, `script` and `file` says what to run".to_owned());
        }
        let main = params.main();
        for (name, program) in [("command", main.as_ref()), ("probe", params.probe.as_ref()), ("undo", params.undo.as_ref())] {
            match program {
                Some(Program::Argv(argv)) if argv.first().is_none_or(String::is_empty) => {
                    problems.push(format!("`{name}` names no program"));
                }
                Some(Program::Script(text)) if text.len() > MAX_SCRIPT => {
                    problems.push(format!("a script of {} KiB is too long; put it into a file and use `file`", text.len() / 1024));
                }
                _ => {}
            }
        }
        if params.read_only && params.undo.is_some() {
            problems.push("`read_only` says that there is nothing to undo, yet `undo` is given".to_owned());
        }
        for name in params.outputs.iter().filter(|name| !is_name(name) || *name == "exit_code") {
            problems.push(format!("`{name}` cannot be the name of an output"));
        }
        problems
    }

    async fn undo_obstacle(&self, cx: &Context, params: &Params) -> Option<String> {
        // A script is for the shell that is there; what it calls only shows when it runs.
        let Some(Program::Argv(argv)) = &params.undo else { return None };
        let program = argv.first()?;
        let look = ["sh", "-c", "command -v -- \"$1\" >/dev/null", "sh", program].map(str::to_owned).to_vec();
        let shell = Run::new(cx, &Params { outputs: Vec::new(), ..params.clone() }, "undo").await.ok()?;
        match shell.run(cx, look).await {
            Ok((Exit::Code(1 | 127), _)) => Some(format!("there is no program `{program}`")),
            _ => None,
        }
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        refuse_problems(params)?;
        let Some(program) = &params.probe else {
            return Ok(Probe::unknown("the step has no `probe`"));
        };
        let shell = Run::new(cx, params, "probe").await?;
        let (exit, tail) = shell.run(cx, program.argv()).await?;
        match exit {
            Exit::Code(0) => match shell.outputs(cx, params).await? {
                Ok(declared) => Ok(Probe::Present { output: Output { exit_code: 0, declared } }),
                Err(missing) => Ok(Probe::unknown(format!("the probe says that the work is done, but {missing}"))),
            },
            Exit::Code(1) => Ok(Probe::Absent { before: Before {}, changes: vec![Change::new(params.summary())] }),
            other => {
                let told = tail.describe(other);
                let (how, lines) = told.split_once('\n').map_or((told.as_str(), String::new()), |(how, lines)| (how, format!("\n{lines}")));
                let meant = if matches!(other, Exit::Code(_)) { ", neither 0 (it is there) nor 1 (it is not)" } else { "" };
                Ok(Probe::unknown(format!("the probe {how}{meant}{lines}")))
            }
        }
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        refuse_problems(params)?;
        cx.proceed()?;
        let argv = match &params.file {
            Some(file) => file_argv(cx, file).await?,
            None => params.main().map(|program| program.argv()).unwrap_or_default(),
        };
        let shell = Run::new(cx, params, "run").await?;
        let (exit, tail) = shell.run(cx, argv).await?;
        match exit {
            Exit::Code(0) => match shell.outputs(cx, params).await? {
                Ok(declared) => Ok(Output { exit_code: 0, declared }),
                Err(missing) => Err(StepError::permanent(format!("{} succeeded, but {missing}", params.name()))
                    .hint("write it as `NAME=value` to the file `$FORMULA_OUTPUT`, or take it out of `outputs`")),
            },
            Exit::Code(TRY_AGAIN) => Err(StepError::transient(format!("{} {}", params.name(), tail.describe(exit)))),
            other => Err(StepError::permanent(format!("{} {}", params.name(), tail.describe(other)))),
        }
    }

    async fn undo(&self, cx: &Context, params: &Params, _before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        refuse_problems(params)?;
        let Some(program) = &params.undo else {
            if params.read_only {
                return Ok(());
            }
            return Err(StepError::refused("the step has no `undo`").hint("take it back by hand, then settle the step"));
        };
        let shell = Run::new(cx, &Params { outputs: Vec::new(), ..params.clone() }, "undo").await?;
        let (exit, tail) = shell.run(cx, program.argv()).await?;
        match exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(TRY_AGAIN) => Err(StepError::transient(format!("the undo {}", tail.describe(exit)))),
            other => Err(StepError::permanent(format!("the undo {}", tail.describe(other)))),
        }
    }
}

impl Program {
    fn argv(&self) -> Vec<String> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Script(text) => ["sh", "-eu", "-c", text, "sh"].map(str::to_owned).to_vec(),
        }
    }
}

impl Params {
    fn main(&self) -> Option<Program> {
        self.command.clone().map(Program::Argv).or_else(|| self.script.clone().map(Program::Script))
    }

    /// What a plan shows.
    fn summary(&self) -> String {
        match &self.command {
            Some(argv) => format!("run `{}`", argv.join(" ")),
            None => format!("run {}", self.name()),
        }
    }

    /// The program in a message.
    fn name(&self) -> String {
        match (&self.command, &self.file) {
            (Some(argv), _) => format!("`{}`", argv.first().map_or("", String::as_str)),
            (None, Some(file)) => format!("`{file}`"),
            (None, None) => "the script".to_owned(),
        }
    }
}

fn refuse_problems(params: &Params) -> Result<(), StepError> {
    Shell.check(params).into_iter().next().map_or(Ok(()), |problem| Err(StepError::refused(problem)))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain)
}

/// One start of a program: its folder, and the file for its outputs if it has any.
struct Run {
    dir: PathBuf,
    output: Option<PathBuf>,
}

impl Run {
    async fn new(cx: &Context, params: &Params, what: &str) -> Result<Self, StepError> {
        let dir = match &params.dir {
            Some(dir) => cx.path(dir)?,
            None => cx.workdir.to_path_buf(),
        };
        if params.outputs.is_empty() {
            return Ok(Self { dir, output: None });
        }
        let name = cx.scratch_name(&format!("{what}-{}", cx.attempt));
        // An empty file for the user alone, so that the program need not think of its mode.
        cx.world.files.write(&cx.scratch, &name, b"", 0o600, true).await?;
        Ok(Self { dir, output: Some(name) })
    }

    async fn run(&self, cx: &Context, argv: Vec<String>) -> Result<(Exit, Tail), StepError> {
        let mut command = Command { dir: self.dir.clone(), ..cx.command(argv) };
        if let Some(output) = &self.output {
            command.env.insert("FORMULA_OUTPUT".to_owned(), cx.scratch.join(output).to_string_lossy().into_owned());
        }
        run(cx, &command).await
    }

    /// The declared outputs, or which one is missing. The file is gone afterwards.
    async fn outputs(&self, cx: &Context, params: &Params) -> Result<Result<Map<String, Value>, String>, StepError> {
        let Some(path) = &self.output else { return Ok(Ok(Map::new())) };
        let file = cx.world.files.read(&cx.scratch, path).await?;
        cx.world.files.remove(&cx.scratch, path).await?;
        let bytes = file.map(|file| file.bytes).unwrap_or_default();
        if bytes.len() > MAX_OUTPUT {
            return Err(StepError::permanent(format!("the outputs are {} KiB, more than {} KiB", bytes.len() / 1024, MAX_OUTPUT / 1024))
                .hint("write large things to a file and give its path"));
        }
        let text = String::from_utf8(bytes).map_err(|_| StepError::permanent("the file of outputs is not UTF-8"))?;
        let mut found = parse_outputs(&text)?;
        let mut declared = Map::new();
        for name in &params.outputs {
            let Some(value) = found.remove(name) else { return Ok(Err(format!("it gave no output `{name}`"))) };
            refuse_secret(cx, name, &value)?;
            declared.insert(name.clone(), value);
        }
        Ok(Ok(declared))
    }
}

/// Lines `KEY=value`, of which the last one of a key counts, or one JSON object.
fn parse_outputs(text: &str) -> Result<Map<String, Value>, StepError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            StepError::permanent(format!("the file of outputs is not a JSON object: line {} column {}", error.line(), error.column()))
        });
    }
    let mut found = Map::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (name, value) = line.split_once('=').ok_or_else(|| {
            StepError::permanent(format!("line {} of the file of outputs is not `NAME=value`", number + 1))
                .hint("a value of more than one line can be given as JSON")
        })?;
        found.insert(name.trim().to_owned(), Value::String(value.to_owned()));
    }
    Ok(found)
}

fn refuse_secret(cx: &Context, output: &str, value: &Value) -> Result<(), StepError> {
    let holds = |text: &str| cx.secrets.iter().find(|(_, secret)| !secret.expose().is_empty() && text.contains(secret.expose()));
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let found = match value {
            Value::String(text) => holds(text),
            Value::Array(items) => {
                open.extend(items);
                None
            }
            Value::Object(table) => {
                open.extend(table.values());
                table.keys().find_map(|key| holds(key))
            }
            _ => None,
        };
        if let Some((name, _)) = found {
            return Err(StepError::permanent(format!("output `{output}` holds the secret `{name}`"))
                .hint("outputs are recorded and shown; hand the secret to the step that needs it instead"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
