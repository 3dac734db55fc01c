//! The rules one by one, each on the smallest plan that shows it.

mod holds;
use formula_steps::contract::{Class, Effect, Probe, Repeat, Undo};
use serde_json::json;

use super::plans::{attempts, behaving, blind, finally, gate, plan, step};
use super::{Command, Hold, Mode, NOBODY, Origin, RunState, StepState};
use crate::model::{
    Envelope, Event, Gate, OnFailure, Outcome, Payload, PlanStep, ProbeReason, Request, RunId, SettleAnswer, StepIx, Timestamp,
};

const A: StepIx = StepIx(0);
const B: StepIx = StepIx(1);
const C: StepIx = StepIx(2);

/// A run, event by event.
struct Run {
    state: RunState,
    events: Vec<Event>,
}

impl Run {
    fn new(max_parallel: u32, on_failure: OnFailure, steps: Vec<PlanStep>) -> Self {
        let mut run = Self { state: RunState::new(plan(max_parallel, on_failure, steps)), events: Vec::new() };
        let plan = Payload::Value(json!(null));
        run.fold(Event::RunStarted { formula: "test".into(), fingerprint: String::new(), plan, tool: "test".into(), by: "me".into() });
        run.state.tick(Timestamp(0));
        run
    }

    fn fold(&mut self, event: Event) -> &mut Self {
        self.events.push(event);
        self.state.take(envelopes(&self.events).last().unwrap()).unwrap();
        let replayed = RunState::replay(self.state.plan().clone(), &envelopes(&self.events)).unwrap();
        let mut replayed = replayed;
        replayed.tick(self.state.now);
        assert_eq!(replayed.decide(), self.state.decide());
        assert_eq!(replayed.slots, self.state.slots);
        assert_eq!(replayed.queues, self.state.queues);
        self
    }

    fn refuses(&self, event: &Event) -> String {
        self.state.clone().fold(event).unwrap_err().to_string()
    }

    fn id(&self, step: StepIx) -> String {
        self.state.plan().step(step).id.clone()
    }

    fn probe(&mut self, step: StepIx, reason: ProbeReason, probe: Probe<Payload, Payload>) -> &mut Self {
        let step = self.id(step);
        self.fold(Event::StepProbed { step, reason, probe, params: None, one_way: false })
    }

    fn start(&mut self, step: StepIx) -> &mut Self {
        let event = Event::AttemptStarted { step: self.id(step), attempt: self.state.next_attempt(step) };
        self.fold(event)
    }

    fn succeed(&mut self, step: StepIx) -> &mut Self {
        let (id, attempt) = (self.id(step), self.state.next_attempt(step) - 1);
        let event = Event::AttemptSucceeded { step: id, attempt, output: value("out"), one_way: false };
        self.fold(event)
    }

    fn fail(&mut self, step: StepIx, class: Class) -> &mut Self {
        let running = matches!(self.state.step(step), StepState::Running { .. });
        let attempt = self.state.next_attempt(step) - u32::from(running);
        let event = Event::AttemptFailed { step: self.id(step), attempt, class, message: "it broke".into(), hint: None };
        self.fold(event)
    }

    /// Asks, finds nothing, runs, succeeds.
    fn make(&mut self, step: StepIx) -> &mut Self {
        if self.state.plan().step(step).behaviour.probes {
            self.probe(step, ProbeReason::Ready, Probe::absent(value("before")));
        }
        self.start(step).succeed(step)
    }

    fn undo(&mut self, step: StepIx) -> &mut Self {
        let step = self.id(step);
        self.fold(Event::UndoStarted { step: step.clone() }).fold(Event::UndoSucceeded { step })
    }

    fn resume(&mut self) -> &mut Self {
        self.fold(Event::RunResumed { tool: "test".into(), by: "me".into() })
    }

    fn roll_back(&mut self, to: Option<&str>) -> &mut Self {
        let request = Request::Rollback { by: "me".into(), to: to.map(Into::into) };
        self.state.check_request(&request).unwrap();
        for event in self.state.events_for(&request) {
            self.fold(event);
        }
        self
    }

    fn finish(&mut self, outcome: Outcome) -> &mut Self {
        self.decides(&[Command::Finish(outcome)]);
        let changed = self.state.changed();
        self.fold(Event::RunFinished { outcome, changed });
        assert_eq!(self.state.mode(), Mode::Finished(outcome));
        assert!(self.state.decide().is_empty());
        self
    }

    #[track_caller]
    fn decides(&mut self, commands: &[Command]) -> &mut Self {
        assert_eq!(self.state.decide().into_iter().collect::<Vec<_>>(), commands);
        self
    }
}

fn envelopes(events: &[Event]) -> Vec<Envelope> {
    let envelope = |(index, event): (usize, &Event)| Envelope {
        v: 1,
        run: RunId("R".into()),
        seq: index as u64 + 1,
        at: Timestamp(0),
        event: event.clone(),
    };
    events.iter().enumerate().map(envelope).collect()
}

fn value(text: &str) -> Payload {
    Payload::Value(json!(text))
}

fn present() -> Probe<Payload, Payload> {
    Probe::Present { output: value("found") }
}

fn diverged() -> Probe<Payload, Payload> {
    Probe::Diverged { expected: "ours".into(), found: "theirs".into() }
}

fn ask(step: StepIx) -> Command {
    Command::Probe { step, reason: ProbeReason::Ready }
}

fn ask_again(step: StepIx) -> Command {
    Command::Probe { step, reason: ProbeReason::InDoubt }
}

fn attempt(step: StepIx, attempt: u32) -> Command {
    Command::Attempt { step, attempt }
}

fn never(id: &str, needs: &[u32], undo: Undo) -> PlanStep {
    behaving(step(id, needs), Effect::Reversible, Repeat::Never, undo, false)
}

fn one_way(id: &str, needs: &[u32]) -> PlanStep {
    behaving(step(id, needs), Effect::OneWay, Repeat::Safe, Undo::Impossible, true)
}

fn look(id: &str, needs: &[u32]) -> PlanStep {
    behaving(step(id, needs), Effect::ReadOnly, Repeat::Safe, Undo::Nothing, false)
}

#[test]
fn a_chain_runs_one_after_the_other() {
    let mut run = Run::new(4, OnFailure::Hold, vec![step("a", &[]), step("b", &[0])]);
    run.decides(&[ask(A)]).probe_absent(A).decides(&[attempt(A, 1)]);
    run.start(A).decides(&[attempt(A, 1)]).succeed(A).decides(&[ask(B)]);
    assert_eq!(run.state.output(A), Some(&value("out")));
    assert_eq!(run.state.before(A), Some(&value("before")));
    run.probe(B, ProbeReason::Ready, present());
    assert_eq!(*run.state.step(B), StepState::Done { origin: Origin::Adopted });
    run.finish(Outcome::Done);
    assert!(run.state.changed() && run.state.failure().is_none());
}

impl Run {
    fn probe_absent(&mut self, step: StepIx) -> &mut Self {
        self.probe(step, ProbeReason::Ready, Probe::absent(value("before")))
    }
}

#[test]
fn a_run_that_finds_everything_in_place_changed_nothing() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[])]);
    run.probe(A, ProbeReason::Ready, present()).finish(Outcome::Done);
    assert!(!run.state.changed());
}

#[test]
fn slots_are_respected_and_harmless_steps_are_announced_one_round_ahead() {
    let steps = |make: fn(&str, &[u32]) -> PlanStep| (0..6).map(|index| make(&format!("s{index}"), &[])).collect::<Vec<_>>();
    Run::new(2, OnFailure::Hold, steps(step)).decides(&[ask(A), ask(B)]);
    let mut run = Run::new(2, OnFailure::Hold, steps(blind));
    run.decides(&[attempt(A, 1), attempt(B, 1), attempt(C, 1), attempt(StepIx(3), 1)]);
    for step in 0..4 {
        run.start(StepIx(step));
    }
    run.succeed(C).decides(&[attempt(A, 1), attempt(B, 1), attempt(StepIx(3), 1), attempt(StepIx(4), 1)]);
    // Never, and nobody overtakes it.
    let mut mixed = steps(blind);
    mixed[2] = never("n", &[], Undo::Nothing);
    Run::new(2, OnFailure::Hold, mixed).decides(&[attempt(A, 1), attempt(B, 1)]);
}

#[test]
fn what_was_announced_and_never_began_is_withdrawn_without_a_trace() {
    let mut run = Run::new(1, OnFailure::Hold, vec![blind("a", &[]), blind("b", &[])]);
    run.start(A).start(B).fold(Event::CancelRequested { by: "me".into(), now: false });
    run.fold(Event::AttemptWithdrawn { step: "b".into(), attempt: 1 });
    assert_eq!(*run.state.step(B), StepState::Pending);
    run.succeed(A).finish(Outcome::Stopped).resume().decides(&[attempt(B, 1)]);
}

#[test]
fn after_a_cut_the_step_is_asked_and_its_first_checkpoint_stays() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[])]);
    run.probe_absent(A).start(A).resume().decides(&[ask_again(A)]);
    run.probe(A, ProbeReason::InDoubt, Probe::absent(value("half"))).decides(&[attempt(A, 2)]);
    assert_eq!(run.state.before(A), Some(&value("before")));
    run.start(A).resume().probe(A, ProbeReason::InDoubt, present());
    assert_eq!(*run.state.step(A), StepState::Done { origin: Origin::Created });
    run.finish(Outcome::Done);
    assert!(run.state.changed());
}

#[test]
fn a_step_that_was_asked_and_never_tried_is_asked_anew() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[])]);
    run.probe_absent(A).resume().decides(&[ask(A)]);
}

#[test]
fn what_must_not_be_repeated_holds_until_a_person_answers() {
    let mut run = Run::new(1, OnFailure::Rollback, vec![never("a", &[], Undo::Reverse), step("b", &[0])]);
    run.start(A).resume();
    assert!(matches!(run.state.step(A), StepState::Held { why: Hold::InDoubt, .. }));
    run.finish(Outcome::Held).resume().finish(Outcome::Held);
    let verdict = run.state.verdict(&RunId("R".into()));
    assert_eq!((verdict.exit, verdict.failed_step.as_deref(), verdict.retry_safe), (20, Some("a"), false));
    assert!(verdict.next.contains(&"formula settle R a --adopt --reason TEXT".to_owned()), "{:?}", verdict.next);
    let answers: Vec<_> = run.state.valid_answers(A).into_iter().map(|(answer, _)| answer).collect();
    assert_eq!(answers, [SettleAnswer::Retry, SettleAnswer::Adopt, SettleAnswer::Skip]);
    for (answer, commands) in [(SettleAnswer::Retry, [attempt(A, 2)]), (SettleAnswer::Adopt, [ask(B)]), (SettleAnswer::Skip, [ask(B)])] {
        let mut run = Run { state: run.state.clone(), events: run.events.clone() };
        let request = Request::Settle { by: "me".into(), step: "a".into(), answer, reason: "looked".into(), output: None };
        run.state.check_request(&request).unwrap();
        for event in run.state.events_for(&request) {
            run.fold(event);
        }
        run.resume().decides(&commands);
    }
}

#[test]
fn another_try_that_a_person_allowed_survives_an_unknown_answer_and_a_crash() {
    let steps = vec![behaving(step("a", &[]), Effect::Reversible, Repeat::Never, Undo::Restore, true)];
    let mut run = Run::new(1, OnFailure::Hold, steps);
    run.probe_absent(A).start(A).resume().probe(A, ProbeReason::InDoubt, Probe::unknown("no idea")).finish(Outcome::Held);
    let settled =
        Event::StepSettled { step: "a".into(), answer: SettleAnswer::Retry, by: "me".into(), reason: String::new(), output: None };
    run.fold(settled).resume().decides(&[ask_again(A)]);
    run.probe(A, ProbeReason::InDoubt, Probe::unknown("no idea")).resume().decides(&[ask_again(A)]);
    run.probe(A, ProbeReason::InDoubt, Probe::unknown("no idea")).decides(&[attempt(A, 2)]);
    // Used up: after the next cut it is held again.
    run.start(A).resume().probe(A, ProbeReason::InDoubt, Probe::unknown("no idea"));
    assert!(matches!(run.state.step(A), StepState::Held { why: Hold::InDoubt, .. }));
}

#[test]
fn diverged_is_held_and_asked_again_when_resumed() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[])]);
    run.probe(A, ProbeReason::Ready, diverged()).finish(Outcome::Held);
    let failure = run.state.failure().unwrap();
    assert_eq!((failure.step, failure.class), (A, Class::Conflict));
    run.resume().decides(&[ask(A)]);
    assert!(run.state.failure().is_none());
}

#[test]
fn transient_failures_are_tried_again_as_often_as_allowed_and_asked_before() {
    let mut run = Run::new(1, OnFailure::Hold, vec![attempts(step("a", &[]), 2)]);
    run.probe_absent(A).start(A).fail(A, Class::Transient).decides(&[Command::ScheduleRetry { step: A, attempt: 2 }]);
    run.fold(Event::RetryScheduled { step: "a".into(), attempt: 2, at: Timestamp(50) }).decides(&[Command::WaitUntil(Timestamp(50))]);
    run.state.tick(Timestamp(50));
    run.decides(&[ask_again(A)]).probe(A, ProbeReason::InDoubt, Probe::absent(value("x"))).start(A).fail(A, Class::Timeout);
    run.finish(Outcome::Held).resume().decides(&[ask_again(A)]);
    run.probe(A, ProbeReason::InDoubt, present()).finish(Outcome::Done);
}

#[test]
fn interruptions_do_not_count_as_tries_and_end_the_drive() {
    let mut run = Run::new(1, OnFailure::Hold, vec![attempts(blind("a", &[]), 2)]);
    for count in 1..5 {
        run.decides(&[attempt(A, count)]).start(A).fail(A, Class::Interrupted).finish(Outcome::Interrupted).resume();
    }
    run.start(A).fail(A, Class::Transient).decides(&[Command::ScheduleRetry { step: A, attempt: 6 }]);
}

#[test]
fn a_timeout_of_what_must_not_be_repeated_is_a_doubt_and_an_exit_code_is_none() {
    let mut run = Run::new(1, OnFailure::Hold, vec![attempts(never("a", &[], Undo::Nothing), 3)]);
    run.start(A).fail(A, Class::Timeout);
    assert!(matches!(run.state.step(A), StepState::Held { why: Hold::InDoubt, .. }));
    let mut run = Run::new(1, OnFailure::Hold, vec![attempts(never("a", &[], Undo::Nothing), 3)]);
    run.start(A).fail(A, Class::Permanent).finish(Outcome::Held).resume().decides(&[attempt(A, 2)]);
    run.start(A).fail(A, Class::Permanent).finish(Outcome::Held).resume().decides(&[attempt(A, 3)]);
    run.start(A).resume();
    assert!(matches!(run.state.step(A), StepState::Held { why: Hold::InDoubt, .. }));
}

#[test]
fn a_look_that_fails_before_anything_was_changed_refuses_the_run() {
    for on_failure in [OnFailure::Hold, OnFailure::Rollback] {
        let mut run = Run::new(1, on_failure, vec![step("a", &[]), look("b", &[0])]);
        run.probe(A, ProbeReason::Ready, present()).start(B).fail(B, Class::Permanent).finish(Outcome::Refused);
        let mut run = Run::new(1, on_failure, vec![step("a", &[]), look("b", &[0])]);
        run.fail(A, Class::Refused).finish(Outcome::Refused);
        let mut run = Run::new(1, on_failure, vec![step("a", &[]), look("b", &[0])]);
        run.make(A).start(B).fail(B, Class::Permanent);
        let held = on_failure == OnFailure::Hold;
        run.decides(&[if held { Command::Finish(Outcome::Held) } else { Command::Undo(A) }]);
    }
}

#[test]
fn a_step_that_cannot_be_asked_fails_without_a_trace() {
    let mut run = Run::new(1, OnFailure::Hold, vec![attempts(step("a", &[]), 2)]);
    run.fail(A, Class::Transient).fold(Event::RetryScheduled { step: "a".into(), attempt: 1, at: Timestamp(5) });
    run.state.tick(Timestamp(5));
    run.decides(&[ask(A)]).fail(A, Class::Transient).finish(Outcome::Held).resume().decides(&[ask(A)]);
    run.probe(A, ProbeReason::Ready, present());
    assert_eq!(*run.state.step(A), StepState::Done { origin: Origin::Adopted });
}

#[test]
fn nothing_new_starts_after_a_failure_and_what_runs_may_end() {
    let mut run = Run::new(2, OnFailure::Hold, vec![step("a", &[]), step("b", &[]), step("c", &[1])]);
    run.probe_absent(A).probe_absent(B).start(A).start(B).fail(A, Class::Permanent);
    run.decides(&[attempt(B, 1)]).succeed(B).finish(Outcome::Held).resume();
    run.decides(&[ask_again(A), ask(C)]);
}

#[test]
fn a_rollback_takes_back_what_was_made_in_reverse_and_nothing_else() {
    let steps = vec![step("a", &[]), step("b", &[0]), step("c", &[1]), step("d", &[2])];
    let mut run = Run::new(4, OnFailure::Rollback, steps);
    run.make(A).probe(B, ProbeReason::Ready, present()).make(C).probe_absent(StepIx(3)).start(StepIx(3)).fail(StepIx(3), Class::Permanent);
    assert_eq!(run.state.mode(), Mode::RollingBack);
    run.decides(&[Command::Probe { step: StepIx(3), reason: ProbeReason::Rollback }]);
    run.probe(StepIx(3), ProbeReason::Rollback, Probe::absent(value("x"))).undo(StepIx(3)).decides(&[Command::Undo(C)]);
    let error = run.refuses(&Event::UndoStarted { step: "a".into() });
    assert!(error.contains("`undo_started`") && error.contains("step `a` is done"), "{error}");
    run.undo(C).decides(&[Command::Undo(A)]).undo(A).finish(Outcome::RolledBack);
    assert_eq!(*run.state.step(B), StepState::Done { origin: Origin::Adopted });
    assert_eq!(run.state.verdict(&RunId("R".into())).exit, 22);
}

#[test]
fn unknown_is_restored_but_never_reversed() {
    let rolled = |undo| {
        let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[]), never("b", &[0], undo)]);
        run.make(A).start(B).resume().roll_back(None);
        run
    };
    rolled(Undo::Restore).decides(&[Command::Undo(B)]).undo(B).undo(A).finish(Outcome::RolledBack);
    rolled(Undo::Nothing).undo(A).finish(Outcome::RolledBack);
    let mut run = rolled(Undo::Reverse);
    assert!(matches!(run.state.step(B), StepState::UndoFailed(trouble) if trouble.class == Class::Conflict));
    run.finish(Outcome::RollbackIncomplete).resume().finish(Outcome::RollbackIncomplete);
    let settle = |answer| Event::StepSettled { step: "b".into(), answer, by: "me".into(), reason: String::new(), output: None };
    let mut skipped = Run { state: run.state.clone(), events: run.events.clone() };
    skipped.fold(settle(SettleAnswer::Skip)).resume().undo(A).finish(Outcome::RolledBack);
    run.fold(settle(SettleAnswer::Retry)).resume().undo(B).undo(A).finish(Outcome::RolledBack);
}

#[test]
fn a_failing_undo_holds_back_what_it_rests_on_and_only_that() {
    let mut run = Run::new(4, OnFailure::Hold, vec![step("a", &[]), step("b", &[0]), step("c", &[])]);
    run.make(A).make(B).make(C).finish(Outcome::Done).resume().roll_back(None);
    run.decides(&[Command::Undo(B), Command::Undo(C)]).fold(Event::UndoStarted { step: "b".into() });
    run.fold(Event::UndoFailed { step: "b".into(), class: Class::Permanent, message: "no".into(), hint: None });
    run.decides(&[Command::Undo(C)]).undo(C).finish(Outcome::RollbackIncomplete);
    assert_eq!(run.state.verdict(&RunId("R".into())).failed_step.as_deref(), Some("b"));
    run.resume().decides(&[Command::Undo(B)]).undo(B).undo(A).finish(Outcome::RolledBack);
}

#[test]
fn an_undo_that_was_cut_off_is_undone_again() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[])]);
    run.make(A).roll_back(None).fold(Event::UndoStarted { step: "a".into() }).resume();
    run.decides(&[Command::Undo(A)]).undo(A).finish(Outcome::RolledBack);
}

#[test]
fn there_is_no_way_back_past_the_point_of_no_return() {
    let steps = || vec![step("a", &[]), one_way("b", &[0]), step("c", &[1])];
    let mut run = Run::new(1, OnFailure::Rollback, steps());
    run.make(A).make(B).probe_absent(C).start(C).fail(C, Class::Permanent).finish(Outcome::Held);
    let failure = run.state.failure().unwrap();
    assert_eq!(failure.hint.unwrap(), "nothing was rolled back: `b` cannot be taken back");
    let refusal = run.state.check_request(&Request::Rollback { by: "me".into(), to: None }).unwrap_err();
    assert_eq!(refusal.to_string(), "the run is past the point of no return: `b` cannot be taken back");
    assert!(refusal.hint.unwrap().contains("--to b"));
    let verdict = run.state.verdict(&RunId("R".into()));
    assert!(verdict.one_way_crossed && verdict.retry_safe);
    assert_eq!(verdict.next[0], "formula resume R");
    assert_eq!(verdict.next.last().unwrap(), "formula rollback R --to b");
    run.resume().roll_back(Some("b")).probe(C, ProbeReason::Rollback, present()).undo(C).finish(Outcome::Stopped);
    // Resumed, it goes forward again.
    run.resume().decides(&[ask(C)]).make(C).finish(Outcome::Done);
}

#[test]
fn a_step_may_turn_out_to_have_no_way_back() {
    let steps = || vec![step("a", &[]), step("b", &[0]), step("c", &[1])];
    let mut run = Run::new(1, OnFailure::Rollback, steps());
    run.make(A).probe_absent(B).start(B);
    run.fold(Event::AttemptSucceeded { step: "b".into(), attempt: 1, output: value("out"), one_way: true });
    run.probe_absent(C).start(C).fail(C, Class::Permanent).finish(Outcome::Held);
    assert_eq!(run.state.failure().unwrap().hint.unwrap(), "nothing was rolled back: `b` cannot be taken back");
    // Also where somebody finds out only by asking after a cut.
    let (mut run, reason) = (Run::new(1, OnFailure::Hold, steps()), ProbeReason::InDoubt);
    run.make(A).probe_absent(B).start(B).resume();
    run.fold(Event::StepProbed { step: "b".into(), reason, probe: present(), params: None, one_way: true });
    assert!(run.state.check_request(&Request::Rollback { by: "me".into(), to: None }).is_err());
}

#[test]
fn what_ends_finally_waits_for_the_rest_and_cannot_change_a_rollback() {
    let steps = || vec![step("a", &[]), step("b", &[0]), finally(look("z", &[1]))];
    let mut run = Run::new(4, OnFailure::Rollback, steps());
    run.make(A).make(B);
    assert_eq!(run.state.mode(), Mode::Finally);
    run.decides(&[attempt(C, 1)]).start(C).fail(C, Class::Permanent).finish(Outcome::Held);
    let mut run = Run::new(4, OnFailure::Rollback, steps());
    run.make(A).probe_absent(B).start(B).fail(B, Class::Permanent).probe(B, ProbeReason::Rollback, Probe::absent(value("x")));
    run.undo(B).undo(A).decides(&[attempt(C, 1)]).start(C).fail(C, Class::Permanent).finish(Outcome::RolledBack);
    // One that fails does not keep another from its turn, unless that rests on it.
    let ends = vec![step("a", &[]), finally(look("x", &[0])), finally(look("y", &[0])), finally(look("z", &[1]))];
    let mut run = Run::new(1, OnFailure::Hold, ends);
    run.make(A).start(B).fail(B, Class::Permanent).decides(&[attempt(C, 1)]).start(C).succeed(C).finish(Outcome::Held);
}

#[test]
fn an_answer_to_a_held_run_counts_once_the_run_is_taken_up() {
    let mut run = Run::new(1, OnFailure::Hold, vec![gate("ok", &[], Gate::Approve), step("b", &[0])]);
    run.fold(Event::GateOpened {
        step: "ok".into(),
        prompt: "?".into(),
        digest: "d".into(),
        until: None,
        approvers: Vec::new(),
        proof: None,
        proof_file: None,
        proof_url: None,
        proof_token: None,
    })
    .finish(Outcome::Held);
    run.fold(Event::GateDecided { step: "ok".into(), approved: true, by: "me".into(), reason: None });
    assert!(run.state.decide().is_empty());
    run.resume().decides(&[ask(B)]);
}

#[test]
fn a_cancelled_rollback_goes_on_when_resumed() {
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[]), step("b", &[0])]);
    run.make(A).make(B).roll_back(None).fold(Event::CancelRequested { by: "me".into(), now: false });
    run.finish(Outcome::Stopped).resume().decides(&[Command::Undo(B)]);
}

#[test]
fn logs_that_nobody_can_have_written_are_refused() {
    let run = Run::new(1, OnFailure::Hold, vec![step("a", &[]), step("b", &[0])]);
    let started = |step: &str, attempt| Event::AttemptStarted { step: step.into(), attempt };
    for (event, says) in [
        (started("x", 1), "the plan has no step `x`"),
        (started("a", 1), "step `a` is pending, with no attempt yet"),
        (Event::StepSkipped { step: "b".into(), reason: String::new() }, "step `b` comes before `a` is over"),
        (Event::UndoStarted { step: "a".into() }, "step `a` is pending"),
    ] {
        let error = run.refuses(&event);
        assert!(error.contains(says) && error.starts_with("event 2 "), "{error}");
    }
    let mut gap = envelopes(&run.events);
    gap.extend(envelopes(&run.events));
    gap[1].seq = 3;
    let error = RunState::replay(run.state.plan().clone(), &gap).unwrap_err();
    assert_eq!(error.to_string(), "event 3 (`run_started`) does not follow from those before it: event 2 was expected here");
    assert!(RunState::replay(run.state.plan().clone(), &[]).is_err());
}
