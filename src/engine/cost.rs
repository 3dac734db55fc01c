//! A run costs what happens in it. Counted, not timed: operations on the core's sets and counters, for ten times as many steps.

use super::mutation::{self, Mutation};
use super::plans::{blind, plan};
use super::queues::effort;
use super::{Command, RunState};
use crate::model::{Event, OnFailure, Outcome, Payload, PlanStep, StepIx, Timestamp};

const SLOTS: u32 = 8;

/// Runs everything, one event at a time, and asks for commands after each.
fn carry_out(state: &mut RunState) -> Outcome {
    let id = |state: &RunState, step: StepIx| state.plan().step(step).id.clone();
    let mut announced = std::collections::VecDeque::new();
    loop {
        let mut finish = None;
        for command in state.decide() {
            match command {
                Command::Attempt { step, attempt } if state.next_attempt(step) == attempt => {
                    state.fold(&Event::AttemptStarted { step: id(state, step), attempt }).unwrap();
                    announced.push_back(step);
                }
                Command::Undo(step) if !announced.contains(&step) => {
                    state.fold(&Event::UndoStarted { step: id(state, step) }).unwrap();
                    announced.push_back(step);
                }
                Command::Finish(outcome) => finish = Some(outcome),
                _ => {}
            }
        }
        if let Some(outcome) = finish {
            state.fold(&Event::RunFinished { outcome, changed: state.changed() }).unwrap();
            return outcome;
        }
        let step = announced.pop_front().expect("something is under way");
        let output = Payload::Value(serde_json::Value::Null);
        let ended = match state.step(step) {
            super::StepState::Undoing => Event::UndoSucceeded { step: id(state, step) },
            _ => Event::AttemptSucceeded { step: id(state, step), attempt: state.next_attempt(step) - 1, output, one_way: false },
        };
        state.fold(&ended).unwrap();
    }
}

/// Operations for a run, a resume and a rollback of those steps.
fn effort_of(steps: Vec<PlanStep>) -> [u64; 3] {
    let mut state = RunState::new(plan(SLOTS, OnFailure::Hold, steps));
    let by = String::new;
    let payload = Payload::Value(serde_json::Value::Null);
    state.fold(&Event::RunStarted { formula: by(), fingerprint: by(), plan: payload, tool: by(), by: by() }).unwrap();
    state.tick(Timestamp(0));
    let mut last = effort::spent();
    let mut spent = || effort::spent() - std::mem::replace(&mut last, effort::spent());
    assert_eq!(carry_out(&mut state), Outcome::Done);
    let run = spent();
    state.fold(&Event::RunResumed { tool: by(), by: by() }).unwrap();
    let resume = spent();
    state.fold(&Event::RollbackRequested { by: by(), to: None }).unwrap();
    assert_eq!(carry_out(&mut state), Outcome::RolledBack);
    [run, resume, spent()]
}

fn steps(count: u32, needs: impl Fn(u32) -> Vec<StepIx>) -> Vec<PlanStep> {
    let template = blind("", &[]);
    let step = |index| PlanStep { id: format!("s{index}"), needs: needs(index), ..template.clone() };
    (0..count).map(step).collect()
}

fn chain(count: u32) -> Vec<PlanStep> {
    steps(count, |index| index.checked_sub(1).map(StepIx).into_iter().collect())
}

fn fan_out(count: u32) -> Vec<PlanStep> {
    steps(count, |_| Vec::new())
}

/// All into one.
fn fan_in(count: u32) -> Vec<PlanStep> {
    steps(count, |index| if index + 1 == count { (0..index).map(StepIx).collect() } else { Vec::new() })
}

/// Rows of twenty, each step on the whole row before: nineteen edges a step and more.
fn layers(count: u32) -> Vec<PlanStep> {
    steps(count, |index| {
        let row = index / 20;
        if row == 0 { Vec::new() } else { ((row - 1) * 20..row * 20).map(StepIx).collect() }
    })
}

#[test]
fn ten_times_the_steps_cost_ten_times_as_much() {
    for (name, shape, count) in [
        ("chain", chain as fn(u32) -> Vec<PlanStep>, 100_000),
        ("fan-out", fan_out, 100_000),
        ("fan-in", fan_in, 100_000),
        ("layers", layers, 20_000),
    ] {
        let (small, large) = (effort_of(shape(count / 10)), effort_of(shape(count)));
        for ((part, small), large) in ["run", "resume", "rollback"].into_iter().zip(small).zip(large) {
            assert!(small > 0 && large <= 11 * small, "{part} of {name}: {small} operations for {} steps, {large} for {count}", count / 10);
        }
    }
}

#[test]
fn a_core_that_looks_at_everything_is_noticed() {
    let [small, large] = [200, 2_000].map(|count| mutation::with(Some(Mutation::RebuildAlways), || effort_of(chain(count))[0]));
    assert!(large > 50 * small, "{small} operations for 200 steps, {large} for 2000");
}
