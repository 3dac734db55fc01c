//! The worlds in which the kinds are tried: at least one case for each. A family of kinds keeps its cases in a file of its own,
//! and one line below.

use super::{compose, compose_up, docker, local};
use formula_steps::laws::Case;

/// All cases.
pub fn all() -> Vec<Case> {
    let mut cases = compose::cases();
    cases.extend(compose_up::cases());
    cases.extend(docker::cases());
    cases.extend(local::cases());
    cases
}
