//! What the engine knows of a kind without running it.

use serde::{Deserialize, Serialize};

/// What a step does to the world; draws the point of no return in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Looks, never touches.
    ReadOnly,
    /// Changes something that undo can put back.
    Reversible,
    /// Cannot be taken back.
    OneWay,
}

/// Whether an attempt of unknown outcome may be made again. Used only where a probe answers Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Doing it twice is the same as doing it once.
    Safe,
    /// The other side recognises the idempotency key.
    Keyed,
    /// Must not be repeated blindly: a person decides.
    Never,
}

/// How a step is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Puts `before` back; right whether or not the effect happened.
    Restore,
    /// Takes the effect away; must know that it happened.
    Reverse,
    /// There is nothing to take back.
    Nothing,
    /// It cannot be taken back.
    Impossible,
}

/// How one concrete step behaves, given its `with` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// See [`Effect`].
    pub effect: Effect,
    /// See [`Repeat`].
    pub repeat: Repeat,
    /// See [`Undo`].
    pub undo: Undo,
    /// Whether probing can say anything but Unknown. False lets the engine skip the probe before the first attempt.
    pub probes: bool,
}

/// The constant description of a kind.
#[derive(Debug, Clone, Copy)]
pub struct StepMeta {
    /// The name authors write in `uses`, in kebab case.
    pub kind: &'static str,
    /// Revision of the kind's meaning; recorded in plans.
    pub version: u32,
    /// One line for lists.
    pub summary: &'static str,
    /// A `[[steps]]` table in TOML that checks.
    pub example: &'static str,
    /// How it behaves unless the `with` table says otherwise.
    pub behaviour: Behaviour,
}
