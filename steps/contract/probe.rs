//! The answer of a probe: what is so in the world right now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a probe found. `B` is the checkpoint, `O` the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Probe<B, O> {
    /// The effect is not there; `run` would act.
    Absent {
        /// The checkpoint: everything undo will need.
        before: B,
        /// What a plan shows.
        changes: Vec<Change>,
    },
    /// Exactly what `run` would produce is already there.
    Present {
        /// What `run` would have returned.
        output: O,
    },
    /// Something is there that is not ours to overwrite.
    Diverged {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Cannot tell.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl<B, O> Probe<B, O> {
    /// Absent, with nothing to show.
    pub fn absent(before: B) -> Self {
        Self::Absent { before, changes: Vec::new() }
    }
    /// Absent, with one line to show.
    pub fn would(before: B, summary: impl Into<String>) -> Self {
        Self::Absent { before, changes: vec![Change::new(summary)] }
    }
    /// Cannot tell, because…
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }
    /// The verdict's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "absent",
            Self::Present { .. } => "present",
            Self::Diverged { .. } => "diverged",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// One thing that `run` would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// One line: "create tag v0.3.0 on 1a2b3c4".
    pub summary: String,
    /// A unified diff, where there is text to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// It cannot be taken back, though what the step does usually can: a plan draws its line here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_way: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Change {
    /// A change told in one line.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), diff: None, one_way: false }
    }
    /// Adds the unified diff of two texts, if they differ.
    #[must_use]
    pub fn compare(mut self, old: &str, new: &str) -> Self {
        let diff = similar::TextDiff::from_lines(old, new).unified_diff().context_radius(3).to_string();
        self.diff = (!diff.is_empty()).then_some(diff);
        self
    }
    /// Says that there is no way back past it.
    #[must_use]
    pub fn one_way(mut self) -> Self {
        self.one_way = true;
        self
    }
    /// Adds a unified diff.
    #[must_use]
    pub fn diff(mut self, diff: impl Into<String>) -> Self {
        self.diff = Some(diff.into());
        self
    }
}
