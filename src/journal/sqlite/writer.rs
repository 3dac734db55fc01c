//! The thread that owns the writing connection. Batches that arrive together share one commit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::super::{Batch, Error, Lease, Result};
use super::schema::fault;
use crate::model::{Event, RunId};

/// More than this many batches are never put into one commit.
const GROUP: usize = 256;

/// Something to write, and whom to tell.
pub(super) enum Job {
    /// Append under a lease.
    Append { lease: Lease, batch: Batch, done: oneshot::Sender<Result<()>> },
    /// Any other change, in a transaction of its own. The caller blocks, so its channel is not one of a runtime.
    Change { change: Change, done: SyncSender<Result<u64>> },
}

type Change = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Result<u64>> + Send>;

/// Handle to the thread; dropping it lets the thread finish what it has.
pub(super) struct Writer {
    sender: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection, path: PathBuf) -> Result<Self> {
        let (sender, receiver) = channel();
        let failed = path.clone();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || Thread { connection, path, ids: HashMap::new(), broken: None }.run(&receiver))
            .map_err(|error| Error::Io { doing: "start the writer of", path: failed, cause: error.to_string() })?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Hands over a job. A thread that is gone drops the answer's sender, which the receiver sees.
    pub(super) fn send(&self, job: Job) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Connection,
    path: PathBuf,
    /// Row ids of runs seen so far.
    ids: HashMap<RunId, i64>,
    /// The first failure. A disk that failed once is not asked again: fsync may report an error only once.
    broken: Option<Error>,
}

impl Thread {
    fn run(mut self, receiver: &Receiver<Job>) {
        while let Ok(first) = receiver.recv() {
            let mut appends = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Append { lease, batch, done } => appends.push((lease, batch, done)),
                    Job::Change { change, done } => {
                        self.flush(&mut appends);
                        let _ = done.send(self.change(change));
                    }
                }
                if appends.len() < GROUP {
                    next = receiver.try_recv().ok();
                }
            }
            self.flush(&mut appends);
        }
    }

    fn flush(&mut self, appends: &mut Vec<(Lease, Batch, oneshot::Sender<Result<()>>)>) {
        if appends.is_empty() {
            return;
        }
        let results = self.commit(appends);
        for ((_, _, done), result) in appends.drain(..).zip(results) {
            let _ = done.send(result);
        }
    }

    fn commit(&mut self, appends: &[(Lease, Batch, oneshot::Sender<Result<()>>)]) -> Vec<Result<()>> {
        if let Some(error) = &self.broken {
            return appends.iter().map(|_| Err(error.clone())).collect();
        }
        match self.transaction(appends) {
            Ok(results) => results,
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                let error = fault("write", &self.path, &error);
                self.broken = Some(error.clone());
                appends.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn transaction(&mut self, appends: &[(Lease, Batch, oneshot::Sender<Result<()>>)]) -> rusqlite::Result<Vec<Result<()>>> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut results = Vec::with_capacity(appends.len());
        for (lease, batch, _) in appends {
            results.push(self.append(lease, batch)?);
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(results)
    }

    fn append(&mut self, lease: &Lease, batch: &Batch) -> rusqlite::Result<Result<()>> {
        let held = self
            .connection
            .prepare_cached("SELECT id, epoch FROM runs WHERE run = ?1")?
            .query_row([lease.run.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)))
            .optional()?;
        let Some((id, epoch)) = held else {
            return Ok(Err(Error::NoSuchRun { run: lease.run.to_string() }));
        };
        self.ids.insert(lease.run.clone(), id);
        if epoch != lease.epoch {
            return Ok(Err(Error::Fenced { run: lease.run.to_string() }));
        }
        write_batch(&self.connection, id, batch)?;
        Ok(Ok(()))
    }

    fn change(&mut self, change: Change) -> Result<u64> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let run = || -> rusqlite::Result<Result<u64>> {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let result = change(&self.connection)?;
            self.connection.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            Ok(result)
        };
        run().unwrap_or_else(|error| {
            let _ = self.connection.execute_batch("ROLLBACK");
            let error = fault("write", &self.path, &error);
            self.broken = Some(error.clone());
            Err(error)
        })
    }
}

/// Inserts blobs and events, and keeps the run's row in step. The primary key refuses a sequence number that is taken.
pub(super) fn write_batch(connection: &Connection, id: i64, batch: &Batch) -> rusqlite::Result<()> {
    for blob in &batch.blobs {
        connection
            .prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
            .execute(params![blob.digest, blob.bytes])?;
        connection.prepare_cached("INSERT OR IGNORE INTO blob_uses (run, digest) VALUES (?1, ?2)")?.execute(params![id, blob.digest])?;
    }
    let mut insert = connection.prepare_cached("INSERT INTO events (run, seq, at, v, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for entry in &batch.entries {
        let body = serde_json::to_string(&entry.event).expect("events are plain data");
        insert.execute(params![id, entry.seq, entry.at.0, entry.v, body])?;
        match &entry.event {
            Event::RunFinished { outcome, changed } => {
                // Letting go in the same commit saves the end of every run a sync of its own.
                connection.execute(
                    "UPDATE runs SET outcome = ?2, changed = ?3, holder = NULL WHERE id = ?1",
                    params![id, outcome.as_str(), changed],
                )?;
            }
            Event::RunResumed { .. } | Event::RollbackRequested { .. } => {
                connection.execute("UPDATE runs SET outcome = NULL WHERE id = ?1", [id])?;
            }
            Event::PlanReplaced { fingerprint, .. } => {
                connection.execute("UPDATE runs SET fingerprint = ?2 WHERE id = ?1", params![id, fingerprint])?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether there is a journal at that path.
pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
