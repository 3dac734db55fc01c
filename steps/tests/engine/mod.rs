//! One file per thing that is tried on the real one.

mod again;
mod build;
mod compose;
mod compose_up;
mod context;
mod kinds;
mod objects;
mod push;
mod registry;
