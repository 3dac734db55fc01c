//! The real side of [`Clock`].

use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use crate::world::Clock;

/// Time as it passes outside.
#[derive(Debug, Clone, Copy)]
pub struct RealClock {
    began: Instant,
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl RealClock {
    /// The system's clocks; the monotonic one counts from here.
    pub fn new() -> Self {
        Self { began: Instant::now() }
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
        self.began.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
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
