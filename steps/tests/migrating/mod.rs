//! `migrate` with real scripts, a real repository and real files. Tests named `m…` are rows of the case list of migrations.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

mod back;
mod forward;
mod place;
mod refused;
mod shipped;
