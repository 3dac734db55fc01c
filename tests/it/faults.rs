//! Faults of the system: the k-th call of a kind fails, for every k that a run comes by, once and from then on. Whatever fails, the program ends with a
//! code that the reference knows and says why; when the fault is gone, the same command ends like a run that met none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::power::{tools, with_tools};
use crate::support::{Ran, Sandbox, announce, formula, strace_or_skip, traced_formula};

/// A program that tells by itself whether it has acted, and two files that are written in one go. No step needs another program than the shell.
const FORMULA: &str = r#"
name = "faults"

[[steps]]
id = "act"
uses = "shell"
[steps.with]
probe = "while read line; do [ $line != acted ] || exit 0; done <ledger; exit 1"
script = "echo acted >>ledger"

[[steps]]
id = "env"
uses = "env-set"
with = { file = ".env", set = { A = "new" } }

[[steps]]
id = "conf"
uses = "write-file"
with = { path = "conf/x.json", content = { a = 1 } }
"#;

/// Kinds of calls, what they may fail with, and from which k on: the loader's own calls come before those of the program.
const CALLS: &[(&str, &[&str])] = &[
    ("open,openat", &["EIO", "EACCES", "EMFILE", "ENOSPC", "EROFS", "EINTR"]),
    ("pwrite64", &["ENOSPC", "EIO", "EINTR", "EROFS"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("mkdir,mkdirat", &["ENOSPC", "EACCES", "EROFS"]),
    ("unlink,unlinkat", &["EIO", "EROFS"]),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC"]),
    ("linkat", &["ENOSPC", "EMLINK"]),
    ("symlinkat", &["ENOSPC", "EIO"]),
    ("flock", &["ENOLCK", "EINTR"]),
    ("fchmod,fchown", &["EPERM", "EIO"]),
    ("clone,clone3,fork,vfork", &["EAGAIN", "ENOMEM"]),
    ("execve", &["ENOENT", "E2BIG", "EAGAIN", "EACCES"]),
    ("pipe2", &["EMFILE"]),
];

/// Codes of `docs/reference/exit-codes.md` that a fault may end in: neither a defect nor a signal.
const DEFINED: [i32; 8] = [0, 2, 10, 11, 12, 20, 23, 74];

/// How a fault is put.
struct Fault {
    calls: &'static str,
    error: &'static str,
    k: usize,
    for_ever: bool,
}

impl Fault {
    fn option(&self) -> String {
        format!("inject={}:error={}:when={}{}", self.calls, self.error, self.k, if self.for_ever { "+" } else { "" })
    }
}

/// What a sweep came by.
#[derive(Default)]
struct Count {
    faults: usize,
    elsewhere: usize,
    codes: BTreeMap<i32, usize>,
    calls: BTreeSet<&'static str>,
}

/// A project that every fault finds as it was.
struct Sweep {
    sandbox: Sandbox,
    /// The project before.
    start: Vec<(PathBuf, Entry)>,
    /// Its files in the end.
    end: BTreeMap<String, String>,
    count: Count,
    /// What was found, each with the line that replays it.
    findings: Vec<String>,
}

impl Sweep {
    fn new(prepare: impl FnOnce(&Sandbox)) -> Self {
        let sandbox = Sandbox::in_memory();
        tools(&sandbox, &["strace", "sh"]);
        for (path, text) in [("formulas/faults.toml", FORMULA), (".env", "A=old\nB=2\n"), ("ledger", "")] {
            sandbox.write(path, text);
        }
        prepare(&sandbox);
        let mut start = Vec::new();
        snapshot(&sandbox.work(), &mut start);
        let mut sweep = Self { sandbox, start, end: BTreeMap::new(), count: Count::default(), findings: Vec::new() };
        sweep.clean().exits(0);
        sweep.end = sweep.files();
        let names: Vec<_> = sweep.end.keys().map(String::as_str).collect();
        assert_eq!(names, [".env", "conf/x.json", "formulas/faults.toml", "ledger"], "nothing half made is left");
        sweep
    }

    fn clean(&self) -> Ran {
        with_tools(formula(&self.sandbox), &self.sandbox).args(["run", "faults"]).run()
    }

    fn files(&self) -> BTreeMap<String, String> {
        self.sandbox.files()
    }

    fn reset(&self) {
        let work = self.sandbox.work();
        fs::remove_dir_all(&work).and_then(|()| fs::create_dir(&work)).expect("it is ours");
        for (path, entry) in &self.start {
            match entry {
                Entry::Folder => fs::create_dir(path).expect("its folder is there"),
                Entry::File(bytes) => fs::write(path, bytes).expect("its folder is there"),
                Entry::Link(target) => {
                    symlink(target, path).expect("its folder is there");
                    continue;
                }
            }
            if path.starts_with(work.join(".formula")) {
                let mode = if matches!(entry, Entry::Folder) { 0o700 } else { 0o600 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
            }
        }
    }

    /// All faults of a kind of calls: every k until a run comes by none any more.
    fn calls(&mut self, calls: &'static str, errors: &[&'static str]) {
        // The loader's calls are the first of each process; after so many runs without any of ours that was hit the end is reached.
        let mut missed = 0;
        for k in 1.. {
            for for_ever in [false, true] {
                let error = errors[(k + usize::from(for_ever)) % errors.len()];
                if for_ever && error == "EINTR" {
                    // Who is interrupted for ever may go on for ever.
                    continue;
                }
                let fault = Fault { calls, error, k, for_ever };
                match self.meet(&fault) {
                    Met::Nothing => missed += 1,
                    Met::Elsewhere => self.count.elsewhere += 1,
                    Met::Fault => {
                        self.count.faults += 1;
                        self.count.calls.insert(calls);
                        missed = 0;
                    }
                }
            }
            if missed >= 2 {
                break;
            }
        }
    }

    fn meet(&mut self, fault: &Fault) -> Met {
        self.reset();
        let log = self.sandbox.root().join("injected");
        let option = fault.option();
        let trace = format!("trace={}", fault.calls);
        let options = ["-y", "-e", &trace, "-e", &option, "-o", log.to_str().expect("a plain path")];
        let ran = with_tools(traced_formula(&self.sandbox, &options), &self.sandbox).args(["run", "faults"]).run();
        let log = fs::read_to_string(&log).unwrap_or_default();
        let hits: Vec<&str> = log.lines().filter(|line| line.contains("(INJECTED)")).collect();
        if hits.is_empty() {
            return Met::Nothing;
        }
        if hits.iter().any(|line| is_elsewhere(line, fault.calls)) {
            return Met::Elsewhere;
        }
        if let Err(why) = self.judge(&ran) {
            let first = hits.first().copied().unwrap_or_default();
            self.findings.push(format!("strace -f -e {} formula run faults\n  {first}\n  {why}", fault.option()));
        }
        Met::Fault
    }

    fn judge(&mut self, ran: &Ran) -> Result<(), String> {
        let story = |ran: &Ran| format!("exit code {:?}, signal {:?}: {}", ran.code, ran.signal, ran.stderr);
        let Some(code) = ran.code.filter(|code| DEFINED.contains(code)) else { return Err(story(ran)) };
        *self.count.codes.entry(code).or_default() += 1;
        if ran.stderr.contains("panicked") || (code != 0 && ran.stderr.trim().is_empty()) {
            return Err(story(ran));
        }
        let again = self.clean();
        if again.code != Some(0) {
            return Err(format!("{}\n  and without the fault: {}", story(ran), story(&again)));
        }
        let files = self.files();
        if files != self.end {
            return Err(format!("{}\n  and without the fault: {files:?} instead of {:?}", story(ran), self.end));
        }
        Ok(())
    }
}

enum Met {
    /// No call was hit: there are fewer.
    Nothing,
    /// Something that is none of ours: the loader, or what threads wake each other with.
    Elsewhere,
    /// A call of ours.
    Fault,
}

/// Whether a call that was hit is none on files of the project, nor one that starts a program.
fn is_elsewhere(line: &str, calls: &str) -> bool {
    if calls.starts_with("clone") || calls == "execve" || calls == "pipe2" {
        // The first of all is the program itself.
        return line.contains("/formula\"");
    }
    ["/lib", "/usr", "/etc", "/proc", "/sys", "/dev/urandom", "/dev/null", "anon_inode", "pipe:", "socket:", "TCP", "UNIX"]
        .iter()
        .any(|place| line.contains(place))
}

/// What is at a path.
enum Entry {
    Folder,
    File(Vec<u8>),
    Link(PathBuf),
}

fn snapshot(folder: &Path, into: &mut Vec<(PathBuf, Entry)>) {
    for entry in fs::read_dir(folder).expect("the sandbox is readable").flatten() {
        let path = entry.path();
        if path.is_symlink() {
            into.push((path.clone(), Entry::Link(fs::read_link(&path).expect("the sandbox is readable"))));
        } else if path.is_dir() {
            into.push((path.clone(), Entry::Folder));
            snapshot(&path, into);
        } else {
            into.push((path.clone(), Entry::File(fs::read(&path).expect("the sandbox is readable"))));
        }
    }
}

#[track_caller]
fn sweep(name: &str, prepare: impl FnOnce(&Sandbox), least: (usize, usize)) {
    let mut sweep = Sweep::new(prepare);
    for (calls, errors) in CALLS {
        sweep.calls(calls, errors);
    }
    let Count { faults, elsewhere, codes, calls } = &sweep.count;
    announce(&format!(
        "faults: {name}: {faults} faults of {} kinds of calls ({elsewhere} met others than ours), exit codes {codes:?}, {} findings",
        calls.len(),
        sweep.findings.len()
    ));
    assert!(sweep.findings.is_empty(), "{} findings\n{}", sweep.findings.len(), sweep.findings.join("\n"));
    assert!(*faults >= least.0 && calls.len() >= least.1, "only {faults} faults of {calls:?}");
}

#[test]
fn a_first_run_that_meets_a_fault_says_so_and_can_be_carried_on() {
    strace_or_skip!("a_first_run_that_meets_a_fault_says_so_and_can_be_carried_on");
    sweep("first run", |_| {}, (150, 11));
}

#[test]
fn a_run_that_was_cut_off_and_meets_a_fault_says_so_and_can_be_carried_on() {
    strace_or_skip!("a_run_that_was_cut_off_and_meets_a_fault_says_so_and_can_be_carried_on");
    let cut_off = |sandbox: &Sandbox| {
        // At the first name that a step gives to a file: its intent is written down, its effect is not there.
        let options = ["-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:when=1", "-o", "/dev/null"];
        with_tools(traced_formula(sandbox, &options), sandbox).args(["run", "faults"]).run().was_killed();
    };
    sweep("cut off", cut_off, (100, 9));
}
