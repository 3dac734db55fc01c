//! Time that jumps.

use std::time::Duration;

use async_trait::async_trait;

use super::super::Clock;
use super::FakeWorld;

/// 2026-01-02T03:04:05Z.
const START: Duration = Duration::from_secs(1_767_323_045);

#[async_trait]
impl Clock for FakeWorld {
    fn unix_millis(&self) -> i64 {
        (START + self.lock_control().now).as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        self.lock_control().now
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;
        tokio::task::yield_now().await;
        let mut control = self.lock_control();
        control.now = control.now.max(until);
    }
}
