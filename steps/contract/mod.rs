//! What a step is: the typed trait an author implements, its object-safe face for the engine, and the values both exchange.
//!
//! Knows the ports of [`crate::world`] as traits. Must not know any real or fake side, nor any kind.

mod child;
mod context;
mod erased;
mod error;
mod formulas;
mod memo;
mod meta;
mod probe;
mod step;

pub use context::{Context, NoProgress, NoRecords, Progress, Records, RunInfo, UnfinishedRun};
pub use erased::StepType;
pub use error::{Class, StepError};
pub use formulas::{Formulas, NoFormulas, Outline, OutlineStep};
pub use meta::{Behaviour, Effect, Repeat, StepMeta, Undo};
pub use probe::{Change, Probe};
pub use step::Step;
