//! Holds the sources against the house's rules: `docs/architecture.md` for imports, the rest below.
//!
//! Every rule is also shown a small house that breaks it, so that a rule which has gone blind is noticed.

mod imports;
mod rules;
mod table;
mod tree;

use std::path::Path;

use imports::{Import, imports};
use rules::read_table;
use table::Table;
use tree::{Files, Tree};

/// A house from memory: path and text of each file.
fn sketch(files: &[(&str, &str)]) -> Tree {
    let files: Files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Tree::from_files(&files)
}

const NONE: [&str; 0] = [];

const PAGE: &str = "\
# `formula_steps`
| Module | may import | must never import |
|---|---|---|
| `world` | – | – |
| `world::real` | `world` | `world::fake` |
| `world::fake` | `world` | `world::real` |
| `contract` | `world` | `world::real`, `world::fake` |
| `*` (a kind) | `contract`, `world` | `world::real`, `std::fs` |

# `formula`
| Module | may import | must never import |
|---|---|---|
| `model` | `formula_steps::contract` | `tokio` |
| `engine` | `model` | – |
| `report` | `model` | – |
| `backend` | `model`, `engine`, `report::hub` | – |
| `cli` | `*` (everything) | – |
";

fn sketched_table() -> Table {
    Table::parse(PAGE, |name| name == "tokio").expect("the table above is well-formed")
}

fn forbidden(files: &[(&str, &str)]) -> Vec<String> {
    rules::forbidden_imports(&sketched_table(), &imports(&sketch(files)))
}

#[test]
fn the_house_keeps_every_rule() {
    let (tree, files) = Tree::load(Path::new(env!("CARGO_MANIFEST_DIR")));
    let table = read_table(&files);
    let found = imports(&tree);
    assert!(found.len() > 100, "only {} imports found: the rules have gone blind", found.len());
    let findings = [
        rules::forbidden_imports(&table, &found),
        rules::modules_without_row(&tree, &table),
        rules::cycles(&tree, &found),
        rules::leaked_crates(&found),
        rules::long_files(&tree),
        rules::long_functions(&tree),
        rules::unfinished(&tree),
        rules::undocumented(&tree),
        rules::orphans(&tree),
    ]
    .concat();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn forbidden_imports_are_seen_however_they_are_written() {
    let lib = ("src/lib.rs", "pub mod model; pub mod engine; pub mod report;");
    let report = [("src/report/mod.rs", "pub mod hub;"), ("src/report/hub.rs", "")];
    let finding = "src/engine.rs:1: `engine` must not import `formula::report";
    for text in [
        "use crate::report::Error;",
        "use crate::{model::Plan, report::{hub, view}};",
        "use super::report::Error;",
        "use crate::report as r;",
        "fn f() { crate::report::show() }",
        "fn f(x: &dyn crate::report::Show) {}",
        "mod inner { use super::super::report::Error; }",
        "fn f() { assert!(matches!(x, crate::report::X)) }",
        "use crate::report::*;",
    ] {
        let findings = forbidden(&[lib, ("src/model.rs", ""), ("src/engine.rs", text), report[0], report[1]]);
        assert!(findings.iter().any(|found| found.starts_with(finding)), "`{text}` passed: {findings:?}");
    }
    let tests = "#[cfg(test)] mod tests { use crate::report::Error; } #[cfg(test)] use crate::report::x;";
    assert_eq!(forbidden(&[lib, ("src/model.rs", ""), ("src/engine.rs", tests), report[0], report[1]]), NONE);
}

#[test]
fn the_longest_entry_of_the_table_decides() {
    let lib = ("src/lib.rs", "pub mod backend; pub mod cli; pub mod model; pub mod report;");
    let backend = |text| {
        let report = [("src/report/mod.rs", "pub mod hub; pub mod view;"), ("src/report/hub.rs", ""), ("src/report/view.rs", "")];
        let [one, two, three] = report;
        forbidden(&[lib, ("src/backend.rs", text), ("src/cli.rs", ""), ("src/model.rs", ""), one, two, three])
    };
    assert_eq!(backend("use crate::report::hub::Hub;"), NONE);
    let expected = ["src/backend.rs:1: `backend` must not import `formula::report::view::View`"];
    assert_eq!(backend("use crate::report::view::View;"), expected);
    assert_eq!(backend("use crate::cli;"), ["src/backend.rs:1: `backend` must not import `formula::cli`"]);

    let model = |text| forbidden(&[lib, ("src/model.rs", text), ("src/backend.rs", ""), ("src/cli.rs", ""), ("src/report.rs", "")]);
    assert_eq!(model("use formula_steps::contract::Class; use serde::Serialize;"), NONE);
    assert_eq!(model("use tokio::fs;"), ["src/model.rs:1: `model` must not import `tokio::fs`"]);
    assert_eq!(model("use formula_steps::find;"), ["src/model.rs:1: `model` must not import `formula_steps::find`"]);
    assert_eq!(model("use formula_steps as s;"), ["src/model.rs:1: `model` must not import `formula_steps`"]);
    let cli = "use crate::{backend::Local, report::view}; use formula_steps::world::real::Git;";
    assert_eq!(forbidden(&[lib, ("src/cli.rs", cli), ("src/backend.rs", ""), ("src/model.rs", ""), ("src/report.rs", "")]), NONE);
}

#[test]
fn a_kind_is_kept_to_the_contract_and_the_ports() {
    let shell = |text| {
        let lib = ("steps/lib.rs", "pub mod contract; pub mod world; mod git_tag; mod shell;");
        let world = [("steps/world/mod.rs", "pub mod real;"), ("steps/world/real/mod.rs", "")];
        let rest = [("steps/contract/mod.rs", ""), ("steps/git_tag.rs", "")];
        forbidden(&[lib, world[0], world[1], rest[0], rest[1], ("steps/shell.rs", text)])
    };
    assert_eq!(shell("use crate::contract::Step; use crate::world::{Command, Process};"), NONE);
    let refused = |text, what: &str| {
        assert_eq!(shell(text), [format!("steps/shell.rs:1: `shell` must not import `{what}`")]);
    };
    refused("use crate::git_tag::Params;", "formula_steps::git_tag::Params");
    refused("use crate::world; fn f() { world::real::git(); }", "formula_steps::world::real::git");
    refused("use std::fs::read;", "std::fs::read");
    refused("use crate::BUILTIN;", "formula_steps::BUILTIN");

    let world = "pub mod fake; pub mod real; fn f() { real::git() }";
    let lib = ("steps/lib.rs", "pub mod world;");
    let sides = [("steps/world/real.rs", "use super::fake::Git;"), ("steps/world/fake.rs", "use super::Secret;")];
    let findings = forbidden(&[lib, ("steps/world/mod.rs", world), sides[0], sides[1]]);
    let expected = [
        "steps/world/mod.rs:1: `world` must not import `formula_steps::world::real::git`",
        "steps/world/real.rs:1: `world::real` must not import `formula_steps::world::fake::Git`",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn a_module_without_a_row_is_seen() {
    let control = sketch(&[("src/lib.rs", "mod stray; mod engine;"), ("src/stray.rs", ""), ("src/engine.rs", "")]);
    let expected = ["src/stray.rs:1: `stray` has no row in docs/architecture.md"];
    assert_eq!(rules::modules_without_row(&control, &sketched_table()), expected);
}

#[test]
fn a_slip_of_the_pen_in_the_table_is_refused() {
    let table = |from: &str, to: &str| Table::parse(&PAGE.replace(from, to), |name| name == "tokio").err();
    let unknown = "line 13: `tokyo` is neither a module with a row nor a crate that `Cargo.toml` knows";
    assert_eq!(table("`tokio`", "`tokyo`").as_deref(), Some(unknown));
    assert_eq!(table("| `report` |", "| `model` |").as_deref(), Some("line 15: `model` has two rows"));
    assert_eq!(table("| `report` |", "| report |").as_deref(), Some("line 15: the first column names one module, not `report`"));
    assert_eq!(table("# `formula_steps`", "#").as_deref(), Some("no table under a heading with `formula_steps`"));
}

#[test]
fn a_circle_of_modules_is_seen() {
    let control = sketch(&[
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", "\nuse crate::c::C;"),
        ("src/c.rs", "use crate::a::A;"),
    ]);
    let found: Vec<Import> = imports(&control);
    let circle = "`a` (src/a.rs:1) → `b` (src/b.rs:2) → `c` (src/c.rs:1) → `a`: a circle";
    assert_eq!(rules::cycles(&control, &found), [circle]);
}

#[test]
fn a_long_file_is_seen() {
    let (fits, long) = ("\n".repeat(500), "\n".repeat(501));
    let control = sketch(&[("src/lib.rs", "mod fits; mod long;"), ("src/fits.rs", &fits), ("src/long.rs", &long)]);
    assert_eq!(rules::long_files(&control), ["src/long.rs: 501 lines, at most 500"]);
}

#[test]
fn a_long_function_is_seen() {
    let body = |lines: usize| format!("{{{}}}", "\n".repeat(lines - 1));
    let text = format!(
        "fn fits() {}\nfn long() {}\nimpl X {{ fn m() {} }}\ntrait T {{ fn d() {} }}\nmod m {{ fn inner() {} }}",
        body(80),
        body(81),
        body(82),
        body(83),
        body(84)
    );
    let findings = rules::long_functions(&sketch(&[("src/lib.rs", &text)]));
    let expected = [
        "src/lib.rs:81: `long` has 81 lines, at most 80",
        "src/lib.rs:162: `m` has 82 lines, at most 80",
        "src/lib.rs:244: `d` has 83 lines, at most 80",
        "src/lib.rs:327: `inner` has 84 lines, at most 80",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn a_crate_outside_its_file_is_seen() {
    let control = sketch(&[
        ("src/lib.rs", "mod journal; fn f() { let x: bollard::Docker; }"),
        ("src/journal/mod.rs", "mod sqlite;\nuse rusqlite::Connection;\n#[cfg(test)] mod suite;"),
        ("src/journal/suite.rs", "use rusqlite::Connection;"),
        ("src/journal/sqlite.rs", "//! rusqlite\nuse rusqlite::Connection;"),
    ]);
    let expected = [
        "src/lib.rs:1: only `steps/world/real/docker*` may name `bollard`",
        "src/journal/mod.rs:2: only `src/journal/sqlite*` may name `rusqlite`",
    ];
    assert_eq!(rules::leaked_crates(&imports(&control)), expected);
}

#[test]
fn unfinished_work_is_seen() {
    let mark = ["// FIX", "ME later"].concat();
    let text = [
        mark.as_str(),
        "fn a() { todo!() }",
        "fn b() { if x { unimplemented!(\"x\") } }",
        "fn c() { let y = dbg!(x); }",
        "#[allow(dead_code)] fn d() {}",
        "#[cfg_attr(unix, allow(dead_code))] fn e() {}",
        "#[test] #[ignore = \"slow\"] fn f() {}",
        "#[expect(dead_code, reason = \"allow\")] fn todo() { ignore(\"todo!()\") }",
        "mod m { #![allow(dead_code)] }",
    ]
    .join("\n");
    let places: Vec<String> = rules::unfinished(&sketch(&[("src/lib.rs", &text)]));
    let lines: Vec<&str> = places.iter().filter_map(|found| found.split(':').nth(1)).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6", "7", "9"], "{places:#?}");
}

#[test]
fn a_file_that_says_nothing_is_seen() {
    let control = sketch(&[("src/lib.rs", "//! Why.\nmod a;"), ("src/a.rs", "/// Not about the file.\nfn a() {}")]);
    assert_eq!(rules::undocumented(&control), ["src/a.rs:1: no `//!` that says what the file is for"]);
}

#[test]
fn a_file_that_nothing_reaches_is_seen() {
    let control = sketch(&[
        ("tests/it/main.rs", "mod support;"),
        ("tests/it/support/mod.rs", "mod git;"),
        ("tests/it/support/git.rs", ""),
        ("tests/it/support/lost.rs", ""),
        ("tests/it/forgotten.rs", ""),
        ("steps/tests/laws.rs", ""),
    ]);
    let expected = [
        "tests/it/forgotten.rs:1: no `mod` declaration reaches this file",
        "tests/it/support/lost.rs:1: no `mod` declaration reaches this file",
    ];
    assert_eq!(rules::orphans(&control), expected);
}
