//! `formula fmt`: one layout, the same meaning, and nothing lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use ::formula::diagnostic::SourceFile;
use ::formula::format::{Refused, format};
use ::formula::model::{Formula, Span};
use ::formula::syntax::{self, Builtin, Options};
use proptest::prelude::*;

use crate::support::{Sandbox, formula};

const OPTIONS: Options = Options { lenient: true, strict: false, any_name: true };

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = folder.read_dir().expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What a formula says, without where it says it.
fn meaning(source: &SourceFile) -> Option<Formula> {
    let nowhere = || Span::from(0..0);
    let mut formula = syntax::parse(source, &Builtin::default(), OPTIONS).formula?;
    formula.source.clear();
    formula.digest.clear();
    formula.vars.values_mut().for_each(|var| var.span = nowhere());
    formula.secrets.values_mut().for_each(|secret| secret.span = nowhere());
    formula.steps.iter_mut().chain(&mut formula.finally).for_each(|step| step.span = nowhere());
    Some(formula)
}

/// The text laid out; panics unless twice is once and comments, names and meaning are kept. None where it is no TOML.
fn laid_out(path: &Path, text: &str) -> Option<String> {
    let source = SourceFile::new(path, text);
    let once = match format(&source, OPTIONS) {
        Ok(once) => once,
        Err(Refused::NotToml(problems)) => {
            assert!(!problems.is_empty());
            return None;
        }
        Err(Refused::Changed) => panic!("the values of {} changed:\n{text}", path.display()),
    };
    let after = SourceFile::new(path, once.as_str());
    assert_eq!(format(&after, OPTIONS).ok().as_ref(), Some(&once), "{}: twice is not once\n{text}", path.display());
    assert_eq!(meaning(&source), meaning(&after), "{}", path.display());
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        letters.sort_unstable();
        letters
    };
    assert_eq!(sorted(text), sorted(&once), "{}: only blanks and order may differ", path.display());
    Some(once)
}

#[test]
fn no_fixture_changes_its_meaning() {
    let mut count = 0;
    for path in ["formulas", "tests/spec/valid", "tests/spec/invalid"].into_iter().flat_map(toml_files) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        count += usize::from(laid_out(&path, &text).is_some());
    }
    assert!(count > 50, "{count}");
}

#[test]
fn shipped_formulas_are_laid_out() {
    for path in toml_files("formulas") {
        let text = fs::read_to_string(&path).expect("a formula reads");
        assert_eq!(laid_out(&path, &text).as_ref(), Some(&text), "`formula fmt` mends {}", path.display());
    }
}

/// Formulas as people write them on a bad day.
fn untidy() -> impl Strategy<Value = String> {
    let blank = prop::sample::select(vec!["", " ", "\t", "   "]);
    let gap = prop::sample::select(vec!["\n", "\n\n", "\n# one\n", "\n\n\n# two\n\n# three\n", "  # four\n", "\r\n", "#\n"]);
    let root =
        prop::sample::subsequence(vec!["version=2", "name = 'x'", "lock=\"a\"", "description=\"\"\"\nd\n  e\"\"\""], 2..=4).prop_shuffle();
    let var =
        prop::sample::subsequence(vec!["type='list'", "default = [ 'a' ,\n\n  'b' # c\n , ]", "description = 'd'"], 2..=3).prop_shuffle();
    let step = vec![
        "id='ID'",
        "uses = \"shell\"",
        "with={command=['a'  ,\"{{ vars.v }}\"],read_only=true}",
        "needs = [\n# none\n]",
        "env.A = 'x'",
        "env.\"B\"='y'",
        "retry={attempts=2 , wait = '1s'}",
    ];
    let step = prop::sample::subsequence(step, 2..=7).prop_shuffle();
    let steps = prop::collection::vec(step, 1..4);
    (root, var, steps, prop::collection::vec((blank, gap), 48)).prop_map(|(root, var, steps, gaps)| {
        let mut gaps = gaps.into_iter().cycle();
        let mut text = String::new();
        let mut put = |line: &str| {
            let (blank, gap) = gaps.next().expect("it goes round");
            text.push_str(blank);
            text.push_str(line);
            text.push_str(blank);
            text.push_str(gap);
        };
        for line in &root {
            put(line);
        }
        put("[ vars.v]");
        for line in &var {
            put(line);
        }
        for (at, step) in steps.iter().enumerate() {
            put("[[steps]]");
            for line in step {
                put(&line.replace("ID", &format!("s{at}")));
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layout_becomes_the_one(text in untidy()) {
        prop_assert!(laid_out(Path::new("x.toml"), &text).is_some(), "{text}");
    }

    #[test]
    fn any_text_is_laid_out_or_refused(text in "[\\[\\]{}=,.#a-c\"' \n\r\t0-9\u{e4}-]{0,60}") {
        laid_out(Path::new("x.toml"), &text);
    }
}

const UNTIDY: &str = "name = \"a\"\n[[steps]]\nuses = \"shell\" # kind\nid = \"s\"\nwith = {command=[\"true\"]}\n";
const TIDY: &str = "name = \"a\"\n\n[[steps]]\nid   = \"s\"\nuses = \"shell\"  # kind\nwith = { command = [\"true\"] }\n";

#[test]
fn files_are_replaced_with_the_permissions_they_have_and_links_stay() {
    let sandbox = Sandbox::new();
    sandbox.write("elsewhere/a.toml", UNTIDY);
    sandbox.write("formulas/b.toml", TIDY);
    let file = sandbox.work().join("elsewhere/a.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("the sandbox is writable");
    symlink(&file, sandbox.work().join("formulas/a.toml")).expect("the sandbox is writable");
    let run = |args: &[&str]| formula(&sandbox).arg("fmt").args(args.iter().copied()).run();
    let checked = run(&["--check"]);
    checked.exits(30).stderr_is("2 formulas, 1 would change\n");
    checked.stdout_is(
        "--- formulas/a.toml\n+++ formulas/a.toml\n@@ -1,5 +1,6 @@\n name = \"a\"\n+\n [[steps]]\n-uses = \"shell\" # kind\n-id = \"s\"\n\
         -with = {command=[\"true\"]}\n+id   = \"s\"\n+uses = \"shell\"  # kind\n+with = { command = [\"true\"] }\n",
    );
    assert_eq!(sandbox.read("elsewhere/a.toml"), UNTIDY, "looking changes nothing");
    run(&["a", "formulas/b.toml"]).exits(0).stdout_is("formulas/a.toml\n").stderr_is("2 formulas, 1 changed\n");
    assert_eq!(sandbox.read("elsewhere/a.toml"), TIDY);
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert!(sandbox.work().join("formulas/a.toml").is_symlink());
    assert_eq!(fs::read_dir(sandbox.work().join("elsewhere")).expect("a folder").count(), 1, "nothing else is left there");
    run(&["--check"]).exits(0).stdout_is("").stderr_is("2 formulas, 0 would change\n");
}

#[test]
fn standard_input_goes_to_standard_output() {
    let sandbox = Sandbox::new();
    formula(&sandbox).args(["fmt", "-"]).stdin(UNTIDY).run().exits(0).stdout_is(TIDY).stderr_is("");
    formula(&sandbox).args(["fmt", "-", "--check"]).stdin(TIDY).run().exits(0).stdout_is("").stderr_is("");
    formula(&sandbox).args(["fmt", "-", "--check"]).stdin(UNTIDY).run().exits(30).stdout_has("+++ -\n");
    formula(&sandbox).args(["fmt", "-"]).stdin("a = ").run().exits(10).stdout_is("").stderr_has("error[F0101]");
    formula(&sandbox).args(["fmt", "-"]).stdin(b"\xff".to_vec()).run().exits(10).stderr_has("not UTF-8");
}

#[test]
fn what_is_no_toml_is_told_and_left_alone() {
    let sandbox = Sandbox::new();
    let broken = "name = \"a\"\n[[steps]]\n id = \n";
    sandbox.write("formulas/a.toml", broken);
    sandbox.write("formulas/b.toml", UNTIDY);
    let ran = formula(&sandbox).arg("fmt").run();
    ran.exits(10)
        .stdout_is("formulas/b.toml\n")
        .stderr_has("formulas/a.toml:3:")
        .stderr_has("2 formulas, 1 changed, 1 not TOML and left alone\n");
    assert_eq!(sandbox.read("formulas/a.toml"), broken);
    // What it means does not matter to its layout.
    sandbox.write("formulas/a.toml", "nam=\"a\"\n");
    formula(&sandbox).args(["fmt", "a"]).run().exits(0);
    assert_eq!(sandbox.read("formulas/a.toml"), "nam = \"a\"\n");
    sandbox.write("formulas/a.toml", "name=\"\\.\"\n");
    formula(&sandbox).args(["fmt", "a"]).run().exits(10).stderr_has("F0102");
    formula(&sandbox).args(["fmt", "a", "--lenient"]).run().exits(0);
    assert_eq!(sandbox.read("formulas/a.toml"), "name = \"\\.\"\n");
    formula(&sandbox).args(["fmt", "release"]).run().exits(2).stderr_has("`release` comes with the program");
    formula(&sandbox).args(["fmt", "nothing"]).run().exits(10).stderr_has("there is no formula `nothing`");
}
