//! Everything that people and machines see of a run.
//!
//! Knows [`crate::model`]; must not know the engine, the journal or who drives. No renderer can fail a run.

mod ci;
mod hub;
mod json;
mod lines;
mod outline;
mod plain;
mod rows;
mod style;
mod terminal;
mod verdict;
mod view;

pub use ci::Ci;
pub use hub::{Hub, ProgressUpdate, Subscriber};
pub use json::Json;
pub use lines::{Line, Lines};
pub use plain::Plain;
pub use style::{Style, clean, clean_with_tabs, duration};
pub use terminal::Terminal;
pub use verdict::{verdict_json, verdict_lines};
pub use view::{StepView, View};

/// Finds the JSON of the plan that a `run_started` names by digest; for hints, so best effort.
pub type FindPlan = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send>;

/// Finds what an attempt of a step printed, 0 being its undo; best effort.
pub type FindLog = Box<dyn Fn(&crate::model::RunId, &str, u32) -> Option<Vec<u8>> + Send>;
