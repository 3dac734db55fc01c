//! The formulas of the matrix. Each says how it ends and what it leaves, so that the core is not its own judge.

use formula_steps::contract::{Class, Repeat, Undo};

use super::formula::{Builder, Errand, Formula};
use super::world::{Content, Nature, Point, Sight};
use crate::model::{Gate, Outcome};

/// More than anybody tries.
pub(super) const ALWAYS: u8 = u8::MAX;

/// Can be asked, may be repeated, puts back what was there.
fn plain() -> Nature {
    Nature::new(Sight::Tells, Repeat::Safe, Undo::Restore)
}

/// The same, in one piece: fewer states where many run at once.
fn whole() -> Nature {
    plain().whole()
}

/// A shell step that declares itself safe to repeat.
fn blind() -> Nature {
    Nature::new(Sight::Blind, Repeat::Safe, Undo::Restore)
}

/// A shell step that declares nothing but how it is undone.
fn never(undo: Undo) -> Nature {
    Nature::new(Sight::Blind, Repeat::Never, undo)
}

fn tells(repeat: Repeat, undo: Undo) -> Nature {
    Nature::new(Sight::Tells, repeat, undo)
}

fn one_way() -> Nature {
    tells(Repeat::Safe, Undo::Impossible)
}

fn linear(first: Nature, second: Nature, third: Nature) -> Builder {
    Builder::new(2).step(&[], first).step(&[0], second).step(&[1], third)
}

fn diamond(left: Nature, right: Nature, last: Nature) -> Builder {
    Builder::new(2).step(&[], whole()).step(&[0], left).step(&[0], right).step(&[1, 2], last)
}

/// Everything, smallest first.
pub(super) fn formulas() -> Vec<Formula> {
    let mut all = twice();
    all.extend(natures());
    all.extend(found());
    all.extend(failing());
    all.extend(items());
    all.extend(retried());
    all.extend(rolled_back());
    all.extend(one_way_crossed());
    all.extend(gates());
    all.extend(finals());
    all.extend(errands());
    all.extend(parallel());
    all.extend(super::mend::formulas());
    all.extend(done_again());
    all
}

/// Cut off at every pair of points.
fn twice() -> Vec<Formula> {
    let done = |name, first, second| Builder::new(1).step(&[], first).step(&[0], second).ends(name, 2, Outcome::Done, "oo");
    vec![
        done("twice, plain", plain(), plain()),
        done("twice, blind", blind(), blind()),
        done("twice, reversed", tells(Repeat::Never, Undo::Reverse), never(Undo::Reverse)),
        done(
            "twice, vague",
            Nature::new(Sight::Vague, Repeat::Never, Undo::Restore),
            Nature::new(Sight::Vague, Repeat::Keyed, Undo::Reverse),
        ),
        Builder::new(1).rolling_back().step(&[], plain()).step(&[0], plain().failing(ALWAYS, Class::Permanent, Point::Half)).ends(
            "twice, rolling back",
            2,
            Outcome::RolledBack,
            "--",
        ),
        Builder::new(2).step(&[], blind()).step(&[], plain()).ends("twice, two branches", 2, Outcome::Done, "oo"),
        linear(plain(), blind(), tells(Repeat::Never, Undo::Reverse)).ends("twice, three in a row", 2, Outcome::Done, "ooo"),
    ]
}

/// Every kind of step, between two others.
fn natures() -> Vec<Formula> {
    let mut all = Vec::new();
    for sight in [Sight::Tells, Sight::Vague, Sight::Blind] {
        for repeat in [Repeat::Safe, Repeat::Keyed, Repeat::Never] {
            for undo in [Undo::Restore, Undo::Reverse, Undo::Nothing, Undo::Impossible] {
                let name = format!("{sight:?}, {repeat:?}, {undo:?}");
                all.push(linear(plain(), Nature::new(sight, repeat, undo), whole()).ends(name, 1, Outcome::Done, "ooo"));
            }
        }
    }
    all
}

/// The world is not empty when the run begins.
fn found() -> Vec<Formula> {
    let there = plain().found(Content::Ours);
    let reversed = tells(Repeat::Safe, Undo::Reverse).found(Content::Ours);
    let theirs = plain().found(Content::Foreign);
    vec![
        linear(plain(), there, plain()).ends("found in place", 1, Outcome::Done, "ooo"),
        linear(plain(), reversed, plain()).ends("found in place, would be reversed", 1, Outcome::Done, "ooo"),
        // The person who looks at it says to go on without.
        linear(plain(), theirs, plain()).ends("somebody else's", 1, Outcome::Done, "o-o"),
        linear(plain(), there, theirs).ends("somebody else's, at the end", 1, Outcome::Done, "oo-"),
        Builder::new(1).rolling_back().step(&[], plain()).step(&[0], reversed).step(&[1], theirs).ends(
            "somebody else's, rolling back",
            1,
            Outcome::RolledBack,
            "-o-",
        ),
    ]
}

/// A step fails for good, and the run is held.
fn failing() -> Vec<Formula> {
    let permanent = |nature: Nature, point| nature.failing(ALWAYS, Class::Permanent, point);
    let held = |name, nature, leaves| linear(plain(), nature, plain()).ends(name, 1, Outcome::Held, leaves);
    vec![
        held("fails before", permanent(plain(), Point::Before), "o--"),
        held("fails half-way", permanent(plain(), Point::Half), "oh-"),
        held("fails blindly", permanent(blind(), Point::Half), "oh-"),
        held("refuses", plain().failing(ALWAYS, Class::Refused, Point::Before), "o--"),
        held("looks and fails", Nature::look().failing(ALWAYS, Class::Permanent, Point::Before), "o--"),
        Builder::new(2).step(&[], Nature::look().failing(ALWAYS, Class::Permanent, Point::Before)).step(&[0], plain()).ends(
            "refused",
            1,
            Outcome::Refused,
            "--",
        ),
        diamond(whole(), permanent(plain(), Point::Half), whole()).ends("one of two fails", 1, Outcome::Held, "o?h-"),
    ]
}

/// An item of a `foreach` step fails: the others go on, what needs all of them does not, nor does anybody else.
fn items() -> Vec<Formula> {
    let failing = |class| plain().failing(ALWAYS, class, Point::Before);
    let three = |slots, class| {
        let items = Builder::new(slots).step(&[], whole()).step(&[0], failing(class)).item_of("m").step(&[0], plain()).item_of("m");
        items.step(&[0], whole()).item_of("m").step(&[1, 2, 3], whole())
    };
    let flaky = plain().failing(1, Class::Transient, Point::Before);
    let foreign = plain().found(Content::Foreign);
    vec![
        three(1, Class::Permanent).ends("one of three items fails", 1, Outcome::Held, "o-oo-"),
        three(2, Class::Permanent).ends("one of three items fails, two at once", 1, Outcome::Held, "o-oo-"),
        Builder::new(1).step(&[], failing(Class::Permanent)).item_of("m").step(&[], flaky).item_of("m").attempts(2).ends(
            "an item fails, another one for a while",
            1,
            Outcome::Held,
            "-o",
        ),
        Builder::new(1).step(&[], foreign).item_of("m").step(&[], whole()).item_of("m").ends(
            "an item is somebody else's",
            1,
            Outcome::Done,
            "-o",
        ),
        Builder::new(1).rolling_back().step(&[], whole()).item_of("m").step(&[], failing(Class::Permanent)).item_of("m").ends(
            "an item fails, rolling back",
            1,
            Outcome::RolledBack,
            "--",
        ),
    ]
}

/// A failure that goes away.
fn retried() -> Vec<Formula> {
    let mut all = Vec::new();
    let keyed = Nature::new(Sight::Vague, Repeat::Keyed, Undo::Restore);
    for point in [Point::Before, Point::Half, Point::After] {
        for (name, nature) in [("asked", tells(Repeat::Never, Undo::Restore)), ("blind", blind()), ("keyed", keyed)] {
            let flaky = nature.failing(1, Class::Transient, point);
            let formula = Builder::new(2).step(&[], plain()).step(&[0], flaky).attempts(2).step(&[1], whole());
            all.push(formula.ends(format!("retried after {point:?}, {name}"), 1, Outcome::Done, "ooo"));
        }
        let doubtful = never(Undo::Reverse).failing(1, Class::Timeout, point);
        let formula = Builder::new(1).step(&[], plain()).step(&[0], doubtful).attempts(2).step(&[1], whole());
        all.push(formula.ends(format!("a timeout after {point:?} that nobody can judge"), 1, Outcome::Done, "ooo"));
    }
    let hopeless = plain().failing(ALWAYS, Class::Transient, Point::Half);
    all.push(Builder::new(1).step(&[], plain()).step(&[0], hopeless).attempts(2).ends("retried in vain", 1, Outcome::Held, "oh"));
    all
}

/// A step fails for good, and everything is taken back.
fn rolled_back() -> Vec<Formula> {
    let permanent = |nature: Nature, point| nature.failing(ALWAYS, Class::Permanent, point);
    let rolled = |name: &str, first, second, last, leaves| {
        let formula = Builder::new(2).rolling_back().step(&[], first).step(&[0], second).step(&[1], last);
        formula.ends(name, 1, Outcome::RolledBack, leaves)
    };
    let reversed = tells(Repeat::Safe, Undo::Reverse);
    let there = plain().found(Content::Ours);
    let stuck = |name: &str, faults, ends, leaves| {
        let formula = Builder::new(2).rolling_back().step(&[], plain()).step(&[0], plain().stuck(faults)).step(&[], whole());
        formula.step(&[1, 2], permanent(whole(), Point::Before)).ends(name, 1, ends, leaves)
    };
    let last = || permanent(plain(), Point::Half);
    let both = Builder::new(2).rolling_back().step(&[], whole()).step(&[0], permanent(plain(), Point::Half));
    vec![
        rolled("rolled back", plain(), blind(), last(), "---"),
        rolled("rolled back over what was found", plain(), there, last(), "-o-"),
        rolled("rolled back, reversed", reversed, reversed, permanent(reversed, Point::Half), "---"),
        rolled("rolled back, nobody can tell", plain(), plain(), permanent(never(Undo::Reverse), Point::Half), "---"),
        rolled(
            "rolled back, nobody can tell that it did not happen",
            plain(),
            plain(),
            permanent(never(Undo::Reverse), Point::Before),
            "---",
        ),
        rolled("rolled back, restored blindly", plain(), blind(), permanent(never(Undo::Restore), Point::Half), "---"),
        rolled("rolled back after a timeout", plain(), plain(), never(Undo::Restore).failing(ALWAYS, Class::Timeout, Point::Half), "---"),
        rolled("rolled back after a look", plain(), plain(), permanent(Nature::look(), Point::Before), "---"),
        stuck("an undo that fails once", 1, Outcome::RolledBack, "----"),
        stuck("an undo that always fails", ALWAYS, Outcome::RollbackIncomplete, "oo--"),
        both.step(&[0], plain()).ends("rolled back while another one runs", 1, Outcome::RolledBack, "---"),
        diamond(whole(), whole(), permanent(whole(), Point::Before)).ends("a diamond, held", 1, Outcome::Held, "ooo-"),
        Builder::new(2)
            .rolling_back()
            .step(&[], whole())
            .step(&[0], whole())
            .step(&[0], whole())
            .step(&[1, 2], permanent(whole(), Point::Before))
            .ends("a diamond, rolled back", 1, Outcome::RolledBack, "----"),
    ]
}

/// There is no way back.
fn one_way_crossed() -> Vec<Formula> {
    let fails = || plain().failing(ALWAYS, Class::Permanent, Point::Before);
    vec![
        Builder::new(2).rolling_back().step(&[], plain()).step(&[0], one_way()).step(&[1], fails()).ends(
            "past the point of no return",
            1,
            Outcome::Held,
            "oo-",
        ),
        linear(plain(), one_way().whole(), plain())
            .ends("one-way, tried in vain and rolled back in part", 1, Outcome::Done, "ooo")
            .with(&[Errand::RollBack { to: Some(0) }]),
        linear(plain(), one_way(), plain()).ends("one-way, done", 1, Outcome::Done, "ooo"),
        linear(plain(), never(Undo::Impossible), plain()).ends("one-way, in doubt", 1, Outcome::Done, "ooo"),
    ]
}

fn gates() -> Vec<Formula> {
    let gated = |gate| Builder::new(1).step(&[], whole()).gate(&[0], gate).step(&[1], plain());
    let answer = |approved| [Errand::Answer { gate: 1, approved }];
    vec![
        gated(Gate::Approve).ends("approved", 2, Outcome::Done, "o-o").with(&answer(true)),
        gated(Gate::Approve).ends("denied", 1, Outcome::Held, "o--").with(&answer(false)),
        gated(Gate::Approve).ends("not answered", 1, Outcome::Held, "o--").until(100),
        gated(Gate::Approve).rolling_back().ends("not answered, rolled back", 1, Outcome::RolledBack, "---").until(100),
        Formula {
            ends: None,
            ..gated(Gate::Approve).ends("answered, in time or not", 1, Outcome::Held, "o-?").until(100).with(&answer(true))
        },
        gated(Gate::Wait).ends("waited", 1, Outcome::Done, "o-o").until(100),
    ]
}

fn finals() -> Vec<Formula> {
    let fails = |nature: Nature| nature.failing(ALWAYS, Class::Permanent, Point::Before);
    let ending = |builder: Builder, last| builder.step(&[], last).finally();
    let rolled = || Builder::new(2).rolling_back().step(&[], plain()).step(&[0], fails(plain()));
    let done = || Builder::new(2).step(&[], plain()).step(&[], whole());
    vec![
        ending(done(), plain()).ends("finally", 1, Outcome::Done, "ooo"),
        ending(done(), fails(whole())).ends("finally fails", 1, Outcome::Held, "oo-"),
        ending(rolled(), plain()).ends("finally after a rollback", 1, Outcome::RolledBack, "--o"),
        ending(rolled(), fails(whole())).ends("finally fails after a rollback", 1, Outcome::RolledBack, "---"),
        ending(ending(done(), whole()), whole()).ends("finally, twice", 1, Outcome::Done, "oooo"),
    ]
}

fn errands() -> Vec<Formula> {
    let cancel = |now, rollback| [Errand::Cancel { now, rollback }];
    let back = |to| [Errand::RollBack { to }];
    let row = || linear(plain(), plain(), plain());
    let fan = |nature: Nature| Builder::new(1).step(&[], nature).step(&[], nature).step(&[], nature);
    vec![
        row().ends("cancelled", 1, Outcome::Done, "ooo").with(&cancel(false, false)),
        row().ends("cancelled at once", 1, Outcome::Done, "ooo").with(&cancel(true, false)),
        linear(plain(), never(Undo::Restore), plain())
            .ends("cancelled at once, in doubt", 1, Outcome::Done, "ooo")
            .with(&cancel(true, false)),
        row().ends("cancelled and rolled back", 1, Outcome::Done, "ooo").with(&cancel(true, true)),
        fan(blind()).ends("announced ahead and cancelled", 1, Outcome::Done, "ooo").with(&cancel(false, false)),
        row().ends("rolled back on request", 1, Outcome::Done, "ooo").with(&back(None)),
        row().ends("rolled back in part, then done again", 1, Outcome::Done, "ooo").with(&back(Some(0))),
        row()
            .ends("rolled back in part and cancelled", 0, Outcome::Done, "ooo")
            .with(&[Errand::RollBack { to: Some(1) }, cancel(false, false)[0]]),
    ]
}

fn parallel() -> Vec<Formula> {
    let fan = |slots, nature: Nature| Builder::new(slots).step(&[], nature).step(&[], nature).step(&[], nature);
    vec![
        diamond(whole(), tells(Repeat::Never, Undo::Reverse).whole(), whole()).ends("diamond", 1, Outcome::Done, "oooo"),
        Builder::new(2).step(&[], whole()).step(&[], whole()).step(&[0, 1], whole()).ends("fan-in", 1, Outcome::Done, "ooo"),
        fan(2, blind().whole()).ends("fan-out, announced ahead", 1, Outcome::Done, "ooo"),
        fan(2, whole()).ends("fan-out", 1, Outcome::Done, "ooo"),
        fan(2, never(Undo::Nothing).whole()).ends("fan-out, in doubt", 1, Outcome::Done, "ooo"),
    ]
}

/// A person has the second step done again, at any death and when the run is over.
fn done_again() -> Vec<Formula> {
    let row = |middle: Nature, last: Nature| Builder::new(2).step(&[], whole()).step(&[0], middle).step(&[1], last);
    let again = |name: &str, middle, last: Nature, lost| row(middle, last).ends(name, 1, Outcome::Done, "ooo").redone(1, lost);
    let reading = |last: Nature| row(plain(), last).reading(1);
    vec![
        again("done again, was lost", plain(), whole(), true),
        again("done again, is there", plain(), whole(), false),
        again("done again, lost and reversed", tells(Repeat::Safe, Undo::Reverse), tells(Repeat::Safe, Undo::Reverse).whole(), true),
        again("done again, blind", blind(), blind().whole(), false),
        again("done again, named and never to be repeated", never(Undo::Reverse), whole(), false),
        again("done again below what must not be repeated", plain(), never(Undo::Nothing), true),
        again("done again below what cannot be taken back", plain(), one_way().whole(), true),
        again("done again, keyed and vague", Nature::new(Sight::Vague, Repeat::Keyed, Undo::Restore), whole(), false),
        again("done again, found in place", plain().found(Content::Ours), whole(), false),
        reading(whole()).ends("not done again: it was read", 1, Outcome::Done, "ooo").redone(1, true),
        reading(one_way().whole()).ends("done again, read by what cannot be taken back", 1, Outcome::Done, "ooo").redone(1, true),
        row(plain(), whole().failing(ALWAYS, Class::Permanent, Point::Before))
            .ends("done again after a failure", 1, Outcome::Held, "oo-")
            .redone(1, true),
        row(plain(), whole().failing(1, Class::Transient, Point::Before))
            .attempts(2)
            .ends("done again while another one waits", 1, Outcome::Done, "ooo")
            .redone(1, true),
        row(plain(), whole()).step(&[], whole()).finally().ends("done again before the end", 1, Outcome::Done, "oooo").redone(1, true),
        Builder::new(1)
            .step(&[], whole())
            .gate(&[0], Gate::Approve)
            .step(&[1], whole())
            .ends("done again before an approval", 1, Outcome::Done, "o-o")
            .with(&[Errand::Answer { gate: 1, approved: true }, Errand::Answer { gate: 1, approved: true }])
            .redone(0, true),
        row(plain(), whole())
            .ends("done again after a rollback in part", 1, Outcome::Done, "ooo")
            .with(&[Errand::RollBack { to: Some(1) }])
            .redone(1, true),
    ]
}
