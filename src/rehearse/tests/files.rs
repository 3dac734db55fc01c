//! Problems of test files: each with its place and the way out.

use super::super::Error;
use super::try_both;
use crate::diagnostic::render;

const FORMULA: &str = r#"
name = "sample"

[vars.version]
type     = "version"
required = true

[secrets.TOKEN]
from = ["env:TOKEN"]

[[steps]]
id      = "make"
uses    = "shell"
secrets = ["TOKEN"]
with    = { command = ["make"], read_only = true, outputs = ["digest"] }

[[steps]]
id   = "note"
uses = "write-file"
with = { path = "note.txt", content = "{{ vars.version }}" }
"#;

#[track_caller]
fn shown(test: &str) -> String {
    match try_both(FORMULA, test) {
        Err(Error::Test(misfit)) => {
            misfit.problems.iter().map(|problem| render(&misfit.source, problem, false)).collect::<Vec<_>>().join("\n")
        }
        Ok(report) => panic!("{report:?}"),
        Err(error) => panic!("{error:?}"),
    }
}

const VARS: &str = "[vars]\nversion = \"v0.3.0\"\n";
const MAKE: &str = "[shell.make]\noutputs = { digest = \"x\" }\n";

#[test]
fn every_problem_has_its_place_and_the_way_out() {
    for (test, parts) in [
        ("[var]\nversion = \"v1\"\n".to_owned(), &["error[F0601]: unknown key `var`", "1 | [var]", "did you mean `vars`?"][..]),
        ("[world.git]\nbrnch = \"x\"\n".to_owned(), &["unknown key `brnch`", "2 | brnch", "did you mean `branch`?"]),
        (format!("{VARS}{MAKE}[expect]\nexit = \"0\"\n"), &["error[F0601]", "exit = \"0\""]),
        (format!("{VARS}{MAKE}[world.git]\nat = \"v9\"\n"), &["`v9` is neither the branch", "at = \"v9\""]),
        (format!("{VARS}{MAKE}[world.images]\n\"A B\" = {{}}\n"), &["is no image", "\"A B\""]),
        (
            format!("{VARS}{MAKE}[[fault]]\nstep = \"nite\"\nwith = 503\n"),
            &["error[F0602]: the formula has no step `nite`", "did you mean `note`?"],
        ),
        (format!("{VARS}{MAKE}[shell.note]\n"), &["error[F0602]: step `note` is no `shell` step"]),
        (format!("{VARS}{MAKE}[secrets]\nTOKE = \"x\"\n"), &["error[F0602]: the formula has no secret `TOKE`", "did you mean `TOKEN`?"]),
        (format!("{MAKE}[vars]\nversion = \"three\"\n"), &["error[F0603]", "version = \"three\""]),
        (MAKE.to_owned(), &["error[F0603]: `version` is required", "[vars]"]),
        (VARS.to_owned(), &["error[F0604]: nothing says what step `make` does", "[shell.make]", "digest = \"…\""]),
        (format!("{VARS}{MAKE}[[case]]\n"), &["a `[[case]]` has no `name`"]),
        ("x = [\n".to_owned(), &["error[F0601]"]),
    ] {
        let shown = shown(&test);
        for part in parts {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}

#[test]
fn a_formula_without_a_test_file_runs_or_says_what_is_missing() {
    let Err(Error::Test(misfit)) = super::try_with(formula_steps::BUILTIN, FORMULA, None, &super::Options::default()) else {
        panic!("it needs a var");
    };
    let skeleton = misfit.skeleton.unwrap();
    assert!(skeleton.contains("version = \"v0.3.0\"") && skeleton.contains("[shell.make]"), "{skeleton}");
    assert!(try_both(FORMULA, &skeleton).is_ok_and(|report| report.sound), "it is a beginning that works:\n{skeleton}");
    let plain = FORMULA.replace("required = true", "default = \"v1.0.0\"").replace("shell\"", "write-file\"");
    let plain = plain.replace("{ command = [\"make\"], read_only = true, outputs = [\"digest\"] }", "{ path = \"m\", content = \"x\" }");
    let report = super::try_with(formula_steps::BUILTIN, &plain, None, &super::Options::default()).unwrap();
    assert!(report.sound && report.schedules > 20, "{report:?}");
}

#[test]
fn the_guide_shows_what_can_be_read() {
    let page = include_str!("../../../docs/guide/test-files.md");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5);
    for block in blocks {
        let source = crate::diagnostic::SourceFile::new("page.toml", block);
        let read = super::super::problem::read(&source);
        assert!(read.is_ok(), "{}", render(&source, &read.unwrap_err(), false));
    }
}
