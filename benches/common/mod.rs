//! What benches do alike.

/// The middle one.
pub fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

/// Says a line.
#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
pub fn emit(line: &str) {
    println!("{line}");
}
