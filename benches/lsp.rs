//! What an editor waits for in a large formula: a completion right after a keystroke, the text as it was typed and nothing kept from before.
//!
//! `cargo bench --bench lsp [steps]`; with 1,000 steps a completion is to take less than 50 ms.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use formula::editor::{Document, Known};

fn text(steps: usize) -> String {
    let mut text = "name = \"large\"\n\n[vars.version]\ntype     = \"version\"\nrequired = true\n".to_owned();
    for n in 0..steps {
        let needs = n.checked_sub(1).map_or(String::new(), |before| format!("needs = [\"step-{before}\"]\n"));
        let content = "{{ vars.version }}";
        write!(text, "\n[[steps]]\nid    = \"step-{n}\"\ntitle = \"Write file {n}\"\nuses  = \"write-file\"\n{needs}with  = {{ path = \"{n}.txt\", content = \"{content}\" }}\n")
            .expect("a string takes everything");
    }
    text
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    taken[taken.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the numbers are for the person who runs the benchmark")]
fn main() {
    let steps = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000);
    let text = text(steps);
    let known = Known::default();
    let places = [
        ("kinds", "\n[[steps]]\nid = \"last\"\nuses = \"", ""),
        ("steps", "\n[[steps]]\nid = \"last\"\nneeds = [\"", ""),
        ("outputs", "\n[[steps]]\nid = \"last\"\nuses = \"shell\"\nif = \"{{ steps.step-7.outputs.", ""),
        ("params", "\n[[steps]]\nid = \"last\"\nuses = \"write-file\"\nwith = { ", " }\n"),
    ];
    for (what, before, after) in places {
        let mut found = 0;
        let taken = (0..21).map(|_| {
            let text = format!("{text}{before}{after}");
            let offset = text.len() - after.len();
            let start = Instant::now();
            found = Document::new("formulas/large.toml", text).complete(&known, offset).len();
            start.elapsed()
        });
        let taken = median(taken.collect());
        println!("{steps} steps, {what}: {taken:.1?} for {found} suggestions");
    }
    let taken = (0..9).map(|_| {
        let document = Document::new("formulas/large.toml", text.as_str());
        let start = Instant::now();
        assert!(document.problems(&known.kinds).is_empty(), "the file is sound");
        start.elapsed()
    });
    println!("{steps} steps, all problems: {:.1?}", median(taken.collect()));
}
