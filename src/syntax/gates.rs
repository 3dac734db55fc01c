//! Kinds that are no steps: gates, which the engine keeps, and formulas that are inlined when a run is planned.

use serde_json::{Value, json};

use super::duration;
use crate::model::GateRules;

/// A kind of the engine's own.
#[derive(Debug)]
pub struct Own {
    /// The name authors write in `uses`.
    pub kind: &'static str,
    /// One line for lists.
    pub summary: &'static str,
    /// A `[[steps]]` table in TOML that checks.
    pub example: &'static str,
    /// Schema of its `with` table.
    pub(super) params: fn() -> Value,
    /// Schema of its outputs; None where they are those of other steps.
    pub(super) outputs: fn() -> Option<Value>,
    /// Problems of params whose values are all known.
    pub(super) check: fn(&Value) -> Vec<String>,
}

/// The engine's own kinds, in alphabetical order.
pub static OWN: [Own; 3] = [
    Own {
        kind: "approve",
        summary: "Waits until a person approves, without holding a slot",
        example: "[[steps]]\nid = \"approve\"\nuses = \"approve\"\nwith = { prompt = \"Ship it?\", expires = \"24h\" }\n",
        params: approve,
        outputs: || Some(object(&[("by", "Who approved; `timer` where time decided."), ("at", "When, as in 2026-01-02T03:04:05Z.")])),
        check: check_approve,
    },
    Own {
        kind: "formula",
        summary: "Another formula, inlined when the run is planned",
        example: "[[steps]]\nid = \"notify\"\nuses = \"formula\"\nwith = { formula = \"notify\", vars = { text = \"done\" } }\n",
        params: formula,
        outputs: || None,
        check: |_| Vec::new(),
    },
    Own {
        kind: "wait",
        summary: "Waits for a time, or until a probe says yes, without holding a slot",
        example: "[[steps]]\nid = \"settle\"\nuses = \"wait\"\nwith = { for = \"30s\" }\n",
        params: wait,
        outputs: || Some(object(&[("at", "When it was over, as in 2026-01-02T03:04:05Z.")])),
        check: check_wait,
    },
];

fn approve() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["prompt"],
        "properties": {
            "prompt": { "type": "string", "description": "What the person is asked." },
            "expires": { "type": "string", "format": "duration", "description": "How long the question stays open; for ever where it is left out. After that nobody can approve it any more: it is denied, and taking up the run asks anew." },
            "approvers": { "type": "array", "items": { "type": "string" }, "default": [], "description": "Names of the users of the system, or of the forge, who may answer; anyone where there are none." },
            "proof": { "type": "string", "description": "How an approval is proven: `terminal`, it is given at a terminal and by nothing else; `file`, the one who answers owns the file `proof_file`, nobody else may write to it, and it names the digest of the gate; `forge`, a comment or an approving review of one of the `approvers` at `proof_url` names it." },
            "proof_file": { "type": "string", "description": "That file, below the working directory." },
            "proof_url": { "type": "string", "description": "Where the API of the forge (GitHub, Gitea, Forgejo) lists the comments of an issue or pull request, or the reviews of a pull request." },
            "proof_token": { "type": "string", "description": "Name of the environment variable of whoever approves that holds a token for the forge." }
        }
    })
}

fn formula() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["formula"],
        "properties": {
            "formula": { "type": "string", "description": "Name or path of the formula." },
            "vars": { "type": "object", "description": "Values of its vars." }
        }
    })
}

fn wait() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "for": { "type": "string", "format": "duration", "description": "How long to wait." },
            "until": { "type": "string", "description": "A time, as in 2026-01-02T03:04:05Z." },
            "probe": {
                "description": "Waits until this command (a list of words, or a text for `sh -eu`) ends with 0; `for` or `until` is then the longest it may take. A program that cannot be started fails the gate.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
            },
            "every": { "type": "string", "format": "duration", "default": "10s", "description": "Time between two questions to `probe`." }
        }
    })
}

fn object(texts: &[(&str, &str)]) -> Value {
    let property = |(name, doc): &(&str, &str)| ((*name).to_owned(), json!({ "type": "string", "description": doc }));
    let properties: serde_json::Map<String, Value> = texts.iter().map(property).collect();
    json!({ "type": "object", "properties": properties })
}

fn durations(params: &Value, names: &[&str]) -> Vec<String> {
    let bad = |name: &&str| {
        let text = params[*name].as_str()?;
        duration::parse(text).err().map(|reason| format!("`{name}`: {reason}"))
    };
    names.iter().filter_map(bad).collect()
}

fn check_approve(params: &Value) -> Vec<String> {
    let mut problems = durations(params, &["expires"]);
    problems.extend(GateRules::of(params).err());
    problems
}

fn check_wait(params: &Value) -> Vec<String> {
    let mut problems = durations(params, &["for", "every"]);
    let given = |name: &str| !params[name].is_null();
    match (given("for"), given("until"), given("probe")) {
        (true, true, _) => problems.push("takes one of `for` and `until`, not both".to_owned()),
        (false, false, false) => problems.push("takes `for`, `until` or `probe`".to_owned()),
        _ => {}
    }
    if given("every") && !given("probe") {
        problems.push("`every` is the time between two questions to `probe`, and there is none".to_owned());
    }
    if let Some(until) = params["until"].as_str()
        && until.parse::<jiff::Timestamp>().is_err()
    {
        problems.push(format!("`until`: `{until}` is not a time such as 2026-01-02T03:04:05Z"));
    }
    problems
}
