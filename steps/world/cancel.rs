//! How a running step learns that it should stop.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgently to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CancelLevel {
    /// Go on.
    #[default]
    None,
    /// Stop in an orderly way: children get this signal number and a grace period.
    Graceful(i32),
    /// Stop at once: children are killed.
    Now,
}

/// A level that only rises, shared between the driver and what it runs.
#[derive(Debug, Clone)]
pub struct Cancel {
    sender: Arc<watch::Sender<CancelLevel>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// Not cancelled.
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(CancelLevel::None)) }
    }
    /// Raises the level; never lowers it.
    pub fn raise(&self, level: CancelLevel) {
        self.sender.send_if_modified(|now| {
            let higher = level > *now;
            if higher {
                *now = level;
            }
            higher
        });
    }
    /// The level now.
    pub fn level(&self) -> CancelLevel {
        *self.sender.borrow()
    }
    /// Whether anybody asked to stop.
    pub fn is_raised(&self) -> bool {
        self.level() != CancelLevel::None
    }
    /// Completes once the level is above `level`, with the new level.
    pub async fn above(&self, level: CancelLevel) -> CancelLevel {
        let mut receiver = self.sender.subscribe();
        *receiver.wait_for(|now| *now > level).await.expect("the sender lives in self")
    }
    /// Completes once anybody asks to stop.
    pub async fn raised(&self) -> CancelLevel {
        self.above(CancelLevel::None).await
    }
}
