//! Power cuts. A real run is recorded call by call; every disk that a cut at any of its moments may leave is built and judged, and on many of
//! them the same command is given again. The same oracle must find the faults of a program that forgets to wait for the disk.

mod acts;
mod disk;
mod judge;
mod scene;
mod trace;

pub use scene::{tools, with_tools};

use self::acts::{Inode, Story};
use self::disk::Forget;
use self::judge::{Judge, Verdict};
use self::scene::{Recording, Scene};
use crate::support::{announce, strace_or_skip};

/// Judges on two threads.
fn judged(recording: &Recording, forget: impl Fn(&Story, Inode) -> bool + Sync, stride: usize, keep: usize) -> Verdict {
    let forget = &forget;
    let part = |number: usize| {
        let bench = recording.bench(number);
        let judge = Judge { story: &recording.story, facts: &recording.facts, bench: &bench };
        judge.judge(forget as Forget<'_>, (number * stride, 2 * stride), keep)
    };
    let (mut all, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        (part(0), other.join().expect("a verdict"))
    });
    all.states.extend(other.states);
    all.journals += other.journals;
    all.sample.extend(other.sample);
    all.faulty = all.faulty.or(other.faulty);
    for (kind, (count, first)) in other.faults {
        all.faults.entry(kind).or_insert_with(|| (0, first)).0 += count;
    }
    all
}

/// The faults of a program that does not wait for some files.
#[track_caller]
fn must_be_found(recording: &Recording, what: &str, forget: impl Fn(&Story, Inode) -> bool + Sync, kind: &str) {
    let verdict = judged(recording, forget, 10, 0);
    assert!(verdict.faults.contains_key(kind), "a program with {what} must be caught with `{kind}`; found was\n{}", verdict.told());
}

/// Judges a scene, and carries on with about `resumed` of its states. Answers how many states there were, and how many were carried on.
fn survives(recording: &Recording, name: &str, resumed: usize) -> (usize, usize) {
    let verdict = judged(recording, |_, _| false, 1, 7);
    if let Some(state) = &verdict.faulty {
        let kept = recording.keep(name, state);
        panic!("{name}:\n{}\nthe acts, the trace and the disk of the first are in `{}`", verdict.told(), kept.display());
    }
    let bench = recording.bench(0);
    let judge = Judge { story: &recording.story, facts: &recording.facts, bench: &bench };
    let step = (verdict.sample.len() / resumed).max(1);
    let mut carried_on = 0;
    for state in verdict.sample.iter().step_by(step) {
        match recording.carry_on(&judge, state) {
            Ok(acted) => carried_on += usize::from(acted),
            Err(why) => {
                let kept = recording.keep(name, state);
                panic!(
                    "{name}, cut {}, variant {}: {why}\nthe acts, the trace and the disk are in `{}`",
                    state.cut,
                    state.variant,
                    kept.display()
                )
            }
        }
    }
    let (states, journals) = (verdict.states.len(), verdict.journals);
    announce(&format!(
        "power cuts: {name}: {} acts, {states} states, {journals} journals, 0 faults, {carried_on} carried on",
        recording.story.acts.len()
    ));
    (states, carried_on)
}

fn is(path: &'static str) -> impl Fn(&Story, Inode) -> bool + Sync {
    move |story, inode| story.paths[inode].ends_with(path)
}

#[test]
fn a_power_cut_in_a_first_run_loses_nothing_that_was_told() {
    strace_or_skip!("a_power_cut_in_a_first_run_loses_nothing_that_was_told");
    let recording = Scene::First.record();
    let (states, carried_on) = survives(&recording, "first run", 100);
    assert!(states >= 3_500 && carried_on >= 80, "only {states} states, {carried_on} carried on");
    // What a program without one of its syncs would leave.
    must_be_found(&recording, "synchronous=NORMAL", is("journal.db-wal"), "lost");
    let journal = |story: &Story, inode: Inode| story.paths[inode].to_string_lossy().contains("journal.db");
    must_be_found(&recording, "synchronous=OFF", journal, "lost");
    must_be_found(&recording, "a file that is not synced before it is renamed", is(".env"), "mixed");
    let root = |_: &Story, inode: Inode| inode == 0;
    must_be_found(&recording, "a folder that is not synced after a rename", root, "effect lost");
    must_be_found(&recording, "a state directory that is not synced into its folder", root, "lost");
    must_be_found(&recording, "no sync at all", |_: &Story, _| true, "lost");
}

#[test]
fn a_power_cut_in_a_run_that_is_carried_on_loses_nothing_that_was_told() {
    strace_or_skip!("a_power_cut_in_a_run_that_is_carried_on_loses_nothing_that_was_told");
    let recording = Scene::Again.record();
    let (states, carried_on) = survives(&recording, "same command again", 80);
    assert!(states >= 1_200 && carried_on >= 60, "only {states} states, {carried_on} carried on");
    must_be_found(&recording, "synchronous=NORMAL", is("journal.db-wal"), "lost");
    must_be_found(&recording, "a file that is not synced before it is renamed", is("docker-compose.yml"), "mixed");
}

#[test]
fn a_power_cut_in_a_rollback_loses_nothing_that_was_told() {
    strace_or_skip!("a_power_cut_in_a_rollback_loses_nothing_that_was_told");
    let recording = Scene::Back.record();
    let (states, carried_on) = survives(&recording, "rollback", 60);
    assert!(states >= 250 && carried_on >= 40, "only {states} states, {carried_on} carried on");
    must_be_found(&recording, "synchronous=NORMAL", is("journal.db-wal"), "lost");
    must_be_found(&recording, "a folder that is not synced after a file goes", |_: &Story, inode| inode == 0, "effect lost");
}
