//! The journal in memory: for rehearsal and tests, held to the same suite as the durable one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::{Ack, Batch, Error, Holder, Journal, Lease, Result, RunRecord};
use crate::model::{Envelope, Event, Request, RunId};

#[derive(Clone, Default)]
struct Run {
    record: Option<RunRecord>,
    entries: Vec<Envelope>,
    epoch: u64,
    holder: Option<Holder>,
    requests: Vec<(u64, Request)>,
    blobs: Vec<String>,
}

#[derive(Clone, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    blobs: HashMap<String, Vec<u8>>,
    requests: u64,
}

/// A store that ends with the process.
#[derive(Default)]
pub struct MemoryJournal(Mutex<State>);

impl MemoryJournal {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another journal that holds what this one held when its newest run had that many entries, and nobody drives it.
    pub fn fork(&self, entries: usize) -> Self {
        let mut state = self.state().clone();
        if let Some(run) = state.runs.values_mut().next_back() {
            run.holder = None;
            run.entries.truncate(entries);
            if let Some(record) = &mut run.record {
                (record.outcome, record.changed) = (None, false);
                run.entries.iter().for_each(|entry| record.apply(entry));
            }
        }
        Self(Mutex::new(state))
    }

    /// How many entries the newest run has.
    pub fn length(&self) -> usize {
        self.state().runs.values().next_back().map_or(0, |run| run.entries.len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn run(&mut self, run: &RunId) -> Result<&mut Run> {
        self.runs.get_mut(run).ok_or_else(|| Error::NoSuchRun { run: run.to_string() })
    }

    fn append(&mut self, run: &RunId, batch: Batch) -> Result<()> {
        let last = self.run(run)?.entries.last().map_or(0, |entry| entry.seq);
        for (offset, entry) in batch.entries.iter().enumerate() {
            if entry.seq != last + 1 + offset as u64 {
                let what = format!("sequence number {} is taken or leaves a gap", entry.seq);
                return Err(Error::Damaged { path: "memory".into(), what });
            }
        }
        for blob in batch.blobs {
            self.run(run)?.blobs.push(blob.digest.clone());
            self.blobs.insert(blob.digest, blob.bytes);
        }
        let run = self.run(run)?;
        for entry in batch.entries {
            if let Some(record) = &mut run.record {
                record.apply(&entry);
            }
            if matches!(entry.event, Event::RunFinished { .. }) {
                run.holder = None;
            }
            run.entries.push(entry);
        }
        Ok(())
    }
}

impl Journal for MemoryJournal {
    fn create(&self, record: &RunRecord, holder: &Holder, first: Batch) -> Result<Lease> {
        let mut state = self.state();
        let run = Run { record: Some(record.clone()), epoch: 1, holder: Some(holder.clone()), ..Run::default() };
        state.runs.insert(record.run.clone(), run);
        state.append(&record.run, first)?;
        Ok(Lease { run: record.run.clone(), epoch: 1 })
    }

    fn acquire(&self, run: &RunId, holder: &Holder) -> Result<Lease> {
        let mut state = self.state();
        let found = state.run(run)?;
        found.epoch += 1;
        found.holder = Some(holder.clone());
        Ok(Lease { run: run.clone(), epoch: found.epoch })
    }

    fn release(&self, lease: &Lease) -> Result<()> {
        let mut state = self.state();
        let run = state.run(&lease.run)?;
        if run.epoch == lease.epoch {
            run.holder = None;
        }
        Ok(())
    }

    fn holder(&self, run: &RunId) -> Result<Option<Holder>> {
        Ok(self.state().runs.get(run).and_then(|run| run.holder.clone()))
    }

    fn append(&self, lease: &Lease, batch: Batch) -> Ack {
        let (done, answer) = oneshot::channel();
        let mut state = self.state();
        let result = match state.run(&lease.run) {
            Ok(run) if run.epoch != lease.epoch => Err(Error::Fenced { run: lease.run.to_string() }),
            Ok(_) => state.append(&lease.run, batch),
            Err(error) => Err(error),
        };
        let _ = done.send(result);
        answer
    }

    fn read(&self, run: &RunId, since: u64) -> Result<Vec<Envelope>> {
        Ok(self.state().run(run)?.entries.iter().filter(|entry| entry.seq >= since).cloned().collect())
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let missing = || Error::Damaged { path: "memory".into(), what: format!("blob {digest} is missing") };
        self.state().blobs.get(digest).cloned().ok_or_else(missing)
    }

    fn runs(&self) -> Result<Vec<RunRecord>> {
        Ok(self.state().runs.values().rev().filter_map(|run| run.record.clone()).collect())
    }

    fn post(&self, run: &RunId, request: &Request) -> Result<u64> {
        let mut state = self.state();
        state.requests += 1;
        let id = state.requests;
        state.run(run)?.requests.push((id, request.clone()));
        Ok(id)
    }

    fn requests(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Request)>> {
        Ok(self.state().run(run)?.requests.iter().filter(|(id, _)| *id > after).cloned().collect())
    }

    fn remove(&self, run: &RunId) -> Result<()> {
        let mut state = self.state();
        if let Some(removed) = state.runs.remove(run) {
            for digest in removed.blobs {
                if !state.runs.values().any(|run| run.blobs.contains(&digest)) {
                    state.blobs.remove(&digest);
                }
            }
        }
        Ok(())
    }
}
