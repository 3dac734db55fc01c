//! Migrations of a box: the kind on real scripts, and the ones that are shipped.

mod migrating;
#[expect(dead_code, unused_imports, reason = "other tests use the rest")]
mod support;
