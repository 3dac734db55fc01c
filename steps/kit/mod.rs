//! What several kinds share: parts of their params and small procedures on the ports.
//!
//! Knows the contract and the ports. Must not know any kind.

pub mod auth;
pub mod compose;
pub mod engine_tag;
pub mod keep;
pub mod manifest;
pub mod period;
pub mod program;
pub mod readiness;
pub mod recipe;
pub mod request;
pub mod text;

pub use auth::RegistryAuth;
pub use period::Period;
