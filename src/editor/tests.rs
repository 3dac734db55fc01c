//! What editors are told, on small texts. `‸` is the cursor.

use std::sync::LazyLock;

use super::*;

/// Made once: schemas take their time.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

const CURSOR: char = '‸';

const HEAD: &str = r#"name = "x"
[vars.version]
type        = "version"
description = "What to release"
required    = true
[secrets.TOKEN]
from = "env:TOKEN"
[env]
HOME = ""
[[steps]]
id    = "look"
title = "Have a look"
uses  = "preflight"
[[steps]]
id   = "run"
uses = "shell"
with = { command = ["true"], outputs = ["stamp"] }
"#;

fn open(text: &str) -> (Document, usize) {
    let at = text.find(CURSOR).expect("a cursor");
    (Document::new("formulas/x.toml", text.replace(CURSOR, "")), at)
}

fn suggested(text: &str) -> Vec<Suggestion> {
    let (document, at) = open(text);
    let found = document.complete(&KNOWN, at);
    for suggestion in &found {
        let replaced = &document.text()[suggestion.replace.clone()];
        assert!(!replaced.contains('\n') && suggestion.replace.start <= at && at <= suggestion.replace.end, "{suggestion:?}");
    }
    found
}

fn labels(text: &str) -> Vec<String> {
    suggested(text).into_iter().map(|suggestion| suggestion.label).collect()
}

/// The text once the suggestion of that name is taken.
fn taken(text: &str, label: &str) -> String {
    let (document, _) = open(text);
    let found = suggested(text);
    let one = found.iter().find(|one| one.label == label).unwrap_or_else(|| panic!("no `{label}` in {:?}", labels(text)));
    let mut text = document.text().to_owned();
    text.replace_range(one.replace.clone(), &one.insert);
    text
}

fn has(text: &str, wanted: &[&str]) {
    let found = labels(text);
    for label in wanted {
        assert!(found.iter().any(|one| one == label), "no `{label}` in {found:?}\n{text}");
    }
}

#[test]
fn keys_are_those_of_the_table_that_are_not_there_yet() {
    has("‸", &["name", "description", "on_failure", "steps"]);
    assert!(!labels("name = \"x\"\n‸").contains(&"name".to_owned()));
    assert_eq!(labels("ver‸")[..2], ["name", "steps"], "what must be there comes first");
    assert_eq!(taken("ver‸\n", "version"), "version = \n");
    assert_eq!(taken("ver‸ = 1\n", "version"), "version = 1\n");
    let step = labels(&format!("{HEAD}‸"));
    assert!(step.contains(&"needs".to_owned()) && !step.contains(&"uses".to_owned()), "{step:?}");
    has("[vars.x]\n‸", &["type", "description", "required", "default"]);
    has("[[steps]]\nretry = { ‸ }", &["attempts", "wait"]);
    has("[[steps]]\nretry = { attempts = 3, ‸", &["wait"]);
    has("[[steps]]\nretry.‸", &["attempts"]);
}

#[test]
fn params_are_those_of_the_kind_wherever_they_stand() {
    let inline = labels("[[steps]]\nid = \"a\"\nuses = \"write-file\"\nwith = { path = \"p\", ‸ }\n");
    assert!(inline.contains(&"content".to_owned()) && !inline.contains(&"path".to_owned()), "{inline:?}");
    has("[[steps]]\nuses = \"write-file\"\n\n[steps.with]\npath = \"p\"\n‸\n\n[[steps]]\nid = \"b\"\n", &["content"]);
    has("[[steps]]\nuses = \"health-check\"\nwith = { checks = [{ ‸ }] }\n", &["type", "url"]);
    let second =
        labels("[[steps]]\nuses = \"health-check\"\n[[steps.with.checks]]\nurl = \"a\"\n[[steps.with.checks]]\ntype = \"http\"\n‸");
    assert!(second.contains(&"url".to_owned()) && !second.contains(&"type".to_owned()), "{second:?}");
    has("steps = [{ id = \"a\", uses = \"write-file\", with = { ‸ } }]", &["path"]);
    assert_eq!(suggested("[[steps]]\nuses = \"write-file\"\n[steps.with]\n‸")[0].label, "path", "what is required comes first");
}

#[test]
fn values_are_those_of_the_key() {
    has("[[steps]]\nuses = \"‸\"", &["shell", "git-tag", "approve", "formula"]);
    assert_eq!(taken("[[steps]]\nuses = ‸\nid = \"a\"", "git-tag"), "[[steps]]\nuses = \"git-tag\"\nid = \"a\"");
    assert_eq!(taken("[[steps]]\nuses = \"git-‸\nid = \"a\"", "git-tag"), "[[steps]]\nuses = \"git-tag\"\nid = \"a\"");
    assert_eq!(taken("[[steps]]\nuses = 'git‸-x'", "git-tag"), "[[steps]]\nuses = 'git-tag'");
    assert_eq!(labels("on_failure = ‸"), ["hold", "rollback"]);
    has("[vars.x]\ntype = \"‸\"", &["version", "list", "secret-name"]);
    assert_eq!(taken("[vars.x]\nrequired = t‸", "true"), "[vars.x]\nrequired = true");
    has("[[steps]]\nuses = \"migrate\"\n[steps.with]\nphase = \"‸\"", &["pre", "post", "down"]);
    assert_eq!(
        taken("[[steps]]\nuses = \"shell\"\nwith = { read_only = ‸ }", "true"),
        "[[steps]]\nuses = \"shell\"\nwith = { read_only = true }"
    );
}

#[test]
fn needs_and_secrets_name_what_is_declared() {
    assert_eq!(labels(&format!("{HEAD}[[steps]]\nid = \"me\"\nneeds = [\"‸\"]")), ["look", "run"]);
    assert!(taken(&format!("{HEAD}[[steps]]\nid = \"me\"\nneeds = ‸"), "run").ends_with("needs = [\"run\"]"));
    assert!(taken(&format!("{HEAD}[[steps]]\nneeds = [\"look\", ‸"), "run").ends_with("needs = [\"look\", \"run\""));
    assert!(taken(&format!("{HEAD}[[steps]]\nneeds = [‸\n[[steps]]\nid = \"late\""), "late").contains("needs = [\"late\"\n"));
    assert_eq!(labels(&format!("{HEAD}secrets = [\"‸\"]")), ["TOKEN"]);
    assert_eq!(labels(&format!("{HEAD}[[finally]]\nid = \"a\"\n[[finally]]\nneeds = ['‸']")), ["a"]);
}

#[test]
fn templates_name_vars_steps_and_outputs() {
    let inside = |template: &str| format!("{HEAD}[[steps]]\nid = \"me\"\nuses = \"write-file\"\nwith = {{ path = \"a-{template}");
    has(&inside("{{ ‸ }}\" }"), &["vars", "steps", "run", "env", "semver_gt"]);
    has(&inside("{{ v‸"), &["vars"]);
    assert_eq!(labels(&inside("{{ vars.‸ }}\" }")), ["version"]);
    assert_eq!(labels(&inside("{{ eq env.‸ }}\" }")), ["HOME"]);
    assert_eq!(labels(&inside("{{ steps.‸ }}\" }")), ["look", "run"]);
    assert_eq!(labels(&inside("{{ steps.run.‸ }}\" }")), ["outputs"]);
    has(&inside("{{ steps.run.outputs.‸ }}\" }"), &["stamp"]);
    has(&inside("{{ steps.look.outputs.‸"), &["commit", "short"]);
    assert!(!labels(&inside("{{ run.‸ }}\" }")).contains(&"summary".to_owned()));
    has("[[finally]]\nuses = \"write-file\"\nwith = { content = \"{{ run.‸ }}\" }", &["summary", "id"]);
    assert!(taken(&inside("{{ steps.lo‸xx.outputs.commit }}\" }"), "look").contains("{{ steps.look.outputs.commit }}"));
    assert!(labels(&inside("{{ vars.version }} ‸\" }")).is_empty(), "behind the braces");
    assert!(labels("[[steps]]\nuses = \"shell\"\nwith = { script = \"{{ ‸ }}\" }").is_empty(), "scripts are no templates");
    assert!(labels(&format!("{HEAD}title = \"{{{{ ‸ }}}}\"")).is_empty(), "nor are titles");
    has(&format!("{HEAD}[[steps]]\nforeach = [\"a\"]\nuses = \"shell\"\nif = '{{{{ ‸ }}}}'"), &["item"]);
    has(&format!("{HEAD}[[steps]]\nuses = \"write-file\"\nwith.content = \"\"\"\none\n{{{{ vars.‸ }}}}\n\"\"\""), &["version"]);
}

#[test]
fn what_is_broken_above_or_below_does_not_matter() {
    let below = "\n[[steps]]\nid = \"next\"\nuses = \"shell\"\n";
    for broken in ["x = ", "x = [", "x = { a = 1, ", "x = \"open", "= = =", "x = ]]]", "[[", "[steps.", "x y z", "\u{1f600}"] {
        let text = format!("{HEAD}[[steps]]\nid = \"me\"\n{broken}\nneeds = [\"‸\"{below}");
        if broken != "[[" && broken != "[steps." {
            assert_eq!(labels(&text), ["look", "run", "next"], "{broken}");
        }
        let text = format!("{broken}{below}needs = [‸");
        assert!(taken(&format!("{text}{below}id = \"last\""), "last").contains("\"last\""), "{broken}");
    }
}

#[test]
fn nothing_is_suggested_in_remarks_and_behind_values() {
    for text in ["# na‸", "name = \"x\" # on‸", "[[steps]]\nneeds = [] ‸", "name = \"x\" ‸", "name ‸ = 1"] {
        assert_eq!(labels(text), [""; 0], "{text}");
    }
    has("[‸", &["[[steps]]", "[vars.NAME]"]);
    assert_eq!(taken("[[steps]]\nid = \"a\"\n[st‸]\n", "[steps.with]"), "[[steps]]\nid = \"a\"\n[steps.with]\n");
}

fn told(text: &str) -> String {
    let (document, at) = open(text);
    let told = document.hover(&KNOWN, at).unwrap_or_else(|| panic!("nothing is told: {text}"));
    assert!(told.range.start <= at && at <= told.range.end, "{told:?}");
    told.text
}

#[test]
fn docs_are_told_of_whatever_has_them() {
    assert!(told("on_fail‸ure = \"hold\"").starts_with("**on_failure** (`hold` or `rollback`, default `\"hold\"`)"));
    let kind = told("[[steps]]\nuses = \"git-‸tag\"");
    assert!(kind.contains("**git-tag**") && kind.contains("- Undo: ") && kind.contains("- `tag` (a text, required)"), "{kind}");
    assert!(told("[[steps]]\nuses = \"write-file\"\nwith = { pa‸th = \"x\" }").starts_with("**path** (a text)"));
    assert!(told(&format!("{HEAD}[[steps]]\nneeds = [\"lo‸ok\"]")).starts_with("**look**: Have a look"));
    let inside = |template: &str| {
        told(&format!("{HEAD}[[steps]]\nid = \"me\"\nuses = \"write-file\"\nwith = {{ content = \"\", path = \"{template}\" }}"))
    };
    assert_eq!(inside("{{ vars.ver‸sion }}"), "**vars.version** (version)\n\nWhat to release");
    assert!(inside("{{ steps.lo‸ok.outputs.commit }}").starts_with("**look**"));
    assert!(inside("{{ steps.look.outputs.com‸mit }}").starts_with("**commit** (a text), given by `look` (preflight)"));
    assert!(inside("{{ strip‸_v vars.version }}").starts_with("`{{ strip_v a }}`"));
    assert!(inside("{{ run.‸id }}").contains("Id of this run"));
    assert!(told("[[st‸eps]]").starts_with("**steps**"));
    let code = told("name = \"x\"\n[[steps]]\nid = \"a\"\nneeds = [\"b‸\"]\n");
    assert!(code.starts_with("**F0203: ") && code.contains("needs"), "{code}");
}

#[test]
fn names_lead_to_where_they_are_declared() {
    let leads = |text: &str| {
        let (document, at) = open(text);
        document.definition(at).map(|range| document.text()[range].to_owned())
    };
    assert_eq!(leads(&format!("{HEAD}needs = [\"lo‸ok\"]")).as_deref(), Some("\"look\""));
    assert_eq!(leads(&format!("{HEAD}secrets = [\"TO‸KEN\"]")).as_deref(), Some("TOKEN"));
    let inside = |template: &str| leads(&format!("{HEAD}[[steps]]\nuses = \"shell\"\nif = \"{template}\""));
    assert_eq!(inside("{{ vars.v‸ersion }}").as_deref(), Some("version"));
    assert_eq!(inside("{{ steps.look.outputs.com‸mit }}").as_deref(), Some("\"look\""));
    assert_eq!(inside("{{ env.HO‸ME }}").as_deref(), Some("HOME"));
    assert_eq!(inside("{{ vars.no‸thing }}"), None);
    assert_eq!(leads("na‸me = \"x\""), None);
}

#[test]
fn other_toml_files_are_left_in_peace() {
    let is = |path: &str, text: &str| Document::new(path, text).is_formula();
    assert!(!is("Cargo.toml", "[package]\nname = \"x\"\n") && !is("formulas/x.test.toml", "[[steps]]\nid = \"a\"\n"));
    assert!(is("formulas/x.toml", "") && is("x.toml", "#:schema ./formula.schema.json\n") && is("x.toml", "[[steps]]\n"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_and_any_place_are_answered(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "[[steps]]\n", "[steps.with]\n", "[vars.a]\n", "[", "]", "{", "}", "\"", "'", "\"\"\"", "=", ".", ",", "\n", " ", "#", "{{", "}}", "vars.", "steps.a.",
        "outputs", "id", "uses", "\"shell\"", "needs", "with", "\u{e4}\u{1f600}", "\r\n", "\\",
    ]), 0..40)) {
        let text = pieces.concat();
        let document = Document::new("formulas/x.toml", text.as_str());
        for offset in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for suggestion in document.complete(&KNOWN, offset) {
                assert!(text.get(suggestion.replace.clone()).is_some_and(|text| !text.contains('\n')), "{suggestion:?}");
            }
            document.definition(offset);
            document.hover(&KNOWN, offset);
            if !text[..offset].ends_with('\r') {
                assert_eq!(document.offset(document.position(offset)), offset);
            }
        }
    }
}
