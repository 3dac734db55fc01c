//! The `formula` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(formula::cli::main(std::env::args_os().collect()))
}
