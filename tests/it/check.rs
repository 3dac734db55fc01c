//! Formula files against what is said of them: every file in `tests/spec` has the expected text beside it.
//!
//! `UPDATE_EXPECT=1 cargo test --test it check` writes the texts anew. A first line `#: lenient strict` sets options.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use formula::catalog::{self, read_file};
use formula::diagnostic::{Diagnostic, Severity, SourceFile, codes, render, to_json};
use formula::syntax::{self, Builtin, Options, Parsed};
use proptest::prelude::*;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec").join(folder);
    let mut files: Vec<PathBuf> = folder.read_dir().expect("the folder of fixtures").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {}", folder.display());
    files
}

/// Reads a fixture under its bare file name, so that the expected text holds for any checkout.
fn load(path: &Path, kinds: &Builtin) -> (SourceFile, Parsed) {
    let name = PathBuf::from(path.file_name().expect("a fixture is a file"));
    match read_file(path, name.clone()) {
        Ok(source) => {
            let words: Vec<&str> =
                source.text.lines().next().and_then(|line| line.strip_prefix("#: ")).unwrap_or_default().split(' ').collect();
            let options =
                Options { lenient: words.contains(&"lenient"), strict: words.contains(&"strict"), any_name: !words.contains(&"named") };
            let parsed = syntax::check(&source, kinds, options);
            (source, parsed)
        }
        Err(catalog::Error::Unreadable { problem, .. }) => {
            (SourceFile::new(name, ""), Parsed { formula: None, diagnostics: vec![*problem] })
        }
        Err(error) => panic!("{error}"),
    }
}

/// Compares with the text beside the fixture, or writes it. Gives what is wrong.
#[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the program")]
fn expect(path: &Path, text: &str) -> Option<String> {
    let beside = path.with_extension("txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&beside, text).expect("the folder of fixtures can be written");
        return None;
    }
    let wanted = fs::read_to_string(&beside).unwrap_or_default();
    (wanted != text).then(|| format!("{}:\n--- expected\n{wanted}\n--- found\n{text}", path.display()))
}

fn shown(source: &SourceFile, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().fold(String::new(), |mut text, diagnostic| {
        let _ = writeln!(text, "{}\n", render(source, diagnostic, false));
        text
    })
}

#[test]
fn every_broken_file_is_answered_with_what_is_expected() {
    let kinds = Builtin::default();
    let mut wrong = Vec::new();
    for path in fixtures("invalid") {
        let (source, parsed) = load(&path, &kinds);
        assert!(!parsed.diagnostics.is_empty(), "{} has no problem", path.display());
        let errors = parsed.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(parsed.formula.is_none(), errors, "{}: a formula is there exactly if there is no error", path.display());
        wrong.extend(expect(&path, &shown(&source, &parsed.diagnostics)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_sound_file_loads_with_the_expected_steps_and_order() {
    let kinds = Builtin::default();
    let mut wrong = Vec::new();
    for path in fixtures("valid") {
        let (source, parsed) = load(&path, &kinds);
        let text = shown(&source, &parsed.diagnostics);
        let Some(formula) = parsed.formula else { panic!("{} does not load:\n{text}", path.display()) };
        let mut text = text;
        for (part, steps) in [("", &formula.steps), ("finally ", &formula.finally)] {
            for step in steps {
                let kind = step.uses.as_deref().unwrap_or("prose");
                let _ = writeln!(text, "{part}{} ({kind}) after [{}]", step.id, step.needs.join(", "));
            }
        }
        wrong.extend(expect(&path, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Seen only when a run is planned or rehearsed; `src/plan/tests` and `src/rehearse/tests` show them.
const PLANNED: [&str; 7] =
    [codes::INLINE_CYCLE, codes::PROSE_STEP, codes::INLINE, codes::TEST_FILE, codes::TEST_NAME, codes::TEST_VARS, codes::TEST_STUB];

#[test]
fn every_code_has_a_file_that_shows_it() {
    let kinds = Builtin::default();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for path in fixtures("invalid") {
        seen.extend(load(&path, &kinds).1.diagnostics.iter().map(|diagnostic| diagnostic.code));
    }
    // Too large to keep: these are made.
    let many = "[[steps]]\nid = \"a\"\n".repeat(syntax::MOST_STEPS + 1);
    let large = "#".repeat(SourceFile::LARGEST + 1);
    for text in [many, large] {
        let source = SourceFile::new("made.toml", text);
        seen.extend(syntax::check(&source, &kinds, Options::default()).diagnostics.iter().map(|diagnostic| diagnostic.code));
    }
    let missing: Vec<&str> = codes::all().map(|entry| entry.code).filter(|code| !seen.contains(code) && !PLANNED.contains(code)).collect();
    assert!(missing.is_empty(), "no file in tests/spec/invalid shows {}", missing.join(", "));
    let known: BTreeSet<&str> = codes::all().map(|entry| entry.code).collect();
    assert!(seen.is_subset(&known), "codes without a text: {:?}", seen.difference(&known));
}

/// The code that the name of a fixture begins with.
fn code_of(path: &Path) -> Option<&'static str> {
    let stem = path.file_stem()?.to_str()?;
    codes::all().map(|entry| entry.code).find(|code| stem.to_ascii_uppercase().starts_with(code))
}

#[test]
fn every_code_has_a_file_beside_it_that_is_right() {
    let kinds = Builtin::default();
    let mut shown_right: BTreeSet<&str> = BTreeSet::new();
    for path in fixtures("valid") {
        let Some(code) = code_of(&path) else { continue };
        shown_right.insert(code);
        let (source, parsed) = load(&path, &kinds);
        assert!(parsed.diagnostics.is_empty(), "{}:\n{}", path.display(), shown(&source, &parsed.diagnostics));
        assert!(path.with_extension("txt").exists(), "{} has no expected text beside it", path.display());
    }
    // Those of test files are in `src/rehearse/tests/files.rs`, right and wrong.
    let missing = codes::all().map(|entry| entry.code).filter(|code| !shown_right.contains(code) && !code.starts_with("F06"));
    let missing: Vec<&str> = missing.collect();
    assert!(missing.is_empty(), "no file in tests/spec/valid is right about {}", missing.join(", "));
    // And the name of a broken file does not lie.
    for path in fixtures("invalid") {
        let Some(code) = code_of(&path) else { continue };
        let found = load(&path, &kinds).1.diagnostics;
        assert!(found.iter().any(|diagnostic| diagnostic.code == code), "{} does not show {code}", path.display());
    }
}

#[test]
fn every_shipped_formula_is_sound() {
    let kinds = Builtin::default();
    for (name, text) in catalog::SHIPPED {
        let source = SourceFile::new(format!("{name}.toml"), *text);
        let parsed = syntax::check(&source, &kinds, Options { strict: true, ..Options::default() });
        assert!(parsed.formula.is_some(), "{}", shown(&source, &parsed.diagnostics));
    }
}

#[test]
fn the_example_of_every_kind_is_sound() {
    let kinds = Builtin::default();
    let examples = formula_steps::BUILTIN.iter().map(|step| (step.meta().kind, step.meta().example));
    for (kind, example) in examples.chain(syntax::gates::OWN.iter().map(|own| (own.kind, own.example))) {
        let words =
            example.split('"').filter(|word| word.len() > 2 && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'));
        let secrets: BTreeSet<String> = words.map(|name| format!("{name} = {{ from = \"env:{name}\" }}\n")).collect();
        let text = format!("name = \"example\"\n[secrets]\n{}{example}", secrets.into_iter().collect::<String>());
        let source = SourceFile::new("example.toml", text);
        let parsed = syntax::parse(&source, &kinds, Options::default());
        assert!(parsed.formula.is_some(), "example of {kind}:\n{}", shown(&source, &parsed.diagnostics));
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..8), lenient: bool) {
        let kinds = KINDS.with(Rc::clone);
        let texts = FIXTURES.with(Rc::clone);
        let mut text = which.get(&texts).clone();
        for change in &changes {
            change.apply(&mut text);
        }
        let source = SourceFile::new("mutated.toml", text);
        let parsed = syntax::check(&source, &*kinds, Options { lenient, ..Options::default() });
        let errors = parsed.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        prop_assert_eq!(parsed.formula.is_none(), errors);
        let known: BTreeSet<&str> = codes::all().map(|entry| entry.code).collect();
        for diagnostic in &parsed.diagnostics {
            prop_assert!(known.contains(diagnostic.code));
            prop_assert!(diagnostic.primary.as_ref().is_none_or(|label| label.range.end <= source.text.len()), "{:?}", diagnostic);
            render(&source, diagnostic, true);
        }
        to_json([(&source, &parsed.diagnostics[..])]);
    }
}

thread_local! {
    static KINDS: Rc<Builtin> = Rc::default();
    static FIXTURES: Rc<Vec<String>> = Rc::new(
        ["valid", "invalid"].into_iter().flat_map(fixtures).filter_map(|path| fs::read_to_string(path).ok()).collect(),
    );
}

/// A slip of the hand, or of a disk.
#[derive(Debug, Clone)]
enum Change {
    Cut(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
}

const PIECES: [&str; 32] = [
    "\"",
    "'",
    "\"\"\"",
    "\\",
    "\\u12",
    "[",
    "]",
    "[[steps]]\n",
    "{",
    "}",
    "{{",
    "}}",
    "{{ vars.x }}",
    "{{#if ",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{feff}",
    "ü",
    "🦀",
    "needs = []\n",
    "id = \"a\"\n",
    "[vars.x]\n",
    "9999999999999999999999",
    "nan",
    "2026-13-45",
    "a.b.c.d = {",
];

fn change() -> impl Strategy<Value = Change> {
    let place = || any::<prop::sample::Index>();
    prop_oneof![
        (place(), 1_usize..12).prop_map(|(at, length)| Change::Cut(at, length)),
        (place(), prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
        place().prop_map(Change::Double),
        (place(), place()).prop_map(|(one, other)| Change::Swap(one, other)),
        place().prop_map(Change::Truncate),
    ]
}

impl Change {
    fn apply(&self, text: &mut String) {
        let letters: Vec<char> = text.chars().collect();
        let place = |at: &prop::sample::Index| at.index(letters.len() + 1);
        *text = match self {
            Self::Cut(at, length) => letters.iter().take(place(at)).chain(letters.iter().skip(place(at) + length)).collect(),
            Self::Insert(at, piece) => {
                let (before, after) = letters.split_at(place(at));
                before.iter().copied().chain(piece.chars()).chain(after.iter().copied()).collect()
            }
            Self::Truncate(at) => letters[..place(at)].iter().collect(),
            Self::Double(at) => {
                let mut lines: Vec<&str> = text.lines().collect();
                let line = at.index(lines.len().max(1));
                if let Some(again) = lines.get(line).copied() {
                    lines.insert(line, again);
                }
                lines.join("\n")
            }
            Self::Swap(one, other) => {
                let mut lines: Vec<&str> = text.lines().collect();
                let count = lines.len().max(1);
                if !lines.is_empty() {
                    lines.swap(one.index(count), other.index(count));
                }
                lines.join("\n")
            }
        };
    }
}
