//! How often, and after what wait, a step is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Attempts and the wait between them, doubling from `min` up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The first wait, in milliseconds.
    pub min_ms: u64,
    /// The longest wait, in milliseconds.
    pub max_ms: u64,
}

impl Default for Retry {
    /// One attempt.
    fn default() -> Self {
        Self { attempts: 1, min_ms: 1_000, max_ms: 30_000 }
    }
}

impl Retry {
    /// The wait after attempt number `attempt` failed, never shorter than what the other side asked for.
    pub fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self.min_ms.saturating_mul(1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX));
        Duration::from_millis(doubled.min(self.max_ms)).max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_respect_retry_after() {
        let retry = Retry { attempts: 9, min_ms: 2_000, max_ms: 30_000 };
        let waits: Vec<_> = [1, 2, 3, 4, 5, 200].into_iter().map(|n| retry.wait(n, None).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        assert_eq!(retry.wait(1, Some(Duration::from_mins(1))).as_secs(), 60);
    }
}
