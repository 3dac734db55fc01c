//! The cases of a box's compose file: a test bears the name of its row. Rendering alone, the kind in a fake world, and what docker
//! compose itself says.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up what it needs has failed")]

mod compose;
#[expect(dead_code, unused_imports, unused_macros, reason = "other tests use the rest")]
mod support;
