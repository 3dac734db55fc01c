//! What a sandbox's journal holds, for tests that cut the program off before it could print all of it.

use formula::journal::{Journal as _, SqliteJournal};
use serde_json::Value;

use super::Sandbox;

/// The events of the newest run, in order. Nobody may be driving it.
#[track_caller]
pub fn journaled(sandbox: &Sandbox) -> Vec<Value> {
    let path = sandbox.work().join(".formula/journal.db");
    let journal = SqliteJournal::open(&path, "test").expect("a sound journal").expect("a journal");
    let run = journal.runs().expect("a list of runs").swap_remove(0).run;
    let entries = journal.read(&run, 0).expect("the run's events");
    entries.iter().map(|entry| entry.to_json()["event"].clone()).collect()
}
