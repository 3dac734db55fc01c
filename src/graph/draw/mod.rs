//! Pictures of a formula, a plan or a run: for a terminal, for Graphviz, for Mermaid, and to look at (SVG).
//!
//! Draws what it is handed and asks nobody. Texts from the formula cannot command a terminal, nor break out of a picture's syntax.

mod dot;
mod drawing;
mod mermaid;
mod rails;
mod reduce;
mod svg;
mod text;

pub use dot::dot;
pub use drawing::{Drawing, Mark, Node, Role, Stand};
pub use mermaid::mermaid;
pub use svg::{TooBig, svg};
pub use text::{Paint, text};

#[cfg(test)]
mod tests;
