//! The box that the tests migrate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use formula_steps::contract::{Class, Context, Probe, RunInfo, StepError, StepType};
use formula_steps::migrate::Migrate;
use formula_steps::migrations::{self, Row, State, Version, Who};
use formula_steps::world::OutputBuffer;
use formula_steps::world::fake::FakeWorld;
use formula_steps::world::real::{RealClock, RealFiles, RealGit, RealProcess};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A box: a repository at the tag `v0.2.0`, an env file, and a log `ran` beside them that scripts add to.
pub struct Place {
    _folder: TempDir,
    pub root: PathBuf,
    pub env: BTreeMap<String, String>,
    pub cx: Context,
    pub log: Arc<OutputBuffer>,
}

pub const ENV: &str = "A=1\nLAST=v0.2.0 # where it stands\nB='x y'";

pub fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    for name in ["work", "scratch", "state"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let env = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME".to_owned(), text(&root)),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
        ("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned()),
    ]);
    let mut world = FakeWorld::new().world();
    world.git = Arc::new(RealGit::new(env.clone()));
    world.files = Arc::new(RealFiles::default());
    world.process = Arc::new(RealProcess::new());
    world.clock = Arc::new(RealClock::new());
    let log = Arc::new(OutputBuffer::new());
    let mut cx = Context::bare(world, &root.join("work"));
    cx.scratch = Arc::from(root.join("scratch"));
    cx.state = Arc::from(root.join("state"));
    cx.output = log.clone();
    let place = Place { _folder: folder, root, env, cx, log };
    place.git(&["init", "--quiet", "--initial-branch=main"]);
    place.write(".gitignore", ".env\n");
    place.commit();
    place.git(&["tag", "v0.2.0"]);
    place
}

impl Place {
    pub fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "advice.detachedHead=false"];
        let git = Command::new("git").args(who).args(args).current_dir(self.root.join("work")).env_clear().envs(&self.env).output();
        let done = git.unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "change"]);
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join("work").join(path)).unwrap_or_default()
    }

    /// Migrations that add their name and phase to `ran`, and with `down` take it out again.
    pub fn migrations(&self, paths: &[&str]) {
        for path in paths {
            let script = if path.ends_with("down.sh") {
                "grep -vx \"$FORMULA_MIGRATION $FORMULA_PHASE\" ../ran >../kept || :; mv ../kept ../ran; echo \"down $FORMULA_MIGRATION\" >>../downs"
            } else {
                "echo \"$FORMULA_MIGRATION $FORMULA_PHASE\" >>../ran"
            };
            self.write(&format!("migrations/{path}"), &format!("#!/bin/sh\nset -eu\n{script}\n"));
        }
    }

    pub fn ran(&self) -> Vec<String> {
        fs::read_to_string(self.root.join("ran")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// As another run.
    pub fn run_named(&mut self, id: &str) {
        self.cx.run = Arc::new(RunInfo { id: id.into(), ..RunInfo::clone(&self.cx.run) });
    }

    pub async fn probe(&self, params: &Value) -> Result<Probe<Value, Value>, StepError> {
        StepType::probe(&Migrate, &self.cx, params).await
    }

    pub async fn before(&self, params: &Value) -> (Value, Vec<String>) {
        match self.probe(params).await.unwrap() {
            Probe::Absent { before, changes } => (before, changes.into_iter().map(|change| change.summary).collect()),
            other => panic!("the probe answers {other:?}"),
        }
    }

    pub async fn run(&self, params: &Value) -> Result<Value, StepError> {
        let (before, _) = self.before(params).await;
        StepType::run(&Migrate, &self.cx, params, Some(&before)).await
    }

    pub async fn undo(&self, params: &Value, before: &Value) -> Result<(), StepError> {
        StepType::undo(&Migrate, &self.cx, params, Some(before), None).await
    }

    pub async fn refused(&self, params: &Value) -> String {
        let error = self.probe(params).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{error}");
        format!("{error}; {}", error.hint.as_deref().unwrap_or_default())
    }

    pub fn at(&self) -> migrations::Place {
        migrations::Place::new(&self.cx.workdir, &self.cx.state)
    }

    pub async fn states(&self) -> Vec<(String, State)> {
        let status = migrations::status(&self.cx.world, &self.at()).await.unwrap();
        let told = |entry: migrations::Entry| (format!("{} {}", entry.version, entry.phase.as_str()), entry.state);
        status.entries.into_iter().map(told).collect()
    }

    pub async fn record(&self, rows: &[Row]) {
        migrations::append(&self.cx.world, &self.at(), &Who::person("tester"), rows).await.unwrap();
    }
}

pub fn to(version: &str, phase: &str) -> Value {
    json!({ "to": version, "phase": phase, "key": "LAST" })
}

pub fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}
