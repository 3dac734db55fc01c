//! The real git program on repositories in temporary folders, with a configuration of its own.

mod local;
mod remote;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::RealGit;

/// A folder with a repository `work` on branch `main`, one commit in it, and a bare one `mirror`, which is its remote `origin`.
struct Place {
    folder: TempDir,
    env: BTreeMap<String, String>,
    git: RealGit,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    fs::write(&config, "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n").unwrap();
    let env = BTreeMap::from(
        [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", folder.path().to_str().unwrap()),
            ("GIT_CONFIG_GLOBAL", config.to_str().unwrap()),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CEILING_DIRECTORIES", folder.path().to_str().unwrap()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let at = Place { git: RealGit::new(env.clone()), folder, env };
    at.sh(&["init", "--quiet", "work"], at.folder.path());
    at.sh(&["init", "--quiet", "--bare", "mirror"], at.folder.path());
    at.run(&["remote", "add", "origin", at.mirror().to_str().unwrap()]);
    at.commit(&[("file", "one\n")]);
    at
}

impl Place {
    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
    fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }
    /// Plain git in `work`; what it prints.
    fn run(&self, args: &[&str]) -> String {
        self.sh(args, &self.work())
    }
    fn sh(&self, args: &[&str], dir: &Path) -> String {
        let mut git = std::process::Command::new("git");
        let done = git.args(args).current_dir(dir).env_clear().envs(&self.env).output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }
    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.work().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    /// Commits these files and gives the commit's id.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        self.write(files);
        for (path, _) in files {
            self.run(&["add", "--force", "--", path]);
        }
        self.run(&["commit", "--quiet", "--allow-empty", "--message=change"]);
        self.run(&["rev-parse", "HEAD"])
    }
    /// All refs of the mirror, `name object` each.
    fn mirrored(&self) -> Vec<String> {
        let refs = self.sh(&["for-each-ref", "--format=%(refname) %(objectname)"], &self.mirror());
        refs.lines().map(str::to_owned).collect()
    }
    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.work().join(path)).unwrap()
    }
}
