//! What every journal must do; the same tests run against each.

use std::sync::Arc;

use super::{Batch, Blob, Error, Holder, Journal, MemoryJournal, RunRecord, SqliteJournal};
use crate::model::{Envelope, Event, JOURNAL_VERSION, Outcome, Payload, Request, RunId, Timestamp};

fn holder(pid: u32) -> Holder {
    Holder { host: "box".into(), pid, user: "ops".into(), since: Timestamp(1) }
}

fn record(run: &str) -> RunRecord {
    RunRecord {
        run: RunId(run.into()),
        formula: "release".into(),
        fingerprint: "sha256:f".into(),
        key: None,
        workdir: "/srv/box".into(),
        started: Timestamp(1),
        updated: Timestamp(1),
        outcome: None,
        changed: false,
    }
}

fn entry(run: &str, seq: u64, event: Event) -> Envelope {
    Envelope { v: JOURNAL_VERSION, run: RunId(run.into()), seq, at: Timestamp(i64::try_from(seq).unwrap()), event }
}

fn started(run: &str) -> Batch {
    let plan = Payload::Value(serde_json::json!({}));
    let event =
        Event::RunStarted { formula: "release".into(), fingerprint: "sha256:f".into(), plan, tool: "0.1.0".into(), by: "ops".into() };
    Batch { entries: vec![entry(run, 1, event)], blobs: Vec::new() }
}

fn attempt(run: &str, seq: u64) -> Batch {
    Batch { entries: vec![entry(run, seq, Event::AttemptStarted { step: "a".into(), attempt: 1 })], blobs: Vec::new() }
}

fn each(test: impl Fn(&dyn Fn() -> Arc<dyn Journal>)) {
    let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    test(&|| memory.clone());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    test(&|| Arc::new(SqliteJournal::create_or_open(&path, "0.1.0").unwrap()));
}

#[test]
fn what_was_acknowledged_is_read_back_in_order() {
    each(|open| {
        let journal = open();
        let lease = journal.create(&record("R1"), &holder(1), started("R1")).unwrap();
        let acks: Vec<_> = (2..50).map(|seq| journal.append(&lease, attempt("R1", seq))).collect();
        for ack in acks {
            ack.blocking_recv().unwrap().unwrap();
        }
        let again = open();
        let entries = again.read(&lease.run, 0).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..50).collect::<Vec<_>>());
        assert_eq!(again.read(&lease.run, 48).unwrap().len(), 2);
        assert_eq!(again.runs().unwrap()[0].updated, Timestamp(49));
    });
}

#[test]
fn a_driver_that_lost_its_lease_cannot_write() {
    each(|open| {
        let journal = open();
        let old = journal.create(&record("R1"), &holder(1), started("R1")).unwrap();
        let new = journal.acquire(&old.run, &holder(2)).unwrap();
        assert_eq!(journal.append(&old, attempt("R1", 2)).blocking_recv().unwrap(), Err(Error::Fenced { run: "R1".into() }));
        journal.append(&new, attempt("R1", 2)).blocking_recv().unwrap().unwrap();
        assert_eq!(journal.holder(&new.run).unwrap().unwrap().pid, 2);
        journal.release(&old).unwrap();
        assert!(journal.holder(&new.run).unwrap().is_some(), "an old lease gives nothing back");
        journal.release(&new).unwrap();
        assert_eq!(journal.holder(&new.run).unwrap(), None);
    });
}

#[test]
fn a_sequence_number_is_taken_once() {
    each(|open| {
        let journal = open();
        let lease = journal.create(&record("R1"), &holder(1), started("R1")).unwrap();
        assert!(journal.append(&lease, attempt("R1", 1)).blocking_recv().unwrap().is_err());
        assert_eq!(journal.read(&lease.run, 0).unwrap().len(), 1);
    });
}

#[test]
fn outcome_follows_the_events() {
    each(|open| {
        let journal = open();
        let lease = journal.create(&record("R1"), &holder(1), started("R1")).unwrap();
        let finished = Event::RunFinished { outcome: Outcome::Held, changed: true };
        let batch = Batch { entries: vec![entry("R1", 2, finished)], blobs: Vec::new() };
        journal.append(&lease, batch).blocking_recv().unwrap().unwrap();
        let record = journal.runs().unwrap().remove(0);
        assert_eq!((record.outcome, record.changed), (Some(Outcome::Held), true));
        assert_eq!(journal.holder(&lease.run).unwrap(), None, "the end of a run lets go of it");
        journal.release(&lease).unwrap();
        let resumed = Event::RunResumed { tool: "0.1.0".into(), by: "ops".into() };
        let batch = Batch { entries: vec![entry("R1", 3, resumed)], blobs: Vec::new() };
        journal.append(&lease, batch).blocking_recv().unwrap().unwrap();
        assert_eq!(journal.runs().unwrap()[0].outcome, None);
    });
}

#[test]
fn blobs_and_requests_come_back_and_go_with_their_run() {
    each(|open| {
        let journal = open();
        let digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let mut first = started("R1");
        first.blobs.push(Blob { digest: digest.into(), bytes: b"foo".to_vec() });
        journal.create(&record("R1"), &holder(1), first).unwrap();
        let run = RunId("R1".into());
        let cancel = Request::Cancel { by: "ops".into(), now: false, rollback: false };
        let first = journal.post(&run, &cancel).unwrap();
        let second = journal.post(&run, &Request::Rollback { by: "ops".into(), to: None }).unwrap();
        assert_eq!(journal.requests(&run, 0).unwrap().len(), 2);
        assert_eq!(journal.requests(&run, first).unwrap(), [(second, Request::Rollback { by: "ops".into(), to: None })]);
        assert_eq!(open().blob(digest).unwrap(), b"foo");
        journal.remove(&run).unwrap();
        assert!(journal.blob(digest).is_err());
        assert!(journal.read(&run, 0).is_err());
        assert!(journal.runs().unwrap().is_empty());
    });
}

#[test]
fn a_changed_byte_is_damage_and_not_an_empty_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = SqliteJournal::create_or_open(&path, "0.1.0").unwrap();
    let lease = journal.create(&record("R1"), &holder(1), started("R1")).unwrap();
    for seq in 2..5 {
        journal.append(&lease, attempt("R1", seq)).blocking_recv().unwrap().unwrap();
    }
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("DELETE FROM events WHERE seq = 3", []).unwrap();
    let journal = SqliteJournal::create_or_open(&path, "0.1.0").unwrap();
    assert!(matches!(journal.read(&lease.run, 0), Err(Error::Damaged { what, .. }) if what.contains("event 3")));
    connection.execute("UPDATE events SET body = '{' WHERE seq = 2", []).unwrap();
    assert!(matches!(journal.read(&lease.run, 0), Err(Error::Damaged { what, .. }) if what.contains("event 2")));
    connection.execute("UPDATE events SET v = 99", []).unwrap();
    assert!(matches!(journal.read(&lease.run, 0), Err(Error::Newer { found: 99, .. })));
}
