//! The matrix, and the mistakes that it has to notice.

use super::explore::{Counts, explore};
use super::matrix::formulas;
use crate::engine::mutation::{self, Mutation};

#[test]
#[expect(clippy::print_stdout, reason = "the figures say what the test is worth")]
fn every_cut_at_every_point_converges() {
    let mut counts = Counts::default();
    let formulas = formulas();
    let number = formulas.len();
    let mut broken = Vec::new();
    for formula in formulas {
        match explore(formula) {
            Ok(found) => counts.add(found),
            Err(found) => broken.push(found),
        }
    }
    assert!(broken.is_empty(), "{} formulas of {number} broken:\n{}", broken.len(), broken.join("\n"));
    println!(
        "crash matrix: {number} formulas, {} moments of their schedules, {} cuts, {} ends: all converge",
        thousands(counts.moments),
        thousands(counts.kills),
        thousands(counts.ends)
    );
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let place =
        |(index, digit): (usize, char)| if index > 0 && (digits.len() - index).is_multiple_of(3) { vec![',', digit] } else { vec![digit] };
    digits.chars().enumerate().flat_map(place).collect()
}

/// All of them, each with a formula that notices it. The last two are made by the driver of these tests.
const MISTAKES: [(Mutation, &str); 34] = [
    (Mutation::IgnoreNeeds, "fan-in"),
    (Mutation::FinallyEarly, "finally"),
    (Mutation::IgnoreSlots, "fan-out"),
    (Mutation::StartAnyway, "one of two fails"),
    (Mutation::ForgetItems, "one of three items fails"),
    (Mutation::IgnoreCancel, "cancelled"),
    (Mutation::ApproveLate, "not answered"),
    (Mutation::AnswerLate, "answered, in time or not"),
    (Mutation::ForgetFailure, "fails before"),
    (Mutation::ForgetTries, "retried in vain"),
    (Mutation::SkipProbe, "Tells, Never, Restore"),
    (Mutation::RepeatNever, "Blind, Never, Restore"),
    (Mutation::OverwriteDiverged, "somebody else's"),
    (Mutation::CreateWhatWasThere, "found in place"),
    (Mutation::ReplaceCheckpoint, "Tells, Safe, Restore"),
    (Mutation::RunDoneAgain, "twice, plain"),
    (Mutation::ForgetRollback, "rolled back"),
    (Mutation::TrustUndo, "rolled back"),
    (Mutation::UndoAdopted, "rolled back over what was found"),
    (Mutation::UndoPending, "fails before"),
    (Mutation::UndoForward, "rolled back"),
    (Mutation::UndoWhileRunning, "rolled back while another one runs"),
    (Mutation::GuessReverse, "rolled back, nobody can tell that it did not happen"),
    (Mutation::PassFailedUndo, "an undo that always fails"),
    (Mutation::UndoOnWordToRetry, "a timeout after Before that nobody can judge"),
    (Mutation::KeepHalfUndone, "rolled back in part, then done again"),
    (Mutation::MendWhatIsOwed, "not mended: it left half of it"),
    (Mutation::KeepApprovals, "mended past an approval"),
    (Mutation::RedoAlone, "done again, was lost"),
    (Mutation::RedoBlindly, "done again below what must not be repeated"),
    (Mutation::RedoForgets, "done again, is there"),
    (Mutation::PassOneWay, "past the point of no return"),
    (Mutation::EffectFirst, "Blind, Never, Nothing"),
    (Mutation::UndoFirst, "rolled back"),
];

#[test]
#[expect(clippy::print_stdout, reason = "how a mistake is noticed says whether the right law noticed it")]
fn every_mistake_in_the_rules_is_noticed() {
    let formulas = formulas();
    let mut missed = Vec::new();
    for (mistake, name) in MISTAKES {
        let formula = formulas.iter().find(|formula| formula.name == name).unwrap_or_else(|| panic!("no formula `{name}`"));
        match mutation::with(Some(mistake), || explore(formula.clone())) {
            Err(broken) => println!("{mistake:?}: {}", broken.split(", on the way").next().unwrap_or_default()),
            Ok(_) => missed.push((mistake, name)),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
