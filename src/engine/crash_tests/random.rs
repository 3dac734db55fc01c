//! Large graphs of random steps, driven, killed, cancelled, turned round at random: whatever happens, the laws hold and the run ends.

use std::rc::Rc;

use formula_steps::contract::{Class, Repeat, Undo};
use proptest::prelude::*;

use super::explore::followers;
use super::formula::{Builder, Errand, Formula, Redone};
use super::sim::{Move, Sim};
use super::world::{Content, Nature, Point, Sight};
use crate::model::Outcome;

/// More moves than any run of thirty steps needs.
const MOST: usize = 20_000;

fn natures() -> impl Strategy<Value = Nature> {
    let sight = prop_oneof![3 => Just(Sight::Tells), 1 => Just(Sight::Vague), 2 => Just(Sight::Blind)];
    let repeat = prop_oneof![3 => Just(Repeat::Safe), 1 => Just(Repeat::Keyed), 1 => Just(Repeat::Never)];
    let undo = prop_oneof![6 => Just(Undo::Restore), 4 => Just(Undo::Reverse), 2 => Just(Undo::Nothing), 1 => Just(Undo::Impossible)];
    let class = prop_oneof![Just(Class::Transient), Just(Class::Timeout), Just(Class::Permanent), Just(Class::Internal)];
    let point = prop_oneof![Just(Point::Before), Just(Point::Half)];
    let fault = proptest::option::weighted(0.1, (1..4_u8, class, point));
    let found = prop_oneof![8 => Just(None), 1 => Just(Some(Content::Ours)), 1 => Just(Some(Content::Foreign))];
    (sight, repeat, undo, fault, found, prop_oneof![9 => Just(0_u8), 1 => 1..3_u8], any::<bool>(), 0..10_u8).prop_map(
        |(sight, repeat, undo, fault, found, stuck, halves, look)| {
            let mut nature = if look == 0 { Nature::look() } else { Nature::new(sight, repeat, undo).stuck(stuck) };
            if let (Some(start), Sight::Tells, 1..) = (found, sight, look) {
                nature = nature.found(start);
            }
            if let Some((calls, class, point)) = fault {
                let point = if nature.looks() || !halves { Point::Before } else { point };
                nature = nature.failing(calls, class, point);
            }
            Nature { halves, ..nature }
        },
    )
}

fn errands(steps: u32) -> impl Strategy<Value = Vec<Errand>> {
    let errand = prop_oneof![
        any::<bool>().prop_map(|now| Errand::Cancel { now, rollback: false }),
        any::<bool>().prop_map(|now| Errand::Cancel { now, rollback: true }),
        Just(Errand::RollBack { to: None }),
        (0..steps).prop_map(|to| Errand::RollBack { to: Some(to) }),
    ];
    proptest::collection::vec(errand, 0..3)
}

fn formulas() -> impl Strategy<Value = Formula> {
    let step = (natures(), any::<[u8; 3]>(), 0..4_u8, 1..3_u32);
    let steps = proptest::collection::vec(step, 1..=30);
    (1..6_u32, any::<bool>(), steps, 0..3_usize)
        .prop_flat_map(|(slots, rolling_back, steps, last)| {
            let count = steps.len() as u32;
            let redone = proptest::option::weighted(0.3, (0..count, any::<bool>()));
            (Just((slots, rolling_back, steps, last)), errands(count), redone)
        })
        .prop_map(|((slots, rolling_back, steps, last), errands, redone)| {
            let mut builder = Builder::new(slots);
            if rolling_back {
                builder = builder.rolling_back();
            }
            let first_final = steps.len().saturating_sub(last).max(1);
            for (index, (nature, picks, needs, attempts)) in steps.iter().enumerate() {
                let finally = index >= first_final;
                let mut needs: Vec<u32> = picks[..usize::from((*needs).min(3))]
                    .iter()
                    .filter(|_| index > 0)
                    // Close by, so that there are chains.
                    .map(|pick| index.saturating_sub(1 + usize::from(*pick) % 5) as u32)
                    .collect();
                needs.sort_unstable();
                needs.dedup();
                let nature = if finally { Nature { undo: Undo::Nothing, ..Nature::look() } } else { *nature };
                builder = builder.step(&needs, nature).attempts(*attempts);
                if finally {
                    builder = builder.finally();
                }
            }
            let kept: Vec<_> = errands
                .into_iter()
                .filter(|errand| !matches!(errand, Errand::RollBack { to: Some(to) } if *to as usize >= first_final))
                .collect();
            let redone = redone.map(|(step, lost)| Redone { step, lost });
            Formula { ends: None, redone, ..builder.ends("random", 4, Outcome::Done, "") }.with(&kept)
        })
}

fn drive(formula: Formula, choices: &[u8]) -> Result<Outcome, String> {
    let mut choices = choices.iter().copied();
    let mut sim = Sim::new(Rc::new(formula))?;
    for _ in 0..MOST {
        super::laws::alive(&sim)?;
        if let Some(outcome) = sim.over
            && sim.pending.is_empty()
        {
            let Some(next) = followers(&sim, outcome)?.pop() else { return Ok(outcome) };
            sim = next;
            continue;
        }
        let mut moves = sim.moves();
        // An errand is done by chance only.
        let choice = choices.next();
        if choice.is_none() {
            moves.retain(|next| !matches!(next, Move::Errand(_)));
        }
        let next = match choice {
            Some(choice @ 0..5) if sim.kills < sim.formula.kills => Move::Crash { roll_back: choice == 0 && !sim.memory.rolled },
            Some(5..7) if sim.kills < sim.formula.kills && sim.formula.redone.is_some() && !sim.memory.redone => Move::Redo,
            choice => moves[usize::from(choice.unwrap_or_default()) % moves.len()],
        };
        sim.make(next).map_err(|broken| format!("{broken}, on the way {:?}", sim.path))?;
    }
    Err("it never ends".into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_however_a_run_is_driven(formula in formulas(), choices in proptest::collection::vec(any::<u8>(), 0..900)) {
        if let Err(broken) = drive(formula, &choices) {
            prop_assert!(false, "{broken}");
        }
    }
}
