//! On the way to a newer version.

use std::fs;
use std::sync::Arc;

use formula_steps::contract::{Class, Probe, StepType};
use formula_steps::migrate::Migrate;
use formula_steps::migrations::{Applied, Phase, Row, State};
use formula_steps::world::{Cancel, CancelLevel, Output};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::place::{ENV, Place, place, to, version};

#[tokio::test]
async fn m1_what_lies_between_runs_in_order() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.1.0.sh", "v0.2.0.sh", "v0.2.1.sh", "v0.2.2.sh", "v0.3.0.sh", "v0.3.1.sh"]);
    let params = to("v0.3.0", "pre");
    let (_, changes) = place.before(&params).await;
    assert_eq!(changes[0], "run migration v0.2.1 (pre, `migrations/v0.2.1.sh`); going back leaves it applied");
    assert_eq!(changes.last().unwrap(), "record v0.2.0 as the baseline, by the key in the env file");
    let output = place.run(&params).await.unwrap();
    assert_eq!(output, json!({ "applied": ["v0.2.1", "v0.2.2", "v0.3.0"], "level": "v0.3.0", "one_way": [] }));
    assert_eq!(place.ran(), ["v0.2.1 pre", "v0.2.2 pre", "v0.3.0 pre"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.3.0"));
    let ledger = fs::read_dir(place.root.join("state/migrations"))
        .unwrap()
        .filter(|entry| !entry.as_ref().unwrap().path().to_string_lossy().contains("lock"));
    let file = ledger.map(|entry| entry.unwrap().path()).next().unwrap();
    let rows: Vec<Value> = fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        rows.iter().map(|row| row["row"].as_str().unwrap()).collect::<Vec<_>>(),
        ["baseline", "began", "ended", "began", "ended", "began", "ended"]
    );
    assert!(
        rows[2]["exit"] == "0" && rows[2]["began"] == rows[1]["at"].as_str().unwrap()
            || rows[2]["began"].as_str() >= rows[1]["at"].as_str()
    );
    assert_eq!(rows[1]["who"], "run run step step");
}

#[tokio::test]
async fn m2_versions_are_ordered_by_number() {
    let place = place();
    place.write(".env", "LAST=v0.8.0\n");
    place.migrations(&["v0.10.0.sh", "v0.9.0.sh"]);
    place.run(&to("v0.10.0", "pre")).await.unwrap();
    assert_eq!(place.ran(), ["v0.9.0 pre", "v0.10.0 pre"]);
}

#[tokio::test]
async fn m3_after_a_failure_it_goes_on_with_the_one_that_failed() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1.sh", "v0.2.2.sh", "v0.3.0.sh"]);
    place.write("migrations/v0.2.2.sh", "echo half >>../ran; test -e ../mended || { echo no disk; exit 7; }; echo whole >>../ran\n");
    let params = to("v0.3.0", "pre");
    let error = place.run(&params).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert_eq!(error.message, "migration v0.2.2 (pre, `migrations/v0.2.2.sh`) ended with exit code 7\nno disk");
    let hint = "mend `migrations/v0.2.2.sh` and give the same command again, it goes on there; 1 script before it will not run again; 1 script after it did not run";
    assert_eq!(error.hint.unwrap(), hint);
    assert_eq!(place.ran(), ["v0.2.1 pre", "half"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.2.1"));
    let states = [("v0.2.1 pre", State::Applied), ("v0.2.2 pre", State::Failed), ("v0.3.0 pre", State::Pending)];
    assert_eq!(place.states().await, states.map(|(name, state)| (name.to_owned(), state)));

    fs::write(place.root.join("mended"), "").unwrap();
    let output = place.run(&params).await.unwrap();
    assert_eq!(output["applied"], json!(["v0.2.1", "v0.2.2", "v0.3.0"]));
    assert_eq!(place.ran(), ["v0.2.1 pre", "half", "half", "whole", "v0.3.0 pre"]);
}

#[tokio::test]
async fn m4_the_same_target_again_runs_nothing() {
    let mut place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1.sh", "v0.3.0/pre.sh", "v0.3.0/post.sh"]);
    for phase in ["pre", "post"] {
        place.run(&to("v0.3.0", phase)).await.unwrap();
    }
    let (ran, env) = (place.ran(), place.text(".env"));
    place.run_named("another");
    for phase in ["pre", "post"] {
        let Probe::Present { output } = place.probe(&to("v0.3.0", phase)).await.unwrap() else { panic!("it would act") };
        assert_eq!(output["applied"], json!([]));
        let output = StepType::run(&Migrate, &place.cx, &to("v0.3.0", phase), None).await.unwrap();
        assert_eq!(output["level"], "v0.3.0");
    }
    assert_eq!((place.ran(), place.text(".env")), (ran, env));
}

#[tokio::test]
async fn m10_each_phase_has_its_own_scripts_and_the_key_waits_for_both() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1/pre.sh", "v0.2.2/post.sh", "v0.2.2/pre.sh", "v0.3.0/post.sh"]);
    place.run(&to("v0.3.0", "pre")).await.unwrap();
    assert_eq!(place.ran(), ["v0.2.1 pre", "v0.2.2 pre"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.2.1"));
    place.run(&to("v0.3.0", "post")).await.unwrap();
    assert_eq!(place.ran()[2..], ["v0.2.2 post", "v0.3.0 post"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.3.0"));
}

#[tokio::test]
async fn a_script_is_told_where_it_is() {
    let mut place = place();
    place.cx.base_env = Arc::new(place.env.clone());
    place.write("migrations/v0.2.1/pre.sh", "env | grep ^FORMULA_ | sort; pwd; cat; cat \"${0%/*}/list\"\n");
    place.write("migrations/v0.2.1/list", "beside it\n");
    place.run(&json!({ "to": "0.3.0", "phase": "pre", "env_file": "config/env" })).await.unwrap();
    let work = place.root.join("work").display().to_string();
    let log = place.log.text();
    for line in [
        "FORMULA_ENV_FILE=WORK/config/env\n",
        "FORMULA_FROM=v0.2.0\n",
        "FORMULA_MIGRATION=v0.2.1\n",
        "FORMULA_PHASE=pre\n",
        "FORMULA_ROOT=WORK\n",
        "FORMULA_TO=v0.3.0\n",
        "\nWORK\nbeside it\n",
    ] {
        assert!(log.contains(&line.replace("WORK", &work)), "{line} in {log}");
    }
}

/// Says when something was written.
struct Watch(Notify);

impl Output for Watch {
    fn write(&self, bytes: &[u8]) {
        if String::from_utf8_lossy(bytes).contains("under way") {
            self.0.notify_one();
        }
    }
}

/// Starts a run and kills its script in the middle.
async fn cut(place: &mut Place, params: &Value) {
    let watch = Arc::new(Watch(Notify::new()));
    place.cx.output = watch.clone();
    let cancel = place.cx.cancel.clone();
    let kill = async {
        watch.0.notified().await;
        cancel.raise(CancelLevel::Now);
    };
    let (ended, ()) = tokio::join!(place.run(params), kill);
    assert_eq!(ended.unwrap_err().class, Class::Cancelled);
    place.cx.cancel = Cancel::new();
    place.cx.output = place.log.clone();
}

const SLOW: &str = "echo began >>../ran; echo under way; test -e ../go || sleep 600; echo ended >>../ran\n";

#[tokio::test]
async fn one_that_was_killed_runs_again_and_those_before_it_do_not() {
    let mut place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1.sh", "v0.3.0.sh"]);
    place.write("migrations/v0.2.2.sh", SLOW);
    let params = to("v0.3.0", "pre");
    cut(&mut place, &params).await;
    assert_eq!(place.states().await[1].1, State::Unknown);
    fs::write(place.root.join("go"), "").unwrap();
    place.run(&params).await.unwrap();
    assert_eq!(place.ran(), ["v0.2.1 pre", "began", "began", "ended", "v0.3.0 pre"]);
}

#[tokio::test]
async fn one_that_must_not_run_twice_waits_for_a_person() {
    let mut place = place();
    place.write(".env", ENV);
    place.write("migrations/v0.2.2/pre.sh", SLOW);
    place.write("migrations/v0.2.2/migration.toml", "reentrant = false\n");
    place.migrations(&["v0.3.0.sh"]);
    let params = to("v0.3.0", "pre");
    cut(&mut place, &params).await;
    let Probe::Diverged { expected, found } = place.probe(&params).await.unwrap() else { panic!("it would act") };
    assert_eq!(expected, "migration v0.2.2 (pre) whole or not begun");
    assert!(found.contains("was cut off") && found.contains("`formula migrate repair v0.2.2 --phase pre --applied`"), "{found}");
    assert_eq!(StepType::run(&Migrate, &place.cx, &params, None).await.unwrap_err().class, Class::Refused);
    let (applied, digest, reason) = (Applied::Yes, None, "looked".to_owned());
    place.record(&[Row::Repaired { version: version("v0.2.2"), phase: Phase::Pre, applied, digest, reason }]).await;
    place.run(&params).await.unwrap();
    assert_eq!(place.ran(), ["began", "v0.3.0 pre"]);
}

#[tokio::test]
async fn a_plan_before_the_checkout_reads_the_folder_of_the_ref() {
    let place = place();
    place.migrations(&["v0.3.0.sh"]);
    place.commit();
    place.git(&["tag", "v0.3.0"]);
    place.git(&["checkout", "--quiet", "v0.2.0"]);
    let params = json!({ "to": "v0.3.0", "phase": "pre", "ref": "v0.3.0", "from": "v0.2.0" });
    let (before, changes) = place.before(&params).await;
    assert_eq!(changes[0], "run migration v0.3.0 (pre, `migrations/v0.3.0.sh`); going back leaves it applied");
    let error = StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap_err();
    assert!(error.message.contains("the working tree is not at `v0.3.0`"), "{error}");
    place.git(&["checkout", "--quiet", "v0.3.0"]);
    StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    assert_eq!(place.ran(), ["v0.3.0 pre"]);
    assert!(place.refused(&json!({ "to": "v9.0.0", "phase": "pre", "ref": "v9.0.0" })).await.contains("there is no revision `v9.0.0`"));
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_ended() {
    let place = place();
    place.write("migrations/v0.2.1/pre.sh", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done\n");
    place.write("migrations/v0.2.1/migration.toml", "timeout = \"200ms\"\n");
    let error = place.run(&json!({ "to": "v0.3.0", "phase": "pre" })).await.unwrap_err();
    assert_eq!(error.class, Class::Timeout);
    assert!(error.message.contains("took longer than its limit of 200ms"), "{error}");
    assert_eq!(place.states().await, [("v0.2.1 pre".to_owned(), State::Failed)]);
}
