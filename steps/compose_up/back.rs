//! The way back: what ran before runs again, made from what the engine said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::decide::{containers, instant};
use super::{Before, Output, Params, Was, keep, recipes, start_again, stop_and_remove};
use crate::contract::{Context, StepError};
use crate::kit::{compose, engine_tag, readiness, recipe, text};
use crate::world::{Blueprint, Container, ImageRef, PortErrorKind};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) async fn back(cx: &Context, params: &Params, before: &Before, output: Option<&Output>) -> Result<(), StepError> {
    compose::sweep(cx, &before.project).await?;
    let now: Vec<Container> = containers(cx, &before.project).await?.0.into_values().flatten().collect();
    let missing: Vec<&Was> = before.containers.iter().filter(|was| current(was, &now).is_none()).collect();
    let blueprints = can_be_made(cx, &missing).await?;
    let extra: Vec<&Container> = now
        .iter()
        .filter(|container| container.labels.get(readiness::SERVICE).is_some_and(|service| before.services.contains(service)))
        .filter(|container| !before.containers.iter().any(|was| is(was, container)))
        .collect();
    only_ours(&extra, &missing, output)?;
    stop_and_remove(cx, extra).await?;
    let ids = make(cx, before, &now, missing, &blueprints).await?;
    run_as_before(cx, params, before, &ids).await?;
    restart_dependents(cx, before, &ids).await?;
    put_names_back(cx, before).await?;
    remove_networks(cx, before).await?;
    keep::forget(cx, before).await?;
    recipe::forget(cx, recipes(Some(before)).map(|(_, recipe)| recipe)).await?;
    until_well(cx, params, before, &ids).await
}

/// Whether a container is the one that was there, or one that was made like it. What was made and never started may be half made.
fn is(was: &Was, container: &Container) -> bool {
    let alike = || {
        let hash = container.labels.get(readiness::CONFIG_HASH).map(String::as_str).unwrap_or_default();
        let finished = container.state != "created" || !was.running;
        container.name == was.name && container.image_id == was.image_id && hash == was.config_hash && finished
    };
    container.id == was.id || alike()
}

fn current<'c>(was: &Was, now: &'c [Container]) -> Option<&'c Container> {
    now.iter().find(|container| is(was, container))
}

/// Refuses, before anything stops, what could not be finished. Answers what to make it from, by the id of each.
async fn can_be_made(cx: &Context, missing: &[&Was]) -> Result<BTreeMap<String, Blueprint>, StepError> {
    for was in missing {
        if was.blueprint.is_none() {
            return Err(StepError::conflict(format!("`{}` is gone, and this step did not touch it", was.name))
                .hint("bring it up with `docker compose up -d`, then roll back again"));
        }
        if engine_tag::image_id(cx, &was.image_id).await?.is_none() {
            return Err(StepError::conflict(format!("`{}` ran image {}, which is gone from the engine", was.name, was.image_id))
                .hint(format!("pull or build `{}` again, then roll back again", was.image)));
        }
    }
    recipe::blueprints(cx, missing.iter().filter_map(|was| Some((was.id.as_str(), was.blueprint.as_ref()?)))).await
}

/// Refuses to remove what somebody else made since. Without an output nobody can tell.
fn only_ours(extra: &[&Container], missing: &[&Was], output: Option<&Output>) -> Result<(), StepError> {
    let Some(output) = output else { return Ok(()) };
    let ours: BTreeSet<&String> = output.services.values().flat_map(|runs| &runs.containers).collect();
    // One that an earlier try to go back has begun to make.
    let half_made = |container: &Container| container.state == "created" && missing.iter().any(|was| was.name == container.name);
    let others = extra.iter().filter(|container| !ours.contains(&container.id) && !half_made(container));
    let others: Vec<String> = others.map(|container| container.name.clone()).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(StepError::conflict(format!("somebody else has made {} since", text::some_of(&others)))
        .hint("if they may go, remove them with `docker rm -f`, then roll back again"))
}

/// Makes what is missing, those first that others lean on. Answers the present id of each container that was there.
async fn make(
    cx: &Context,
    before: &Before,
    now: &[Container],
    mut missing: Vec<&Was>,
    blueprints: &BTreeMap<String, Blueprint>,
) -> Result<BTreeMap<String, String>, StepError> {
    let there = before.containers.iter().filter_map(|was| Some((was.id.clone(), current(was, now)?.id.clone())));
    let mut ids: BTreeMap<String, String> = there.collect();
    while !missing.is_empty() {
        let open: BTreeSet<&str> = missing.iter().map(|was| was.id.as_str()).collect();
        let shares = |was: &&Was| was.blueprint.as_ref().map(|blueprint| blueprint.shares.clone()).unwrap_or_default();
        let next = missing.iter().position(|was| !shares(was).iter().any(|id| open.contains(id.as_str()))).unwrap_or_default();
        let was = missing.remove(next);
        let Some(mut blueprint) = blueprints.get(&was.id).cloned() else { continue };
        for old in blueprint.shares.clone() {
            if let Some(new) = ids.get(&old) {
                blueprint = blueprint.leaning_on(&old, new);
            }
        }
        cx.log(format!("making `{}` again, from image {}", was.name, compose::short(&was.image_id)));
        blueprint.image = name_for(cx, was).await?;
        cx.proceed()?;
        ids.insert(was.id.clone(), create(cx, &blueprint).await?);
    }
    Ok(ids)
}

async fn create(cx: &Context, blueprint: &Blueprint) -> Result<String, StepError> {
    let created = cx.world.docker.create_container(blueprint).await;
    created.map_err(|error| StepError::from(error).context("bringing back what ran before"))
}

/// What to make a container from so that it runs its old image under its old reference. A reference that stands for another image by
/// now is pointed at the old one meanwhile; [`put_names_back`] follows.
async fn name_for(cx: &Context, was: &Was) -> Result<String, StepError> {
    if engine_tag::image_id(cx, &was.image).await?.as_ref() == Some(&was.image_id) {
        return Ok(was.image.clone());
    }
    match ImageRef::parse(&was.image) {
        Ok(name) if name.digest.is_none() && !was.image_id.contains(&was.image) => {
            cx.proceed()?;
            cx.world.docker.tag(&was.image_id, &name).await?;
            Ok(was.image.clone())
        }
        _ => Ok(was.image_id.clone()),
    }
}

/// References stand for what they stood for when the step began; what brought them there takes that back itself.
async fn put_names_back(cx: &Context, before: &Before) -> Result<(), StepError> {
    for was in before.containers.iter().filter(|was| was.blueprint.is_some() && was.stands_for.as_ref() != Some(&was.image_id)) {
        let Ok(name) = ImageRef::parse(&was.image) else { continue };
        if name.digest.is_none() && engine_tag::image_id(cx, &was.image).await?.as_ref() == Some(&was.image_id) {
            cx.proceed()?;
            engine_tag::restore(cx, &name, was.stands_for.as_deref(), &was.image_id).await?;
        }
    }
    Ok(())
}

/// Starts what ran and stops what did not, what is depended on first.
async fn run_as_before(cx: &Context, params: &Params, before: &Before, ids: &BTreeMap<String, String>) -> Result<(), StepError> {
    let now: Vec<Container> = containers(cx, &before.project).await?.0.into_values().flatten().collect();
    let state = |was: &Was| {
        let id = ids.get(&was.id)?;
        now.iter().find(|container| container.id == *id).map(|container| container.state.as_str())
    };
    for was in before.containers.iter().filter(|was| !was.running && matches!(state(was), Some("running" | "restarting"))) {
        cx.proceed()?;
        cx.world.docker.stop_container(&ids[&was.id]).await?;
    }
    let mut open: Vec<&Was> =
        before.containers.iter().filter(|was| was.running && matches!(state(was), Some("created" | "exited" | "dead"))).collect();
    while !open.is_empty() {
        let waits = |was: &Was| needs(was).any(|(service, _)| open.iter().any(|other| other.service == service && other.id != was.id));
        let (mut ready, mut later): (Vec<&Was>, Vec<&Was>) = open.iter().copied().partition(|was| !waits(was));
        if ready.is_empty() {
            (ready, later) = (later, ready);
        }
        let healthy: BTreeSet<&str> =
            ready.iter().flat_map(|was| needs(was)).filter(|(_, healthy)| *healthy).map(|(name, _)| name).collect();
        let needed: Vec<&Was> = before.containers.iter().filter(|was| was.healthy && healthy.contains(was.service.as_str())).collect();
        await_all(cx, params, &needed, ids).await?;
        for was in ready {
            cx.proceed()?;
            cx.world.docker.start_container(&ids[&was.id]).await?;
        }
        open = later;
    }
    Ok(())
}

/// Restarts what wants to be restarted with what was made again (`restart: true` below `depends_on`), unless that was done already.
async fn restart_dependents(cx: &Context, before: &Before, ids: &BTreeMap<String, String>) -> Result<(), StepError> {
    let now: Vec<Container> = containers(cx, &before.project).await?.0.into_values().flatten().collect();
    let found = |was: &Was| now.iter().find(|container| ids.get(&was.id) == Some(&container.id));
    let made = before.containers.iter().filter(|was| ids.get(&was.id).is_some_and(|id| *id != was.id));
    let made: Vec<(&str, _)> = made.filter_map(|was| Some((was.service.as_str(), instant(&found(was)?.started_at)))).collect();
    let late = |was: &&Was| {
        let with =
            |service: &str| was.depends_on.split(',').any(|part| part.starts_with(&format!("{service}:")) && part.ends_with(":true"));
        let start = found(was).filter(|container| container.state == "running").map(|container| instant(&container.started_at));
        start.is_some_and(|start| made.iter().any(|(service, since)| with(service) && start < *since))
    };
    let late: Vec<&Was> = before.containers.iter().filter(|was| was.running).filter(late).collect();
    for was in &late {
        cx.log(format!("restarting `{}`: what it depends on was made again", was.name));
    }
    start_again(cx, late.iter().filter_map(|was| ids.get(&was.id)).map(String::as_str).collect()).await
}

/// What a container depends on, and whether that has to be healthy: `db:service_healthy:false,…` as compose labels it.
fn needs(was: &Was) -> impl Iterator<Item = (&str, bool)> {
    was.depends_on.split(',').filter(|part| !part.is_empty()).map(|part| {
        let mut words = part.split(':');
        (words.next().unwrap_or_default(), words.next() == Some("service_healthy"))
    })
}

/// Removes networks that the project did not have, if nobody is in them.
async fn remove_networks(cx: &Context, before: &Before) -> Result<(), StepError> {
    let label = BTreeMap::from([(readiness::PROJECT.to_owned(), before.project.clone())]);
    for network in cx.world.docker.networks(&label).await?.into_iter().filter(|network| !before.networks.contains(&network.name)) {
        cx.proceed()?;
        match cx.world.docker.remove_network(&network.id).await {
            Err(error) if error.kind == PortErrorKind::Conflict || error.message.contains("active endpoints") => {
                cx.log(format!("network `{}` stays: containers are in it", network.name));
            }
            removed => removed?,
        }
    }
    Ok(())
}

/// Waits until what ran runs again, and is as healthy as it was.
async fn until_well(cx: &Context, params: &Params, before: &Before, ids: &BTreeMap<String, String>) -> Result<(), StepError> {
    let replaced: Vec<&Was> = before.containers.iter().filter(|was| was.blueprint.is_some()).collect();
    await_all(cx, params, &replaced, ids).await
}

/// Waits until containers that ran run, and until those that were healthy are. One that does not get there is told, and no error:
/// it is what ran before, and the rest of the way back must not wait for it.
async fn await_all(cx: &Context, params: &Params, wanted: &[&Was], ids: &BTreeMap<String, String>) -> Result<(), StepError> {
    if !params.wait {
        return Ok(());
    }
    let start = cx.world.clock.monotonic();
    loop {
        let mut bad = Vec::new();
        for was in wanted.iter().filter(|was| was.running) {
            let Some(found) = cx.unless_cancelled(cx.world.docker.container(&ids[&was.id])).await? else { continue };
            if let Err(reason) = readiness::judge(cx, &found)
                && (was.healthy || found.state != "running")
            {
                bad.push(format!("`{}` {}", was.name, reason.why));
            }
        }
        if bad.is_empty() {
            return Ok(());
        }
        if cx.world.clock.monotonic().saturating_sub(start) >= params.timeout.0 {
            cx.log(format!("what ran before was brought back, and is not well within {}: {}", params.timeout, bad.join("; ")));
            return Ok(());
        }
        cx.progress.update(&bad.join("; "), None, None);
        cx.sleep(INTERVAL).await?;
    }
}
