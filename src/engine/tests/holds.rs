//! What holds a run though nothing failed.

use super::*;

#[test]
fn what_waits_for_a_person_is_held_and_neither_tried_again_nor_taken_back() {
    let mut run = Run::new(1, OnFailure::Rollback, vec![attempts(step("a", &[]), 3), step("b", &[0])]);
    run.probe_absent(A).start(A).fail(A, Class::Waits);
    assert!(matches!(run.state.step(A), StepState::Held { why: Hold::Waits, .. }));
    assert_eq!(run.state.mode(), Mode::Stopping);
    run.finish(Outcome::Held);
    let verdict = run.state.verdict(&RunId("R".into()));
    assert_eq!((verdict.exit, verdict.failed_step.as_deref(), verdict.retry_safe), (20, Some("a"), false));
    assert!(verdict.next.contains(&"formula resume R".to_owned()), "{:?}", verdict.next);
    // It is asked, goes on, waits again, and is done once the person has answered.
    let asked = Command::Probe { step: A, reason: ProbeReason::InDoubt };
    run.resume().decides(&[asked]);
    run.probe(A, ProbeReason::InDoubt, Probe::absent(value("later"))).start(A).fail(A, Class::Waits).finish(Outcome::Held);
    assert_eq!(run.state.before(A), Some(&value("before")), "the first checkpoint stays");
    run.resume().probe(A, ProbeReason::InDoubt, Probe::absent(value("later"))).start(A).succeed(A).decides(&[ask(B)]);
}

#[test]
fn what_waits_while_a_rollback_runs_has_failed() {
    let mut run = Run::new(2, OnFailure::Rollback, vec![step("a", &[]), step("b", &[])]);
    run.probe_absent(A).probe_absent(B).start(A).start(B).fail(A, Class::Permanent).fail(B, Class::Waits);
    assert!(matches!(run.state.step(B), StepState::Failed(_)));
    assert!(matches!(run.state.mode(), Mode::RollingBack), "{:?}", run.state.mode());
}

#[test]
fn gates_wait_for_a_person_or_for_time() {
    let steps = vec![gate("ok", &[], Gate::Approve), gate("soak", &[0], Gate::Wait), step("c", &[1])];
    let mut run = Run::new(1, OnFailure::Hold, steps);
    run.decides(&[Command::OpenGate(A)]);
    let open = |step: &str| Event::GateOpened {
        step: step.into(),
        prompt: "?".into(),
        digest: "d1".into(),
        until: Some(Timestamp(100)),
        approvers: Vec::new(),
        proof: None,
        proof_file: None,
        proof_url: None,
        proof_token: None,
    };
    run.fold(open("ok")).decides(&[Command::WaitUntil(Timestamp(100)), Command::Finish(Outcome::Held)]);
    assert!(run.state.waits_for_gate());
    let mut late = Run { state: run.state.clone(), events: run.events.clone() };
    late.state.tick(Timestamp(100));
    late.decides(&[Command::DecideGate { step: A, approved: false }]);
    late.fold(Event::GateDecided { step: "ok".into(), approved: false, by: "timer".into(), reason: None }).finish(Outcome::Refused);
    let decide = |digest: &str| Request::Decide { by: "me".into(), step: "ok".into(), approved: true, reason: None, digest: digest.into() };
    assert!(run.state.check_request(&decide("d0")).is_err());
    run.state.check_request(&decide("d1")).unwrap();
    for event in run.state.events_for(&decide("d1")) {
        run.fold(event);
    }
    run.fold(open("soak")).decides(&[Command::WaitUntil(Timestamp(100))]);
    run.state.tick(Timestamp(100));
    run.decides(&[Command::DecideGate { step: B, approved: true }]);
    run.fold(Event::GateDecided { step: "soak".into(), approved: true, by: "timer".into(), reason: None }).decides(&[ask(C)]);
}

#[test]
fn an_approval_after_the_time_of_its_gate_is_a_denial_however_it_got_there() {
    let opened = Event::GateOpened {
        step: "ok".into(),
        prompt: "?".into(),
        digest: "d".into(),
        until: Some(Timestamp(100)),
        approvers: Vec::new(),
        proof: None,
        proof_file: None,
        proof_url: None,
        proof_token: None,
    };
    let mut run = Run::new(1, OnFailure::Hold, vec![step("a", &[]), gate("ok", &[0], Gate::Approve), step("b", &[1])]);
    run.make(A).fold(opened);
    let approve = Request::Decide { by: "me".into(), step: "ok".into(), approved: true, reason: None, digest: "d".into() };
    // Whoever asks is refused, and what is recorded is the denial.
    let mut late = run.state.clone();
    assert!(late.check_request(&approve).is_ok() && !late.comes_late(&approve));
    late.tick(Timestamp(100));
    assert!(late.check_request(&approve).is_err() && late.comes_late(&approve));
    let denied = Event::GateDecided { step: "ok".into(), approved: false, by: "timer".into(), reason: Some(NOBODY.into()) };
    assert_eq!(late.events_for(&approve), [denied]);
    let verdict = late.verdict(&RunId("R".into()));
    assert_eq!(verdict.message.as_deref(), Some("nobody approved it in time"));
    assert_eq!(verdict.next, ["formula resume R", "formula rollback R"]);
    // Whoever wrote an approval down as the clock struck has written a denial.
    let event = Event::GateDecided { step: "ok".into(), approved: true, by: "me".into(), reason: None };
    for (at, goes_on) in [(99, true), (100, false)] {
        let mut state = run.state.clone();
        let envelope = Envelope { v: 1, run: RunId("R".into()), seq: state.seq() + 1, at: Timestamp(at), event: event.clone() };
        state.take(&envelope).unwrap();
        assert_eq!(matches!(state.step(B), StepState::Done { .. }), goes_on, "{at}");
        assert_eq!(state.failure().is_none(), goes_on, "{at}");
    }
}
