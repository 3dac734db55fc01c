//! What `formula check` prints for programs and for people: SARIF that code hosts take, and never more of a line than a screen has.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Sandbox, formula, violations};

/// The schema as OASIS publishes it with the standard.
const SCHEMA: &str = include_str!("../spec/sarif-2.1.0.schema.json");

#[test]
fn sarif_keeps_to_the_schema_and_has_a_rule_for_every_code() {
    let sandbox = Sandbox::in_memory();
    let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/invalid");
    for entry in spec.read_dir().expect("fixtures").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_some_and(|extension| extension == "toml") {
            let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
            sandbox.write(&format!("formulas/{name}"), std::fs::read(&entry).expect("it reads"));
        }
    }
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let ran = formula(&sandbox).args(["check", "--format", "sarif"]).run();
    let log = ran.exits(10).stderr_is("").json().remove(0);
    assert_eq!(violations(&schema, &log), Vec::<String>::new());
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let codes: Vec<&str> = formula::diagnostic::codes::all().map(|entry| entry.code).collect();
    assert_eq!(rules.iter().filter_map(|rule| rule["id"].as_str()).collect::<Vec<_>>(), codes);
    let results = run["results"].as_array().expect("results");
    assert!(results.len() > 100, "{}", results.len());
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| uri.starts_with("formulas/")), "{place}");
        let region = &place["region"];
        let number = |name: &str| region[name].as_u64().unwrap_or(1);
        assert!((number("startLine"), number("startColumn")) <= (number("endLine"), number("endColumn")), "{region}");
    }
    // Nothing wrong is a log too: the host closes what it had.
    sandbox.write("good/formulas/good.toml", "name = \"good\"\n[[steps]]\nid = \"a\"\n");
    let none = formula(&sandbox).args(["-C", "good", "check", "--format", "sarif"]).run();
    assert_eq!(none.exits(0).json()[0]["runs"][0]["results"], serde_json::json!([]));
    formula(&sandbox).args(["check", "--format", "sarif", "--json"]).run().exits(2).stderr_has("cannot be used with");
    let (new, old) = (["check", "--format", "json"], ["check", "--json"]);
    assert_eq!(formula(&sandbox).args(new).run().stdout, formula(&sandbox).args(old).run().stdout);
}

#[test]
fn a_line_of_ten_megabytes_is_quoted_in_part() {
    let (huge, long) = ("x".repeat(10_000_000), "x".repeat(200_000));
    let step = "[[steps]]\nid = \"a\"\nuses = \"write-file\"\n";
    let with = "with = { path = \"p\", content = \"c\" }\n";
    let files = [
        ("a key", format!("name = \"f\"\n{huge} = 1\n{step}{with}")),
        ("a value", format!("name = \"f\"\nmax_parallel = \"{huge}\"\n{step}{with}")),
        ("an id", format!("name = \"f\"\n{step}{with}needs = [\"{long}\"]\n")),
        ("a kind", format!("name = \"f\"\n[[steps]]\nid = \"a\"\nuses = \"{long}\"\n")),
        ("a template", format!("name = \"f\"\n{step}with = {{ path = \"p\", content = \"{{{{ vars.{huge} }}}}\" }}\n")),
        ("a param", format!("name = \"f\"\n{step}with = {{ path = \"p\", content = \"c\", {long} = 1 }}\n")),
        ("no TOML", format!("name = \"f\"\n{long}\n{step}{with}")),
        ("open", format!("name = \"f\"\na = \"{long}\n{step}{with}")),
        ("a default", format!("name = \"f\"\n[vars.v]\ntype = \"version\"\ndefault = \"{long}\"\n{step}{with}")),
        ("a pattern", format!("name = \"f\"\n[vars.v]\ndefault = \"\"\npattern = \"({huge}\"\n{step}{with}")),
        ("a name", format!("name = \"{long}\"\n{step}{with}")),
        ("before", format!("name = \"f\"\ndescription = [\"{long}\", nonsense]\n{step}{with}")),
    ];
    let sandbox = Sandbox::in_memory();
    let mut wrong = String::new();
    for (what, text) in files {
        sandbox.write("formulas/f.toml", text);
        let began = Instant::now();
        let ran = formula(&sandbox).args(["check", "f"]).run();
        let took = began.elapsed();
        let widest = ran.exits(10).stderr.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        // Beside the quoted columns: the number of the line, the mark and its words, in which a name is quoted once more.
        if widest > 280 || took > Duration::from_secs(20) {
            let _ = writeln!(wrong, "{what}: a line of {widest} columns, {took:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
