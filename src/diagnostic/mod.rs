//! Problems in a formula or its inputs, each with a code, a place and a way out.
//!
//! Knows nothing of how formulas are read; whoever finds a problem makes a [`Diagnostic`].

pub mod codes;
mod json;
mod problem;
mod render;
mod sarif;
mod source;
mod suggest;

pub use codes::{Code, explain};
pub use json::to_json;
pub use problem::{Diagnostic, Label, Severity};
pub use render::render;
pub use sarif::to_sarif;
pub use source::SourceFile;
pub use suggest::nearest;
