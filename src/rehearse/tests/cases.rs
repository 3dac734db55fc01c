//! What test files say of a case, and what comes of it.

use super::super::{Judgement, Options};
use super::{bad, only, told, try_both, try_with};

const SHELL: &str = r#"
name = "sample"

[[steps]]
id   = "make"
uses = "shell"
with = { command = ["make"], probe = ["test", "-e", "out"], undo = ["rm", "-f", "out"], outputs = ["digest"] }

[[steps]]
id   = "note"
uses = "write-file"
with = { path = "note.txt", content = "{{ steps.make.outputs.digest }}" }
"#;

const STUB: &str = r#"
[shell.make]
outputs = { digest = "sha256:1" }
writes  = { out = "made" }
"#;

#[test]
fn a_shell_step_acts_as_it_is_described_and_its_probe_and_undo_follow_from_that() {
    let test = format!(
        "{STUB}[expect]\noutcome = \"done\"\noutputs = {{ \"make.digest\" = \"sha256:1\" }}\nfiles = {{ out = \"made\", \"note.txt\" = \"sha256:1\" }}\n"
    );
    let case = only(try_both(SHELL, &test));
    assert_eq!(bad(&case), []);
    assert!(case.is_sound() && case.met == 4, "{:?} {:?}", case.unmet, case.again);
    assert!(case.again.as_ref().unwrap().acts.is_empty());
}

#[test]
fn an_undo_that_is_said_to_do_nothing_is_found_out() {
    let case = only(try_both(SHELL, &format!("{STUB}undo = {{}}\n")));
    assert_eq!(case.first_diverging().unwrap().schedule.to_string(), "make:during-effect-2:rollback");
    let excused = only(try_both(SHELL, &format!("left_alone = [\"make\"]\n{STUB}undo = {{}}\n")));
    assert_eq!(bad(&excused), []);
    assert_eq!(excused.leaves, ["make"]);
}

#[test]
fn a_step_that_nobody_can_ask_after_a_crash_needs_a_person() {
    let formula = "name = \"sample\"\n[[steps]]\nid = \"post\"\nuses = \"shell\"\nwith = { command = [\"post\"] }\n";
    let case = only(try_both(formula, "[shell.post]\nwrites = { sent = \"x\" }\n"));
    assert_eq!(bad(&case), []);
    let of = |schedule: &str| case.schedules.iter().find(|played| played.schedule.to_string() == schedule).unwrap().judgement.clone();
    assert_eq!(of("post:before-effect:resume"), Judgement::Asks { steps: vec!["post".into()] });
    assert_eq!(of("post:after-effect:resume"), Judgement::Asks { steps: vec!["post".into()] });
    // Nobody can undo it, whether or not that it was done is recorded.
    assert_eq!(of("post:after-effect:rollback"), Judgement::OneWay { steps: vec!["post".into()], compared: false });
    assert_eq!(of("post:after-record:rollback"), Judgement::OneWay { steps: vec!["post".into()], compared: true });
    let again = case.again.as_ref().unwrap();
    assert_eq!((again.always.as_slice(), again.is_sound()), (["post".to_owned()].as_slice(), true));
}

#[test]
fn a_fault_that_goes_away_is_retried_and_one_that_stays_is_told() {
    let formula = SHELL.replacen("uses = \"shell\"\n", "uses = \"shell\"\nretry = { attempts = 2, wait = \"1h\" }\n", 1);
    let once = format!("fault = [{{ step = \"make\", with = 503 }}]\n{STUB}");
    let case = only(try_both(&formula, &once));
    assert!(case.is_sound(), "{:?} {:?}", bad(&case), case.unmet);
    let stays = format!(
        "fault = [{{ step = \"make\", with = \"no space left\", always = true }}]\n{STUB}[expect]\noutcome = \"held\"\nstates = {{ make = \"failed\" }}\n"
    );
    let case = only(try_both(&formula, &stays));
    assert!(case.is_sound(), "{:?} {:?}", bad(&case), case.unmet);
    assert!(case.failure.as_ref().unwrap().contains("no space left"), "{:?}", case.failure);
    let lost = format!("fault = [{{ step = \"note\", with = 502, after = true }}]\n{STUB}");
    let formula = format!("{formula}retry = {{ attempts = 2, wait = \"1s\" }}\n");
    assert!(only(try_both(&formula, &lost)).is_sound(), "the effect was there, and the probe saw it");
}

#[test]
fn a_call_that_fails_is_taken_by_its_kind_and_a_retry_gets_over_it() {
    let retried = format!("{SHELL}retry = {{ attempts = 2, wait = \"1s\" }}\n");
    let call =
        |with: &str, times: u32| format!("fault = [{{ step = \"note\", call = \"files.write\", with = {with}, times = {times} }}]\n{STUB}");
    let case = only(try_both(&retried, &call("503", 1)));
    assert!(case.is_sound(), "{:?} {:?}", bad(&case), case.unmet);
    assert_eq!(case.outcome, "done");
    // Twice is once too often, and what is refused is not tried again.
    for (with, times) in [("503", 2), ("403", 1)] {
        let held = format!("{}[expect]\noutcome = \"held\"\nstates = {{ note = \"failed\" }}\n", call(with, times));
        let case = only(try_both(&retried, &held));
        assert_eq!(case.unmet, [] as [String; 0], "{with}");
        assert!(case.failure.as_ref().unwrap().contains("as the test file says"), "{:?}", case.failure);
    }
    let error = try_both(SHELL, &format!("fault = [{{ step = \"note\", call = \"push\", with = 503 }}]\n{STUB}")).unwrap_err();
    assert!(told(&error).contains("steps make no call `push`"), "{}", told(&error));
    assert!(told(&error).contains("`docker.push`, `git.push`"), "{}", told(&error));
}

#[test]
fn a_failing_step_shows_what_is_taken_back() {
    let formula = SHELL.replacen("name = \"sample\"\n", "name = \"sample\"\non_failure = \"rollback\"\n", 1);
    let fail = Options { fail: Some("note".into()), ..Options::default() };
    let case = only(try_with(formula_steps::BUILTIN, &formula, Some(STUB), &fail));
    assert_eq!((case.outcome.as_str(), case.exit), ("rolled_back", 22));
    assert!(case.steps[0].undone);
    assert!(case.is_sound(), "{:?}", bad(&case));
    let unknown = Options { fail: Some("nota".into()), ..Options::default() };
    let error = try_with(formula_steps::BUILTIN, &formula, Some(STUB), &unknown).unwrap_err();
    assert!(told(&error).contains("did you mean `note`?"), "{}", told(&error));
}

#[test]
fn gates_are_answered_as_the_file_says() {
    let formula = "name = \"sample\"\n[[steps]]\nid = \"ask\"\nuses = \"approve\"\nwith = { prompt = \"Go?\", expires = \"24h\" }\n\
        [[steps]]\nid = \"note\"\nuses = \"write-file\"\nwith = { path = \"n\", content = \"x\" }\n\
        [[steps]]\nid = \"rest\"\nuses = \"wait\"\nwith = { for = \"7d\" }\n";
    assert!(only(try_both(formula, "")).is_sound());
    for (answer, note) in [("deny", "pending"), ("expire", "pending")] {
        let test = format!("[gates]\nask = \"{answer}\"\n[expect]\nexit = 11\nstates = {{ note = \"{note}\" }}\n");
        let case = only(try_both(formula, &test));
        assert!(case.is_sound(), "{answer}: {:?} {:?}", bad(&case), case.unmet);
    }
}

#[test]
fn a_formula_brings_its_test_along_and_cases_share_what_stands_outside() {
    let formula = format!(
        "{SHELL}\n[test]\nacts_again = []\n{}\n[[test.case]]\nname = \"one\"\n[[test.case]]\nname = \"two\"\nworld = {{ files = {{ out = \"made\" }} }}\n",
        STUB.replace("[shell", "[test.shell")
    );
    let report = try_with(formula_steps::BUILTIN, &formula, None, &Options::default()).unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(report.cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(report.cases[0].is_sound(), "{:?}", report.cases[0].unmet);
    let two = Options { case: Some("three".into()), ..Options::default() };
    let error = try_with(formula_steps::BUILTIN, &formula, None, &two).unwrap_err();
    assert_eq!(told(&error), "there is no case `three`: there are `one`, `two`");
}

#[test]
fn what_finally_steps_leave_is_no_divergence() {
    let formula = format!(
        "{SHELL}\n[[finally]]\nid = \"result\"\nuses = \"write-file\"\nwith = {{ path = \"result.json\", content = \"{{{{ json run.summary }}}}\" }}\n"
    );
    let case = only(try_both(&formula, STUB));
    assert_eq!(bad(&case), []);
    assert_eq!(case.leaves, ["result"]);
}

#[test]
fn what_finally_steps_leave_is_no_divergence_where_the_run_fails_before_their_turn() {
    let step = |table: &str, id: &str| {
        format!("[[{table}]]\nid = \"{id}\"\nuses = \"write-file\"\nwith = {{ path = \"{id}\", content = \"x\" }}\n")
    };
    let one_way = "[[steps]]\nid = \"first\"\nuses = \"shell\"\nwith = { command = [\"touch\", \"x\"], idempotent = true }\n";
    let stub = "[shell.first]\nwrites = { x = \"\" }\n";
    let rest = step("steps", "last") + &step("finally", "result");
    let fail = Options { fail: Some("last".into()), ..Options::default() };
    for (first, test) in [(step("steps", "first"), ""), (one_way.to_owned(), stub)] {
        let case = only(try_with(formula_steps::BUILTIN, &format!("name = \"sample\"\n{first}{rest}"), Some(test), &fail));
        assert_eq!(bad(&case), []);
        assert_eq!(case.outcome, "held");
        assert!(case.schedules.len() > 10, "{}", case.schedules.len());
    }
    // What a rollback forgets is found all the same.
    let forgetful = one_way.replace("idempotent = true", "probe = [\"test\", \"-e\", \"x\"], undo = [\"rm\"]");
    let test = format!("{stub}undo = {{}}\n");
    let case = only(try_with(formula_steps::BUILTIN, &format!("name = \"sample\"\n{forgetful}{rest}"), Some(&test), &fail));
    assert!(bad(&case).iter().any(|(schedule, word)| schedule.starts_with("first:") && *word == "DIVERGES"), "{:?}", bad(&case));
}

#[test]
fn a_gate_behind_a_step_that_nobody_takes_back_stays_open_when_the_rest_is_taken_back() {
    let formula = "name = \"sample\"\n[[steps]]\nid = \"post\"\nuses = \"shell\"\nwith = { command = [\"touch\", \"x\"], idempotent = true }\n\
        [[steps]]\nid = \"ask\"\nuses = \"approve\"\nwith = { prompt = \"Go?\" }\n\
        [[steps]]\nid = \"note\"\nuses = \"write-file\"\nwith = { path = \"n\", content = \"x\" }\n";
    let case = only(try_both(formula, "[shell.post]\nwrites = { x = \"\" }\n"));
    assert_eq!(bad(&case), []);
    let back = case.schedules.iter().find(|played| played.schedule.to_string() == "post:after-record:rollback").unwrap();
    assert_eq!(back.judgement, Judgement::OneWay { steps: vec!["post".into()], compared: true });
}
