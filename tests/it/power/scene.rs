//! A small project, what is done in it under the recorder, and what must be the case in the end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use formula::journal::{Journal as _, SqliteJournal};
use serde_json::Value;

use super::acts::{self, Story};
use super::disk::State;
use super::judge::{Facts, Judge, Watched, lay_out};
use super::trace::{CALLS, calls};
use crate::support::{Program, Ran, Sandbox, formula, traced_formula};

/// Steps of every kind of effect: a program whose effect is durable when it ends, with and without a probe, and the three kinds that write files
/// in one go. `go` lets the run come to its end.
const FORMULA: &str = r#"
name = "power"

[[steps]]
id = "one"
uses = "shell"
with = { idempotent = true, script = "echo one | dd of=ledger oflag=append,sync conv=notrunc status=none" }

[[steps]]
id = "env"
uses = "env-set"
with = { file = ".env", set = { A = "new" } }

[[steps]]
id = "two"
uses = "shell"
with = { probe = "grep -q two ledger", script = "test -e go; echo two | dd of=ledger oflag=append,sync conv=notrunc status=none" }

[[steps]]
id = "conf"
uses = "write-file"
with = { path = "conf/deep/x.json", content = { a = 1 } }

[[steps]]
id = "compose"
uses = "compose-regen"
with = { template = "t.hbs", output = "docker-compose.yml", mode = "pinned" }

[[steps]]
id = "many"
uses = "write-file"
foreach = ["a", "b", "c", "d", "e"]
with = { path = "many/{{ item }}", content = "{{ item }}" }
"#;

/// The same without the programs, which cannot be taken back.
const BACK: &str = r#"
name = "power"

[[steps]]
id = "env"
uses = "env-set"
with = { file = ".env", set = { A = "new" } }

[[steps]]
id = "conf"
uses = "write-file"
with = { path = "conf/x.json", content = { a = 1 } }

[[steps]]
id = "compose"
uses = "compose-regen"
with = { template = "t.hbs", output = "docker-compose.yml", mode = "pinned" }
"#;

/// What is done under the recorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scene {
    /// A first run, which makes the state directory.
    First,
    /// The same command after a run that failed half-way.
    Again,
    /// A finished run is taken back.
    Back,
}

/// A recorded scene.
pub struct Recording {
    sandbox: Sandbox,
    scene: Scene,
    pub story: Story,
    pub facts: Facts,
    /// All files in the end but the ledger.
    files: BTreeMap<String, String>,
}

impl Scene {
    fn args(self) -> &'static [&'static str] {
        match self {
            Self::First | Self::Again => &["run", "power", "--json"],
            Self::Back => &["rollback", "--yes", "--json"],
        }
    }

    /// Does it once, below `strace`.
    pub fn record(self) -> Recording {
        let sandbox = Sandbox::in_memory();
        tools(&sandbox, &["strace", "sh", "dd", "grep"]);
        let formula_text = if self == Self::Back { BACK } else { FORMULA };
        for (path, text) in [
            ("formulas/power.toml", formula_text),
            (".env", "A=old\nB=2\n"),
            ("t.hbs", "services:\n  web:\n    image: x:{{ mode }}\n"),
            ("docker-compose.yml", ""),
            ("ledger", ""),
        ] {
            sandbox.write(path, text);
        }
        fs::remove_file(sandbox.work().join("docker-compose.yml")).expect("just made");
        match self {
            Self::First => sandbox.write("go", ""),
            Self::Again => {
                with_tools(formula(&sandbox), &sandbox).args(["run", "power"]).run().exits(20);
                sandbox.write("go", "");
            }
            Self::Back => drop(with_tools(formula(&sandbox), &sandbox).args(["run", "power"]).run().exits(0)),
        }
        let known = entries(&sandbox).len();
        let start = sandbox.root().join("start");
        copy(&sandbox.work(), &start);
        let before = |path: &str| fs::read(start.join(path)).ok();
        let trace = sandbox.root().join("trace");
        let options = ["-y", "-xx", "-s", "8000000", "-e", CALLS, "-o", trace.to_str().expect("a plain path")];
        with_tools(traced_formula(&sandbox, &options), &sandbox).args(self.args().iter().copied()).run().exits(0);
        let recorded = calls(&fs::read_to_string(&trace).expect("a trace"));
        let story = acts::read(&sandbox.work(), &start, &recorded);
        let conf = if self == Self::Back { "conf/x.json" } else { "conf/deep/x.json" };
        let watch =
            |step, path: &'static str| Watched { step, path, before: before(path), after: fs::read(sandbox.work().join(path)).ok() };
        let watched = vec![watch("env", ".env"), watch("conf", conf), watch("compose", "docker-compose.yml")];
        let (intent, done) = if self == Self::Back { ("undo_started", "undo_succeeded") } else { ("attempt_started", "attempt_succeeded") };
        let facts = Facts { events: entries(&sandbox), known, watched, intent, done };
        let files = files(&sandbox);
        Recording { sandbox, scene: self, story, facts, files }
    }
}

impl Recording {
    /// Folders for that many judges.
    pub fn bench(&self, number: usize) -> PathBuf {
        let bench = self.sandbox.root().join(format!("bench-{number}"));
        fs::create_dir_all(&bench).expect("the sandbox is writable");
        bench
    }

    /// Lays a state on the disk and gives the same command again: it must end where the recording ended, and nothing that was done may be done
    /// again. False where there is nothing left to do.
    pub fn carry_on(&self, judge: &Judge<'_>, state: &State) -> Result<bool, String> {
        let events = judge.events(&state.tree)?;
        let over =
            events.last().is_some_and(|entry| entry["event"]["type"] == "run_finished" && entry["event"]["outcome"] == "rolled_back");
        if self.scene == Scene::Back && over {
            return Ok(false);
        }
        lay_out(&state.tree, &self.sandbox.work());
        let ledger = || fs::read_to_string(self.sandbox.work().join("ledger")).unwrap_or_default();
        let was = ledger();
        let ran = with_tools(formula(&self.sandbox), &self.sandbox).args(self.scene.args().iter().copied()).run();
        if ran.code != Some(0) {
            return Err(story(&ran));
        }
        let found = files(&self.sandbox);
        if found != self.files {
            return Err(format!("the files differ: {found:?} instead of {:?}\n{}", self.files, story(&ran)));
        }
        for (step, asked) in [("one", false), ("two", true)].into_iter().filter(|_| self.scene != Scene::Back) {
            let count = |text: &str| text.lines().filter(|line| *line == step).count();
            let done = events.iter().any(|entry| entry["event"]["type"] == "attempt_succeeded" && entry["event"]["step"] == step);
            let (before, now) = (count(&was), count(&ledger()));
            let most = if done || (asked && before > 0) { before } else { before + 1 };
            if now < 1 || now > most {
                return Err(format!("`{step}` had acted {before} times and has now acted {now} times\n{}", story(&ran)));
            }
        }
        Ok(true)
    }
}

impl Recording {
    /// Keeps what a person needs to look into a fault: the acts up to the cut, and the disk as it was left. Answers where.
    pub fn keep(&self, name: &str, state: &State) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-{}", name.replace(' ', "-")));
        let work = folder.join("work");
        fs::create_dir_all(&work).expect("the target folder is writable");
        lay_out(&state.tree, &work);
        fs::write(folder.join("acts"), self.story.told(state.cut)).expect("the target folder is writable");
        let _ = fs::copy(self.sandbox.root().join("trace"), folder.join("trace"));
        folder
    }
}

fn story(ran: &Ran) -> String {
    format!("exit code {:?}, signal {:?}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.signal, ran.stdout, ran.stderr)
}

/// Nothing else is found: no Docker above all, which would take its time.
pub fn tools(sandbox: &Sandbox, names: &[&str]) {
    let bin = sandbox.root().join("bin");
    fs::create_dir_all(&bin).expect("the sandbox is writable");
    for name in names {
        let found = Program::new(sandbox, "sh").args(["-c", &format!("command -v {name}")]).run();
        found.exits(0);
        symlink(found.stdout.trim(), bin.join(name)).expect("the sandbox is writable");
    }
}

/// With those tools alone.
pub fn with_tools<'a>(program: Program<'a>, sandbox: &Sandbox) -> Program<'a> {
    program.env("PATH", &sandbox.root().join("bin").to_string_lossy())
}

/// Envelopes of the only run.
pub fn entries(sandbox: &Sandbox) -> Vec<Value> {
    let path = sandbox.work().join(".formula/journal.db");
    let Some(journal) = SqliteJournal::open(&path, "test").expect("a sound journal") else { return Vec::new() };
    let run = journal.runs().expect("a list of runs").swap_remove(0).run;
    journal.read(&run, 0).expect("the run's events").iter().map(formula::model::Envelope::to_json).collect()
}

/// All files but those that a cut may leave without harm: the ledger, which is counted, and temporary files that nobody looks at.
fn files(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut files = sandbox.files();
    files.retain(|path, _| path != "ledger" && Path::new(path).extension().is_none_or(|ending| ending != "tmp"));
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the sandbox is writable");
    for entry in fs::read_dir(from).expect("the sandbox is readable").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_symlink() {
            symlink(fs::read_link(entry.path()).expect("the sandbox is readable"), &to).expect("the sandbox is writable");
        } else if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("the sandbox is writable");
        }
    }
}
