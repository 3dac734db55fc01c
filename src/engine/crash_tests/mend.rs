//! The person who mends the formula: at any death, and when a run is held.

use std::rc::Rc;

use formula_steps::contract::{Class, Repeat, Undo};
use serde_json::json;

use super::formula::{Builder, Errand, Formula};
use super::matrix::ALWAYS;
use super::sim::{Broken, Move, Sim};
use super::world::{Content, Nature, Point, Sight};
use crate::engine::StepState;
use crate::model::{Event, Gate, Outcome, Payload, StepIx};

impl Formula {
    /// May be mended into that one, of which those steps are written otherwise.
    fn mended(mut self, edited: &[usize], mut into: Self) -> Self {
        let mut plan = (*into.plan).clone();
        for step in edited {
            plan.steps[*step].with = json!("mended");
        }
        into.plan = plan.into();
        into.errands.clone_from(&self.errands);
        self.mended = Some(Rc::new(into));
        self
    }
}

impl Sim {
    /// Replaces the plan, if that is not refused. Returns whether it was.
    pub(super) fn mend(&mut self) -> Result<bool, Broken> {
        let Some(mended) = self.formula.mended.clone() else { return Ok(false) };
        let mending = self.state.mending(&mended.plan);
        if !mending.refused.is_empty() {
            let touched = |step: &StepIx| self.memory.past[step.index()].attempts > 0 || *self.state.step(*step) != StepState::Pending;
            let reason = self.state.rollback.is_some() || (0..self.world.len() as u32).map(StepIx).any(|step| touched(&step));
            return if reason { Ok(false) } else { Err(format!("mending is refused for no reason: {mending:?}")) };
        }
        for (id, _) in &mending.again {
            let step = self.formula.plan.find(id).ok_or_else(|| format!("no step `{id}`"))?;
            let (nature, cell) = (self.formula.nature(step), self.world[step.index()]);
            // What is there now nobody would take back, for undo has the new params.
            if matches!(nature.undo, Undo::Restore | Undo::Reverse) && cell.content != nature.start && cell.content != Content::Foreign {
                return Err(format!("step `{id}` was mended over {:?}", cell.content));
            }
            if nature.undo == Undo::Impossible && cell.content == Content::Ours && cell.effects > 0 {
                return Err(format!("step `{id}` was mended although it has taken effect, and cannot be taken back"));
            }
        }
        for index in (0..self.world.len()).filter(|index| mended.plan.steps[*index].with == json!("mended")) {
            // Whatever was approved was not this.
            let below = mended.below(StepIx(index as u32));
            self.memory.passed.iter_mut().zip(below).for_each(|(passed, below)| *passed &= !below);
        }
        let plan = Payload::Value(serde_json::to_value(&*mended.plan).expect("plain data"));
        self.record(Event::PlanReplaced { fingerprint: String::new(), plan, tool: String::new(), by: String::new() })?;
        self.formula = mended;
        Ok(true)
    }

    /// A person mends what nobody drives any more.
    pub(super) fn mend_late(&self) -> Result<Option<Self>, Broken> {
        let mut next = self.clone();
        next.path.push(Move::Mend);
        next.take_up(false)?;
        if !next.mend()? {
            return Ok(None);
        }
        next.make(Move::Commit)?;
        Ok(Some(next))
    }
}

/// Formulas that are mended.
pub(super) fn formulas() -> Vec<Formula> {
    let plain = || Nature::new(Sight::Tells, Repeat::Safe, Undo::Restore);
    let one_way = || Nature::new(Sight::Tells, Repeat::Safe, Undo::Impossible);
    let blind = || Nature::new(Sight::Blind, Repeat::Safe, Undo::Impossible);
    let fails = |nature: Nature, class, point| nature.failing(ALWAYS, class, point);
    let row = |middle: Nature| Builder::new(2).step(&[], plain().whole()).step(&[0], middle).step(&[1], plain().whole());
    let done = |middle: Nature| row(middle).ends("mended", 1, Outcome::Done, "ooo");
    let held = |name: &str, bad: Nature, good: Nature, leaves: &str| row(bad).ends(name, 1, Outcome::Held, leaves).mended(&[1], done(good));
    let gated = |last: Nature| Builder::new(1).step(&[], plain().whole()).gate(&[0], Gate::Approve).step(&[1], last);
    let approve = Errand::Answer { gate: 1, approved: true };
    let beside = |bad: Nature| Builder::new(2).step(&[], plain().whole()).step(&[], bad).step(&[0, 1], plain().whole());
    vec![
        held("mended after it failed", fails(one_way(), Class::Permanent, Point::Before), one_way(), "o--"),
        held("mended after it failed, blind", fails(blind(), Class::Permanent, Point::Before), blind(), "o--"),
        held("mended after it refused", fails(plain(), Class::Refused, Point::Before), plain(), "o--"),
        row(fails(Nature::look(), Class::Permanent, Point::Before))
            .ends("mended after a look", 1, Outcome::Held, "o--")
            .mended(&[1], row(Nature::look()).ends("mended", 1, Outcome::Done, "o-o")),
        held("not mended: it left half of it", fails(plain(), Class::Permanent, Point::Half), plain(), "oh-"),
        row(plain()).ends("mended ahead", 1, Outcome::Done, "ooo").mended(&[2], done(plain())),
        row(plain()).ends("mended behind", 1, Outcome::Done, "ooo").mended(&[0], done(plain())),
        row(plain())
            .ends("mended, and taken back in part", 1, Outcome::Done, "ooo")
            .with(&[Errand::RollBack { to: Some(0) }])
            .mended(&[1], done(plain())),
        gated(fails(one_way(), Class::Permanent, Point::Before))
            .ends("mended past an approval", 1, Outcome::Held, "o--")
            .with(&[approve, approve])
            .mended(&[2], gated(one_way()).ends("mended", 1, Outcome::Done, "o-o")),
        beside(fails(one_way(), Class::Permanent, Point::Before))
            .ends("mended beside another", 1, Outcome::Held, "?--")
            .mended(&[1], beside(one_way()).ends("mended", 1, Outcome::Done, "ooo")),
    ]
}
