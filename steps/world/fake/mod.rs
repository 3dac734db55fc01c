//! The fake side of every port, with fault injection: what rehearsal and the laws run on.
//!
//! One state in memory, shared by all ports and kept behind a lock: files, repositories, an engine, registries, web servers and
//! programs that do what a table says. Every call that changes something changes all of it or nothing. Time jumps. Knows the
//! ports, and neither a step nor the real side.

mod calls;
mod clock;
mod compose;
mod compose_file;
mod containers;
mod docker;
mod faults;
mod files;
mod git;
mod http;
mod ids;
mod process;
mod registry;
mod repo;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Cancel, PortResult, World};

pub use calls::CALLS;
pub use compose::FakeCompose;
pub use docker::{FakeDocker, FakeImage, FakeRun};
pub use faults::{Call, Fault, Faults, What, When};
pub use files::FakeFile;
pub use http::{FakeAnswer, FakeHttp};
pub use process::FakeProgram;
pub use registry::{FakeCredentials, FakeManifest, FakeRegistry, FakeRepository};
pub use repo::{Commit, FakeRef, Remote, Repo, TreeFile};

use faults::Control;

/// Everything that there is in a fake world. Can be written in TOML or JSON; what is left out is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Files by absolute path. Folders are not modelled.
    pub files: BTreeMap<PathBuf, FakeFile>,
    /// Git repositories by the folder of their working tree, whose files are in `files`.
    pub repos: BTreeMap<PathBuf, Repo>,
    /// The container engine.
    pub docker: FakeDocker,
    /// Compose.
    pub compose: FakeCompose,
    /// Registries by host.
    pub registries: BTreeMap<String, FakeRegistry>,
    /// What the user's Docker configuration holds, by registry host.
    #[serde(skip_serializing)]
    pub credentials: BTreeMap<String, FakeCredentials>,
    /// Web servers and listening addresses.
    pub http: FakeHttp,
    /// What programs do. The first row that fits a command counts; a command that none fits is not found.
    #[serde(skip_serializing)]
    pub programs: Vec<FakeProgram>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    control: Mutex<Control>,
    locks: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// A world in memory. Clones share it.
#[derive(Clone, Default)]
pub struct FakeWorld {
    inner: Arc<Inner>,
}

impl FakeWorld {
    /// An empty world at a fixed hour.
    pub fn new() -> Self {
        Self::default()
    }

    /// A world with this in it.
    pub fn from_state(state: State) -> Self {
        let world = Self::default();
        *world.lock_state() = state;
        world
    }

    /// All ports, each of them this world.
    pub fn world(&self) -> World {
        let all = Arc::new(self.clone());
        World {
            git: all.clone(),
            docker: all.clone(),
            compose: all.clone(),
            registry: all.clone(),
            http: all.clone(),
            files: all.clone(),
            process: all.clone(),
            clock: all,
        }
    }

    /// Changes the world behind the back of every port: neither logged nor subject to faults.
    pub fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock_state())
    }

    /// A copy of all that is there.
    pub fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// What is there, for comparison. Left out: the log of calls, the clock, what programs and web servers would answer, and what
    /// has no meaning but being another one (ids of containers, objects nothing refers to, caches of what is elsewhere).
    pub fn snapshot(&self) -> Value {
        let mut state = self.state();
        state.docker.normalise();
        for registry in state.registries.values_mut() {
            registry.normalise();
        }
        serde_json::to_value(&state).expect("the state has string keys only")
    }

    /// Every call of a port so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock_control().calls.clone()
    }

    /// Forgets the calls so far; faults count from here.
    pub fn forget_calls(&self) {
        self.lock_control().forget_calls();
    }

    /// Sets what will go wrong from now on, in place of what was set before.
    pub fn set_faults(&self, faults: Faults) {
        self.lock_control().faults = faults;
    }

    /// Raises `cancel` at the call of that number since [`FakeWorld::forget_calls`], from 0, before it takes effect.
    pub fn raise_at(&self, call: usize, cancel: Cancel) {
        self.lock_control().raises.push((call, cancel));
    }

    /// Whether a [`What::Cut`] has struck.
    pub fn is_cut(&self) -> bool {
        self.lock_control().cut
    }

    /// How many calls have changed something.
    pub fn changes(&self) -> usize {
        self.lock_control().changed
    }

    /// Keeps the world after each change from now on, for [`FakeWorld::after_change`].
    pub fn keep_history(&self) {
        self.lock_control().history = Some(Vec::new());
    }

    /// The world right after the change of that number, from 1, of those that were kept. Nobody was told of it yet.
    pub fn after_change(&self, number: usize) -> Option<Self> {
        self.lock_control().history.as_ref()?.get(number.checked_sub(1)?).map(Self::fork)
    }

    /// Another world in which everything is as it is here, time included. Nothing goes on in it, and nothing goes wrong.
    pub fn fork(&self) -> Self {
        let fork = Self::from_state(self.state());
        {
            let (control, mut other) = (self.lock_control(), fork.lock_control());
            (other.now, other.changed) = (control.now, control.changed);
            other.unique.clone_from(&control.unique);
        }
        fork
    }

    /// Ends a cut and takes away all faults: the machine is up again.
    pub fn heal(&self) {
        self.lock_control().heal();
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.lock_control().now += time;
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no port panics")
    }

    fn lock_control(&self) -> MutexGuard<'_, Control> {
        self.inner.control.lock().expect("no port panics")
    }

    /// A call that only looks.
    fn look<T>(&self, op: &'static str, detail: impl Display, look: impl FnOnce(&State) -> PortResult<T>) -> PortResult<T> {
        let fault_after = self.lock_control().begin(op, detail.to_string(), false)?;
        let result = look(&self.lock_state());
        self.lock_control().end(fault_after)?;
        result
    }

    /// A call that changes something: all of it, or nothing when it fails.
    fn change<T>(&self, op: &'static str, detail: impl Display, change: impl FnOnce(&mut State) -> PortResult<T>) -> PortResult<T> {
        let fault_after = self.lock_control().begin(op, detail.to_string(), true)?;
        let result = {
            let mut state = self.lock_state();
            let mut changed = state.clone();
            let result = change(&mut changed);
            if result.is_ok() {
                *state = changed;
            }
            result
        };
        if result.is_ok() {
            self.count_change();
        }
        self.lock_control().end(fault_after)?;
        result
    }

    fn count_change(&self) {
        let keeps = {
            let mut control = self.lock_control();
            control.changed += 1;
            control.history.is_some()
        };
        if keeps {
            let now = self.fork();
            self.lock_control().history.get_or_insert_default().push(now);
        }
    }

    /// A number that no other thing of that sort gets.
    fn unique(&self, of: &'static str) -> u64 {
        let mut control = self.lock_control();
        let last = control.unique.entry(of).or_default();
        *last += 1;
        *last
    }
}
