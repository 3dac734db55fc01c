//! Time that passes only when nothing else can happen.
//!
//! Whoever sleeps is woken when the whole rehearsal has come to rest, the shortest sleep first, and the fake world's clock jumps there. So a
//! limit strikes only what really does not go on, and nobody waits.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use formula_steps::world::Clock as Port;
use formula_steps::world::fake::FakeWorld;

use crate::clock::Clock;
use crate::model::Timestamp;

/// Jumps of one drive; a run that needs more of them never ends.
const MOST: usize = 20_000;

#[derive(Default)]
struct Sleepers {
    next: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
    jumps: usize,
    stuck: bool,
    watcher: Option<Waker>,
}

/// The clock of a rehearsal.
pub(super) struct Time {
    fake: FakeWorld,
    sleepers: Mutex<Sleepers>,
}

impl Time {
    pub(super) fn new(fake: FakeWorld) -> Self {
        Self { fake, sleepers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A drive begins.
    pub(super) fn begin(&self) {
        *self.lock() = Sleepers::default();
    }

    /// Whether the drive neither goes on nor ends.
    pub(super) fn is_stuck(&self, watcher: &Waker) -> bool {
        let mut sleepers = self.lock();
        sleepers.watcher = Some(watcher.clone());
        sleepers.stuck
    }

    /// Nothing can go on: wakes those whose time comes next.
    pub(super) fn at_rest(&self) {
        let now = Port::monotonic(&self.fake);
        let mut sleepers = self.lock();
        sleepers.jumps += 1;
        let next = sleepers.waiting.keys().next().map(|(until, _)| *until);
        let mut woken: Vec<Waker> = Vec::new();
        match next.filter(|_| sleepers.jumps <= MOST) {
            None => {
                sleepers.stuck = true;
                woken.extend(sleepers.watcher.take());
            }
            Some(until) => {
                self.fake.pass(until.saturating_sub(now));
                let later = sleepers.waiting.split_off(&(until.max(now), u64::MAX));
                woken.extend(std::mem::replace(&mut sleepers.waiting, later).into_values());
            }
        }
        drop(sleepers);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Takes the sleeper off the list, however it ends.
struct Place<'a> {
    time: &'a Time,
    key: (Duration, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.time.lock().waiting.remove(&self.key);
    }
}

#[async_trait]
impl Port for Time {
    fn unix_millis(&self) -> i64 {
        self.fake.unix_millis()
    }

    fn monotonic(&self) -> Duration {
        Port::monotonic(&self.fake)
    }

    async fn sleep(&self, duration: Duration) {
        let until = Port::monotonic(&self.fake) + duration;
        let number = {
            let mut sleepers = self.lock();
            sleepers.next += 1;
            sleepers.next
        };
        let place = Place { time: self, key: (until, number) };
        poll_fn(|cx| {
            if Port::monotonic(&self.fake) >= until {
                return Poll::Ready(());
            }
            self.lock().waiting.insert(place.key, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.fake.unix_millis())
    }

    fn monotonic(&self) -> Duration {
        Port::monotonic(&self.fake)
    }
}
