//! A formula as a migration: a run of its own, made by this program as a child.
//!
//! The child keeps a journal of its own in the scratch folder of the run around it, one folder for each version, phase and direction. So
//! the folder is known before anything starts, a crash leaves in it what the same command goes on from, and it does not share the lock
//! that the run around it holds. Everything that is asked of the child is asked of that journal.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Place;
use super::script::{Call, End};
use crate::contract::{Class, Context, StepError};
use crate::kit::program::{self, Tail};
use crate::kit::text::hex;
use crate::world::{Command, Exit, OutputBuffer};

/// Beginning of the variables that give a formula its vars.
const VAR: &str = "FORMULA_VAR_";
/// Exit codes of the program.
const USAGE: i32 = 2;
const LOCKED: i32 = 12;
const HELD: i32 = 20;

/// Which way a formula leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `pre.toml`, `post.toml` or a plain one.
    Up,
    /// `down.toml`.
    Down,
}

/// A formula that is, was or will be run for a migration.
pub struct Nested<'a> {
    cx: &'a Context,
    place: &'a Place,
    call: &'a Call<'a>,
    /// The state directory of its own.
    state: PathBuf,
}

/// What its journal says.
enum Found {
    /// It never began.
    Nothing,
    /// This run.
    Run(Box<Told>),
    /// Something that this program does not understand.
    Unclear,
}

/// `formula show --json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    formula_digest: String,
    verdict: Verdict,
}

/// See [`Told`].
#[derive(Debug, Deserialize)]
struct Verdict {
    outcome: String,
    #[serde(default)]
    failed_step: Option<String>,
    #[serde(default)]
    class: Option<Class>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    retry_safe: bool,
    #[serde(default)]
    one_way_crossed: bool,
    #[serde(default)]
    next: Vec<String>,
}

impl<'a> Nested<'a> {
    /// That of a version, phase and direction in the run around it.
    pub fn new(cx: &'a Context, place: &'a Place, call: &'a Call<'a>, direction: Direction) -> Self {
        let back = if direction == Direction::Down { "-down" } else { "" };
        let name = format!("migration-{}-{}{back}", call.version, call.phase.as_str());
        Self { cx, place, call, state: cx.scratch.join(cx.scratch_name(&name)) }
    }

    /// Runs it to its end, from where it stands: one that was cut off or failed goes on there.
    ///
    /// # Errors
    /// When it cannot be started, or the run is asked to stop.
    pub async fn run(&self, path: &str, text: &str) -> Result<End, StepError> {
        let path = format!("./{}", path.trim_start_matches("./"));
        // The journal has the formula it began with; one that was mended since takes its place.
        let words = match self.ask().await? {
            Found::Run(told) if told.is_open() && told.formula_digest != digest(text) => vec!["resume", "--with", &path, "-v"],
            // It ended, and nobody was left to write that down.
            Found::Run(told) if told.verdict.outcome == "done" && self.call.again => {
                return Ok(End { one_way: told.verdict.one_way_crossed, ..End::new("0", Ok(())) });
            }
            // What it did then was taken back since.
            Found::Run(told) if told.verdict.outcome == "done" => vec!["run", &path, "--fresh", "-v"],
            _ => vec!["run", &path, "-v"],
        };
        let (mut exit, mut tail) = program::run_within(self.cx, &self.command(&words)?, self.call.limit()).await?;
        if words[0] == "resume" && exit == Some(Exit::Code(USAGE)) {
            self.cx.log("what was mended was done or begun already: it is taken back, and all of it begins anew");
            let undone = self.undo().await?;
            if undone.result.is_err() {
                return Ok(undone);
            }
            (exit, tail) = program::run_within(self.cx, &self.command(&["run", &path, "-v"])?, self.call.limit()).await?;
        }
        let Some(exit) = exit else { return Ok(self.call.late()) };
        let told = match self.ask().await? {
            Found::Run(told) => Some(told.verdict),
            Found::Nothing | Found::Unclear => None,
        };
        let one_way = told.as_ref().is_some_and(|told| told.one_way_crossed);
        let result = if exit == Exit::Code(0) { Ok(()) } else { Err(self.failure(exit, told.as_ref(), &tail)) };
        Ok(End { one_way, ..End::new(shown(exit), result) })
    }

    /// Takes back what its steps made; nothing where it never began or took itself back.
    ///
    /// # Errors
    /// When it cannot be asked or started, or the run is asked to stop.
    pub async fn undo(&self) -> Result<End, StepError> {
        match self.ask().await? {
            Found::Nothing => return Ok(End::new("0", Ok(()))),
            Found::Run(told) if matches!(told.verdict.outcome.as_str(), "rolled_back" | "refused") => return Ok(End::new("0", Ok(()))),
            Found::Run(_) | Found::Unclear => {}
        }
        let (exit, tail) = program::run_within(self.cx, &self.command(&["rollback", "--yes", "-v"])?, self.call.limit()).await?;
        let Some(exit) = exit else { return Ok(self.call.late()) };
        if exit == Exit::Code(0) {
            return Ok(End::new("0", Ok(())));
        }
        let told = match self.ask().await? {
            Found::Run(told) => Some(told.verdict),
            Found::Nothing | Found::Unclear => None,
        };
        let what = format!("{} could not be taken back by its own steps", self.call.name());
        let error = match told {
            None => StepError::permanent(format!("{what}: it {}", tail.describe(exit))),
            Some(told) => {
                let class = if told.class == Some(Class::Conflict) || told.one_way_crossed { Class::Conflict } else { Class::Permanent };
                let why = told.told().unwrap_or_else(|| format!("it {}", tail.describe(exit)));
                StepError::new(class, format!("{what}: {why}")).hint(self.next(&told, "go on with the rollback"))
            }
        };
        Ok(End::new(shown(exit), Err(error)))
    }

    /// What a person has to know of a run that did not succeed.
    fn failure(&self, exit: Exit, told: Option<&Verdict>, tail: &Tail) -> StepError {
        let name = self.call.name();
        let Some(told) = told else {
            let class = if exit == Exit::Code(LOCKED) { Class::Transient } else { Class::Permanent };
            return StepError::new(class, format!("{name} {}", tail.describe(exit)));
        };
        if exit == Exit::Code(HELD) && !told.retry_safe {
            let why = told.told().map(|why| format!(": {why}")).unwrap_or_default();
            return StepError::new(Class::Waits, format!("{name} waits for a person{why}"))
                .hint(self.next(told, "give the same command again"));
        }
        let class = if exit == Exit::Code(LOCKED) { Class::Transient } else { Class::Permanent };
        let why = told.told().unwrap_or_else(|| tail.describe(exit));
        StepError::new(class, format!("{name} failed: {why}"))
    }

    /// The commands that make sense for the child, and what to do then.
    fn next(&self, told: &Verdict, then: &str) -> String {
        let here = format!("formula --state-dir {} ", quoted(&self.state));
        let mut lines: Vec<String> = told.hint.iter().cloned().collect();
        // The child was given its state directory, so what it names has it as well.
        let rest = |command: &String| command.strip_prefix(&here).or_else(|| command.strip_prefix("formula ")).map(str::to_owned);
        // To go on with it is what the run around it does.
        let own = told.next.iter().filter_map(rest).filter(|rest| !rest.starts_with("resume") && !rest.starts_with("rollback"));
        lines.extend(own.map(|rest| format!("{here}{rest}")));
        if lines.is_empty() {
            lines.push(format!("`{here}show` tells how it stands"));
        }
        lines.push(format!("then {then}"));
        lines.join("\n")
    }

    /// Asks its journal how it stands.
    async fn ask(&self) -> Result<Found, StepError> {
        let said = OutputBuffer::new();
        let exit = self.cx.world.process.run(&self.command(&["show", "--json"])?, &said, &self.cx.cancel).await?;
        if exit == Exit::Code(USAGE) {
            return Ok(Found::Nothing);
        }
        let text = said.text();
        let told = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        Ok(told.map_or(Found::Unclear, Found::Run))
    }

    fn command(&self, words: &[&str]) -> Result<Command, StepError> {
        let program = self.cx.formulas.program().ok_or_else(|| {
            StepError::refused(format!("{} is a formula, and the program that runs formulas is not known here", self.call.name()))
        })?;
        let state = self.state.to_string_lossy();
        let argv = [program.to_string_lossy().into_owned()].into_iter().chain(words.iter().map(|word| (*word).to_owned()));
        let mut command = self.cx.command(argv.chain(["--state-dir".to_owned(), state.into_owned()]));
        command.dir.clone_from(&self.place.workdir);
        command.nested = true;
        // What was meant for the vars of the formula around us is not for this one.
        command.env.retain(|name, _| !name.starts_with(VAR) || self.cx.env.contains_key(name));
        for (name, value) in self.call.told(self.place) {
            let var = name.replacen("FORMULA_", VAR, 1);
            let value_of_var = if name == "FORMULA_ENV_FILE" { self.call.env_file.to_owned() } else { value.clone() };
            command.env.entry(var).or_insert(value_of_var);
            command.env.insert(name.to_owned(), value);
        }
        Ok(command)
    }
}

impl Told {
    /// Whether something can follow in that run.
    fn is_open(&self) -> bool {
        !matches!(self.verdict.outcome.as_str(), "done" | "refused" | "rolled_back" | "rollback_incomplete" | "stopped")
    }
}

impl Verdict {
    fn told(&self) -> Option<String> {
        let message = self.message.as_ref()?;
        Some(match &self.failed_step {
            Some(step) => format!("step `{step}`: {message}"),
            None => message.clone(),
        })
    }
}

fn shown(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => code.to_string(),
        Exit::Signal(signal) => format!("signal {signal}"),
    }
}

/// `sha256:…` of a formula's text, as journals have it.
fn digest(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if text.bytes().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
