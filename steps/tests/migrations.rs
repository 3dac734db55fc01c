//! Migrations of a box.

mod migrating;
