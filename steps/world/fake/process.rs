//! Programs that do what a table says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{Cancel, Command, Exit, Output, PortError, PortErrorKind, PortResult, Process};
use super::files::tidy;
use super::{FakeFile, FakeWorld, State};

/// One row of the table. In texts and paths `${NAME}` stands for a variable of the child's environment; paths count from its
/// working directory. All effects happen at once, when the program ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeProgram {
    /// The command it answers to; a last `...` stands for any rest.
    pub argv: Vec<String>,
    /// Variables of its environment that it answers to.
    pub env: BTreeMap<String, String>,
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
    /// Files it removes, before it writes any.
    pub removes: Vec<PathBuf>,
    /// Permission bits it gives to files that are there.
    pub modes: BTreeMap<PathBuf, u32>,
    /// Symbolic links it makes, with where they lead.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Addresses it gives to remotes of the repository.
    pub remotes: BTreeMap<String, String>,
    /// Compose projects whose containers it stops.
    pub stops: Vec<String>,
    /// Compose projects whose containers it starts.
    pub starts: Vec<String>,
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
        let env = |(name, value): (&String, &String)| command.env.get(name) == Some(value);
        let there = |path: &PathBuf| state.files.contains_key(&place(command, path));
        argv && self.env.iter().all(env) && self.when.as_ref().is_none_or(there) && !self.unless.as_ref().is_some_and(there)
    }
}

impl FakeProgram {
    fn changes(&self) -> bool {
        let tables = self.writes.is_empty() && self.modes.is_empty() && self.links.is_empty() && self.remotes.is_empty();
        !(tables && self.removes.is_empty() && self.stops.is_empty() && self.starts.is_empty())
    }

    fn work(&self, state: &mut State, command: &Command) -> PortResult<()> {
        for path in &self.removes {
            state.files.remove(&place(command, path));
        }
        for (path, text) in &self.writes {
            state.write_file(&place(command, path), filled(text, command).as_bytes(), 0o644, false);
        }
        for (path, target) in &self.links {
            let target = filled(&target.to_string_lossy(), command);
            state.files.insert(place(command, path), FakeFile::link(target));
        }
        for (path, mode) in &self.modes {
            if let Some(file) = state.files.get_mut(&place(command, path)) {
                file.mode = *mode;
            }
        }
        for (name, url) in &self.remotes {
            let remotes = &mut state.repo_mut(&command.dir)?.remotes;
            url.clone_into(&mut remotes.entry(name.clone()).or_default().url);
        }
        for project in &self.stops {
            state.stop_project(&filled(project, command));
        }
        for project in &self.starts {
            state.start_project(&filled(project, command));
        }
        Ok(())
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

impl FakeWorld {
    /// Runs this program, whatever the table of programs says; None: there is no such program.
    ///
    /// # Errors
    /// What the table, a fault or the cancelling of it makes of it.
    pub async fn perform(
        &self,
        program: Option<&FakeProgram>,
        command: &Command,
        output: &dyn Output,
        cancel: &Cancel,
    ) -> PortResult<Exit> {
        let shown: Vec<_> = command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let stdin = String::from_utf8_lossy(command.stdin.as_deref().unwrap_or_default());
        let detail = format!("{} dir={} env={} stdin={stdin}", command.argv.join(" "), command.dir.display(), shown.join(" "));
        let work = |state: &mut State| {
            if cancel.is_raised() {
                return Err(PortError::cancelled());
            }
            let program = program.ok_or_else(|| {
                let name = command.argv.first().map_or("", String::as_str);
                PortError::new(PortErrorKind::NotFound, format!("there is no program `{name}`"))
            })?;
            if !program.hangs {
                program.work(state, command)?;
            }
            Ok(program)
        };
        let program = if program.is_none_or(FakeProgram::changes) {
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

#[async_trait]
impl Process for FakeWorld {
    async fn run(&self, command: &Command, output: &dyn Output, cancel: &Cancel) -> PortResult<Exit> {
        let program = self.edit(|state| state.programs.iter().find(|program| program.fits(state, command)).cloned());
        self.perform(program.as_ref(), command, output, cancel).await
    }
}
