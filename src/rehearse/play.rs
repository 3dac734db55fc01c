//! Plays a case: once without interruption, then every schedule, each in a fresh world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use formula_steps::contract::{Effect, Undo};
use formula_steps::world::fake::{FakeWorld, State};
use serde_json::Value;

use super::case::Case;
use super::compare::{Difference, differences, without_new_images};
use super::control::{Known, Mark, Moment, What, is_of};
use super::report::{Again, Judgement, Played, StepReport};
use super::schedule::{Boundary, Point, Schedule, Way};
use super::theatre::{Cut, Ended, Theatre, comparable};
use crate::engine::{RunState, StepState};
use crate::model::{Outcome, Plan, PlanStep, Request, StepIx, Verdict};

/// The run that nothing interrupts.
pub(super) struct Reference<'c> {
    /// Where it was played, with the journal of it, and the world at every moment.
    theatre: Theatre<'c>,
    pub verdict: Verdict,
    /// The world at the end, to be compared.
    world: Value,
    /// The world at the start, to be compared.
    start: Value,
    pub end: State,
    pub marks: Vec<Mark>,
    /// The run at its end, before it was taken back.
    last: (FakeWorld, usize, Known),
    pub outputs: BTreeMap<String, Value>,
    moments: Vec<Moment>,
    /// Fields that a rollback leaves alone.
    left: Vec<String>,
    /// The steps that changed them.
    pub leaves: Vec<String>,
    /// The world where the faults of the case strike nothing, for those that are over once the run is taken up again.
    unhurt: Option<Value>,
    pub steps: Vec<StepReport>,
}

fn rollback(to: Option<String>) -> Request {
    Request::Rollback { by: "rehearsal".into(), to }
}

impl<'c> Reference<'c> {
    /// Plays it.
    pub(super) fn new(case: &'c Case) -> Result<Self, String> {
        let mut theatre = Theatre::new(case, case.start.clone());
        theatre.control.keep_moments();
        let named = |step: &PlanStep| case.left_alone.iter().any(|name| is_of(&step.id, name));
        let alone = |step: &&PlanStep| step.finally || step.behaviour.undo == Undo::Nothing || named(step);
        theatre.control.watch(case.plan.steps.iter().filter(alone).map(|step| step.id.clone()));
        let start = theatre.snapshot();
        let started = theatre.start();
        let verdict = verdict(theatre.finish(started))?;
        let (plan, state) = theatre.look().ok_or("its journal cannot be read")?;
        let (world, end) = (theatre.snapshot(), theatre.fake.state());
        let last = (theatre.fake.fork(), theatre.entries(), theatre.control.known());
        let unhurt = if case.faults.is_empty() || verdict.outcome == Outcome::Done { None } else { unhurt(case) };
        let steps = steps(&plan, &state, &theatre.control.marks());
        let outputs = theatre.recorded();
        let moments = theatre.control.moments();
        if !steps.iter().any(|step| step.undone) {
            take_back(&mut theatre);
        }
        let left = theatre.control.left();
        let leaves = left.iter().filter(|(_, fields)| !fields.is_empty()).map(|(step, _)| step.clone()).collect();
        let left = left.into_values().flatten().collect();
        let marks = theatre.control.marks();
        Ok(Self { theatre, verdict, world, start, end, marks, last, outputs, moments, left, leaves, unhurt, steps })
    }

    /// What is left where the machine dies at a boundary.
    fn cut(&self, boundary: &Boundary) -> Option<Cut> {
        let (start, end) = ends_of(boundary.undo);
        let at = |what: What| self.marks.iter().find(|mark| mark.step == boundary.step && mark.what == what);
        let (from, to) = (at(start)?, at(end)?);
        let made = |mark: &Mark, entries: usize| Some(self.theatre.cut(mark.world.as_ref()?.fork(), entries, mark.known.clone()));
        match boundary.point {
            Point::Before => made(from, from.with),
            Point::After => made(to, to.before),
            Point::Recorded => made(to, to.with),
            Point::During(changes) => {
                let change = from.changes + changes;
                let fake = self.theatre.fake.after_change(change).filter(|_| change < to.changes)?;
                Some(self.theatre.cut(fake, self.theatre.control.entries_before(change), from.known.clone()))
            }
        }
    }

    /// Whether it was being taken back already, though the run itself had ended otherwise: no resume makes it go forward from there.
    fn was_taken_back(&self, cut: &Cut) -> bool {
        cut.journal.length() > self.last.1
    }

    /// Where a world that was taken back is not that of the start.
    fn against_start(&self, theatre: &Theatre<'_>) -> Vec<Difference> {
        let left = self.left_by(theatre);
        differences(&self.start, &without_new_images(theatre.snapshot(), &self.start), &left)
    }

    /// Fields that a rollback leaves alone, with those of steps that had their turn in that theatre only.
    fn left_by(&self, theatre: &Theatre<'_>) -> Vec<String> {
        self.left.iter().cloned().chain(theatre.control.left().into_values().flatten()).collect()
    }

    /// Every schedule of it.
    pub(super) fn schedules(&self) -> Vec<Schedule> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        for start in self.marks.iter().filter(|mark| mark.what == What::Start && seen.insert(&mark.step)) {
            boundaries(&self.marks, &start.step, false, &mut all);
            boundaries(&self.marks, &start.step, true, &mut all);
        }
        all.into_iter().flat_map(|boundary| [Way::Resume, Way::Rollback].map(|way| Schedule { boundary: boundary.clone(), way })).collect()
    }
}

fn ends_of(undo: bool) -> (What, What) {
    if undo { (What::UndoStart, What::UndoEnd) } else { (What::Start, What::End) }
}

fn boundaries(marks: &[Mark], step: &str, undo: bool, all: &mut Vec<Boundary>) {
    let (start, end) = ends_of(undo);
    let at = |what: What| marks.iter().find(|mark| mark.step == step && mark.what == what);
    let (Some(from), Some(to)) = (at(start), at(end)) else { return };
    let changes = to.changes - from.changes;
    let points = [Point::Before].into_iter().chain((1..changes).map(Point::During)).chain([Point::After, Point::Recorded]);
    all.extend(points.map(|point| Boundary { step: step.to_owned(), undo, point }));
}

fn verdict(ended: Ended) -> Result<Verdict, String> {
    match ended {
        Ended::Over(verdict) => Ok(verdict),
        Ended::Broken(message) => Err(message),
    }
}

/// The same without faults.
fn unhurt(case: &Case) -> Option<Value> {
    let mut theatre = Theatre::without_faults(case, case.start.clone());
    let started = theatre.start();
    let ended = theatre.finish(started);
    matches!(ended, Ended::Over(verdict) if verdict.outcome == Outcome::Done).then(|| theatre.snapshot())
}

/// Takes a finished run back, as far as that goes.
fn take_back(theatre: &mut Theatre<'_>) {
    let Some((plan, state)) = theatre.look() else { return };
    let Some(request) = way_back(&plan, &state).request else { return };
    let ended = theatre.resume(&[request]);
    theatre.finish(ended);
}

/// How far a run can be taken back.
struct WayBack {
    /// None where there is nothing to take back.
    request: Option<Request>,
    /// Steps that there is no way back past, and all that the last of them needs.
    past: Vec<String>,
    kept: BTreeSet<String>,
}

fn way_back(plan: &Plan, state: &RunState) -> WayBack {
    let nowhere = WayBack { request: None, past: Vec::new(), kept: BTreeSet::new() };
    if state.check_request(&rollback(None)).is_ok() {
        return WayBack { request: Some(rollback(None)), ..nowhere };
    }
    let past = state.past_return();
    let Some(last) = past.last().copied() else { return nowhere };
    let request = rollback(Some(plan.step(last).id.clone()));
    let mut kept = BTreeSet::from([last]);
    for ix in (0..=last.0).rev().map(StepIx) {
        if kept.contains(&ix) {
            kept.extend(plan.step(ix).needs.iter().copied());
        }
    }
    let id = |ix: &StepIx| plan.step(*ix).id.clone();
    WayBack {
        request: state.check_request(&request).is_ok().then_some(request),
        past: past.iter().map(id).collect(),
        kept: kept.iter().filter(|ix| matches!(state.step(**ix), StepState::Done { .. })).map(id).collect(),
    }
}

fn steps(plan: &Plan, state: &RunState, marks: &[Mark]) -> Vec<StepReport> {
    let was = |step: &str, what: What| marks.iter().any(|mark| mark.step == step && mark.what == what);
    (0..plan.steps.len() as u32)
        .map(|index| {
            let step = plan.step(StepIx(index));
            StepReport {
                id: step.id.clone(),
                kind: step.kind.clone(),
                state: state.step(StepIx(index)).name().to_owned(),
                effect: step.behaviour.effect,
                tried: was(&step.id, What::Start),
                undone: was(&step.id, What::UndoEnd),
            }
        })
        .collect()
}

/// Plays one schedule.
pub(super) fn play(case: &Case, reference: &Reference<'_>, schedule: &Schedule) -> Judgement {
    let Some(cut) = reference.cut(&schedule.boundary) else { return Judgement::Unreached };
    let goes_back = schedule.boundary.undo || schedule.way == Way::Rollback || reference.was_taken_back(&cut);
    let mut theatre = Theatre::at(case, cut);
    theatre.outputs = Some(&reference.outputs);
    // Where the run that nothing interrupted was held, steps of `[[finally]]` have had no turn in it.
    theatre.control.watch(case.plan.steps.iter().filter(|step| step.finally).map(|step| step.id.clone()));
    let Some((plan, state)) = theatre.look() else { return broken("done", "its journal cannot be read".into()) };
    let way = if goes_back { way_back(&plan, &state) } else { WayBack { request: None, past: Vec::new(), kept: BTreeSet::new() } };
    let first = if schedule.way == Way::Rollback { way.request.iter().cloned().collect() } else { Vec::new() };
    if schedule.way == Way::Rollback && first.is_empty() {
        return nothing_to_take_back(&theatre, reference, &way, &state);
    }
    let resumed = theatre.resume(&first);
    let ended = match theatre.finish(resumed) {
        Ended::Over(verdict) => verdict,
        Ended::Broken(message) => return broken("done", message),
    };
    judge(&theatre, reference, &way, goes_back, &ended)
}

fn broken(expected: &str, message: String) -> Judgement {
    Judgement::Ends { expected: expected.to_owned(), found: "cannot be driven".into(), message: Some(message), differences: Vec::new() }
}

/// A rollback is refused: it is over already, or there is no way back at all.
fn nothing_to_take_back(theatre: &Theatre<'_>, reference: &Reference<'_>, way: &WayBack, state: &RunState) -> Judgement {
    if !way.past.is_empty() {
        return Judgement::OneWay { steps: way.past.clone(), compared: false };
    }
    let found = reference.against_start(theatre);
    if found.is_empty() {
        return Judgement::Converges;
    }
    let why = state.check_request(&rollback(None)).err().map(|refusal| refusal.message);
    Judgement::Ends { expected: "rolled_back".into(), found: "refused".into(), message: why, differences: found }
}

fn judge(theatre: &Theatre<'_>, reference: &Reference<'_>, way: &WayBack, goes_back: bool, verdict: &Verdict) -> Judgement {
    let found = verdict.outcome;
    let (wanted, found_at): (Outcome, Vec<Difference>) = if goes_back && way.past.is_empty() {
        (Outcome::RolledBack, reference.against_start(theatre))
    } else if goes_back {
        let moment = reference.moments.iter().find(|moment| moment.done == way.kept);
        let Some(moment) = moment.filter(|_| found == Outcome::Stopped) else {
            return one_way(way, false, Outcome::Stopped, verdict, Vec::new());
        };
        let then = comparable(moment.world.clone());
        let found = differences(&then, &without_new_images(theatre.snapshot(), &then), &reference.left_by(theatre));
        return one_way(way, true, Outcome::Stopped, verdict, found);
    } else {
        let world = theatre.snapshot();
        let over = found == Outcome::Done && reference.verdict.outcome != Outcome::Done;
        match reference.unhurt.as_ref().filter(|_| over) {
            Some(unhurt) => (Outcome::Done, differences(unhurt, &world, &[])),
            None => (reference.verdict.outcome, differences(&reference.world, &world, &[])),
        }
    };
    if found != wanted {
        let stays = stays(theatre);
        let is_past = goes_back && found == Outcome::RollbackIncomplete && !stays.is_empty();
        return if is_past { Judgement::OneWay { steps: stays, compared: false } } else { otherwise(wanted, verdict, found_at) };
    }
    match (found_at.is_empty(), theatre.asked.is_empty()) {
        (false, _) => Judgement::Diverges { differences: found_at },
        (true, true) => Judgement::Converges,
        (true, false) => Judgement::Asks { steps: theatre.asked.clone() },
    }
}

/// Steps that a rollback could not take back because nobody can; none if another one is among what was not taken back.
fn stays(theatre: &Theatre<'_>) -> Vec<String> {
    let Some((plan, state)) = theatre.look() else { return Vec::new() };
    let failed: Vec<StepIx> =
        (0..plan.steps.len() as u32).map(StepIx).filter(|ix| matches!(state.step(*ix), StepState::UndoFailed(_))).collect();
    let impossible = |ix: &StepIx| plan.step(*ix).behaviour.undo == Undo::Impossible;
    if failed.iter().all(impossible) { failed.iter().map(|ix| plan.step(*ix).id.clone()).collect() } else { Vec::new() }
}

fn one_way(way: &WayBack, compared: bool, wanted: Outcome, verdict: &Verdict, found: Vec<Difference>) -> Judgement {
    if verdict.outcome != wanted {
        return otherwise(wanted, verdict, found);
    }
    if found.is_empty() {
        return Judgement::OneWay { steps: way.past.clone(), compared };
    }
    Judgement::Diverges { differences: found }
}

fn otherwise(wanted: Outcome, verdict: &Verdict, differences: Vec<Difference>) -> Judgement {
    let step = verdict.failed_step.as_ref().map(|step| format!("`{step}`: ")).unwrap_or_default();
    let message = verdict.message.as_ref().map(|message| format!("{step}{}", super::compare::short(message)));
    Judgement::Ends { expected: wanted.as_str().into(), found: verdict.outcome.as_str().into(), message, differences }
}

/// Plays all of them, side by side.
pub(super) fn play_all(case: &Case, reference: &Reference<'_>, schedules: Vec<Schedule>) -> Vec<Played> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(schedules.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut played = Vec::new();
        while let Some((at, schedule)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, schedules.get(at)?))) {
            played.push((at, play(case, reference, schedule)));
        }
        played
    };
    let mut judged: Vec<(usize, Judgement)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        own.into_iter().chain(others.into_iter().flat_map(|other| other.join().unwrap_or_default())).collect()
    });
    judged.sort_by_key(|(at, _)| *at);
    schedules.into_iter().zip(judged).map(|(schedule, (_, judgement))| Played { schedule, judgement }).collect()
}

/// Runs the same again on what it left.
pub(super) fn again(case: &Case, reference: &Reference<'_>) -> Again {
    let mut none = Again { moved: None, acts: Vec::new(), always: Vec::new(), allowed: Vec::new(), differences: Vec::new(), failure: None };
    // The same command looks at the run that is done.
    let (fake, entries, known) = &reference.last;
    let first = Theatre::at(case, reference.theatre.cut(fake.fork(), *entries, known.clone()));
    if let Some(run) = first.run() {
        match first.drive(async |backend| backend.moved(&run).await) {
            Ok(moved) => none.moved = moved.map(|moved| (moved.step, moved.why)),
            Err(message) => none.failure = Some(message),
        }
    }
    // A new one asks every step.
    let mut second = Theatre::without_faults(case, reference.end.clone());
    let started = second.start();
    match second.finish(started) {
        Ended::Over(verdict) if verdict.outcome == Outcome::Done => {}
        Ended::Over(verdict) => {
            let step = verdict.failed_step.map(|step| format!("`{step}`: ")).unwrap_or_default();
            none.failure = Some(format!("{step}{}", verdict.message.unwrap_or_else(|| verdict.outcome.as_str().to_owned())));
        }
        Ended::Broken(message) => none.failure = Some(message),
    }
    let began: BTreeSet<String> =
        second.control.marks().into_iter().filter(|mark| mark.what == What::Start).map(|mark| mark.step).collect();
    for step in case.plan.steps.iter().filter(|step| began.contains(&step.id) && step.gate.is_none()) {
        let list = if step.behaviour.effect == Effect::ReadOnly {
            continue;
        } else if case.acts_again.iter().any(|name| is_of(&step.id, name)) {
            &mut none.allowed
        } else if step.behaviour.probes {
            &mut none.acts
        } else {
            &mut none.always
        };
        list.push(step.id.clone());
    }
    none.differences = differences(&reference.world, &second.snapshot(), &[]);
    none
}
