//! What runs, what can be reached, and what the records say: d15 to d18.

use regex::Regex;

use super::super::facts::{Facts, service};
use super::super::finding::{Finding, Look, Severity};
use super::super::kind_of_box::fits;
use super::super::subject::Subject;
use crate::contract::Context;
use crate::kit::{readiness, text};
use crate::migrations::{self, State};

/// The oldest engine that is known to do: 20.10.
const OLDEST_ENGINE: (u32, u32) = (20, 10);

/// No migration waits.
pub(super) fn d15_migrations(facts: &Facts) -> Finding {
    let mut look = Look::new("d15", "no migration is pending");
    let status = match &facts.migrations {
        Ok(status) => status,
        Err(error) => return look.skipped(error),
    };
    for problem in &status.problems {
        look.warn(problem.what.clone(), problem.now.clone());
    }
    let named = |entry: &migrations::Entry| format!("{} ({})", entry.version, entry.phase.as_str());
    let pending: Vec<String> = status.entries.iter().filter(|entry| entry.state == State::Pending).map(named).collect();
    if !pending.is_empty() {
        let what = format!("{} pending: {}", text::count(pending.len(), "migration"), text::some_of(&pending));
        look.found(Severity::Info, what, "`formula run upgrade --version VERSION` runs what is due");
    }
    for entry in status.entries.iter().filter(|entry| entry.state != State::Pending && !entry.state.is_done()) {
        let what = format!("migration {} is {}", named(entry), entry.state.as_str());
        look.warn(what, "formula migrate status, then formula migrate repair");
    }
    look.end(match &status.level {
        Some(level) => format!("everything up to {} is applied", level.version),
        None => "there are none".to_owned(),
    })
}

/// Every service runs, is healthy, and works.
pub(super) fn d16_services(cx: &Context, facts: &Facts) -> Finding {
    let mut look = Look::new("d16", "every service runs and works");
    let (containers, services) = match (&facts.containers, &facts.model) {
        (Ok(containers), Ok((_, services))) => (containers, services),
        (Err(error), _) | (_, Err(error)) => return look.skipped(error),
    };
    for wanted in services {
        let own: Vec<_> = containers.iter().filter(|container| service(container) == wanted.name).collect();
        if own.is_empty() {
            look.warn(format!("`{}` has no container", wanted.name), format!("docker compose -p {} up -d {}", facts.project, wanted.name));
        }
        for container in own {
            if let Err(not) = readiness::judge(cx, container) {
                look.warn(format!("`{}` {}", wanted.name, not.why), format!("docker logs --tail 50 {}", container.name));
            }
        }
    }
    for beat in &facts.kind.heartbeats {
        let Ok(pattern) = Regex::new(&beat.pattern) else { continue };
        for container in containers.iter().filter(|one| beat.services.iter().any(|pattern| fits(pattern, &service(one)))) {
            let silent =
                facts.logs.get(&container.name).is_some_and(|log| !log.lines().rev().take(beat.lines).any(|line| pattern.is_match(line)));
            if silent {
                let what = format!("`{}` runs, but none of its last {} lines fits `{}`", service(container), beat.lines, beat.pattern);
                look.warn(what, format!("docker logs --tail 50 {}", container.name));
            }
        }
    }
    look.end(format!("{} up", text::count(services.len(), "service")))
}

/// What an upgrade needs answers, and there is room.
pub(super) fn d17_reachable(facts: &Facts, subject: &Subject) -> Finding {
    let mut look = Look::new("d17", "engine, registry, forge and disk will do");
    let hint = |error: &crate::world::PortError| error.hint.clone().unwrap_or_default();
    match &facts.engine {
        Err(error) => look.blocker(format!("the container engine does not answer: {error}"), hint(error)),
        Ok(version) if parts(version) < OLDEST_ENGINE => {
            look.blocker(format!("the container engine is {version}, which is older than 20.10"), "upgrade the container engine");
        }
        Ok(_) => {}
    }
    if let Err(error) = &facts.compose {
        look.blocker(error.to_string(), hint(error));
    }
    if let Err(error) = &facts.model {
        look.blocker(format!("compose cannot read `{}`: {error}", subject.compose_file), hint(error));
    }
    for (image, found) in &facts.registry {
        if let Err(error) = found {
            look.blocker(format!("the registry of `{image}` does not answer: {error}"), hint(error));
        }
    }
    if let Err(error) = &facts.remote {
        look.blocker(format!("the remote `{}` does not answer: {error}", subject.remote), hint(error));
    }
    for (key, reached) in &facts.reach {
        if let Err(error) = reached {
            look.blocker(format!("nobody answers at the address in `{key}`: {error}"), format!("see that the service behind `{key}` runs"));
        }
    }
    let needed: u64 =
        facts.images.values().flatten().map(|image| (&image.id, image.size)).collect::<std::collections::BTreeMap<_, _>>().values().sum();
    match facts.free {
        Ok(free) if free < needed => look.blocker(
            format!("{} MB are free, and the images take {} MB", free / 1_000_000, needed / 1_000_000),
            "docker image prune removes images that have no name",
        ),
        Ok(_) | Err(_) => {}
    }
    let told = |version: &Result<String, _>| version.as_deref().unwrap_or("?").to_owned();
    look.end(format!("engine {}, compose {}", told(&facts.engine), told(&facts.compose)))
}

/// The first two numbers of a version.
fn parts(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// No earlier run of this box is unfinished.
pub(super) fn d18_unfinished(cx: &Context) -> Finding {
    let mut look = Look::new("d18", "no earlier run is unfinished");
    let unfinished = match cx.records.unfinished() {
        Ok(unfinished) => unfinished,
        Err(error) => return look.skipped(error),
    };
    for run in unfinished.iter().filter(|run| run.id != cx.run.id) {
        let what = format!("run {} of `{}` {}", run.id, run.formula, run.state);
        look.found(Severity::Blocker, what, format!("formula resume {0}, or formula rollback {0}", run.id));
    }
    look.end("there is none")
}
