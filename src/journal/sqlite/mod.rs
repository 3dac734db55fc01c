//! The journal in a SQLite file, WAL with `synchronous = FULL`: an acknowledged batch survives a power cut.

mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use self::schema::fault;
use self::writer::{Job, Writer};
use super::{Ack, Batch, Error, Holder, Journal, Lease, Result, RunRecord};
use crate::model::{Envelope, Request, RunId, Timestamp};

/// The store of one state directory.
pub struct SqliteJournal {
    path: PathBuf,
    tool: String,
    /// Started by the first change: looking needs no thread.
    writer: Mutex<Option<Writer>>,
    /// For reading; one at a time.
    reader: Mutex<Connection>,
}

impl SqliteJournal {
    /// Opens the journal, and makes it if there is none.
    ///
    /// # Errors
    /// See [`Error`]: damage, a newer format, a disk that cannot.
    pub fn create_or_open(path: &Path, tool: &str) -> Result<Self> {
        let reader = schema::open(path, tool, true)?;
        Ok(Self::new(path, tool, reader.ok_or_else(|| empty(path))?))
    }

    /// Opens the journal if there is one. A file without anything in it is none: it is what a cut leaves of a journal that was being made.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path, tool: &str) -> Result<Option<Self>> {
        if !writer::exists(path) {
            return Ok(None);
        }
        Ok(schema::open(path, tool, false)?.map(|reader| Self::new(path, tool, reader)))
    }

    fn new(path: &Path, tool: &str, reader: Connection) -> Self {
        Self { path: path.into(), tool: tool.into(), writer: Mutex::new(None), reader: Mutex::new(reader) }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn send(&self, job: Job) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if writer.is_none() {
            let connection = schema::open(&self.path, &self.tool, false)?.ok_or_else(|| empty(&self.path))?;
            *writer = Some(Writer::start(connection, self.path.clone())?);
        }
        if let Some(writer) = writer.as_ref() {
            writer.send(job);
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<Result<u64>> + Send + 'static) -> Result<u64> {
        let (done, answer) = sync_channel(1);
        self.send(Job::Change { change: Box::new(change), done })?;
        answer.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> Error {
        Error::Io { doing: "write", path: self.path.clone(), cause: "the writer has stopped".into() }
    }

    fn io(&self, error: &rusqlite::Error) -> Error {
        fault("read", &self.path, error)
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn envelope(&self, run: &RunId, row: &Row<'_>) -> Result<Envelope> {
        let read = || -> rusqlite::Result<(u64, i64, u32, String)> { Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)) };
        let (seq, at, v, body) = read().map_err(|error| self.io(&error))?;
        if v > crate::model::JOURNAL_VERSION {
            return Err(Error::Newer {
                path: self.path.clone(),
                found: v,
                known: crate::model::JOURNAL_VERSION,
                tool: "a later version".into(),
            });
        }
        let event =
            serde_json::from_str(&body).map_err(|error| self.damaged(format!("event {seq} of run {run} does not read: {error}")))?;
        Ok(Envelope { v, run: run.clone(), seq, at: Timestamp(at), event })
    }
}

impl Journal for SqliteJournal {
    fn create(&self, record: &RunRecord, holder: &Holder, first: Batch) -> Result<Lease> {
        let (row, holder) = (record.clone(), json(holder));
        let epoch = self.change(move |connection| {
            connection.execute(
                "INSERT INTO runs (run, formula, fingerprint, key, workdir, started, epoch, holder) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)",
                params![row.run.as_str(), row.formula, row.fingerprint, row.key, row.workdir.to_string_lossy(), row.started.0, holder],
            )?;
            writer::write_batch(connection, connection.last_insert_rowid(), &first)?;
            Ok(Ok(1))
        })?;
        Ok(Lease { run: record.run.clone(), epoch })
    }

    fn acquire(&self, run: &RunId, holder: &Holder) -> Result<Lease> {
        let (name, holder) = (run.clone(), json(holder));
        let epoch = self.change(move |connection| {
            let epoch = connection
                .query_row(
                    "UPDATE runs SET epoch = epoch + 1, holder = ?2 WHERE run = ?1 RETURNING epoch",
                    params![name.as_str(), holder],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(epoch.ok_or_else(|| Error::NoSuchRun { run: name.to_string() }))
        })?;
        Ok(Lease { run: run.clone(), epoch })
    }

    fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.change(move |connection| {
            connection.execute(
                "UPDATE runs SET holder = NULL WHERE run = ?1 AND epoch = ?2 AND holder IS NOT NULL",
                params![lease.run.as_str(), lease.epoch],
            )?;
            Ok(Ok(0))
        })?;
        Ok(())
    }

    fn holder(&self, run: &RunId) -> Result<Option<Holder>> {
        let text: Option<Option<String>> = self
            .reader()
            .query_row("SELECT holder FROM runs WHERE run = ?1", [run.as_str()], |row| row.get(0))
            .optional()
            .map_err(|error| self.io(&error))?;
        text.flatten()
            .map(|text| serde_json::from_str(&text).map_err(|error| self.damaged(format!("holder of run {run} does not read: {error}"))))
            .transpose()
    }

    fn append(&self, lease: &Lease, batch: Batch) -> Ack {
        let (done, answer) = oneshot::channel();
        let job = Job::Append { lease: lease.clone(), batch, done };
        if let Err(error) = self.send(job) {
            let (done, answer) = oneshot::channel();
            let _ = done.send(Err(error));
            return answer;
        }
        answer
    }

    fn read(&self, run: &RunId, since: u64) -> Result<Vec<Envelope>> {
        let reader = self.reader();
        let io = |error: rusqlite::Error| self.io(&error);
        let id: Option<i64> =
            reader.query_row("SELECT id FROM runs WHERE run = ?1", [run.as_str()], |row| row.get(0)).optional().map_err(io)?;
        let id = id.ok_or_else(|| Error::NoSuchRun { run: run.to_string() })?;
        let mut statement =
            reader.prepare_cached("SELECT seq, at, v, body FROM events WHERE run = ?1 AND seq >= ?2 ORDER BY seq").map_err(io)?;
        let mut rows = statement.query(params![id, since]).map_err(io)?;
        let mut entries: Vec<Envelope> = Vec::new();
        while let Some(row) = rows.next().map_err(io)? {
            let entry = self.envelope(run, row)?;
            let expected = entries.last().map_or(since.max(1), |last| last.seq + 1);
            if entry.seq != expected {
                return Err(self.damaged(format!("event {expected} of run {run} is missing")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let found: Option<Vec<u8>> = self
            .reader()
            .query_row("SELECT bytes FROM blobs WHERE digest = ?1", [digest], |row| row.get(0))
            .optional()
            .map_err(|error| self.io(&error))?;
        let bytes = found.ok_or_else(|| self.damaged(format!("blob {digest} is missing")))?;
        if hex_digest(&bytes) == digest { Ok(bytes) } else { Err(self.damaged(format!("blob {digest} does not match its digest"))) }
    }

    fn runs(&self) -> Result<Vec<RunRecord>> {
        let reader = self.reader();
        let io = |error: rusqlite::Error| self.io(&error);
        let mut statement = reader
            .prepare_cached(
                "SELECT run, formula, fingerprint, key, workdir, started, outcome, changed,
                        (SELECT at FROM events WHERE events.run = runs.id ORDER BY seq DESC LIMIT 1)
                 FROM runs ORDER BY run DESC",
            )
            .map_err(io)?;
        let mut rows = statement.query([]).map_err(io)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(io)? {
            records.push(record(row).map_err(io)?);
        }
        Ok(records)
    }

    fn post(&self, run: &RunId, request: &Request) -> Result<u64> {
        let (run, body) = (run.clone(), json(request));
        self.change(move |connection| {
            connection.execute("INSERT INTO requests (run, body) VALUES (?1, ?2)", params![run.as_str(), body])?;
            Ok(Ok(connection.last_insert_rowid().unsigned_abs()))
        })
    }

    fn requests(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Request)>> {
        let reader = self.reader();
        let io = |error: rusqlite::Error| self.io(&error);
        let mut statement = reader.prepare_cached("SELECT id, body FROM requests WHERE run = ?1 AND id > ?2 ORDER BY id").map_err(io)?;
        let mut rows = statement.query(params![run.as_str(), after]).map_err(io)?;
        let mut requests = Vec::new();
        while let Some(row) = rows.next().map_err(io)? {
            let (id, body): (u64, String) = (row.get(0).map_err(io)?, row.get(1).map_err(io)?);
            let request = serde_json::from_str(&body).map_err(|error| self.damaged(format!("request {id} does not read: {error}")))?;
            requests.push((id, request));
        }
        Ok(requests)
    }

    fn remove(&self, run: &RunId) -> Result<()> {
        let run = run.clone();
        self.change(move |connection| {
            connection.execute("DELETE FROM events WHERE run = (SELECT id FROM runs WHERE run = ?1)", [run.as_str()])?;
            connection.execute("DELETE FROM blob_uses WHERE run = (SELECT id FROM runs WHERE run = ?1)", [run.as_str()])?;
            connection.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM blob_uses)", [])?;
            connection.execute("DELETE FROM requests WHERE run = ?1", [run.as_str()])?;
            connection.execute("DELETE FROM runs WHERE run = ?1", [run.as_str()])?;
            Ok(Ok(0))
        })?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let outcome: Option<String> = row.get(6)?;
    let started = Timestamp(row.get(5)?);
    Ok(RunRecord {
        run: RunId(row.get(0)?),
        formula: row.get(1)?,
        fingerprint: row.get(2)?,
        key: row.get(3)?,
        workdir: PathBuf::from(row.get::<_, String>(4)?),
        started,
        updated: row.get::<_, Option<i64>>(8)?.map_or(started, Timestamp),
        outcome: outcome.and_then(|text| serde_json::from_value(text.into()).ok()),
        changed: row.get(7)?,
    })
}

fn empty(path: &Path) -> Error {
    Error::Damaged { path: path.into(), what: "the file is empty".into() }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data")
}

fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
