//! Hands on what happened, after it is durable, and progress as it comes.
//!
//! One thread and one queue per subscriber: a slow one loses progress but never events, one that panics is dropped with a warning, and none
//! of them can hold up or fail the run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::model::Envelope;

/// Pending progress a subscriber may have before more of it is dropped.
const QUEUE: usize = 256;

/// How far a running step is, or what it prints. Best effort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressUpdate {
    /// A redacted piece of a step's output.
    Output {
        /// The step.
        step: Arc<str>,
        /// The text; lossy UTF-8, split at line ends where there are any.
        text: Arc<str>,
    },
    /// The last line of a step's output, once no more comes. Not lost where other progress is.
    Last {
        /// The step.
        step: Arc<str>,
        /// The line, redacted; not empty.
        line: String,
    },
    /// Where a step is.
    Step {
        /// The step.
        step: Arc<str>,
        /// In a few words.
        message: String,
        /// Bytes, layers, … done.
        done: Option<u64>,
        /// Of how many.
        total: Option<u64>,
    },
}

/// A listener.
pub trait Subscriber: Send {
    /// Something happened, and is durable.
    fn event(&mut self, envelope: &Envelope);
    /// Progress.
    fn progress(&mut self, _update: &ProgressUpdate) {}
    /// Nothing more will come.
    fn end(&mut self) {}
}

enum Message {
    Event(Arc<Envelope>),
    Progress(ProgressUpdate),
}

struct Line {
    sender: Sender<Message>,
    pending: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// Where a driver publishes. Clones share the subscribers.
#[derive(Clone, Default)]
pub struct Hub {
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Hub {
    /// Without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subscriber; it sees what comes from now on.
    pub fn subscribe(&self, name: &str, subscriber: Box<dyn Subscriber>) {
        let (sender, receiver) = channel();
        let pending = Arc::new(AtomicUsize::new(0));
        let seen = pending.clone();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || listen(subscriber, &receiver, &seen));
        match spawned {
            Ok(thread) => self.lock().push(Line { sender, pending, thread }),
            Err(error) => tracing::warn!("cannot start `{name}`: {error}"),
        }
    }

    /// Hands on an event. Call only once it is durable.
    pub fn event(&self, envelope: &Arc<Envelope>) {
        for line in self.lock().iter() {
            let _ = line.sender.send(Message::Event(envelope.clone()));
        }
    }

    /// Hands on progress, unless the subscriber is behind.
    pub fn progress(&self, update: &ProgressUpdate) {
        let needed = matches!(update, ProgressUpdate::Last { .. });
        for line in self.lock().iter() {
            if needed || line.pending.load(Ordering::Relaxed) < QUEUE {
                line.pending.fetch_add(1, Ordering::Relaxed);
                let _ = line.sender.send(Message::Progress(update.clone()));
            }
        }
    }

    /// Whether anybody listens.
    pub fn is_silent(&self) -> bool {
        self.lock().is_empty()
    }

    /// Lets every subscriber finish what it has and waits for it.
    pub fn close(&self) {
        let lines = std::mem::take(&mut *self.lock());
        for Line { sender, thread, .. } in lines {
            drop(sender);
            let _ = thread.join();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(mut subscriber: Box<dyn Subscriber>, receiver: &Receiver<Message>, pending: &AtomicUsize) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        while let Ok(message) = receiver.recv() {
            match message {
                Message::Event(envelope) => subscriber.event(&envelope),
                Message::Progress(update) => {
                    pending.fetch_sub(1, Ordering::Relaxed);
                    subscriber.progress(&update);
                }
            }
        }
        subscriber.end();
    }));
    if result.is_err() {
        tracing::warn!("`{}` failed and is left out from here on", std::thread::current().name().unwrap_or("a subscriber"));
        // The queue goes on being emptied, so that nobody waits for it.
        while receiver.recv().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, JOURNAL_VERSION, RunId, Timestamp};

    fn envelope(seq: u64) -> Arc<Envelope> {
        let event = Event::CancelRequested { by: "ops".into(), now: false };
        Arc::new(Envelope { v: JOURNAL_VERSION, run: RunId("R".into()), seq, at: Timestamp(0), event })
    }

    struct Gather {
        seen: Arc<Mutex<(Vec<u64>, usize, bool)>>,
        gate: Option<std::sync::mpsc::Receiver<()>>,
        panic_at: u64,
    }

    impl Subscriber for Gather {
        fn event(&mut self, envelope: &Envelope) {
            if let Some(gate) = self.gate.take() {
                gate.recv().unwrap();
            }
            assert!(envelope.seq != self.panic_at, "asked to");
            self.seen.lock().unwrap().0.push(envelope.seq);
        }
        fn progress(&mut self, update: &ProgressUpdate) {
            let mut seen = self.seen.lock().unwrap();
            seen.1 += 1;
            seen.2 |= matches!(update, ProgressUpdate::Last { .. });
        }
    }

    #[test]
    fn a_slow_subscriber_loses_progress_but_no_event_and_a_panicking_one_harms_nobody() {
        let hub = Hub::new();
        let (slow, panicking) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
        let (open, gate) = channel();
        hub.subscribe("slow", Box::new(Gather { seen: slow.clone(), gate: Some(gate), panic_at: 0 }));
        hub.subscribe("panicking", Box::new(Gather { seen: panicking.clone(), gate: None, panic_at: 2 }));
        hub.event(&envelope(1));
        for _ in 0..10_000 {
            hub.progress(&ProgressUpdate::Output { step: "a".into(), text: "x".into() });
        }
        hub.progress(&ProgressUpdate::Last { step: "a".into(), line: "the end".into() });
        for seq in 2..=1_000 {
            hub.event(&envelope(seq));
        }
        open.send(()).unwrap();
        hub.close();
        let (events, progress, last) = slow.lock().unwrap().clone();
        assert_eq!(events, (1..=1_000).collect::<Vec<_>>());
        assert!((1..=QUEUE + 1).contains(&progress) && last, "{progress}");
        assert_eq!(panicking.lock().unwrap().0, [1]);
    }
}
