//! What must never happen, however a run is cut up. Judged by the world and the log, not by what the core thinks of itself.

use std::collections::BTreeSet;

use formula_steps::contract::{Effect, Probe, Repeat, Undo};

use super::sim::{Broken, Phase, Sim, Work};
use super::world::{Cell, Content, Sight};
use crate::engine::step_state::Slot;
use crate::engine::{Command, Mode, Origin, Refusal, RunState, StepState};
use crate::model::{Event, Gate, Outcome, StepIx};

fn broken(sim: &Sim, step: StepIx, what: &str) -> Broken {
    format!("step `{}`: {what}", sim.formula.id(step))
}

/// Two states that come from the same events.
pub(super) fn same(replayed: &RunState, live: &RunState) -> Result<(), Broken> {
    let mut rebuilt = live.clone();
    rebuilt.rebuild();
    let settled = live.rollback.as_ref().is_none_or(|rollback| rollback.begun);
    if settled && (rebuilt.queues != live.queues || rebuilt.released != live.released || rebuilt.closing != live.closing) {
        return Err(format!("the queues have drifted:\n{:?}\n{:?}", live.queues, rebuilt.queues));
    }
    let odd = |slot: &&Slot| match slot.state {
        StepState::Pending => slot.trace,
        StepState::InDoubt { .. } | StepState::Running { .. } | StepState::Undoing => !slot.trace,
        _ => slot.made && !slot.trace,
    };
    if let Some(slot) = live.slots.iter().find(odd) {
        return Err(format!("a step contradicts itself: {slot:?}"));
    }
    let equal = replayed.slots == live.slots && replayed.queues == live.queues && replayed.mode() == live.mode();
    if equal && replayed.decide() == live.decide() { Ok(()) } else { Err(format!("a replay gives another state:\n{replayed:?}\n{live:?}")) }
}

/// What the core asks for at once.
pub(super) fn decided(sim: &Sim, commands: &BTreeSet<Command>) -> Result<(), Broken> {
    let slots = sim.formula.plan.max_parallel as usize;
    let harmless = |step: StepIx| {
        let nature = sim.formula.nature(step);
        nature.sight == Sight::Blind && (nature.repeat == Repeat::Safe || nature.looks())
    };
    let steps = commands.iter().filter_map(|command| match command {
        Command::Probe { step, .. } | Command::Attempt { step, .. } | Command::Undo(step) => Some((*step, command)),
        _ => None,
    });
    let steps: Vec<_> = steps.collect();
    let strict = steps.iter().filter(|(step, command)| !harmless(*step) || !matches!(command, Command::Attempt { .. })).count();
    if strict > slots || steps.len() > 2 * slots {
        return Err(format!("{} steps at once, {strict} of them not ahead, with {slots} slots", steps.len()));
    }
    Ok(())
}

/// Whether somebody asks for a rollback. Where the formula does, the event only says what the run does already.
fn is_asked_for(event: &Event) -> bool {
    matches!(event, Event::RollbackRequested { by, .. } if by != "formula")
}

/// After an event was recorded: what the log must not say.
pub(super) fn recorded(sim: &mut Sim, event: &Event) -> Result<(), Broken> {
    if is_asked_for(event) {
        sim.memory.past.iter_mut().for_each(|past| past.tries = 0);
    }
    if matches!(event, Event::RunResumed { .. }) {
        // After a rollback in part, what has nothing to undo is done anew as well.
        for (index, slot) in sim.state.slots.iter().enumerate() {
            if slot.state == StepState::Pending && sim.memory.past[index].outputs > 0 {
                sim.memory.past[index].outputs = 0;
                sim.world[index].effects = 0;
            }
        }
    }
    if let Event::RedoRequested { steps, .. } = event {
        return done_again(sim, &steps[0]);
    }
    let Some(step) = event.step().and_then(|id| sim.formula.plan.find(id)) else { return Ok(()) };
    let finally = sim.formula.plan.step(step).finally;
    match event {
        Event::AttemptStarted { .. } => {
            let log = || {
                sim.durable
                    .iter()
                    .chain(&sim.pending)
                    .rev()
                    .map(|envelope| &envelope.event)
                    .take_while(|event| !matches!(event, Event::RunResumed { .. }))
            };
            let stops = log().take_while(|event| !is_asked_for(event));
            if stops.into_iter().any(|event| matches!(event, Event::CancelRequested { .. })) {
                return Err(broken(sim, step, "tried although somebody asked to stop"));
            }
            if sim.failed && !finally && !sim.beside_a_failed_item(step) {
                return Err(broken(sim, step, "tried although another one failed"));
            }
            let past = &mut sim.memory.past[step.index()];
            past.tries += 1;
            past.attempts += 1;
            if past.tries > sim.formula.plan.step(step).retry.attempts {
                return Err(broken(sim, step, "tried more often than allowed"));
            }
        }
        Event::AttemptWithdrawn { .. } => {
            let past = &mut sim.memory.past[step.index()];
            past.tries = past.tries.saturating_sub(1);
            past.attempts -= 1;
        }
        Event::AttemptFailed { class, .. } => sim.failed |= !class.retryable() && *sim.state.step(step) != StepState::Pending,
        Event::StepSettled { .. } => sim.failed = false,
        // An answer that nobody waits for any more is recorded, and that is all.
        Event::StepProbed { probe: Probe::Present { .. }, .. } if !matches!(sim.state.step(step), StepState::Done { .. }) => {}
        Event::AttemptSucceeded { .. } | Event::StepProbed { probe: Probe::Present { .. }, .. } => {
            sim.memory.past[step.index()].outputs += 1;
            if sim.memory.past[step.index()].outputs > 1 {
                return Err(broken(sim, step, "its output was recorded twice"));
            }
        }
        Event::UndoSucceeded { .. } => sim.memory.past[step.index()].outputs = 0,
        Event::GateDecided { approved, by, .. } => {
            let waits = sim.is_gate(step) == Some(Gate::Wait);
            sim.memory.passed[step.index()] = *approved && (waits || by != "timer" && !is_late(sim, step));
        }
        _ => {}
    }
    Ok(())
}

/// Whether the time of that gate is over, as it was opened last.
fn is_late(sim: &Sim, gate: StepIx) -> bool {
    let id = sim.formula.id(gate);
    let opened = sim.durable.iter().chain(&sim.pending).rev().find_map(|envelope| match &envelope.event {
        Event::GateOpened { step, until, .. } if *step == id => Some(*until),
        _ => None,
    });
    opened.flatten().is_some_and(|until| until <= sim.now)
}

/// A person has a step done again: nothing that rests on it and can be asked is taken for done meanwhile.
fn done_again(sim: &mut Sim, id: &str) -> Result<(), Broken> {
    let named = sim.formula.plan.find(id).ok_or_else(|| format!("no step `{id}`"))?;
    let finals = (0..sim.world.len() as u32).map(StepIx).filter(|step| sim.formula.plan.step(*step).finally);
    let steps: Vec<_> = [named].into_iter().chain(sim.formula.above(named)).chain(finals).collect();
    for step in steps {
        let nature = sim.formula.nature(step);
        let past = &mut sim.memory.past[step.index()];
        let state = sim.state.step(step);
        if state.is_over() {
            let vouched = past.attempts == 0 || past.outputs == 0;
            if step == named || nature.sight == Sight::Tells && !vouched {
                return Err(broken(sim, step, "is taken for done although what it rests on is done again"));
            }
            continue;
        }
        // What cannot tell may take effect once more: because it is named, or because it does no harm.
        let again = nature.sight != Sight::Tells && (step == named || nature.repeat != Repeat::Never);
        let cell = &mut sim.world[step.index()];
        cell.redone += u8::from(again && cell.effects > 0);
        past.outputs = 0;
        sim.memory.passed[step.index()] = false;
    }
    Ok(())
}

/// Before an effect.
pub(super) fn begins(sim: &Sim, step: StepIx, intent: u64) -> Result<(), Broken> {
    if intent > sim.durable.len() as u64 {
        return Err(broken(sim, step, "begins before its intent is durable"));
    }
    crowded(sim, step)?;
    let planned = sim.formula.plan.step(step);
    let turned = sim.state.rollback.is_some();
    let there = |cell: Cell| cell.content == Content::Ours || cell.lost;
    for need in &planned.needs {
        let met = match sim.state.step(*need) {
            _ if sim.is_gate(*need).is_some() => sim.memory.passed[need.index()],
            // Nobody knows yet of what somebody has taken away.
            StepState::Done { .. } => sim.formula.nature(*need).looks() || there(sim.world[need.index()]),
            StepState::Skipped => true,
            _ => planned.finally && turned && !sim.formula.plan.step(*need).finally,
        };
        if !met {
            return Err(broken(sim, step, &format!("begins before `{}` is over", sim.formula.id(*need))));
        }
    }
    let rest = (0..sim.world.len() as u32).map(StepIx).filter(|other| !sim.formula.plan.step(*other).finally);
    let unfinished = |other: &StepIx| if turned { is_ours(sim, *other) } else { !sim.state.step(*other).is_over() };
    match rest.clone().find(unfinished) {
        Some(other) if planned.finally => Err(broken(sim, step, &format!("begins before `{}` is over", sim.formula.id(other)))),
        _ => Ok(()),
    }
}

fn crowded(sim: &Sim, step: StepIx) -> Result<(), Broken> {
    let begun = sim.tasks.iter().filter(|task| !matches!(task.phase, Phase::Announced(_)) && !matches!(task.work, Work::Probe(_)));
    if begun.count() < sim.formula.plan.max_parallel as usize { Ok(()) } else { Err(broken(sim, step, "begins without a slot")) }
}

/// After a piece of an effect.
pub(super) fn effects(sim: &Sim, step: StepIx) -> Result<(), Broken> {
    let nature = sim.formula.nature(step);
    let cell = sim.world[step.index()];
    if cell.content == Content::Damaged {
        return Err(broken(sim, step, "overwrote what is not ours"));
    }
    let blindly = nature.sight != Sight::Tells && nature.repeat == Repeat::Safe;
    let most = if blindly { 1 + sim.kills + cell.late } else { 1 } + cell.redone;
    if cell.effects > most {
        return Err(broken(sim, step, &format!("took effect {} times with {} kills", cell.effects, sim.kills)));
    }
    Ok(())
}

/// Before an undo.
pub(super) fn begins_undo(sim: &Sim, step: StepIx, intent: u64) -> Result<(), Broken> {
    if intent > sim.durable.len() as u64 {
        return Err(broken(sim, step, "is undone before the intent is durable"));
    }
    crowded(sim, step)?;
    if !matches!(sim.formula.nature(step).undo, Undo::Restore | Undo::Reverse) {
        return Err(broken(sim, step, "is undone although it has no undo"));
    }
    if sim.tasks.iter().any(|task| matches!(task.work, Work::Attempt(_)) && !matches!(task.phase, Phase::Announced(_))) {
        return Err(broken(sim, step, "is undone while something is running"));
    }
    if sim.memory.past[step.index()].attempts == 0 {
        return Err(broken(sim, step, "is undone and was never tried"));
    }
    if let Some(above) = sim.formula.above(step).into_iter().find(|above| is_ours(sim, *above)) {
        return Err(broken(sim, step, &format!("is undone before `{}`, which rests on it", sim.formula.id(above))));
    }
    Ok(())
}

/// Whether there is something in the world that this run made and that a rollback is about.
fn is_ours(sim: &Sim, step: StepIx) -> bool {
    let nature = sim.formula.nature(step);
    let cell = sim.world[step.index()];
    let vouched = matches!(sim.state.step(step), StepState::Done { origin: Origin::Adopted } | StepState::Skipped);
    let there = match nature.undo {
        Undo::Nothing => false,
        Undo::Impossible => cell.content == Content::Ours && cell.effects > 0,
        Undo::Restore | Undo::Reverse => cell.content == Content::Half || cell.content == Content::Ours && cell.effects > 0,
    };
    there && !vouched
}

/// A rollback was refused: there must be a reason in the world.
pub(super) fn refused(sim: &Sim, refusal: &Refusal) -> Result<(), Broken> {
    // What was made and lost since was made all the same.
    let there = |step: &StepIx| sim.world[step.index()].effects > 0 || sim.world[step.index()].lost;
    let passed = |step: &StepIx| sim.formula.nature(*step).effect == Effect::OneWay && there(step);
    if (0..sim.world.len() as u32).map(StepIx).any(|step| passed(&step)) { Ok(()) } else { Err(format!("refused: {refusal}")) }
}

/// The run is over for good, and nobody has anything to say.
pub(super) fn ended(sim: &Sim, outcome: Outcome) -> Result<(), Broken> {
    if sim.memory.rolled {
        return rolled_back(sim, outcome);
    }
    let Some(ends) = sim.formula.ends else { return plausible(sim, outcome) };
    if outcome != ends {
        return Err(format!("ended as {}, not as {}", outcome.as_str(), ends.as_str()));
    }
    let found: Vec<_> = sim.world.iter().map(|cell| cell.content).collect();
    if found.iter().zip(&sim.formula.leaves).any(|(found, left)| left.is_some_and(|left| left != *found)) {
        return Err(format!("left {found:?}, not {:?}", sim.formula.leaves));
    }
    Ok(())
}

/// The world is as the outcome says.
fn plausible(sim: &Sim, outcome: Outcome) -> Result<(), Broken> {
    let steps = || (0..sim.world.len() as u32).map(StepIx);
    let wrong = match outcome {
        Outcome::Done => {
            let cell = |step: &StepIx| sim.world[step.index()];
            let there = |step: &StepIx| sim.formula.nature(*step).looks() || cell(step).content == Content::Ours || cell(step).lost;
            steps().find(|step| !(sim.state.step(*step).is_over() && (there(step) || *sim.state.step(*step) == StepState::Skipped)))
        }
        Outcome::Refused => steps().find(|step| sim.world[step.index()].effects > 0),
        Outcome::Held => {
            let held = |step| matches!(sim.state.step(step), StepState::Held { .. } | StepState::Failed(_) | StepState::Waiting { .. });
            return if steps().any(held) { Ok(()) } else { Err("held, and nobody knows by what".into()) };
        }
        Outcome::RolledBack | Outcome::RollbackIncomplete => return rolled_back(sim, outcome),
        _ => return Err(format!("ended as {}", outcome.as_str())),
    };
    wrong.map_or(Ok(()), |step| Err(broken(sim, step, &format!("cannot be like this when a run is {}", outcome.as_str()))))
}

/// Everything is as it was, but for what could not be undone and what that rests on.
fn rolled_back(sim: &Sim, outcome: Outcome) -> Result<(), Broken> {
    let steps = || (0..sim.world.len() as u32).map(StepIx).filter(|step| !sim.formula.plan.step(*step).finally);
    let stuck: Vec<_> = steps().filter(|step| matches!(sim.state.step(*step), StepState::UndoFailed(_))).collect();
    let expected = if stuck.is_empty() { Outcome::RolledBack } else { Outcome::RollbackIncomplete };
    if outcome != expected {
        return Err(format!("a rollback ended as {}, not as {}", outcome.as_str(), expected.as_str()));
    }
    let to = sim.state.rollback.as_ref().and_then(|rollback| rollback.to);
    let kept = |step: StepIx| to.is_some_and(|to| to == step || sim.formula.below(to)[step.index()]);
    for step in steps().filter(|step| !kept(*step)) {
        let nature = sim.formula.nature(step);
        let held_back = stuck.iter().any(|stuck| *stuck == step || sim.formula.below(*stuck)[step.index()]);
        let vouched = matches!(sim.state.step(step), StepState::Done { origin: Origin::Adopted } | StepState::Skipped);
        let content = sim.world[step.index()].content;
        if held_back || vouched && content == Content::Ours || !matches!(nature.undo, Undo::Restore | Undo::Reverse) {
            continue;
        }
        if content != nature.start {
            return Err(broken(sim, step, &format!("a rollback left {content:?}, not {:?}", nature.start)));
        }
    }
    Ok(())
}

/// Somebody has to do something.
pub(super) fn alive(sim: &Sim) -> Result<(), Broken> {
    if sim.over.is_none() && sim.moves().is_empty() && !matches!(sim.state.mode(), Mode::Finished(_)) {
        return Err("nothing is in flight, nothing is asked for, and the run is not over".into());
    }
    Ok(())
}
