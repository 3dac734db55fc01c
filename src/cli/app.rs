//! What commands share: where we are, the environment as it was at the start, and how journal, world and backend are made when a command
//! needs them. Nothing is opened before it is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use formula_steps::world::real::RealFiles;
use formula_steps::world::{Secret, World};

use super::failure::Failure;
use super::place::Place;
use super::ui::Ui;
use crate::backend::local::{self, Config, LocalBackend};
use crate::clock::{Clock as _, SystemClock};
use crate::journal::{Holder, Journal, RunRecord, SqliteJournal};
use crate::model::{Plan, RunId};
use crate::report::Hub;
use crate::syntax::Reader;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The settled start of a command.
pub struct App {
    /// Streams.
    pub ui: Ui,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub workdir: PathBuf,
    /// The state directory, absolute; may not exist.
    pub state_dir: PathBuf,
    /// How the command line said where that is.
    pub place: Place,
}

impl App {
    /// A variable of the environment that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Who calls, as the journal and locks show it.
    pub fn holder(&self) -> Holder {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Holder { host, pid: std::process::id(), user: self.user(), since: SystemClock::default().now() }
    }

    /// The name of the user of the system who calls. The environment may say anything, and what is recorded is evidence.
    pub fn user(&self) -> String {
        name_of(rustix::process::getuid().as_raw())
    }

    /// The journal if there is one. A state directory that lost its journal is refused rather than taken for a new one.
    ///
    /// # Errors
    /// A state directory that is not ours or open to others, damage, a newer format, a disk that cannot.
    pub fn journal(&self) -> Result<Option<Arc<SqliteJournal>>, Failure> {
        local::check_state_dir(&self.state_dir)?;
        let path = self.state_dir.join("journal.db");
        let journal = SqliteJournal::open(&path, VERSION)?;
        if journal.is_none() && self.state_dir.join("runs").exists() {
            let state = if path.exists() { "holds nothing" } else { "is gone" };
            let error = crate::journal::Error::Damaged { path, what: format!("the file {state}, but logs of its runs are there") };
            return Err(error.into());
        }
        Ok(journal.map(Arc::new))
    }

    /// The journal, made if there is none.
    ///
    /// # Errors
    /// As [`App::journal`], and a state directory that cannot be made.
    pub fn journal_or_new(&self) -> Result<Arc<SqliteJournal>, Failure> {
        if let Some(journal) = self.journal()? {
            return Ok(journal);
        }
        local::prepare_state_dir(&self.state_dir)?;
        let journal = SqliteJournal::create_or_open(&self.state_dir.join("journal.db"), VERSION)?;
        local::make_state_dir_durable(&self.state_dir)?;
        Ok(Arc::new(journal))
    }

    /// The real world, with `mark` in the environment of every child.
    pub fn world(&self, mark: &str) -> World {
        let mut env = self.env.clone();
        env.insert(crate::backend::MARK.into(), mark.into());
        let mut world = formula_steps::world::real::world(&env);
        world.files = Arc::new(RealFiles::new().noting(self.state_dir.join("unfinished"), mark.to_owned()));
        world
    }

    /// The backend on this machine.
    pub fn backend(&self, journal: Arc<dyn Journal>, hub: Hub) -> LocalBackend {
        let holder = self.holder();
        let home =
            self.var("XDG_STATE_HOME").map(PathBuf::from).or_else(|| self.var("HOME").map(|home| PathBuf::from(home).join(".local/state")));
        let (env, ui) = (self.env.clone(), self.ui.clone());
        LocalBackend::new(Config {
            state_dir: self.state_dir.clone(),
            shared_locks: home.unwrap_or_else(|| self.state_dir.clone()).join("formula/locks"),
            world: Arc::new(self.world(&holder.mark())),
            clock: Arc::new(SystemClock::default()),
            journal,
            hub,
            tool: VERSION.into(),
            holder,
            base_env: self.env.clone(),
            secrets: Box::new(move |plan: &Plan| secrets(plan, &env, &ui)),
            handle_signals: true,
            random,
            formulas: Arc::new(Reader::new(program())),
            stage: None,
        })
    }

    /// A tokio runtime on this thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn runtime(&self) -> Result<tokio::runtime::Runtime, Failure> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(1, format!("cannot start the runtime: {error}")))
    }

    /// The run that `RUN` names: a unique prefix, or the newest of this directory.
    ///
    /// # Errors
    /// No such run, or several.
    pub fn find_run(&self, journal: &dyn Journal, name: Option<&str>) -> Result<RunRecord, Failure> {
        let runs = journal.runs()?;
        let Some(name) = name else {
            let newest = runs.into_iter().find(|run| run.workdir == self.workdir);
            return newest.ok_or_else(|| {
                Failure::usage("there is no run of this directory yet").hint("`formula runs` lists those of the state directory")
            });
        };
        let wanted = name.to_ascii_uppercase();
        let mut found: Vec<_> = runs.into_iter().filter(|run| run.run.as_str().starts_with(&wanted)).collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Failure::usage(format!("there is no run `{name}`")).hint("`formula runs` lists them")),
            _ => {
                let names: Vec<_> = found.iter().take(5).map(|run| run.run.to_string()).collect();
                Err(Failure::usage(format!("`{name}` is the beginning of {} runs", found.len())).hint(names.join(", ")))
            }
        }
    }

    /// The journal and the run that `RUN` names, for commands about runs that exist.
    ///
    /// # Errors
    /// As [`App::journal`] and [`App::find_run`].
    pub fn existing(&self, name: Option<&str>) -> Result<(Arc<SqliteJournal>, RunId), Failure> {
        let none = || Failure::usage("there is no run here yet").hint("`formula run NAME` starts one; `formula list` shows the formulas");
        let journal = self.journal()?.ok_or_else(none)?;
        let run = self.find_run(journal.as_ref(), name)?.run;
        Ok((journal, run))
    }
}

/// The secrets of a plan; all that are missing in one message.
fn secrets(plan: &Plan, env: &BTreeMap<String, String>, ui: &Ui) -> Result<BTreeMap<String, Secret>, String> {
    let resolved = crate::secrets::resolve(plan, env).map_err(|missing| {
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
        lines.join("\n       ")
    })?;
    for warning in &resolved.warnings {
        ui.status(&format!("warning: {warning}"));
    }
    Ok(resolved.secrets)
}

/// The name that the system has for a user.
pub fn name_of(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

/// This program, for steps that run a formula as a run of its own.
fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// Random bytes from the kernel.
fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    debug_assert_eq!(got, Ok(bytes.len()), "the kernel gives small amounts whole");
    bytes
}
