//! `formula check` of many formulas at once, as a repository's CI gives it: 1,000 formulas of 10 steps are to take less than one second.
//!
//! ```text
//! cargo bench --bench check                    1,000 formulas of 10 steps, 7 rounds
//! cargo bench --bench check -- formulas=200 steps=50 rounds=3
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Steps of every sort that people write: a look, files, argv and script, a gate, templates over vars and outputs, `if` and `foreach`.
fn text(number: usize, steps: usize) -> String {
    let mut text = format!(
        "name        = \"bench-{number:04}\"\ndescription = \"One of many\"\nversion     = 1\n\n\
         [vars.version]\ntype     = \"version\"\nrequired = true\npattern  = '^v\\d+\\.\\d+\\.\\d+$'\n\n\
         [vars.mirrors]\ntype    = \"list\"\ndefault = [\"one\", \"two\"]\n\n[secrets.TOKEN]\nfrom = \"env:TOKEN\"\n"
    );
    for step in 0..steps {
        let body = match step % 5 {
            0 => "uses = \"shell\"\nwith = { command = [\"git\", \"status\", \"{{ vars.version }}\"], read_only = true, outputs = [\"commit\"] }".to_owned(),
            1 => "uses = \"write-file\"\nif   = \"{{ vars.version }}\"\nwith = { path = \"state/{{ vars.version }}.json\", content = \"{{ json vars.mirrors }}\" }".to_owned(),
            2 => "uses    = \"shell\"\nsecrets = [\"TOKEN\"]\nenv     = { VERSION = \"{{ vars.version }}\" }\nwith    = { script = \"make publish\", idempotent = true }\nretry   = { attempts = 3, wait = \"2s..30s\" }\ntimeout = \"10m\"".to_owned(),
            3 => format!("uses = \"write-file\"\nwith = {{ path = \"{step}.txt\", content = \"{{{{ steps.s{}.outputs.digest }}}}\" }}", step - 2),
            _ => "uses    = \"git-push\"\nforeach = \"{{ vars.mirrors }}\"\nwith    = { remote = \"{{ item }}\", refs = [\"refs/tags/{{ vars.version }}\"], undo = \"delete\" }".to_owned(),
        };
        write!(text, "\n[[steps]]\nid   = \"s{step}\"\n{body}\n").expect("a string takes everything");
    }
    text
}

/// Seconds of one check; it must find nothing.
fn check(folder: &Path) -> f64 {
    let start = Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_formula")).args(["check", "--json"]).current_dir(folder).stdin(Stdio::null()).output();
    let seconds = start.elapsed().as_secs_f64();
    let done = done.expect("it starts");
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && out.contains("\"diagnostics\":[]"), "{out}{}", String::from_utf8_lossy(&done.stderr));
    seconds
}

#[expect(clippy::print_stdout, reason = "the numbers are for the person who runs the benchmark")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str, default: usize| words.iter().find_map(|word| word.strip_prefix(name)?.parse().ok()).unwrap_or(default);
    let (formulas, steps, rounds) = (given("formulas=", 1_000), given("steps=", 10), given("rounds=", 7).max(1));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    std::fs::create_dir(folder.path().join("formulas")).expect("a folder");
    for number in 0..formulas {
        let path = folder.path().join(format!("formulas/bench-{number:04}.toml"));
        std::fs::write(path, text(number, steps)).expect("it is written");
    }
    let mut taken: Vec<f64> = (0..rounds).map(|_| check(folder.path())).collect();
    taken.sort_by(f64::total_cmp);
    let (median, least) = (taken[taken.len() / 2], taken[0]);
    println!(
        "check of {formulas} formulas of {steps} steps: {:.0} ms (at best {:.0} ms), {:.2} ms a formula",
        median * 1e3,
        least * 1e3,
        median * 1e3 / formulas as f64
    );
}
