//! The real side of [`Clock`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use crate::world::Clock;

/// Thirty years.
const FAR: Duration = Duration::from_hours(24 * 365 * 30);

/// How long Ctrl-Z has stopped this program so far, and since when it does.
static STOPPED: Mutex<(Duration, Option<Instant>)> = Mutex::new((Duration::ZERO, None));

/// Notes that the program is about to be stopped (`true`), or was woken.
pub(super) fn stopped(stop: bool) {
    let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    match (stop, stopped.1) {
        (true, None) => stopped.1 = Some(Instant::now()),
        (false, Some(since)) => *stopped = (stopped.0 + since.elapsed(), None),
        _ => {}
    }
}

/// How long the program was stopped so far.
pub(super) fn pauses() -> Duration {
    STOPPED.lock().unwrap_or_else(PoisonError::into_inner).0
}

/// Completes at that time, or later by what the program was stopped since `pauses` was read.
pub(super) async fn sleep_until(mut at: Instant, mut before: Duration) {
    loop {
        tokio::time::sleep_until(at.into()).await;
        let now = pauses();
        if now == before {
            return;
        }
        at += now.saturating_sub(before);
        before = now;
    }
}

/// Time as it passes outside. The time of day goes on while Ctrl-Z has the program stopped; what is measured and waited for does not.
#[derive(Debug, Clone, Copy)]
pub struct RealClock {
    began: Instant,
    /// How long the program had been stopped by then.
    pauses: Duration,
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl RealClock {
    /// The system's clocks; the monotonic one counts from here.
    pub fn new() -> Self {
        Self { began: Instant::now(), pauses: pauses() }
    }
}

#[async_trait]
impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the file that owns the time of day in steps")]
    fn unix_millis(&self) -> i64 {
        let now = SystemTime::now();
        match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        }
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed().saturating_sub(pauses().saturating_sub(self.pauses))
    }

    async fn sleep(&self, duration: Duration) {
        // As good as never, where it is too far off to be a time.
        let at = Instant::now().checked_add(duration).unwrap_or_else(|| Instant::now() + FAR);
        sleep_until(at, pauses()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_clocks_move_with_a_sleep() {
        let clock = RealClock::new();
        let (wall, monotonic) = (clock.unix_millis(), clock.monotonic());
        assert!(wall > 1_700_000_000_000, "milliseconds, not seconds");
        clock.sleep(Duration::from_millis(20)).await;
        assert!(clock.monotonic() >= monotonic + Duration::from_millis(20));
        assert!(clock.unix_millis() >= wall + 15);
    }
}
