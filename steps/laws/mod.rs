//! What every kind must obey, tried in the fake world with all that can go wrong there: for the kinds of this crate and of any other.
//!
//! ```no_run
//! # async fn example(step: &dyn formula_steps::contract::StepType) {
//! use formula_steps::laws::{Case, judge};
//! use formula_steps::world::fake::State;
//!
//! let case = Case { kind: "my-kind", name: "a note", state: State::default(), params: serde_json::json!({ "path": "note" }) };
//! let tally = judge(step, &case).await;
//! assert!(tally.broken.is_empty(), "{tally}");
//! # }
//! ```

mod harness;
mod rules;

pub use harness::{Case, DIR, SECRET, SECRET_NAME, Tally, judge};
