//! What stops a run from outside: signals, its time limit, requests. Requests of other kinds come the same way.

use formula_steps::world::CancelLevel;

use super::super::signals::Caught;
use super::{Driver, Error};
use crate::model::{Event, Request, TIMEOUT};

/// SIGTERM; the number is part of the ABI.
const TERM: i32 = 15;

impl Driver {
    pub(super) fn signalled(&mut self, caught: Caught) -> Result<(), Error> {
        if self.signal.is_some() {
            self.stop_tasks(CancelLevel::Now);
            return Ok(());
        }
        self.signal = Some(caught);
        self.cancelled = true;
        self.stop_tasks(if caught.at_once { CancelLevel::Now } else { CancelLevel::Graceful(caught.number) });
        self.recorder.record(&mut self.state, Event::CancelRequested { by: caught.name.into(), now: true })
    }

    fn stop_tasks(&self, level: CancelLevel) {
        for cancel in self.active.values() {
            cancel.raise(level);
        }
    }

    /// Looks for requests and at the deadline, now and then.
    pub(super) fn poll(&mut self) -> Result<(), Error> {
        let now = self.shared.world.clock.monotonic();
        if now < self.next_poll {
            return Ok(());
        }
        self.next_poll = now + self.shared.poll();
        if let Some(deadline) = self.deadline
            && now >= deadline
        {
            self.deadline = None;
            self.cancelled = true;
            self.stop_tasks(CancelLevel::Graceful(TERM));
            self.recorder.record(&mut self.state, Event::CancelRequested { by: TIMEOUT.into(), now: true })?;
        }
        for (number, request) in self.journal.requests(&self.shared.run, self.last_request)? {
            self.last_request = number;
            self.requested(&request)?;
        }
        Ok(())
    }

    /// Applies a request; one that does not fit the state any more is dropped with a warning.
    pub(in crate::backend::local) fn requested(&mut self, request: &Request) -> Result<(), Error> {
        self.state.tick(self.shared.clock.now());
        if let Err(refusal) = self.state.check_request(request) {
            tracing::warn!("a request was dropped: {refusal}");
            return Ok(());
        }
        if matches!(request, Request::GiveUp { .. }) {
            // It is driven, so nobody has given it up.
            return Ok(());
        }
        let mut request = request.clone();
        if let Request::Cancel { now, .. } = &mut request {
            // Whoever asks to stop what is stopping already means at once. What was asked of an earlier driver does not count.
            let again = self.cancelled;
            *now |= again;
            if *now {
                self.stop_tasks(if again { CancelLevel::Now } else { CancelLevel::Graceful(TERM) });
            }
            self.cancelled = true;
        }
        for event in self.state.events_for(&request) {
            self.recorder.record(&mut self.state, event)?;
        }
        Ok(())
    }
}
