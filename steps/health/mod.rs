//! What `health-check` looks at: one file per thing, and the watch over all of them.
//!
//! Knows the contract, the ports and the kit. Must not know the kind itself.

mod check;
mod compose;
mod container;
mod http;
mod local;
mod watch;

pub use check::Check;
pub use compose::ComposeCheck;
pub use container::{ContainerCheck, LogCheck};
pub use http::{HttpCheck, Status};
pub use local::{CommandCheck, TcpCheck};
pub use watch::{Seen, Verdict, Watch, watch};
