//! The person beside the run: does errands while it runs, and looks at what is held.

use formula_steps::contract::{Class, Undo};

use super::formula::{Errand, Redone};
use super::sim::{Broken, Move, Sim};
use super::world::Content;
use crate::engine::StepState;
use crate::model::{Event, Request, SettleAnswer, StepIx};

impl Sim {
    pub(super) fn request(&self, errand: Errand) -> Request {
        let by = "me".to_owned();
        match errand {
            Errand::Cancel { now, rollback } => Request::Cancel { by, now, rollback },
            Errand::RollBack { to } => Request::Rollback { by, to: to.map(|to| self.formula.id(StepIx(to))) },
            Errand::Answer { gate, approved } => {
                let step = self.formula.id(StepIx(gate));
                Request::Decide { by, step, approved, reason: None, digest: "digest".into() }
            }
        }
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<(), Broken> {
        self.state.check_request(request).map_err(|refusal| format!("refused: {refusal}"))?;
        for event in self.state.events_for(request) {
            if let Event::RollbackRequested { to, .. } = &event {
                self.memory.rolled = to.is_none();
            }
            self.record(event)?;
        }
        Ok(())
    }

    /// A person looks at every step that is held and says what is so. Returns whether anything was to be said.
    pub(super) fn settle(&mut self) -> Result<bool, Broken> {
        let mut said = false;
        for step in (0..self.world.len() as u32).map(StepIx) {
            let content = self.world[step.index()].content;
            let answer = match self.state.step(step) {
                StepState::Held { .. } if content == Content::Ours => SettleAnswer::Adopt,
                StepState::Held { .. } if content == Content::Foreign => SettleAnswer::Skip,
                StepState::Held { .. } => SettleAnswer::Retry,
                StepState::UndoFailed(trouble) if trouble.class == Class::Conflict => match content {
                    Content::Ours | Content::Half => SettleAnswer::Retry,
                    _ => SettleAnswer::Skip,
                },
                _ => continue,
            };
            if self.state.valid_answers(step).iter().any(|(valid, _)| *valid == answer) {
                let request = Request::Settle { by: "me".into(), step: self.formula.id(step), answer, reason: String::new(), output: None };
                self.ask(&request)?;
                said = true;
            }
        }
        self.commit()?;
        Ok(said)
    }

    /// A person has a step done again, if that is not refused. Returns whether it was.
    pub(super) fn redo(&mut self) -> Result<bool, Broken> {
        let Some(Redone { step, lost }) = self.formula.redone.filter(|_| !self.memory.redone) else { return Ok(false) };
        let step = StepIx(step);
        let request = Request::Redo { by: "me".into(), steps: vec![self.formula.id(step)] };
        if let Err(refusal) = self.state.check_request(&request) {
            let reads = self.formula.above(step).iter().any(|above| self.formula.plan.step(*above).templated);
            let reason = !self.state.step(step).is_over() || self.state.rollback.is_some() || reads;
            return if reason { Ok(false) } else { Err(format!("doing it again is refused for no reason: {refusal}")) };
        }
        let nature = self.formula.nature(step);
        for above in self.formula.above(step) {
            let reverses = matches!(self.formula.nature(above).undo, Undo::Restore | Undo::Reverse);
            let owes = reverses && self.memory.past[above.index()].attempts > 0;
            if owes && self.formula.plan.step(above).templated {
                return Err(format!("`{}` would be taken back with other params", self.formula.id(above)));
            }
        }
        if lost {
            self.world[step.index()].lose(nature);
        }
        self.memory.redone = true;
        self.ask(&request)?;
        Ok(true)
    }

    /// A person has a step done again of a run that nobody drives any more.
    pub(super) fn redo_late(&self) -> Result<Option<Self>, Broken> {
        let mut next = self.clone();
        next.path.push(Move::Redo);
        next.take_up(false)?;
        if !next.redo()? {
            return Ok(None);
        }
        next.make(Move::Commit)?;
        Ok(Some(next))
    }

    /// A person answers although the driver has let go; the next one takes it up. False where the errand does not fit.
    pub(super) fn answer_late(&mut self, errand: usize) -> Result<bool, Broken> {
        let request = self.request(self.formula.errands[errand]);
        self.state.tick(self.now);
        if !matches!(request, Request::Decide { .. }) || self.state.check_request(&request).is_err() {
            return Ok(false);
        }
        self.memory.errands &= !(1 << errand);
        self.path.push(Move::Errand(errand));
        self.ask(&request)?;
        self.commit()?;
        self.take_up(false)?;
        self.make(Move::Commit)?;
        Ok(true)
    }
}
