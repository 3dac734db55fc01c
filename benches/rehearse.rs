//! The whole matrix of a shipped formula: every boundary of every step, resumed and rolled back.
//!
//! `cargo bench --bench rehearse [NAME]`; that of `release` is to take less than 5 s.

use std::time::Instant;

use formula::catalog::{SHIPPED, SHIPPED_TESTS};
use formula::diagnostic::SourceFile;
use formula::rehearse::{Options, Subject, rehearse};

#[expect(clippy::print_stdout, reason = "the numbers are for the person who runs the benchmark")]
fn main() {
    let named = |name: &String| SHIPPED.iter().any(|(shipped, _)| shipped == name);
    let name = std::env::args().skip(1).find(named).unwrap_or_else(|| "release".to_owned());
    let text = |all: &[(&str, &'static str)]| all.iter().find(|(one, _)| *one == name).map_or("", |(_, text)| *text);
    let formula = SourceFile::new(format!("<shipped>/{name}.toml"), text(SHIPPED));
    let test = SourceFile::new(format!("<shipped>/tests/{name}.test.toml"), text(SHIPPED_TESTS));
    let subject = Subject { formula: &formula, test: Some(&test), kinds: formula_steps::BUILTIN.to_vec() };
    let mut taken = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let report = rehearse(&subject, &Options::default(), &mut |_| Err(Vec::new())).expect("a shipped formula can be rehearsed");
        taken.push((start.elapsed(), report.schedules, report.sound));
    }
    taken.sort();
    let (time, schedules, sound) = taken[1];
    println!("{name}: {schedules} schedules in {time:.2?}, {}", if sound { "all converge" } else { "not all converge" });
}
