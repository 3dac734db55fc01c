//! What the programs of `shell` steps and of gates do in a rehearsal, as the test file has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use formula_steps::world::fake::{FakeProgram, State};
use serde_json::Value;

use super::file::Deed;

/// A step that the test file plays.
#[derive(Debug, Clone)]
pub(super) struct Act {
    run: FakeProgram,
    undo: FakeProgram,
    /// None: it tells whether the step was done.
    probe: Option<FakeProgram>,
    outputs: Option<String>,
    /// It leaves a trace of having been done.
    marks: bool,
}

/// The file that says that a step was done and not taken back.
pub(super) fn marker(step: &str) -> String {
    format!("/done/{step}")
}

impl Act {
    /// From what the test file says; `start` is what is put back by an undo that it does not describe.
    pub(super) fn new(deed: &Deed, start: &State, work: &Path, read_only: bool) -> Self {
        let undo = deed.undo.as_deref().map_or_else(|| reverse(deed, start, work), program);
        let probe = deed.probe.as_deref().map(program);
        let outputs = (!deed.outputs.is_empty()).then(|| Value::Object(deed.outputs.clone().into_iter().collect()).to_string());
        Self { run: program(deed), undo, probe, outputs, marks: !read_only && deed.exit == 0 }
    }

    /// The probe of a gate.
    pub(super) fn gate(open: bool) -> Self {
        let answer = FakeProgram { exit: i32::from(!open), ..FakeProgram::default() };
        Self { run: answer.clone(), undo: answer.clone(), probe: Some(answer), outputs: None, marks: false }
    }

    pub(super) fn run(&self, step: &str) -> FakeProgram {
        let mut program = self.with_outputs(self.run.clone());
        if self.marks {
            program.writes.insert(marker(step).into(), "done\n".into());
        }
        program
    }

    pub(super) fn undo(&self, step: &str) -> FakeProgram {
        let mut program = self.undo.clone();
        if program.exit == 0 {
            program.removes.push(marker(step).into());
        }
        program
    }

    pub(super) fn probe(&self, done: bool) -> FakeProgram {
        match &self.probe {
            Some(program) if program.exit == 0 => self.with_outputs(program.clone()),
            Some(program) => program.clone(),
            None if done => self.with_outputs(FakeProgram::default()),
            None => FakeProgram::default().exit(1),
        }
    }

    fn with_outputs(&self, mut program: FakeProgram) -> FakeProgram {
        if let Some(outputs) = &self.outputs {
            program.writes.insert("${FORMULA_OUTPUT}".into(), outputs.clone());
        }
        program
    }
}

fn program(deed: &Deed) -> FakeProgram {
    FakeProgram {
        exit: deed.exit,
        output: deed.stdout.clone(),
        seconds: deed.seconds,
        writes: deed.writes.clone(),
        removes: deed.removes.clone(),
        modes: deed.modes.clone(),
        links: deed.links.clone(),
        remotes: deed.remotes.clone(),
        stops: deed.stops.clone(),
        starts: deed.starts.clone(),
        ..FakeProgram::default()
    }
}

/// Puts everything back that a deed touches.
fn reverse(deed: &Deed, start: &State, work: &Path) -> FakeProgram {
    let mut undo = FakeProgram { stops: deed.starts.clone(), starts: deed.stops.clone(), ..FakeProgram::default() };
    let mut put_back = |path: &PathBuf| {
        let Some(file) = start.files.get(&work.join(path)) else { return undo.removes.push(path.clone()) };
        if let Some(target) = &file.link {
            undo.links.insert(path.clone(), target.clone());
        } else {
            undo.removes.push(path.clone());
            undo.writes.insert(path.clone(), String::from_utf8_lossy(&file.bytes).into_owned());
            undo.modes.insert(path.clone(), file.mode);
        }
    };
    deed.writes.keys().chain(&deed.removes).chain(deed.modes.keys()).chain(deed.links.keys()).for_each(&mut put_back);
    let remotes: BTreeMap<String, String> = start
        .repos
        .get(work)
        .map(|repo| deed.remotes.keys().filter_map(|name| Some((name.clone(), repo.remotes.get(name)?.url.clone()))).collect())
        .unwrap_or_default();
    undo.remotes = remotes;
    undo
}
