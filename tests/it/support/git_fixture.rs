//! A repository with an origin and two mirrors, as a project that releases has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::{Program, Sandbox};

/// A clone in the sandbox's `work` and three bare repositories beside it: `origin`, `codeberg`, `github`.
pub struct GitFixture<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> GitFixture<'a> {
    /// The remotes, `origin` first.
    pub const REMOTES: [&'static str; 3] = ["origin", "codeberg", "github"];

    /// One commit on `main` with `VERSION` (`v0.1.0`), known to all remotes; the tree is clean.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        let fixture = Self { sandbox };
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture.commit("VERSION", "v0.1.0\n", "Start");
        for remote in Self::REMOTES {
            let path = fixture.remote(remote).to_string_lossy().into_owned();
            fixture.git(&["init", "--quiet", "--bare", "--initial-branch=main", &path]);
            fixture.git(&["remote", "add", remote, &path]);
            fixture.git(&["push", "--quiet", remote, "main"]);
        }
        fixture.git(&["branch", "--quiet", "--set-upstream-to=origin/main"]);
        fixture
    }

    /// Where a remote lies.
    pub fn remote(&self, name: &str) -> PathBuf {
        self.sandbox.root().join(format!("{name}.git"))
    }

    /// Runs git in the clone, which must succeed, and answers what it prints, trimmed.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let ran = Program::new(self.sandbox, "git").args(args.iter().copied()).run();
        ran.exits(0);
        ran.stdout.trim().to_owned()
    }

    /// Writes a file, commits it and answers the commit.
    #[track_caller]
    pub fn commit(&self, path: &str, content: &str, message: &str) -> String {
        self.sandbox.write(path, content);
        self.git(&["add", "--", path]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.head()
    }

    /// The commit that is checked out.
    #[track_caller]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// What a remote has, by full name (`refs/tags/v1`, and `refs/tags/v1^{}` for the commit of an annotated tag).
    #[track_caller]
    pub fn refs(&self, remote: &str) -> BTreeMap<String, String> {
        let lines = self.git(&["ls-remote", "--refs", remote]) + "\n" + &self.git(&["ls-remote", "--tags", remote]);
        let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
        pairs.map(|(commit, name)| (name.to_owned(), commit.to_owned())).collect()
    }

    /// Makes a remote refuse every push with that message, or (with none) take them again.
    pub fn refuse_pushes(&self, remote: &str, message: Option<&str>) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.remote(remote).join("hooks/pre-receive");
        match message {
            None => fs::remove_file(&hook).expect("it had been made to refuse"),
            Some(message) => {
                fs::create_dir_all(hook.parent().expect("a hook has a folder")).expect("the sandbox is writable");
                fs::write(&hook, format!("#!/bin/sh\necho '{message}' >&2\nexit 1\n")).expect("the sandbox is writable");
                fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("the file is ours");
            }
        }
    }
}
