//! Migrations of a box: what the folder holds, what the ledger remembers, and what is left to do between the two.
//!
//! A folder holds one entry per version: `v0.3.0.sh`, or a folder `v0.3.0/` with `pre.sh`, `post.sh`, `down.sh` and `migration.toml`;
//! in the place of each script may be a formula, which is then a run of its own (`nested`).
//! The ledger is a file of JSON lines in the state directory; a row is durable before a script starts, another after it ended. What
//! is left to do is told by comparing them: everything in `(level, target]` that the ledger does not know as applied. Where the two do
//! not fit, that is told with the values on both sides and the command that settles it, and nothing runs.
//!
//! [`status()`] looks and touches nothing. Knows the contract and the ports. Must not know any kind.

mod folder;
mod foresee;
mod key;
mod ledger;
mod nested;
mod place;
mod script;
mod status;
mod version;
mod work;

pub use folder::{Back, Down, Folder, Migration, Phase, Script};
pub use foresee::changes;
pub use key::{EnvKey, KeyBefore};
pub use ledger::{Applied, Baseline, Book, Mark, Row, Standing, Who, append, now, read};
pub use nested::{Direction, Nested};
pub use place::Place;
pub use script::{Call, Calls, End};
pub use status::{Entry, Level, Problem, Source, State, Status, status};
pub use version::Version;
pub use work::{Job, Work};
