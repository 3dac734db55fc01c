//! Goes every way that a run can take, with deaths at every point of every way.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use super::formula::Formula;
use super::laws;
use super::sim::{Broken, Move, Phase, Sim};
use crate::engine::{RunState, StepState};
use crate::model::{Outcome, Payload, Request, StepIx};

/// What was gone through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Different moments.
    pub(super) moments: u64,
    /// Deaths, each at a different moment.
    pub(super) kills: u64,
    /// Ends that nothing follows.
    pub(super) ends: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.moments += other.moments;
        self.kills += other.kills;
        self.ends += other.ends;
    }
}

/// Goes every way.
pub(super) fn explore(formula: Formula) -> Result<Counts, Broken> {
    let name = formula.name.clone();
    let kills = formula.kills;
    let formula = Rc::new(formula);
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    let mut open = vec![Sim::new(formula).map_err(|broken| format!("{name}: {broken}"))?];
    while let Some(sim) = open.pop() {
        if !seen.insert(fingerprint(&sim)) {
            continue;
        }
        counts.moments += 1;
        visit(&sim, kills, &mut counts, &mut open).map_err(|(broken, path)| format!("{name}: {broken}, on the way {path:?}"))?;
    }
    Ok(counts)
}

type Astray = (Broken, Vec<Move>);

fn visit(sim: &Sim, kills: u8, counts: &mut Counts, open: &mut Vec<Sim>) -> Result<(), Astray> {
    let astray = |broken| (broken, sim.path.clone());
    laws::alive(sim).map_err(astray)?;
    let mut moves = sim.moves();
    if sim.kills < kills {
        moves.push(Move::Crash { roll_back: false });
        moves.extend((!sim.memory.rolled).then_some(Move::Crash { roll_back: true }));
        moves.extend(sim.formula.mended.as_ref().map(|_| Move::Mend));
        moves.extend(sim.formula.redone.filter(|_| !sim.memory.redone).map(|_| Move::Redo));
        counts.kills += 1;
    }
    for next in moves {
        let mut after = sim.clone();
        match after.make(next) {
            Ok(()) => open.push(after),
            Err(broken) => return Err((broken, after.path)),
        }
    }
    if let Some(outcome) = sim.over
        && sim.pending.is_empty()
    {
        counts.ends += 1;
        open.extend(followers(sim, outcome).map_err(astray)?);
    }
    Ok(())
}

/// After a driver let go: the ways in which the run is taken up again. Where there is none, it has ended as it must.
pub(super) fn followers(sim: &Sim, outcome: Outcome) -> Result<Vec<Sim>, Broken> {
    let mut next = sim.clone();
    let said = next.settle()?;
    let steps = || (0..sim.world.len() as u32).map(StepIx);
    let waiting = |step| if let StepState::Waiting { until, .. } = sim.state.step(step) { Some(*until) } else { None };
    let late = steps().filter_map(waiting).flatten().min().filter(|until| *until > sim.now);
    next.now = late.unwrap_or(sim.now);
    let loose = matches!(outcome, Outcome::Stopped | Outcome::Interrupted) && sim.drives < 8;
    // Undos that fail fail so often and no more.
    let again = outcome == Outcome::RollbackIncomplete && sim.drives < 6;
    let mut answered = Vec::new();
    if steps().any(|step| waiting(step).is_some()) && sim.memory.errands != 0 {
        for errand in 0..sim.formula.errands.len() {
            let mut late = sim.clone();
            late.now = next.now;
            if sim.memory.errands & (1 << errand) != 0 && late.answer_late(errand)? {
                answered.push(late);
            }
        }
        if late.is_none() && !said && !loose && !again {
            return Ok(answered);
        }
    }
    if said || loose || again || late.is_some() {
        next.take_up(false)?;
        next.make(Move::Commit)?;
        answered.push(next);
        return Ok(answered);
    }
    laws::ended(sim, outcome)?;
    if sim.memory.rolled || !matches!(outcome, Outcome::Done | Outcome::Held) {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    if outcome == Outcome::Held && sim.formula.mended.is_some() {
        all.extend(sim.mend_late()?);
    }
    all.extend(sim.redo_late()?);
    if let Err(refusal) = sim.state.check_request(&Request::Rollback { by: "me".into(), to: None }) {
        laws::refused(sim, &refusal)?;
        return Ok(all);
    }
    next.take_up(true)?;
    next.make(Move::Commit)?;
    all.push(next);
    Ok(all)
}

/// Equal where everything that can follow is equal.
fn fingerprint(sim: &Sim) -> u128 {
    let mut hashers = (DefaultHasher::new(), DefaultHasher::new());
    hashers.1.write_u8(1);
    let mut write = |value: &dyn Fn(&mut DefaultHasher)| {
        value(&mut hashers.0);
        value(&mut hashers.1);
    };
    for state in [&sim.state, &sim.durable_state] {
        write(&|hasher| hash_state(state, hasher));
    }
    write(&|hasher| {
        for task in &sim.tasks {
            // Only whether an intent is durable counts, not its number.
            let phase = match task.phase {
                Phase::Announced(intent) => Phase::Announced(u64::from(intent <= sim.durable.len() as u64)),
                Phase::Saved(intent) => Phase::Saved(u64::from(intent <= sim.durable.len() as u64)),
                phase => phase,
            };
            (task.step, task.work, phase).hash(hasher);
        }
        (&sim.world, &sim.memory, &sim.durable_memory, sim.over).hash(hasher);
        (sim.now, sim.failed, sim.kills, sim.pending.is_empty(), sim.formula.mended.is_some()).hash(hasher);
    });
    u128::from(hashers.0.finish()) << 64 | u128::from(hashers.1.finish())
}

fn hash_state(state: &RunState, hasher: &mut DefaultHasher) {
    let text = |payload: &Option<Payload>| payload.as_ref().and_then(|payload| payload.value()?.as_str().map(str::to_owned));
    for slot in &state.slots {
        std::mem::discriminant(&slot.state).hash(hasher);
        match &slot.state {
            StepState::WaitingRetry { at, .. } => at.hash(hasher),
            StepState::Waiting { until, .. } => until.hash(hasher),
            StepState::Done { origin } => origin.hash(hasher),
            StepState::Held { why, .. } => why.hash(hasher),
            _ => {}
        }
        slot.state.trouble().map(|trouble| trouble.class).hash(hasher);
        (text(&slot.before), text(&slot.output)).hash(hasher);
        (slot.attempt, slot.tries, slot.trace, slot.made, slot.granted, slot.definite, slot.undo_sure).hash(hasher);
        (slot.undo_began, slot.undo_granted, slot.vouched).hash(hasher);
        let crate::engine::step_state::Prior { ready, trace, definite } = slot.prior;
        (ready, trace, definite).hash(hasher);
    }
    // The turn is told by the order of the queue.
    for (_, step) in state.queues.open.iter().chain(&state.queues.blocked) {
        step.hash(hasher);
    }
    (state.queues.blocked.len(), state.finished, state.cancel, state.cut, state.barred, state.touched).hash(hasher);
    state.first.as_ref().map(|first| first.step).hash(hasher);
    let rollback = state.rollback.as_ref();
    rollback.map(|rollback| (rollback.to, rollback.by_formula, rollback.begun, &rollback.queue, &rollback.failed)).hash(hasher);
    rollback.map(|rollback| rollback.said).hash(hasher);
}
