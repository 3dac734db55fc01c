//! Programs that do what a table says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{Cancel, Command, Exit, Output, PortError, PortErrorKind, PortResult, Process};
use super::files::tidy;
use super::{FakeWorld, State};

/// One row of the table. In texts and paths `${NAME}` stands for a variable of the child's environment; paths count from its
/// working directory. All effects happen at once, when the program ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeProgram {
    /// The command it answers to; a last `...` stands for any rest.
    pub argv: Vec<String>,
    /// Counts only where this file is there.
    pub when: Option<PathBuf>,
    /// Counts only where this file is not there.
    pub unless: Option<PathBuf>,
    /// Exit code.
    pub exit: i32,
    /// The signal it dies of, instead.
    pub signal: Option<i32>,
    /// What it prints.
    pub output: String,
    /// How long it takes.
    pub seconds: u64,
    /// It never ends by itself.
    pub hangs: bool,
    /// Files it writes.
    pub writes: BTreeMap<PathBuf, String>,
    /// Files it removes.
    pub removes: Vec<PathBuf>,
}

impl FakeProgram {
    /// A program that does nothing and succeeds.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
    /// With this exit code.
    #[must_use]
    pub fn exit(mut self, code: i32) -> Self {
        self.exit = code;
        self
    }
    /// Which prints this.
    #[must_use]
    pub fn output(mut self, text: &str) -> Self {
        self.output = text.into();
        self
    }
    /// Which writes this file.
    #[must_use]
    pub fn writes(mut self, path: impl Into<PathBuf>, text: &str) -> Self {
        self.writes.insert(path.into(), text.to_owned());
        self
    }
    /// Which removes this file.
    #[must_use]
    pub fn removes(mut self, path: impl Into<PathBuf>) -> Self {
        self.removes.push(path.into());
        self
    }
    /// Which counts only where this file is there.
    #[must_use]
    pub fn when(mut self, path: impl Into<PathBuf>) -> Self {
        self.when = Some(path.into());
        self
    }

    fn fits(&self, state: &State, command: &Command) -> bool {
        let argv = match self.argv.split_last() {
            Some((last, start)) if last == "..." => command.argv.starts_with(start),
            _ => self.argv == command.argv,
        };
        let there = |path: &PathBuf| state.files.contains_key(&place(command, path));
        argv && self.when.as_ref().is_none_or(there) && !self.unless.as_ref().is_some_and(there)
    }
}

fn filled(text: &str, command: &Command) -> String {
    let plain = command.env.iter().map(|(name, value)| (name, value.as_str()));
    let secret = command.secret_env.iter().map(|(name, value)| (name, value.expose()));
    plain.chain(secret).fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn place(command: &Command, path: &Path) -> PathBuf {
    tidy(&command.dir.join(filled(&path.to_string_lossy(), command)))
}

#[async_trait]
impl Process for FakeWorld {
    async fn run(&self, command: &Command, output: &dyn Output, cancel: &Cancel) -> PortResult<Exit> {
        let shown: Vec<_> = command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let stdin = String::from_utf8_lossy(command.stdin.as_deref().unwrap_or_default());
        let detail = format!("{} dir={} env={} stdin={stdin}", command.argv.join(" "), command.dir.display(), shown.join(" "));
        let program = self.edit(|state| state.programs.iter().find(|program| program.fits(state, command)).cloned());
        let changes = program.as_ref().is_none_or(|program| !program.writes.is_empty() || !program.removes.is_empty());
        let work = |state: &mut State| {
            if cancel.is_raised() {
                return Err(PortError::cancelled());
            }
            let program = program.clone().ok_or_else(|| {
                let name = command.argv.first().map_or("", String::as_str);
                PortError::new(PortErrorKind::NotFound, format!("there is no program `{name}`"))
            })?;
            if !program.hangs {
                for (path, text) in &program.writes {
                    state.write_file(&place(command, path), filled(text, command).as_bytes(), 0o644, false);
                }
                for path in &program.removes {
                    state.files.remove(&place(command, path));
                }
            }
            Ok(program)
        };
        let program = if changes {
            self.change("process.run", detail, work)?
        } else {
            self.look("process.run", detail, |state| work(&mut state.clone()))?
        };
        output.write(filled(&program.output, command).as_bytes());
        if program.hangs {
            cancel.raised().await;
            return Err(PortError::cancelled());
        }
        self.pass(Duration::from_secs(program.seconds));
        tokio::task::yield_now().await;
        Ok(program.signal.map_or(Exit::Code(program.exit), Exit::Signal))
    }
}
