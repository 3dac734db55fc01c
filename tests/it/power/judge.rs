//! The oracle: what must hold of every state that a power cut may leave, by the program's own reader of the journal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use formula::journal::{Journal as _, SqliteJournal};
use serde_json::Value;

use super::acts::{LINK, Story, What};
use super::disk::{Content, Disk, Forget, State, Tree};

/// The journal and what SQLite keeps beside it, below the root.
const JOURNAL: [&str; 3] = [".formula/journal.db", ".formula/journal.db-wal", ".formula/journal.db-journal"];

/// A file that a step writes in one go.
pub struct Watched {
    /// The step.
    pub step: &'static str,
    /// The file, below the root.
    pub path: &'static str,
    /// Its content before and after the step; nothing where there is no file.
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
}

/// What is known of a recording beside its story.
pub struct Facts {
    /// The events of the run as they were in the end.
    pub events: Vec<Value>,
    /// How many there were before.
    pub known: usize,
    /// The files.
    pub watched: Vec<Watched>,
    /// The event that says a step is about to act, and the one that says it has.
    pub intent: &'static str,
    pub done: &'static str,
}

/// What was found.
#[derive(Default)]
pub struct Verdict {
    /// Different states.
    pub states: HashSet<u64>,
    /// Different journals among them, each opened.
    pub journals: usize,
    /// Kinds of faults with how often, and the first of each.
    pub faults: BTreeMap<&'static str, (usize, String)>,
    /// The first state with a fault.
    pub faulty: Option<State>,
    /// Some of the states, for the program itself to be tried on.
    pub sample: Vec<State>,
}

impl Verdict {
    fn fault(&mut self, kind: &'static str, cut: usize, variant: usize, what: String) {
        let entry = self.faults.entry(kind).or_insert_with(|| (0, format!("cut {cut}, variant {variant}: {what}")));
        entry.0 += 1;
    }

    /// All faults in one text.
    pub fn told(&self) -> String {
        let lines = self.faults.iter().map(|(kind, (count, first))| format!("{kind} ({count} states), first at {first}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What a journal says, or why it cannot be read.
type Read = Result<Vec<Value>, String>;

/// Judges recordings.
pub struct Judge<'a> {
    pub story: &'a Story,
    pub facts: &'a Facts,
    /// A folder of its own, in memory.
    pub bench: &'a Path,
}

impl Judge<'_> {
    /// Judges every state at each `step`-th cut from `first` on. Keeps every `keep`-th state.
    pub fn judge(&self, forget: Forget<'_>, (first, step): (usize, usize), keep: usize) -> Verdict {
        let mut verdict = Verdict::default();
        let mut read: HashMap<[Option<u64>; 3], Read> = HashMap::new();
        let said = self.said();
        let mut disk = Disk::new(self.story, forget);
        disk.play(
            |cut| cut % step == first,
            |state| {
                if !verdict.states.insert(state.digest) {
                    return;
                }
                let key = JOURNAL.map(|path| file(&state.tree, path).map(|content| content.digest));
                let events = read.entry(key).or_insert_with(|| self.read(&state.tree));
                let story = &self.story.acts[state.cut];
                // Whoever was being told may have heard it already.
                let acked = said.iter().take_while(|(begin, _)| *begin <= story.end).last().map_or(0, |(_, seq)| *seq);
                self.look(&state, events, acked.max(self.facts.known), &mut verdict);
                if verdict.faulty.is_none() && !verdict.faults.is_empty() {
                    verdict.faulty = Some(state);
                    return;
                }
                if keep > 0 && verdict.states.len() % keep == 0 {
                    verdict.sample.push(state);
                }
            },
        );
        verdict.journals = read.len();
        verdict
    }

    /// When the program told of an event, and of which.
    fn said(&self) -> Vec<(usize, usize)> {
        let mut said = Vec::new();
        for act in &self.story.acts {
            let What::Said { text } = &act.what else { continue };
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("a line in one piece: {error}: {line}"));
                if let Some(seq) = line["seq"].as_u64() {
                    said.push((act.begin, seq as usize));
                } else if line["verdict"].is_object() {
                    said.push((act.begin, self.facts.events.len()));
                }
            }
        }
        said
    }

    /// What the journal of a state says.
    pub fn events(&self, tree: &Tree) -> Read {
        self.read(tree)
    }

    fn read(&self, tree: &Tree) -> Read {
        for path in JOURNAL {
            let to = self.bench.join(Path::new(path).file_name().expect("a name"));
            let _ = fs::remove_file(&to);
            if let Some(content) = file(tree, path) {
                fs::write(&to, content.bytes.as_ref()).expect("room for a journal");
            }
        }
        // Anything may be left in it, and nothing of it may count.
        fs::write(self.bench.join("journal.db-shm"), vec![0xa5; 32 * 1024]).expect("room for a journal");
        let path = self.bench.join("journal.db");
        let read = || -> Result<Vec<Value>, formula::journal::Error> {
            let Some(journal) = SqliteJournal::open(&path, "test")? else { return Ok(Vec::new()) };
            let Some(record) = journal.runs()?.pop() else { return Ok(Vec::new()) };
            let entries = journal.read(&record.run, 0)?;
            let mut events = Vec::new();
            for entry in entries {
                let entry = entry.to_json();
                if let Some(digest) = blob(&entry) {
                    journal.blob(digest)?;
                }
                events.push(entry);
            }
            Ok(events)
        };
        let events = read().map_err(|error| error.to_string())?;
        self.integrity(&path).map_or(Ok(events), Err)
    }

    /// What SQLite itself finds wrong.
    fn integrity(&self, path: &Path) -> Option<String> {
        let connection = rusqlite::Connection::open(path).ok()?;
        let found: Result<String, _> = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
        match found {
            Ok(word) if word == "ok" => None,
            Ok(words) => Some(words),
            Err(error) => Some(error.to_string()),
        }
    }

    fn look(&self, state: &State, events: &Read, acked: usize, verdict: &mut Verdict) {
        let (cut, variant) = (state.cut, state.variant);
        let events = match events {
            Ok(events) => events,
            Err(error) => return verdict.fault("corrupt", cut, variant, error.clone()),
        };
        if events.is_empty() && state.tree.contains_key(Path::new(".formula/runs")) {
            verdict.fault("refused", cut, variant, "the journal holds nothing and runs left logs".into());
        }
        if events.len() < acked {
            let lost = format!("{acked} events were told of, {} are there", events.len());
            verdict.fault("lost", cut, variant, lost);
        }
        if events[..] != self.facts.events[..events.len().min(self.facts.events.len())] {
            verdict.fault("other history", cut, variant, format!("{} events", events.len()));
        }
        for watched in &self.facts.watched {
            let found = file(&state.tree, watched.path).map(|content| content.bytes.as_ref());
            let (before, after) = (found == watched.before.as_ref(), found == watched.after.as_ref());
            let has = |kind: &str| events.iter().any(|entry| entry["event"]["type"] == kind && entry["event"]["step"] == watched.step);
            if !before && !after {
                let found = found.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                verdict.fault("mixed", cut, variant, format!("`{}` is {found:?}", watched.path));
            } else if !before && !has(self.facts.intent) {
                verdict.fault("effect before intent", cut, variant, format!("`{}` is new and nothing says why", watched.path));
            } else if !after && has(self.facts.done) {
                verdict.fault("effect lost", cut, variant, format!("`{}` is old and `{}` is done", watched.path, watched.step));
            }
        }
    }
}

/// The digest of a blob that an event names.
fn blob(entry: &Value) -> Option<&str> {
    ["plan", "output", "probe"].iter().find_map(|field| entry["event"][field]["blob"]["digest"].as_str())
}

fn file<'a>(tree: &'a Tree, path: &str) -> Option<&'a Content> {
    tree.get(Path::new(path)).and_then(Option::as_ref)
}

/// Puts a state on a real disk.
pub fn lay_out(tree: &Tree, root: &Path) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let mode = |path: &PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    fs::remove_dir_all(root).and_then(|()| fs::create_dir(root)).expect("it is ours");
    for (path, content) in tree {
        let to = root.join(path);
        match content.as_ref().map(|content| (content, content.bytes.strip_prefix(LINK))) {
            None => fs::create_dir(&to).expect("its folder is there"),
            Some((_, Some(target))) => {
                symlink(OsStr::from_bytes(target), &to).expect("its folder is there");
                continue;
            }
            Some((content, None)) => fs::write(&to, content.bytes.as_ref()).expect("its folder is there"),
        }
        if path.starts_with(".formula") {
            mode(&to, if content.is_none() { 0o700 } else { 0o600 });
        }
    }
}
