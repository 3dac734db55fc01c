//! A world of one cell a step, and what steps do to it in pieces, so that they can be cut off in between.

use formula_steps::contract::{Behaviour, Class, Effect, Probe, Repeat, Undo};
use serde_json::json;

use crate::model::Payload;

/// What is in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Nothing,
    /// What was there before, and has to come back.
    Original,
    /// An effect that was cut off in its middle.
    Half,
    Ours,
    /// Somebody else's.
    Foreign,
    /// Somebody else's, until it was overwritten or taken away.
    Damaged,
}

/// What a step's probe can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    Tells,
    /// It is asked, and never knows.
    Vague,
    /// It is not asked.
    Blind,
}

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Point {
    Before,
    Half,
    After,
}

/// The first so many calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fault {
    pub(super) calls: u8,
    pub(super) class: Class,
    pub(super) point: Point,
}

/// How a step behaves, and what is there when the run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Nature {
    pub(super) sight: Sight,
    pub(super) repeat: Repeat,
    pub(super) undo: Undo,
    pub(super) effect: Effect,
    pub(super) start: Content,
    pub(super) fault: Option<Fault>,
    /// So many undos fail.
    pub(super) undo_faults: u8,
    /// Whether effects can be cut off in their middle; fewer states where not.
    pub(super) halves: bool,
}

impl Nature {
    pub(super) fn new(sight: Sight, repeat: Repeat, undo: Undo) -> Self {
        let effect = if undo == Undo::Impossible { Effect::OneWay } else { Effect::Reversible };
        let start = if undo == Undo::Restore { Content::Original } else { Content::Nothing };
        Self { sight, repeat, undo, effect, start, fault: None, undo_faults: 0, halves: true }
    }

    /// Only looks.
    pub(super) fn look() -> Self {
        Self { effect: Effect::ReadOnly, start: Content::Nothing, ..Self::new(Sight::Blind, Repeat::Safe, Undo::Nothing) }
    }

    pub(super) fn failing(self, calls: u8, class: Class, point: Point) -> Self {
        Self { fault: Some(Fault { calls, class, point }), ..self }
    }

    pub(super) fn found(self, start: Content) -> Self {
        Self { start, ..self }
    }

    pub(super) fn stuck(self, undo_faults: u8) -> Self {
        Self { undo_faults, ..self }
    }

    pub(super) fn whole(self) -> Self {
        Self { halves: false, ..self }
    }

    pub(super) fn behaviour(self) -> Behaviour {
        Behaviour { effect: self.effect, repeat: self.repeat, undo: self.undo, probes: self.sight != Sight::Blind }
    }

    pub(super) fn looks(self) -> bool {
        self.effect == Effect::ReadOnly
    }
}

/// The cell of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    pub(super) content: Content,
    /// Whole effects since there were none.
    pub(super) effects: u8,
    /// Calls that failed after their effect.
    pub(super) late: u8,
    /// Times that somebody asked for it to be done again.
    pub(super) redone: u8,
    /// Somebody took away what was made.
    pub(super) lost: bool,
    /// Something of ours was there at some time: what is looked for by its name is ours or gone.
    was_there: bool,
    calls: u8,
    undo_calls: u8,
}

impl Cell {
    pub(super) fn new(nature: Nature) -> Self {
        Self { content: nature.start, effects: 0, late: 0, redone: 0, lost: false, was_there: false, calls: 0, undo_calls: 0 }
    }

    /// What a probe says.
    pub(super) fn probe(self, nature: Nature) -> Probe<Payload, Payload> {
        match (nature.sight, self.content) {
            (Sight::Vague | Sight::Blind, _) => Probe::unknown("it never knows"),
            (_, Content::Ours) => Probe::Present { output: output() },
            (_, Content::Foreign | Content::Damaged) => Probe::Diverged { expected: "ours".into(), found: "theirs".into() },
            (_, content) => Probe::absent(checkpoint(content)),
        }
    }

    /// An attempt begins. Returns how it will fail.
    pub(super) fn begin(&mut self, nature: Nature) -> Option<Fault> {
        self.calls += 1;
        nature.fault.filter(|fault| self.calls <= fault.calls)
    }

    pub(super) fn half(&mut self, nature: Nature) {
        self.was_there = true;
        self.content = match self.content {
            Content::Foreign | Content::Damaged => Content::Damaged,
            // Whoever knows the key, or looks, does not begin again.
            Content::Ours if nature.repeat != Repeat::Never => Content::Ours,
            _ => Content::Half,
        };
    }

    pub(super) fn whole(&mut self, nature: Nature) {
        self.was_there = true;
        let known = nature.repeat == Repeat::Keyed && self.content == Content::Ours;
        self.effects += u8::from(!known);
        if self.content != Content::Damaged {
            self.content = if self.content == Content::Foreign { Content::Damaged } else { Content::Ours };
        }
    }

    /// Somebody takes away what was made.
    pub(super) fn lose(&mut self, nature: Nature) {
        if self.content == Content::Ours {
            (self.content, self.effects, self.lost) = (nature.start, 0, true);
        }
    }

    /// An undo begins. Returns whether it will fail.
    pub(super) fn begin_undo(&mut self, nature: Nature) -> bool {
        self.undo_calls += 1;
        self.undo_calls <= nature.undo_faults
    }

    pub(super) fn half_undone(&mut self, nature: Nature) {
        if nature.undo == Undo::Restore && self.content == Content::Ours {
            self.content = Content::Half;
        }
    }

    pub(super) fn undone(&mut self, nature: Nature, before: Option<&Payload>) {
        self.content = match (nature.undo, self.content) {
            (Undo::Restore, content) => before.map_or(content, restored),
            (Undo::Reverse, Content::Ours | Content::Half) => Content::Nothing,
            // Whoever can look, or did it, takes back no more than there is. Whoever cannot takes back something else.
            (Undo::Reverse, content) if nature.sight == Sight::Tells || self.was_there => content,
            _ => Content::Damaged,
        };
        self.effects = 0;
        self.late = 0;
    }
}

pub(super) fn output() -> Payload {
    Payload::Value(json!("output"))
}

pub(super) fn checkpoint(content: Content) -> Payload {
    Payload::Value(json!(format!("{content:?}")))
}

fn restored(before: &Payload) -> Content {
    let text = before.value().and_then(serde_json::Value::as_str);
    match text {
        Some("Nothing") => Content::Nothing,
        Some("Original") => Content::Original,
        Some("Half") => Content::Half,
        Some("Ours") => Content::Ours,
        _ => Content::Damaged,
    }
}
