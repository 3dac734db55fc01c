//! The `formula` program with one kind more.

use std::process::ExitCode;

use outside_kind::LineInFile;

fn main() -> ExitCode {
    ExitCode::from(formula::cli::main_with(&[&LineInFile], std::env::args_os().collect()))
}
