//! One test binary; a file that is not listed here does not run, which `architecture.rs` refuses.

mod architecture;
mod bad_input;
mod check;
mod check_output;
mod doctor;
mod fmt;
mod fuzz_corpus;
mod guide;
mod info;
mod lsp;
mod mend;
mod migrate;
mod migrate_formula;
mod new;
mod rehearse;
mod release;
mod release_faults;
mod release_kill;
mod run;
mod schema;
mod support;
mod support_works;
mod told;
mod upgrade;
mod upgrade_formula;
mod upgrade_kill;
