//! The guide, followed to the letter in an empty folder.
//!
//! What a reader copies is what runs here: a block `toml file=PATH` is written to that file, a block `sh` is typed line by line, and a block
//! `text output` must be what the last line printed. `…` in it stands for anything.

use crate::support::{Ran, Sandbox, formula};

/// A fenced block of a page.
struct Block<'a> {
    line: usize,
    info: &'a str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Block { line: number + 1, info, text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whether a line is that of the page, where `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let [first, .., last] = parts.as_slice() else { return line.trim_end() == shown.trim_end() };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.trim_end().ends_with(last.trim_end())
}

/// Types a line: a command of ours, and what its comment says of its exit code (`# exits 22`).
fn typed(sandbox: &Sandbox, page: &str, number: usize, line: &str) -> Ran {
    let (command, comment) = line.split_once('#').unwrap_or((line, ""));
    let words = shlex::split(command).unwrap_or_else(|| panic!("{page}:{number}: `{line}` is no command"));
    assert_eq!(words.first().map(String::as_str), Some("formula"), "{page}:{number}: `{line}`: the test types `formula` only");
    let exit = comment.split_once("exits ").map_or(0, |(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{page}:{number}: `{comment}` names no exit code"))
    });
    let ran = formula(sandbox).args(words[1..].to_vec()).run();
    assert_eq!(ran.code, Some(exit), "{page}:{number}: `{}`\n{}\n{}", command.trim(), ran.stdout, ran.stderr);
    ran
}

fn follow(page: &str, text: &str) -> usize {
    let sandbox = Sandbox::new();
    let (mut last, mut commands) = (None::<Ran>, 0);
    for block in blocks(text) {
        let number = block.line;
        if let Some(path) = block.info.strip_prefix("toml file=") {
            sandbox.write(path, &block.text);
        } else if block.info == "sh" {
            for (offset, line) in block.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                last = Some(typed(&sandbox, page, number + 1 + offset, line));
                commands += 1;
            }
        } else if block.info == "text output" {
            let ran = last.as_ref().unwrap_or_else(|| panic!("{page}:{number}: nothing was typed before"));
            let said = format!("{}{}", ran.stdout, ran.stderr);
            for line in block.text.lines() {
                assert!(said.lines().any(|said| is_like(said, line)), "{page}:{number}: `{line}` is not in\n{said}");
            }
        } else {
            assert!(!block.info.starts_with("sh") && !block.info.starts_with("toml"), "{page}:{number}: `{}` is not run", block.info);
        }
    }
    commands
}

#[test]
fn a_formula_is_written_as_the_guide_says() {
    let typed = follow("write-a-formula.md", include_str!("../../docs/guide/write-a-formula.md"));
    assert!(typed >= 12, "only {typed} commands were typed");
}

#[test]
fn anything_stands_for_anything_and_nothing_else() {
    assert!(is_like("✓ tag  12 ms", "✓ tag  … ms") && is_like("a b c d", "a…c…") && is_like("same", "same"));
    assert!(!is_like("✓ tag  12 s", "✓ tag  … ms") && !is_like("other", "same") && !is_like("ab", "…c…"));
}
