//! What the laws are made of: the cases, the rules, and kinds that break them.

pub mod cases;
mod compose;
mod compose_up;
mod docker;
pub mod harness;
mod liars;
mod local;
mod rules;
