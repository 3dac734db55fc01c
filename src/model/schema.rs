//! JSON Schema of what `--json` prints: envelopes, and the verdict as the last line.

use schemars::JsonSchema;
use serde_json::Value;

use super::{Envelope, RunId, Verdict};

/// The last line of a run: how it stands and what can be done.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it stands for a line that is put together where it is printed")]
struct VerdictLine {
    /// Format version.
    v: u32,
    /// The run; null where the command failed before there was one.
    run: Option<RunId>,
    /// How it stands.
    verdict: Verdict,
}

/// One line of `--json`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Line {
    /// Something happened.
    Envelope(Envelope),
    /// The last line.
    Verdict(VerdictLine),
}

/// The schema of one line.
pub fn line_schema() -> Value {
    let mut schema = schemars::schema_for!(Line).to_value();
    schema["title"] = "A line of `formula … --json`".into();
    // The docs of these two also speak to readers of the code.
    schema["$defs"]["Event"]["description"] =
        "What happened. Steps are named by full id; the arrows tell from which state to which.".into();
    schema["$defs"]["Probe"]["description"] = "What a probe found.".into();
    schema
}
