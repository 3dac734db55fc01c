//! Turns events into durable envelopes: numbers them, folds them into the state, hands them to the journal in batches, and publishes each batch
//! once it is on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::backend::Error;
use crate::backend::redact::Redactor;
use crate::clock::Clock;
use crate::engine::RunState;
use crate::journal::{Ack, Batch, Blob, Journal, Lease};
use crate::model::{BLOB_THRESHOLD, Envelope, Event, JOURNAL_VERSION, Payload, Plan, canonical_json, digest_of_bytes};
use crate::report::Hub;

/// A batch on its way to the disk, with what may start once it is there.
pub(super) struct Pending<T> {
    pub(super) ack: Ack,
    entries: Vec<Arc<Envelope>>,
    pub(super) launches: Vec<T>,
}

/// The one writer of a run's events. `T` is what waits for a batch to be durable.
pub(super) struct Recorder<T> {
    journal: Arc<dyn Journal>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    hub: Hub,
    redactor: Arc<Redactor>,
    next: u64,
    batch: Batch,
    launches: Vec<T>,
    pub(super) pending: VecDeque<Pending<T>>,
    /// Values that are blobs in the journal, by digest.
    values: HashMap<String, Arc<Value>>,
}

impl<T> Recorder<T> {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        lease: Lease,
        clock: Arc<dyn Clock>,
        hub: Hub,
        redactor: Arc<Redactor>,
        next: u64,
    ) -> Self {
        Self {
            journal,
            lease,
            clock,
            hub,
            redactor,
            next,
            batch: Batch::default(),
            launches: Vec::new(),
            pending: VecDeque::new(),
            values: HashMap::new(),
        }
    }

    /// Folds an event and adds it to the batch that the next [`Recorder::flush`] hands over.
    pub(super) fn record(&mut self, state: &mut RunState, event: Event) -> Result<(), Error> {
        let envelope = Envelope { v: JOURNAL_VERSION, run: self.lease.run.clone(), seq: self.next, at: self.clock.now(), event };
        state.take(&envelope).map_err(|corrupt| Error::Internal(format!("the driver made an event that does not fit: {corrupt}")))?;
        self.next += 1;
        self.batch.entries.push(envelope);
        Ok(())
    }

    /// Folds and adds that the plan is replaced: a blob in the journal, and the plan itself for the core, which reads none.
    pub(super) fn record_plan(&mut self, state: &mut RunState, plan: &Plan, tool: &str, by: &str) -> Result<(), Error> {
        let event = |plan_is: Payload| Event::PlanReplaced {
            fingerprint: plan.fingerprint.clone(),
            plan: plan_is,
            tool: tool.to_owned(),
            by: by.to_owned(),
        };
        let value = serde_json::to_value(plan).expect("plain data");
        let bytes = serde_json::to_vec(plan).expect("plain data");
        let digest = digest_of_bytes(&bytes);
        self.record(state, event(Payload::Value(value)))?;
        if let Some(entry) = self.batch.entries.last_mut() {
            entry.event = event(Payload::Blob { digest: digest.clone(), size: bytes.len() as u64 });
        }
        self.batch.blobs.push(Blob { digest, bytes });
        Ok(())
    }

    /// What must not start before the current batch is durable.
    pub(super) fn launch_after(&mut self, launch: T) {
        self.launches.push(launch);
    }

    /// A value as the journal keeps it.
    pub(super) fn payload(&mut self, mut value: Value) -> Payload {
        // As it will be read back: what a template makes of it must not depend on whether the driver was cut off in between.
        value.sort_all_objects();
        let text = canonical_json(&value);
        if text.len() <= BLOB_THRESHOLD {
            return Payload::Value(value);
        }
        let (digest, size) = (digest_of_bytes(text.as_bytes()), text.len() as u64);
        self.batch.blobs.push(Blob { digest: digest.clone(), bytes: text.into_bytes() });
        self.values.insert(digest.clone(), Arc::new(value));
        Payload::Blob { digest, size }
    }

    /// The value behind a payload.
    pub(super) fn value(&mut self, payload: &Payload) -> Result<Value, Error> {
        match payload {
            Payload::Value(value) => Ok(value.clone()),
            Payload::Blob { digest, .. } => {
                if let Some(value) = self.values.get(digest) {
                    return Ok(value.as_ref().clone());
                }
                let value: Value = read_blob(self.journal.as_ref(), digest)?;
                self.values.insert(digest.clone(), Arc::new(value.clone()));
                Ok(value)
            }
        }
    }

    /// Hands the batch to the journal.
    pub(super) fn flush(&mut self) {
        if self.batch.entries.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let entries = if self.hub.is_silent() {
            Vec::new()
        } else {
            batch.entries.iter().map(|entry| Arc::new(shown(entry, &self.redactor))).collect()
        };
        let ack = self.journal.append(&self.lease, batch);
        self.pending.push_back(Pending { ack, entries, launches: std::mem::take(&mut self.launches) });
    }

    /// Publishes a batch that is durable; returns what may start.
    pub(super) fn durable(&self, pending: Pending<T>) -> Vec<T> {
        for entry in &pending.entries {
            self.hub.event(entry);
        }
        pending.launches
    }

    /// Whether something still has to reach the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.batch.entries.is_empty() && self.pending.is_empty()
    }
}

/// The envelope as others may see it. A checkpoint may hold what undo needs to put back, a secret too: the journal keeps it, nobody else.
fn shown(entry: &Envelope, redactor: &Redactor) -> Envelope {
    if redactor.is_empty() {
        return entry.clone();
    }
    let mut event = serde_json::to_value(&entry.event).expect("plain data");
    redactor.value(&mut event);
    let event = serde_json::from_value(event).unwrap_or_else(|_| entry.event.clone());
    Envelope { event, ..entry.clone() }
}

/// Reads the JSON value that a blob holds.
pub(super) fn read_blob<V: serde::de::DeserializeOwned>(journal: &dyn Journal, digest: &str) -> Result<V, Error> {
    let bytes = journal.blob(digest)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::Journal(crate::journal::Error::Damaged { path: "journal.db".into(), what: format!("blob {digest} does not read: {error}") })
    })
}
