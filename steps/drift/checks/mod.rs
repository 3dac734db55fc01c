//! The checks, by what they look at. Each is a function from the gathered facts to a finding.

mod compose;
mod configuration;
mod running;
mod tree;
mod versions;

use super::facts::Facts;
use super::finding::Finding;
use super::subject::Subject;
use crate::contract::Context;

/// Whether there is a check of that id.
pub(super) fn is_check(id: &str) -> bool {
    id.strip_prefix('d')
        .and_then(|number| number.parse().ok())
        .is_some_and(|number: u32| (1..=18).contains(&number) && id == format!("d{number}"))
}

/// What every check finds, in order.
pub(super) fn all(cx: &Context, facts: &Facts, subject: &Subject) -> Vec<Finding> {
    vec![
        tree::d1_clean(facts, subject),
        tree::d2_release(facts, subject),
        versions::d3_agree(facts, subject),
        versions::d4_floating(facts),
        versions::d5_moved(facts),
        versions::d6_provenance(facts),
        compose::d7_as_rendered(facts, subject),
        compose::d8_override(facts),
        compose::d9_orphans(facts),
        compose::d10_identity(facts, subject),
        configuration::d11_env_file(facts, subject),
        configuration::d12_credentials(facts, subject),
        configuration::d13_links(facts),
        tree::d14_remotes(facts),
        running::d15_migrations(facts),
        running::d16_services(cx, facts),
        running::d17_reachable(facts, subject),
        running::d18_unfinished(cx),
    ]
}
