//! The port to time. The fake one jumps instead of waiting.

use std::time::Duration;

use async_trait::async_trait;

/// Time as steps see it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn unix_millis(&self) -> i64;
    /// A monotonic reading, for deadlines.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}
