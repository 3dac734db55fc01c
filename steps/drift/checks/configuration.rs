//! The env file, the credentials of agents and the links: d11 to d13.

use std::collections::{BTreeMap, BTreeSet};

use super::super::agents::Agent;
use super::super::facts::Facts;
use super::super::finding::{Finding, Look, Severity};
use super::super::subject::Subject;
use crate::kit::text::some_of;
use crate::world::Entry;

/// The env file has no legacy, duplicate or forbidden keys, and nobody else may read it.
pub(super) fn d11_env_file(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d11", "env file is in order");
    let path = &subject.env_file;
    let file = match &facts.env.parsed {
        Ok(Some(file)) => file,
        Ok(None) => {
            look.warn(format!("there is no `{path}`"), format!("write `{path}` with mode 0600"));
            return look.end("");
        }
        Err(line) => {
            look.blocker(
                format!("`{path}` line {line}: a quote is never closed, nothing behind it can be read"),
                format!("close the quote in {path}"),
            );
            return look.end("");
        }
    };
    for (key, legacy) in facts.kind.env.legacy.iter().filter(|(key, _)| file.count(key) > 0) {
        look.found(
            legacy.severity,
            format!("`{key}` is a key of older releases"),
            format!("take `{key}` out of {path}; {} stands for it now", legacy.becomes),
        );
    }
    for key in facts.kind.env.forbidden.iter().filter(|key| file.count(key) > 0) {
        look.warn(
            format!("`{key}` must not be in `{path}`"),
            format!("take `{key}` out of {path} and rotate it: every service could read it"),
        );
    }
    let twice: Vec<String> = file.keys().into_iter().filter(|key| file.count(key) > 1).map(str::to_owned).collect();
    if !twice.is_empty() {
        look.warn(
            format!("assigned more than once: {}", some_of(&twice)),
            "keep the last assignment of each: that is the one which counts",
        );
    }
    if let Some(mode) = facts.env.file.as_ref().map(|file| file.mode & 0o777).filter(|mode| mode & 0o037 != 0) {
        look.warn(format!("`{path}` has mode {mode:04o}: others can read the secrets in it"), format!("chmod 600 {path}"));
    }
    look.end(format!("{} keys, each once", file.keys().len()))
}

/// Every agent has its credentials, and all credentials have an agent.
pub(super) fn d12_credentials(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d12", "every agent has its credentials");
    let Some(kind) = &facts.kind.agents else { return look.end("this kind of box has no agents") };
    let env = &subject.env_file;
    for problem in facts.projects.iter().filter_map(|project| project.as_ref().err()) {
        look.blocker(problem.clone(), "mend the file");
    }
    let projects = || facts.projects.iter().flatten();
    for partial in projects().flat_map(|project| &project.partial) {
        look.warn(
            format!("{partial} has only part of {}: no service is made of it", some_of(&kind.when)),
            "give it the rest, or take it out",
        );
    }
    let agents: Vec<&Agent> = projects().flat_map(|project| &project.agents).collect();
    let mut by_suffix: BTreeMap<&str, Vec<&Agent>> = BTreeMap::new();
    for agent in &agents {
        let table = format!("`[{}.{}]` in `{}`", kind.table, agent.name, agent.file);
        let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if agent.suffix.is_empty() || !agent.suffix.chars().all(legal) || agent.suffix.starts_with(|c: char| c.is_ascii_digit()) {
            look.blocker(
                format!("{table}: `{}` cannot be part of a key", agent.user),
                format!("give it a `{}` of letters, digits and dashes", kind.user),
            );
            continue;
        }
        let missing: Vec<String> = agent.credentials.iter().filter(|key| !facts.env.is_set(key)).cloned().collect();
        if !missing.is_empty() {
            look.blocker(
                format!("{table}: {} not set", missing.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ")),
                format!("set {} in {env}", missing.join(" and ")),
            );
        }
        by_suffix.entry(&agent.suffix).or_default().push(agent);
    }
    for (suffix, agents) in by_suffix.iter().filter(|(_, agents)| agents.len() > 1) {
        let names: Vec<String> = agents.iter().map(|agent| format!("`[{}.{}]` in `{}`", kind.table, agent.name, agent.file)).collect();
        look.blocker(
            format!("{} share the credentials of {suffix}", names.join(" and ")),
            format!("give each a `{}` of its own", kind.user),
        );
    }
    let left = without_agent(facts, &agents, &kind.credentials);
    if !left.is_empty() {
        look.warn(
            format!("credentials without an agent: {}", some_of(&left)),
            format!("take {} out of {env}, if nothing else needs them", left.join(" and ")),
        );
    }
    look.end(format!("{} with credentials of their own", crate::kit::text::count(agents.len(), "agent")))
}

/// Keys of the env file that look like an agent's, and that no agent needs.
fn without_agent(facts: &Facts, agents: &[&Agent], patterns: &[String]) -> Vec<String> {
    let Ok(Some(file)) = &facts.env.parsed else { return Vec::new() };
    let needed: BTreeSet<&String> = agents.iter().flat_map(|agent| &agent.credentials).collect();
    let looks_like = |key: &str| {
        patterns
            .iter()
            .filter_map(|pattern| pattern.split_once("{suffix}"))
            .any(|(before, after)| key.len() > before.len() + after.len() && key.starts_with(before) && key.ends_with(after))
    };
    let keys = file.keys().into_iter().filter(|key| looks_like(key) && facts.env.is_set(key));
    keys.map(str::to_owned).filter(|key| !needed.contains(key) && !facts.kind.env.legacy.contains_key(key)).collect()
}

/// Links lead where they must.
pub(super) fn d13_links(facts: &Facts) -> Finding {
    let mut look = Look::new("d13", "configuration is in the shared place");
    let mut well = Vec::new();
    for linked in &facts.links {
        let (path, want) = (&linked.link.path, linked.want.display());
        let found = match &linked.found {
            Err(error) => return look.skipped(error),
            Ok(found) => found,
        };
        if linked.right && linked.folder_there {
            well.push(format!("`{path}` leads to `{want}`"));
            continue;
        }
        let link = format!("ln -s {want} {path}");
        let make = if linked.folder_there { String::new() } else { format!("mkdir -p -m 700 {want} && ") };
        let (seen, remedy) = match found {
            None => (format!("there is no `{path}`, which must lead to `{want}`"), format!("{make}{link}")),
            Some(Entry::Link(_)) if linked.right => {
                (format!("`{path}` leads to `{want}`, where there is no folder"), format!("mkdir -p -m 700 {want}"))
            }
            Some(Entry::Link(target)) => {
                (format!("`{path}` leads to `{}`, not to `{want}`", target.display()), format!("{make}rm {path} && {link}"))
            }
            Some(Entry::Folder { empty: true }) => {
                (format!("`{path}` is an empty folder, not a link to `{want}`"), format!("{make}rmdir {path} && {link}"))
            }
            Some(_) => (
                format!("`{path}` is not a link to `{want}`, and something is in it"),
                format!("{make}cp -a {path}/. {want}/ && mv {path} {path}.old && {link}"),
            ),
        };
        look.found(Severity::Blocker, seen, remedy);
    }
    look.end(if well.is_empty() { "this kind of box needs no links".to_owned() } else { well.join("; ") })
}
