//! The vocabulary of the engine as plain data: what was checked, what can be run, what happened.
//!
//! Everything here is serialisable and free of I/O, clocks and runtimes.

mod digest;
mod event;
mod formula;
mod gate_rules;
mod ids;
mod outcome;
mod payload;
mod plan;
mod request;
mod retry;
mod runbook;
mod schema;
mod span;
mod timestamp;

pub use digest::{canonical_json, digest_of, digest_of_bytes};
pub use event::{Envelope, Event, JOURNAL_VERSION, ProbeReason, TIMEOUT};
pub use formula::{Formula, OnFailure, SecretDecl, SecretSource, StepDef, VarDecl, VarType};
pub use gate_rules::{GateRules, Proof};
pub use ids::{RunId, StepIx};
pub use outcome::{Outcome, Verdict};
pub use payload::{BLOB_THRESHOLD, Payload};
pub use plan::{Gate, Plan, PlanStep, Scope};
pub use request::{Request, SettleAnswer};
pub use retry::Retry;
pub use runbook::{RUNBOOKS, anchor};
pub use schema::line_schema;
pub use span::Span;
pub use timestamp::Timestamp;
