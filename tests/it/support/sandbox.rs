//! A folder of its own for one test, with a home, an environment and nothing of the tester's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::environment::{tester_docker_plugins, tester_variable};
use super::{processes, redactor::Redactor};

/// Marks every process that a sandbox started, whatever became of its parent.
pub const MARK: &str = "FORMULA_TEST_SANDBOX";

const GIT_CONFIG: &str = "\
[user]
\tname = Ada Tester
\temail = ada@example.org
[init]
\tdefaultBranch = main
[commit]
\tgpgSign = false
[tag]
\tgpgSign = false
[gc]
\tauto = 0
";

/// A folder with `home`, `work` and `tmp`. On drop, processes that still live in it are killed and the folder is removed.
pub struct Sandbox {
    root: TempDir,
    name: String,
    /// Replaces, in what programs print, all that differs from run to run.
    pub redactor: Redactor,
}

impl Sandbox {
    /// A sandbox on the disk.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// A sandbox in memory, where `fsync` costs nothing: for tests that kill processes by the hundred. Says nothing about power loss.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::within(if memory.is_dir() { memory } else { Path::new("/tmp") })
    }

    fn within(folder: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("formula-test-{}-{number}", std::process::id());
        let root = tempfile::Builder::new().prefix("formula-test-").tempdir_in(folder).expect("a temporary folder can be made");
        let mut redactor = Redactor::new();
        redactor.literal(&root.path().join("work").to_string_lossy(), "[WORK]");
        redactor.literal(&root.path().to_string_lossy(), "[SANDBOX]");
        let sandbox = Self { root, name, redactor };
        for folder in ["home/.docker", "work", "tmp"] {
            fs::create_dir_all(sandbox.root().join(folder)).expect("the sandbox is writable");
        }
        fs::write(sandbox.home().join(".gitconfig"), GIT_CONFIG).expect("the sandbox is writable");
        if let Some(plugins) = tester_docker_plugins() {
            symlink(plugins, sandbox.home().join(".docker/cli-plugins")).expect("the sandbox is writable");
        }
        sandbox
    }

    /// The whole sandbox.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `HOME` of everything that is started here.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Where programs are started.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// A name that no other sandbox has, fit for images, projects and containers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file below `work`, with its folders.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        let folder = path.parent().expect("a file below `work` has a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Reads a text file below `work`.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.work().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every file below `work` with its content (lossy where it is no text), without what git and `formula` keep for themselves.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(&self.work(), &self.work(), &mut files);
        files
    }

    /// The environment of everything that is started here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let inside = |path: &str| self.root().join(path).to_string_lossy().into_owned();
        let mut environment = vec![
            ("HOME", inside("home")),
            ("TMPDIR", inside("tmp")),
            ("DOCKER_CONFIG", inside("home/.docker")),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("USER", "ada".to_owned()),
            (MARK, self.root().to_string_lossy().into_owned()),
        ];
        // Where programs lie, and which engine to use, is the machine's own affair.
        for name in ["PATH", "DOCKER_HOST"] {
            environment.extend(tester_variable(name).map(|value| (name, value)));
        }
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// A program that knows nothing but this sandbox, to be started in `work`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.work());
        command
    }

    /// Processes that this sandbox started, directly or not, and that still run.
    pub fn survivors(&self) -> Vec<u32> {
        processes::inside(self.root(), MARK)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let survivors = self.survivors();
            for pid in &survivors {
                processes::kill(*pid);
            }
            if survivors.is_empty() || Instant::now() > deadline {
                break;
            }
            // A signal is on its way, not there.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the sandbox is readable").flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).expect("walked from `root`").to_string_lossy().into_owned();
        if name == ".git" || name == ".formula" {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, files);
        } else {
            let content = fs::read(&path).unwrap_or_default();
            files.insert(name, String::from_utf8_lossy(&content).into_owned());
        }
    }
}
