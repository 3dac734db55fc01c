//! What takes the place of the machine in a rehearsal.

use formula_steps::contract::{StepError, StepType};
use serde_json::Value;

/// Somebody between the driver and the steps, where nothing is real. With it the driver makes no lock, no folder and no log file, and looks for
/// no processes: all that is left of the outside is the world that it is given.
pub trait Stage: Send + Sync {
    /// The kind of that name.
    fn kind(&self, name: &str) -> Option<&'static dyn StepType>;

    /// An attempt is about to begin; an error takes its place.
    fn begins(&self, step: &str) -> Option<StepError>;

    /// The work of an attempt is over, and nobody was told; an error takes the place of its success.
    fn ended(&self, step: &str, result: &Result<Value, StepError>) -> Option<StepError>;
}
