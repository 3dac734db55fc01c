//! What happened, as the journal keeps it. Names and fields are a stored format: a change needs a new version and an upcast.

use formula_steps::contract::{Class, Probe};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, Payload, RunId, SettleAnswer, Timestamp};

/// Version of the envelope format that this program writes.
pub const JOURNAL_VERSION: u32 = 1;

/// Who asked to stop, where the time limit of a run did.
pub const TIMEOUT: &str = "timeout";

/// Why a step was probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeReason {
    /// Before its first attempt.
    Ready,
    /// An attempt began and its end is unknown, or it failed and may be tried again.
    InDoubt,
    /// A rollback must know whether there is something to take back.
    Rollback,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// An entry of the journal. Steps are named by full id.
///
/// Each variant's doc says which state transitions it makes; `engine::fold` is the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The first event of every run: all steps are pending.
    RunStarted {
        /// Name of the formula.
        formula: String,
        /// What "the same command" means.
        fingerprint: String,
        /// The plan; always a blob unless it is small.
        plan: Payload,
        /// Version of the program.
        tool: String,
        /// Who started it.
        by: String,
    },
    /// A driver took up a run that was held, stopped or cut off: running steps become in doubt, undoing ones are undone again, failed ones
    /// may be tried again.
    RunResumed {
        /// Version of the program.
        tool: String,
        /// Who resumed it.
        by: String,
    },
    /// The run goes on with a mended formula: the plan is replaced. Follows `run_resumed`. Steps that were edited and left nothing behind,
    /// open gates, and approvals of what was edited are pending again; all others stay where they are.
    PlanReplaced {
        /// What "the same command" means now.
        fingerprint: String,
        /// The new plan; a blob.
        plan: Payload,
        /// Version of the program.
        tool: String,
        /// Who mended it.
        by: String,
    },
    /// A step was asked. Pending → ready (absent, unknown), done and adopted (present), held (diverged). In doubt → done and created
    /// (present), ready (absent), held (diverged; unknown unless it may be repeated).
    StepProbed {
        /// The step.
        step: String,
        /// What for.
        reason: ProbeReason,
        /// The answer.
        probe: Probe<Payload, Payload>,
        /// Digest of the params it was asked with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<String>,
        /// The effect that was found cannot be taken back, though the plan says that steps of its kind can.
        #[serde(default, skip_serializing_if = "is_false")]
        one_way: bool,
    },
    /// About to be tried; durable before the effect. Pending or ready → running.
    AttemptStarted {
        /// The step.
        step: String,
        /// From 1.
        attempt: u32,
    },
    /// Undo needs more than the probe's checkpoint. Replaces it.
    CheckpointSaved {
        /// The step.
        step: String,
        /// The new checkpoint.
        before: Payload,
    },
    /// Running → done, created.
    AttemptSucceeded {
        /// The step.
        step: String,
        /// From 1.
        attempt: u32,
        /// What it gave.
        output: Payload,
        /// What it did cannot be taken back, though the plan says that steps of its kind can.
        #[serde(default, skip_serializing_if = "is_false")]
        one_way: bool,
    },
    /// Running → failed, waiting for a retry, or in doubt where the class leaves the outcome open. Of a step that is not running, with the
    /// number of the attempt to come: it could not be asked or rendered, and nothing was begun.
    AttemptFailed {
        /// The step.
        step: String,
        /// From 1.
        attempt: u32,
        /// Class.
        class: Class,
        /// Words.
        message: String,
        /// What to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// An attempt that was announced never began: running → as before.
    AttemptWithdrawn {
        /// The step.
        step: String,
        /// From 1.
        attempt: u32,
    },
    /// Failed → waiting until `at`, then probed and tried again.
    RetryScheduled {
        /// The step.
        step: String,
        /// The attempt to come.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// Its condition is false, or what it needs was skipped by a person. Pending → skipped.
    StepSkipped {
        /// The step.
        step: String,
        /// Why.
        reason: String,
    },
    /// A person's answer. Held or failed → ready again, done and adopted, or skipped.
    StepSettled {
        /// The step.
        step: String,
        /// The answer.
        answer: SettleAnswer,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// What an adopted step gives to others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
    },
    /// A gate waits. Pending → waiting.
    GateOpened {
        /// The gate.
        step: String,
        /// What the person is asked, or what is waited for.
        prompt: String,
        /// What an approval is bound to: formula, inputs, plan, outputs so far.
        digest: String,
        /// After this an approval gate is denied and a wait gate is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Users who may answer; anyone where there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvers: Vec<String>,
        /// `terminal`, `file` or `forge`: how an approval is proven.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<String>,
        /// With `file`: which one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof_file: Option<String>,
        /// With `forge`: where its API lists comments or reviews.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof_url: Option<String>,
        /// With `forge`: the environment variable that holds a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof_token: Option<String>,
    },
    /// Waiting → done, or failed when denied.
    GateDecided {
        /// The gate.
        step: String,
        /// Approved.
        approved: bool,
        /// Who; `timer` for a wait.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nothing new starts. After the driver let go of the run: a person gave it up, and the same command starts anew.
    CancelRequested {
        /// Who; `timeout` for the time limit of the run.
        by: String,
        /// What is running is stopped as well.
        now: bool,
    },
    /// What this run made is taken back, once nothing is running.
    RollbackRequested {
        /// Who; `formula` for `on_failure = "rollback"`.
        by: String,
        /// The step that stays, with all it needs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// Finished steps are to be done again, with what rests on them. Follows `run_resumed`. Done or skipped → in doubt where this run tried them,
    /// else pending.
    RedoRequested {
        /// Who.
        by: String,
        /// The steps that were named; that of a `foreach` step stands for all its items.
        steps: Vec<String>,
    },
    /// About to be undone; durable before the effect.
    UndoStarted {
        /// The step.
        step: String,
    },
    /// Undone.
    UndoSucceeded {
        /// The step.
        step: String,
    },
    /// Could not be undone: what it rests on is held back.
    UndoFailed {
        /// The step.
        step: String,
        /// Class.
        class: Class,
        /// Words.
        message: String,
        /// What to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The driver lets go.
    RunFinished {
        /// How the run stands.
        outcome: Outcome,
        /// Whether anything was changed.
        changed: bool,
    },
}

impl Event {
    /// The step it is about.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepProbed { step, .. }
            | Self::AttemptStarted { step, .. }
            | Self::CheckpointSaved { step, .. }
            | Self::AttemptSucceeded { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::AttemptWithdrawn { step, .. }
            | Self::RetryScheduled { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepSettled { step, .. }
            | Self::GateOpened { step, .. }
            | Self::GateDecided { step, .. }
            | Self::UndoStarted { step }
            | Self::UndoSucceeded { step }
            | Self::UndoFailed { step, .. } => Some(step),
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::PlanReplaced { .. }
            | Self::CancelRequested { .. }
            | Self::RollbackRequested { .. }
            | Self::RedoRequested { .. }
            | Self::RunFinished { .. } => None,
        }
    }

    /// The `type` as it stands in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::RunResumed { .. } => "run_resumed",
            Self::PlanReplaced { .. } => "plan_replaced",
            Self::StepProbed { .. } => "step_probed",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::CheckpointSaved { .. } => "checkpoint_saved",
            Self::AttemptSucceeded { .. } => "attempt_succeeded",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::AttemptWithdrawn { .. } => "attempt_withdrawn",
            Self::RetryScheduled { .. } => "retry_scheduled",
            Self::StepSkipped { .. } => "step_skipped",
            Self::StepSettled { .. } => "step_settled",
            Self::GateOpened { .. } => "gate_opened",
            Self::GateDecided { .. } => "gate_decided",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::RollbackRequested { .. } => "rollback_requested",
            Self::RedoRequested { .. } => "redo_requested",
            Self::UndoStarted { .. } => "undo_started",
            Self::UndoSucceeded { .. } => "undo_succeeded",
            Self::UndoFailed { .. } => "undo_failed",
            Self::RunFinished { .. } => "run_finished",
        }
    }
}

/// An event with its place in the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// Format version.
    pub v: u32,
    /// The run.
    pub run: RunId,
    /// From 1, without gaps.
    pub seq: u64,
    /// When it was written down.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Envelope {
    /// As the line `--json` prints.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("plain data")
    }
}
