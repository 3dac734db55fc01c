//! The kind against the laws that every kind obeys.

use formula_steps::laws::{Case, DIR, Tally, judge};
use formula_steps::world::fake::{FakeFile, State};
use outside_kind::LineInFile;
use serde_json::json;

#[tokio::test]
async fn line_in_file_obeys_every_law() {
    let with = |text: Option<&str>| {
        let mut state = State::default();
        if let Some(text) = text {
            state.files.insert(format!("{DIR}/motd").into(), FakeFile::new(text).mode(0o600));
        }
        state
    };
    let params = json!({ "path": "motd", "line": "Be kind" });
    let case = |name, text| Case { kind: "line-in-file", name, state: with(text), params: params.clone() };
    let mut tally = Tally::default();
    for case in [
        case("no file", None),
        case("an empty file", Some("")),
        case("other lines", Some("Welcome\n")),
        case("a last line without an end", Some("Welcome")),
    ] {
        tally.add(judge(&LineInFile, &case).await);
    }
    assert!(tally.broken.is_empty(), "{tally}");
}
