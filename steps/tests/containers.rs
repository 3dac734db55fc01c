//! The ports to containers on the real thing: an engine, a registry, the compose program. Without an engine a test says by name
//! that it was skipped; with `FORMULA_TEST_REQUIRE_DOCKER=1` it fails.

mod engine;
mod support;
