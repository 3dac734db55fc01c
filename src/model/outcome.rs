//! How a run stands when its driver lets go of it.

use formula_steps::contract::Class;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunId;

/// Where a run ended, for now or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is as the formula says.
    Done,
    /// A look failed before anything was changed. Final: the same command starts anew.
    Refused,
    /// Needs a person; can be resumed, settled, rolled back.
    Held,
    /// Stopped on request, by a time limit, or taken back down to a step; can be resumed.
    Stopped,
    /// Failed, and everything this run made is taken back. Final.
    RolledBack,
    /// Failed, and something could not be taken back; `rollback` continues.
    RollbackIncomplete,
    /// Cut off by SIGINT; can be resumed.
    Interrupted,
    /// Cut off by SIGTERM, SIGHUP or SIGQUIT; can be resumed.
    Terminated,
}

impl Outcome {
    /// The exit code, as `docs/reference/exit-codes.md` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 11,
            Self::Held => 20,
            Self::Stopped => 21,
            Self::RolledBack => 22,
            Self::RollbackIncomplete => 23,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Whether nothing can follow: the same command starts a new run (or, for Done, finds it done).
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Refused | Self::RolledBack)
    }

    /// The name as it stands in the journal and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Stopped => "stopped",
            Self::RolledBack => "rolled_back",
            Self::RollbackIncomplete => "rollback_incomplete",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

/// The last line of `--json`: all that a bot needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The run.
    #[serde(skip)]
    pub run: Option<RunId>,
    /// How it stands.
    pub outcome: Outcome,
    /// The exit code: that of the process. 0 as well for a rollback that a person asked for and that took back all.
    pub exit: u8,
    /// Whether this run changed anything.
    pub changed: bool,
    /// The step that holds or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<String>,
    /// Class of its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the step said can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the same command may be given again without asking a person.
    pub retry_safe: bool,
    /// Whether something was done that cannot be taken back.
    pub one_way_crossed: bool,
    /// Commands that make sense now.
    pub next: Vec<String>,
    /// Where it stands what the step that holds or failed does, how it fails and what to type then: a page of this program's source and its
    /// anchor, for the formulas that come with it, and `formula docs NAME`, which writes it, for any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}
