//! The program as a user runs it, with the kind in it.

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_formula-and-more");
    Command::new(program).args(args).current_dir(folder).env("HOME", folder).output().expect("it was built for this test")
}

#[track_caller]
fn answers(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{said}\n{told}");
    said.into_owned()
}

#[test]
fn a_formula_uses_the_kind_and_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::create_dir(folder.join("formulas")).expect("it is ours");
    std::fs::write(folder.join("formulas/motd.toml"), include_str!("../formulas/motd.toml")).expect("it is ours");
    std::fs::write(folder.join("motd"), "Welcome\n").expect("it is ours");
    let motd = || std::fs::read_to_string(folder.join("motd")).expect("it is there");

    answers(folder, &["check", "motd", "--strict"]);
    assert!(answers(folder, &["steps"]).contains("line-in-file"));
    assert!(answers(folder, &["steps", "line-in-file"]).contains("Be kind"), "its example");
    answers(folder, &["run", "motd"]);
    assert_eq!(motd(), "Welcome\nBe kind\n");
    assert!(std::fs::read_to_string(folder.join("told.json")).expect("it was written").contains('2'));
    answers(folder, &["rollback", "--yes"]);
    assert_eq!(motd(), "Welcome\n");
}

#[test]
fn params_are_checked_as_those_of_any_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let formula = include_str!("../formulas/motd.toml").replace("line = ", "lien = ");
    std::fs::write(folder.path().join("motd.toml"), formula).expect("it is ours");
    let output = run(folder.path(), &["check", "./motd.toml"]);
    assert_eq!(output.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `line`?"), "{output:?}");
}
