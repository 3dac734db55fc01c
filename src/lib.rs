//! Runs formulas: TOML files whose steps form a DAG, with a journal, resume and rollback.
//!
//! One direction, four types: what was written (`syntax`), what was checked ([`model::Formula`]), what can be run ([`model::Plan`]), what is
//! happening ([`engine`]). `docs/architecture.md` has the map.

pub mod backend;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod diagnostic;
pub mod doctor;
pub mod editor;
pub mod engine;
pub mod format;
pub mod graph;
pub mod journal;
pub mod lint;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod report;
pub mod secrets;
pub mod syntax;
pub mod template;
