//! What the laws are tried on: the cases, and kinds that break them.

pub mod cases;
mod compose;
mod compose_up;
mod docker;
mod liars;
mod local;
