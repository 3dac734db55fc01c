//! What an editor asks about a formula while somebody types: what could stand here, what this means, where that is declared.
//!
//! A text that is being typed is seldom TOML, so nothing here asks the parser: `tree` reads tokens and goes on after whatever is missing.
//! Knows no protocol; places are byte offsets, and `cli::lsp` speaks to the editor.

mod complete;
mod definition;
mod document;
mod hover;
mod known;
mod lines;
mod place;
mod template;
mod tree;

pub use complete::{Suggestion, What};
pub use document::Document;
pub use hover::Told;
pub use known::{HELPERS, Known, RUN};
pub use lines::Position;

#[cfg(test)]
mod tests;
