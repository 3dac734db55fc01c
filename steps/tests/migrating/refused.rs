//! Where a box stands, and what is refused when that does not fit.

use std::fs;

use formula_steps::contract::Probe;
use formula_steps::migrations::{Applied, Phase, Row, Source};
use serde_json::json;

use super::place::{ENV, place, to, version};

#[tokio::test]
async fn a_box_without_ledger_and_key_stands_where_its_release_tag_is() {
    let place = place();
    place.migrations(&["v0.2.0.sh", "v0.2.1.sh"]);
    let params = json!({ "to": "v0.3.0", "phase": "pre" });
    let (_, changes) = place.before(&params).await;
    assert_eq!(changes.last().unwrap(), "record v0.2.0 as the baseline, by the release tag of HEAD");
    place.commit();
    let told = place.refused(&params).await;
    assert!(
        told.contains("nobody knows which migrations this box has had") && told.contains("`formula migrate baseline VERSION`"),
        "{told}"
    );
    // After a checkout HEAD tells where the box goes, and `from` where it stood.
    place.git(&["tag", "v0.3.0"]);
    let told = place.refused(&params).await;
    assert!(told.contains("HEAD stands on v0.3.0, which is where the box is to go"), "{told}");
    let old = place.git(&["rev-parse", "v0.2.0^{commit}"]);
    place.run(&json!({ "to": "v0.3.0", "phase": "pre", "from": old })).await.unwrap();
    assert_eq!(place.ran(), ["v0.2.1 pre"]);
    // From here on the ledger counts, wherever HEAD is.
    place.commit();
    assert!(matches!(place.probe(&params).await.unwrap(), Probe::Present { .. }));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_both_values_and_the_command() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.2.1.sh", "v0.3.0.sh"]);
    let params = to("v0.3.0", "pre");
    place.run(&params).await.unwrap();
    // Changed after it was applied.
    place.write("migrations/v0.2.1.sh", "echo another\n");
    let told = place.refused(&to("v0.4.0", "pre")).await;
    assert!(told.contains("`migrations/v0.2.1.sh` was changed after it was applied: it was ") && told.contains("now it is"), "{told}");
    assert!(told.contains("`formula migrate repair v0.2.1 --phase pre --applied`"), "{told}");
    place.migrations(&["v0.2.1.sh"]);
    // Left out.
    place.migrations(&["v0.2.2.sh"]);
    let told = place.refused(&params).await;
    assert!(told.contains("migration v0.2.2 (pre) was never applied, and v0.3.0 above it was"), "{told}");
    assert!(told.contains("`formula migrate repair v0.2.2 --phase pre --pending`"), "{told}");
    // Twice.
    place.migrations(&["v0.2.2/pre.sh"]);
    let told = place.refused(&params).await;
    assert!(told.contains("`migrations/v0.2.2` and `migrations/v0.2.2.sh` are both the migration of v0.2.2"), "{told}");
    fs::remove_dir_all(place.root.join("work/migrations/v0.2.2")).unwrap();
    fs::remove_file(place.root.join("work/migrations/v0.2.2.sh")).unwrap();
    // A level that nobody knows.
    place.write(".env", "LAST=v0.9.0\n");
    let told = place.refused(&params).await;
    assert!(told.contains("`LAST` in `.env` is v0.9.0, and the ledger knows everything up to v0.3.0 only"), "{told}");
    assert!(told.contains("`formula migrate baseline v0.9.0`"), "{told}");
    place.write(".env", "LAST=newest\n");
    assert!(place.refused(&params).await.contains("`LAST` in `.env` is `newest`, which is no version"));
    place.write(".env", "LAST=v0.3.0\n");
    place.write("migrations/v0.4.0.toml", "steps = ");
    let told = place.refused(&params).await;
    assert!(told.contains("`migrations/v0.4.0.toml` is no formula") && told.contains("`formula check migrations/v0.4.0.toml`"), "{told}");
    assert_eq!(place.ran().len(), 2, "nothing ran");
}

#[tokio::test]
async fn what_was_left_out_runs_late_once_a_person_says_so() {
    let place = place();
    place.write(".env", ENV);
    place.migrations(&["v0.3.0.sh"]);
    let params = to("v0.3.0", "pre");
    place.run(&params).await.unwrap();
    place.migrations(&["v0.2.2.sh"]);
    let (applied, digest, reason) = (Applied::No, None, "forgotten".to_owned());
    place.record(&[Row::Repaired { version: version("v0.2.2"), phase: Phase::Pre, applied, digest, reason }]).await;
    place.run(&params).await.unwrap();
    assert_eq!(place.ran(), ["v0.3.0 pre", "v0.2.2 pre"]);
}

#[tokio::test]
async fn a_damaged_ledger_is_refused_and_named() {
    let place = place();
    place.migrations(&["v0.2.1.sh"]);
    place.record(&[Row::Baseline { version: version("v0.2.0"), source: Source::Person }]).await;
    let (root, path) = place.at().ledger().unwrap();
    let file = root.join(path);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{{\"half\":")).unwrap();
    let told = place.refused(&to("v0.3.0", "pre")).await;
    assert!(told.contains("line 2 cannot be read") && told.contains("restore the file"), "{told}");
    fs::write(&file, text.replace("\"v\":1", "\"v\":9")).unwrap();
    assert!(place.refused(&to("v0.3.0", "pre")).await.contains("it has format 9"));
}
