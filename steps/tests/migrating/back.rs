//! Going back.

use std::fs;

use formula_steps::contract::{Class, Probe, StepType};
use formula_steps::migrate::Migrate;
use formula_steps::migrations::State;
use serde_json::json;

use super::place::{ENV, place, to};

#[tokio::test]
async fn going_back_runs_what_takes_back_and_leaves_what_is_neutral() {
    let mut place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1/pre.sh", "v0.2.1/down.sh", "v0.2.2.sh", "v0.3.0/pre.sh", "v0.3.0/down.sh"]);
    let params = to("v0.3.0", "pre");
    let (before, changes) = place.before(&params).await;
    assert_eq!(changes[0], "run migration v0.2.1 (pre, `migrations/v0.2.1/pre.sh`); going back runs its `down.sh`");
    StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    for _ in 0..2 {
        place.undo(&params, &before).await.unwrap();
        assert_eq!(place.ran(), ["v0.2.2 pre"]);
        assert_eq!(fs::read_to_string(place.root.join("downs")).unwrap(), "down v0.3.0\ndown v0.2.1\n");
        assert_eq!(place.text(".env"), ENV, "byte for byte");
    }
    assert!(place.log.text().contains("migration v0.2.2 (pre) has no `down.sh` and stays applied"));
    // The next upgrade runs what was taken back, and not what stayed.
    place.run_named("next");
    let output = place.run(&params).await.unwrap();
    assert_eq!(output["applied"], json!(["v0.2.1", "v0.3.0"]));
    assert_eq!(place.ran(), ["v0.2.2 pre", "v0.2.1 pre", "v0.3.0 pre"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.3.0"));
}

#[tokio::test]
async fn a_down_that_fails_is_tried_again() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1/pre.sh", "v0.2.1/down.sh"]);
    let params = to("v0.3.0", "pre");
    let (before, _) = place.before(&params).await;
    StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    place.write("migrations/v0.2.1/down.sh", "echo cannot; exit 3\n");
    let error = place.undo(&params, &before).await.unwrap_err();
    assert!(error.message.contains("ended with exit code 3\ncannot"), "{error}");
    assert_eq!(place.states().await, [("v0.2.1 pre".to_owned(), State::Undoing)]);
    place.migrations(&["v0.2.1/down.sh"]);
    place.undo(&params, &before).await.unwrap();
    assert_eq!((place.ran().len(), place.text(".env")), (0, ENV.to_owned()));
}

#[tokio::test]
async fn there_is_no_way_back_past_a_one_way_migration() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1/pre.sh", "v0.2.1/down.sh", "v0.2.2/pre.sh"]);
    place.write("migrations/v0.2.2/migration.toml", "summary = \"drops the old table\"\nreversible = false\n");
    let params = to("v0.3.0", "pre");
    let (before, changes) = place.before(&params).await;
    let told = "run migration v0.2.2 (pre, `migrations/v0.2.2/pre.sh`): drops the old table; ONE-WAY: there is no way back past it";
    assert_eq!(changes[1], told);
    let output = StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    assert_eq!(output["one_way"], json!(["v0.2.2"]));
    assert!(StepType::one_way(&Migrate, &output));
    let error = place.undo(&params, &before).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains("`v0.2.2` cannot be taken back") && error.message.contains("nothing was taken back"), "{error}");
    assert_eq!(place.ran(), ["v0.2.1 pre", "v0.2.2 pre"]);
    // An older version refuses beforehand, too.
    for phase in ["down", "pre"] {
        let told = place.refused(&to("v0.2.0", phase)).await;
        assert!(told.contains("there is no way back to v0.2.0: one-way migrations were applied above it: v0.2.2 (pre)"), "{told}");
    }
}

#[tokio::test]
async fn an_older_version_takes_back_what_is_above_it() {
    let mut place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1/pre.sh", "v0.2.1/down.sh", "v0.2.2.sh", "v0.3.0/pre.sh", "v0.3.0/post.sh", "v0.3.0/down.sh"]);
    for phase in ["pre", "post"] {
        place.run(&to("v0.3.0", phase)).await.unwrap();
    }
    let told = place.refused(&to("v0.2.1", "pre")).await;
    assert!(told.contains("migration v0.3.0 is applied, above v0.2.1") && told.contains("phase = \"down\""), "{told}");
    place.run_named("back");
    let params = to("v0.2.1", "down");
    let (before, changes) = place.before(&params).await;
    assert_eq!(changes[0], "take back migration v0.3.0 (post, `migrations/v0.3.0/down.sh`)");
    assert_eq!(changes[2], "leave migration v0.2.2 (pre) applied");
    let output = StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    assert_eq!(output["applied"], json!(["v0.3.0", "v0.3.0"]));
    assert_eq!((place.ran(), place.text(".env")), (vec!["v0.2.1 pre".into(), "v0.2.2 pre".into()], ENV.replace("v0.2.0", "v0.2.2")));
    assert!(matches!(place.probe(&params).await.unwrap(), Probe::Present { .. }));
    // Going back from there applies them again.
    place.undo(&params, &before).await.unwrap();
    assert_eq!(place.ran()[2..], ["v0.3.0 pre", "v0.3.0 post"]);
    assert_eq!(place.text(".env"), ENV.replace("v0.2.0", "v0.3.0"));
}

#[tokio::test]
async fn a_box_that_never_had_a_ledger_goes_back_too() {
    let place = place();
    place.write(".env", "LAST=v0.3.0\n");
    place.migrations(&["v0.2.1/pre.sh", "v0.2.1/down.sh", "v0.2.2.sh", "v0.3.0/pre.sh", "v0.3.0/down.sh"]);
    let params = to("v0.2.0", "down");
    let (before, changes) = place.before(&params).await;
    assert_eq!(changes[0], "take back migration v0.3.0 (pre, `migrations/v0.3.0/down.sh`)");
    let output = StepType::run(&Migrate, &place.cx, &params, Some(&before)).await.unwrap();
    assert_eq!((&output["level"], place.text(".env")), (&json!("v0.2.0"), "LAST=v0.2.0\n".to_owned()));
    assert!(matches!(place.probe(&params).await.unwrap(), Probe::Present { .. }));
    place.undo(&params, &before).await.unwrap();
    assert_eq!((place.ran(), place.text(".env")), (vec!["v0.2.1 pre".into(), "v0.3.0 pre".into()], "LAST=v0.3.0\n".to_owned()));
}
