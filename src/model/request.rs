//! What a person asks of a run that exists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person's answer for a held step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettleAnswer {
    /// Try again.
    Retry,
    /// Take what is there as the result.
    Adopt,
    /// Go on without it.
    Skip,
}

/// A request, from the command line or a web page, to the driver of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Stop after what is in flight; `now` also stops what is in flight.
    Cancel {
        /// Who asks.
        by: String,
        /// Stop running steps too.
        now: bool,
        /// Roll back afterwards.
        rollback: bool,
    },
    /// Stop for good a run that nobody drives.
    GiveUp {
        /// Who asks.
        by: String,
    },
    /// Undo in reverse order, down to and without `to`.
    Rollback {
        /// Who asks.
        by: String,
        /// The step that stays, with everything it needs; all steps are undone where None.
        to: Option<String>,
    },
    /// Do finished steps again, and what rests on them. Only of a run that is just taken up.
    Redo {
        /// Who asks.
        by: String,
        /// Ids of the steps; that of a `foreach` step stands for all its items.
        steps: Vec<String>,
    },
    /// Answer a held step.
    Settle {
        /// Who answers.
        by: String,
        /// Id of the step.
        step: String,
        /// The answer.
        answer: SettleAnswer,
        /// Why.
        reason: String,
        /// With `adopt`: what the step gave, for those that refer to its outputs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<serde_json::Value>,
    },
    /// Answer a gate.
    Decide {
        /// Who answers.
        by: String,
        /// Id of the gate.
        step: String,
        /// Approve or deny.
        approved: bool,
        /// Why.
        reason: Option<String>,
        /// The digest that the person was shown; must equal that of the open gate.
        digest: String,
    },
}
