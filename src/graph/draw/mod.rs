//! Pictures of a formula or a plan: for a terminal, for Graphviz, for Mermaid.
//!
//! Draws what is known before a run and nothing else. Texts from the formula cannot command a terminal, nor break out of a picture's syntax.

mod dot;
mod drawing;
mod mermaid;
mod rails;
mod reduce;
mod text;

pub use dot::dot;
pub use drawing::{Drawing, Node, Role};
pub use mermaid::mermaid;
pub use text::{Paint, text};

#[cfg(test)]
mod tests;
