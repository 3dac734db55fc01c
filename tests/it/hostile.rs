//! Eight megabytes of anything as a formula or a test file: an answer for people, within 256 MiB.
//!
//! Memory is limited by the system, so that what takes more dies. How long it takes is not asked here: what takes long takes memory, or
//! looks at much that is never shown, which the counts show.

use std::fmt::Write as _;

use crate::support::{Program, Sandbox};

const BYTES: usize = 8 * 1024 * 1024;

/// A head, as many parts as there is room for, and a tail.
fn filled(head: &str, part: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    let mut number = 0;
    while text.len() + tail.len() < BYTES {
        text.push_str(&part(number));
        number += 1;
    }
    text + tail
}

fn same(head: &str, part: &str, tail: &str) -> String {
    filled(head, |_| part.to_owned(), tail)
}

const STEP: &str = "name = \"f\"\n[[steps]]\nid = \"a\"\nuses = \"shell\"\n";

/// What is in the file, and a part of what is said of it.
fn shapes() -> Vec<(&'static str, String, &'static str)> {
    let command = format!("{STEP}with = {{ command = [");
    let wrong = |number: usize| {
        format!(
            "[[steps]]\nid = \"S{number}\"\ndescription = \"Do what has to be done here.\"\nuses = \"write-fil\"\nneeds = [\"q{number}\"]\nwith = {{ a = 1 }}\n"
        )
    };
    let unknown = |number: usize| format!("[[steps]]\nid = \"s{number}\"\nuses = \"write-fil{number}\"\n");
    let deep = |number: usize| format!("[a{number}.b.c.d.e.f]\n");
    let pattern = |number: usize| format!("[vars.v{number}]\npattern = '\\w{{1,500}}'\ndefault = \"\"\n");
    let templates = |number: usize| format!("\"{number}{}\",", "{{ vars.a }}".repeat(340));
    vec![
        ("open brackets", same("a = ", "[", ""), "F0106"),
        ("nested lists", same("name = \"f\"\na = [", &format!("{}{},", "[".repeat(30), "]".repeat(30)), "]\n"), "F0105"),
        ("nested tables", same("name = \"f\"\na = [", &format!("{}1{},", "{ a = ".repeat(30), "}".repeat(30)), "]\n"), "F0105"),
        ("tables in tables", filled("name = \"f\"\n", deep, ""), "F0105"),
        ("one text", same("name = \"f\"\nsteps = \"", "x", "\"\n"), "F0301"),
        ("headers", same("name = \"f\"\n", "[[steps]]\n", ""), "F0403"),
        ("wrong steps", filled("name = \"f\"\n", wrong, ""), "F0205"),
        ("unknown kinds", filled("name = \"f\"\n", unknown, ""), "F0403"),
        ("keys", filled("name = \"f\"\n", |number| format!("k{number} = 1\n"), ""), "F0105"),
        ("the same key", same("", "a = 1\n", ""), "F0105"),
        ("dotted keys", filled("", |number| format!("a.b.c{number}.d = 1\n"), ""), "F0105"),
        ("braces", same(&format!("{command}\""), "{{", "\"]}\n"), "F0105"),
        ("templates", filled(&command, templates, "]}\n"), "F0105"),
        ("comments", same("", "#\n", ""), "F0105"),
        ("needs", same(&format!("{STEP}needs = ["), "\"zz\",", "]\n"), "F0105"),
        ("choices", filled("name = \"f\"\n[vars.a]\nchoices = [", |number| format!("\"{number}\","), "]\n"), "F0105"),
        ("patterns", filled("name = \"f\"\n", pattern, ""), "F0105"),
        ("escapes", same("name = \"f\"\ndescription = \"", "\\.", "\"\n"), "F0102"),
        ("broken lines", same("", "=\n", ""), "F0105"),
        ("broken steps", same("name = \"f\"\n", &format!("[[steps]]\n{}", "= 1111111111\n".repeat(8)), ""), "F0101"),
        ("NULs", same("", "\0", ""), "F0101"),
        ("marks", same("", "\u{feff}", ""), "F0101"),
        ("an address", format!("{command}\"{}\", {}]}}\n", "x://u:p@".repeat(BYTES / 16), "1, ".repeat(400)), "F0311"),
    ]
}

/// The program, where it gets no more than 256 MiB.
fn limited<'s>(sandbox: &'s Sandbox, words: &[&str]) -> Program<'s> {
    let limit = "ulimit -d 262144 && exec \"$0\" \"$@\"";
    Program::new(sandbox, "/bin/sh").args(["-c", limit, env!("CARGO_BIN_EXE_formula")]).args(words.iter().copied())
}

#[test]
fn eight_megabytes_of_anything_are_answered_within_256_mebibytes() {
    let sandbox = Sandbox::in_memory();
    let mut failed = String::new();
    for (what, text, said) in shapes() {
        sandbox.write("f.toml", text);
        let ran = limited(&sandbox, &["check", "./f.toml"]).run();
        let quoted =
            ran.stderr.lines().filter(|line| line.split_once(" | ").is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok()));
        let longest = quoted.map(|line| line.chars().count()).max().unwrap_or(0);
        let problems = ran.stderr.matches("error[").count() + ran.stderr.matches("note[").count();
        let fits =
            ran.code == Some(10) && ran.stderr.contains(said) && !ran.stderr.contains("panic") && longest <= 140 && problems <= 1_000;
        if !fits {
            let begin: String = ran.stderr.chars().take(400).collect();
            let _ = writeln!(failed, "{what}: {:?}, {problems} problems, {longest} columns, wanted {said}: {begin}", ran.code);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn eight_megabytes_of_anything_are_no_test_file() {
    let sandbox = Sandbox::in_memory();
    sandbox.write("f.toml", format!("{STEP}with = {{ command = [\"x\"], read_only = true }}\n"));
    for (what, text, _) in shapes().into_iter().step_by(4) {
        sandbox.write("f.test.toml", text);
        let ran = limited(&sandbox, &["test", "./f.toml", "--file", "f.test.toml"]).run();
        assert!(ran.code == Some(10) && ran.stderr.len() < 200_000 && !ran.stderr.contains("panic"), "{what}: {:?}", ran.code);
    }
}
