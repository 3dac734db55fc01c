//! `compose-up` brings a compose project to what its file says, touching only what must change, and waits until all is well.
//!
//! **Takes** a compose file. With `services` only these and what they depend on are looked after. `project` is, where left out, the
//! project that runs from this very file, and if none does, compose's own default. `remove` names services that are not in the file any
//! more and whose containers shall go; with `previous`, the file as it was before, those that only it has go as well. Containers of
//! other services that no file knows are left alone and told. Volumes are never removed.
//!
//! **Gives** for each service its containers, their image, whether they were made anew, and why.
//!
//! **Probes** by holding each service's configuration hash (`docker compose config --hash`) and the image that its reference stands for on
//! the engine against what runs. A service that shares another one's network, processes or volumes is also made anew with that one.
//! What depends on such a service with `restart: true` is restarted after it. One that has stopped and whose network is gone meanwhile, which
//! compose would try to start in vain, is made anew. A plan says so for each: `agents: recreate (image 1a2b3c4d5e6f → 6f5e4d3c2b1a)`, `store: keep`. Volumes that an image declares and
//! that the file does not mount are told: what is in them is lost from sight with the first `docker compose down`. With
//! `anonymous_volumes = "error"` they stop the step.
//!
//! **Runs** `docker compose up` for what must change, what is depended on first, services with published ports in a call of their own so
//! that they do not wait for the others to stop. Before any container stops it is known that all images are on the engine (nothing is
//! pulled: see `image-pull`), that no other container has a name that is needed, and the images that run are tagged
//! `formula/keep:<project>.<run>.…` so that nothing clears them away. Those tags stay until the next run of `compose-up` on that
//! project has gone well, this one was taken back, or `formula prune` removes it. Leftovers of an interrupted `up` are cleared away,
//! and only one `up` at a time works on a project of an engine, whatever folders this user knows it from. Waiting ends early for a container that ended for good, that its own check calls
//! unhealthy for half a second, or that the engine has started seven times in vain; the error quotes the health check, the exit code and the
//! last lines.
//!
//! **Undoes** by making the containers that were replaced or removed once more from what the engine said about them before: same image,
//! configuration, names, networks, and volumes without a name; neither the old compose file nor the old variables are needed for it. What
//! depends on one of them with `restart: true` is restarted. What this run created goes. What the engine said holds what the containers were told, secrets too. The journal has none of it: it is kept in
//! `containers/` in the state directory, files for the user alone, as long as the images are. Where such a file is gone or was altered
//! nothing is touched on the way back, and it says so.

mod back;
mod decide;
mod keep;
mod model;
mod wait;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::recipe::{self, Recipe};
use crate::kit::{Period, compose};
use crate::world::{Container, Up};

use decide::{Action, Survey};
use model::Model;

/// The kind `compose-up`.
#[derive(Debug, Clone, Copy)]
pub struct ComposeUp;

/// Under which it is remembered what an attempt is about to change.
const MEMO: &str = "compose-up";

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The compose file.
    #[serde(default = "file")]
    pub file: String,
    /// Project name. Left out: the project that runs from this file, else compose's own default.
    #[serde(default)]
    pub project: Option<String>,
    /// The project's folder, which paths in the file are relative to; that of the file where left out.
    #[serde(default)]
    pub directory: Option<String>,
    /// The env file for the compose file's variables, if not `.env` in the project's folder.
    #[serde(default)]
    pub env_file: Option<String>,
    /// Only these services, and what they depend on; all where left out.
    #[serde(default)]
    pub services: Vec<String>,
    /// Profiles that are on.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Wait until all run, and are healthy where they have a check. Otherwise it is enough that they were started.
    #[serde(default = "yes")]
    pub wait: bool,
    /// How long it may take until they are well, all together.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Services that are not in the file any more, whose containers shall be removed.
    #[serde(default)]
    pub remove: Vec<String>,
    /// The compose file as it was before; what it has and `file` has not is removed, too. It need not exist.
    #[serde(default)]
    pub previous: Option<String>,
    /// Make the containers of these services anew although nothing changed.
    #[serde(default)]
    pub force_recreate: bool,
    /// What to do about volumes that an image declares and the file does not mount.
    #[serde(default)]
    pub anonymous_volumes: AnonymousVolumes,
}

/// What to do about volumes that an image declares and the file does not mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousVolumes {
    /// Tell.
    #[default]
    Report,
    /// Refuse to go on.
    Error,
}

fn file() -> String {
    "docker-compose.yml".into()
}
fn yes() -> bool {
    true
}
fn timeout() -> Period {
    Period::seconds(120)
}

/// What ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The project's name.
    pub project: String,
    /// The services that the step looks after, those that it removes among them.
    pub services: Vec<String>,
    /// Their containers.
    pub containers: Vec<Was>,
    /// Names of the project's networks.
    pub networks: Vec<String>,
}

/// A container as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// The reference it was made from.
    pub image: String,
    /// Id of its image.
    pub image_id: String,
    /// What the reference stood for when this was written.
    pub stands_for: Option<String>,
    /// The hash that compose labelled it with.
    pub config_hash: String,
    /// Whether it ran.
    pub running: bool,
    /// Whether its check called it healthy.
    pub healthy: bool,
    /// What it depends on, as compose labelled it.
    pub depends_on: String,
    /// How to make it again, where the step will replace or remove it.
    pub blueprint: Option<Recipe>,
}

/// One service as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// Id of its (first) container; empty where it shall have none.
    pub container: String,
    /// Ids of all its containers.
    pub containers: Vec<String>,
    /// `sha256:…` of the image it runs.
    pub image_id: String,
    /// Whether this run made it, new or anew.
    pub recreated: bool,
    /// Why, or `unchanged`.
    pub reason: String,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The project's name.
    pub project: String,
    /// By service.
    pub services: BTreeMap<String, Runs>,
    /// Services whose containers this run made, new or anew.
    pub recreated: Vec<String>,
    /// Services whose containers this run removed.
    pub removed: Vec<String>,
    /// Volumes that an image declares and the file does not mount, as `service:/path`.
    pub anonymous_volumes: Vec<String>,
}

/// What the attempts so far were about to do: afterwards the world does not tell any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Memo {
    /// By service: whether it is made, and why it is touched.
    services: BTreeMap<String, (bool, String)>,
    removed: Vec<String>,
    /// Containers that are to be replaced whatever they are.
    forced: Vec<String>,
}

impl Step for ComposeUp {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "compose-up",
        version: 1,
        summary: "Brings a compose project to what its file says, changing only what must change",
        example: r#"[[steps]]
id = "up"
uses = "compose-up"
with = { file = "docker-compose.yml", previous = "docker-compose.yml.prev", timeout = "3m" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        for name in params.services.iter().chain(&params.remove).filter(|name| name.is_empty() || name.starts_with('-')) {
            problems.push(format!("`{name}` is not a service's name"));
        }
        for name in params.remove.iter().filter(|name| params.services.contains(name)) {
            problems.push(format!("`{name}` is both in `services` and in `remove`"));
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let memo = cx.remembered::<Memo>(MEMO).await?;
        let survey = Survey::take(cx, params, Model::read(cx, params).await?, memo.as_ref()).await?;
        survey.refuse_volumes(params)?;
        if let Some((expected, found)) = survey.foreign_names(cx).await? {
            return Ok(Probe::Diverged { expected, found });
        }
        let changes = survey.changes();
        if changes.is_empty() {
            return Ok(Probe::Present { output: survey.output(&memo.unwrap_or_default()) });
        }
        Ok(Probe::Absent { before: survey.before(cx).await?, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let start = cx.world.clock.monotonic();
        let project = Model::project(cx, params).await?;
        let _lock = compose::lock(cx, &project, &model::file(cx, params)?).await?;
        let model = Model::read(cx, params).await?;
        if model.project != project {
            let what = format!("the compose project was `{project}` a moment ago and is `{}` now; nothing was changed", model.project);
            return Err(StepError::conflict(what).hint("say which one with `project`"));
        }
        compose::sweep(cx, &model.project).await?;
        let memo = cx.remembered::<Memo>(MEMO).await?;
        let survey = Survey::take(cx, params, model, memo.as_ref()).await?;
        survey.refuse_volumes(params)?;
        survey.refuse_images()?;
        if let Some((expected, found)) = survey.foreign_names(cx).await? {
            return Err(StepError::conflict(format!("expected {expected}, found {found}; nothing was changed")));
        }
        survey.refuse_unrecorded(before)?;
        recipe::write_down(cx, recipes(before)).await?;
        let memo = survey.memo(memo.unwrap_or_default());
        cx.proceed()?;
        cx.remember(MEMO, &memo).await?;
        keep::keep(cx, before).await?;
        remove(cx, &survey).await?;
        let waiting = wait::Waiting { cx, params, survey: &survey, start };
        bring_up(cx, &survey, &waiting, &memo).await?;
        restart(cx, &survey, &waiting).await?;
        let running = waiting.all().await?;
        keep::forget_earlier(cx, &survey.model.project).await?;
        recipe::forget_earlier(cx, &survey.model.project, None).await?;
        Ok(survey.output_of(&running, &memo))
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, output: Option<&Output>) -> Result<(), StepError> {
        let before = before.ok_or_else(|| StepError::refused("what ran before was not recorded"))?;
        let _lock = compose::lock(cx, &before.project, &model::file(cx, params)?).await?;
        back::back(cx, params, before, output).await?;
        cx.forget(MEMO).await
    }
}

/// What the containers that will be replaced or removed are made again from, each with its id.
fn recipes(before: Option<&Before>) -> impl Iterator<Item = (&str, &Recipe)> {
    let containers = before.map(|before| before.containers.as_slice()).unwrap_or_default();
    containers.iter().filter_map(|was| Some((was.id.as_str(), was.blueprint.as_ref()?)))
}

/// Removes what the file does not know any more, before what it does know comes up: that may need its ports and names.
async fn remove(cx: &Context, survey: &Survey) -> Result<(), StepError> {
    let gone: Vec<&Container> = survey.gone.iter().filter_map(|service| survey.running.get(service)).flatten().collect();
    for container in &gone {
        cx.log(format!("removing `{}`, which is not in the file any more", container.name));
    }
    stop_and_remove(cx, gone).await
}

/// Stops containers at the same time, since each takes its own time to end, and removes them.
async fn stop_and_remove(cx: &Context, containers: Vec<&Container>) -> Result<(), StepError> {
    if containers.is_empty() {
        return Ok(());
    }
    cx.proceed()?;
    try_join_all(containers.iter().map(|container| cx.world.docker.stop_container(&container.id))).await?;
    for container in containers {
        cx.proceed()?;
        cx.world.docker.remove_container(&container.id, true).await?;
    }
    Ok(())
}

/// Brings up what must change, what is depended on first.
async fn bring_up(cx: &Context, survey: &Survey, waiting: &wait::Waiting<'_>, memo: &Memo) -> Result<(), StepError> {
    let total = survey.decisions.values().filter(|decision| decision.action.needs_up()).count() as u64;
    let (project, file) = (&survey.model.project, &survey.model.file);
    let mut done = 0;
    for todo in survey.levels() {
        waiting.for_what_they_need(&todo).await?;
        let mut calls = Vec::new();
        for published in [true, false] {
            for force_recreate in [false, true] {
                let belongs =
                    |name: &&&str| survey.model.publishes(name) == published && survey.is_forced(name, &memo.forced) == force_recreate;
                let services: Vec<String> = todo.iter().filter(belongs).map(|&name| name.to_owned()).collect();
                if !services.is_empty() {
                    calls.push(Up { services, force_recreate, no_pull: true });
                }
            }
        }
        cx.progress.update(&format!("bringing up {}", todo.join(", ")), Some(done), Some(total));
        done += todo.len() as u64;
        match calls.as_slice() {
            // Of two calls at the same time both would make the network that neither finds.
            [_, _, ..] if survey.has_networks(cx).await? => compose::up_beside(cx, project, file, &calls, waiting.left()).await?,
            calls => {
                for up in calls {
                    compose::up(cx, project, file, up, Some(waiting.left())).await?;
                }
            }
        }
    }
    Ok(())
}

/// Restarts what is to be restarted with what was made anew, once that is well.
async fn restart(cx: &Context, survey: &Survey, waiting: &wait::Waiting<'_>) -> Result<(), StepError> {
    for level in survey.model.levels() {
        let todo: Vec<&str> = level.into_iter().filter(|name| survey.action(name) == Action::Restart).collect();
        waiting.for_what_they_need(&todo).await?;
        for name in &todo {
            cx.log(format!("restarting `{name}`: {}", survey.decisions[*name].reason));
        }
        start_again(cx, todo.iter().flat_map(|name| survey.containers_of(name)).map(|container| container.id.as_str()).collect()).await?;
    }
    Ok(())
}

/// Stops containers at the same time, and starts them.
async fn start_again(cx: &Context, containers: Vec<&str>) -> Result<(), StepError> {
    if containers.is_empty() {
        return Ok(());
    }
    cx.proceed()?;
    try_join_all(containers.iter().map(|id| cx.world.docker.stop_container(id))).await?;
    for id in containers {
        cx.world.docker.start_container(id).await?;
    }
    Ok(())
}

impl Survey {
    /// What a plan shows; empty where all is as it should be.
    fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> =
            self.leftovers.iter().map(|name| Change::new(format!("clear away `{name}`, left by an interrupted up"))).collect();
        changes.extend(self.gone.iter().map(|service| Change::new(format!("{service}: remove (not in the file any more)"))));
        let touched = !changes.is_empty() || self.decisions.values().any(|decision| decision.action != Action::Keep);
        if !touched {
            return Vec::new();
        }
        // What happens first, what stays as it is after it.
        for kept in [false, true] {
            for service in &self.model.services {
                let decision = &self.decisions[&service.name];
                if (decision.action == Action::Keep) == kept {
                    let why = if kept { String::new() } else { format!(" ({})", decision.reason) };
                    changes.push(Change::new(format!("{}: {}{why}", service.name, decision.action.verb())));
                }
            }
        }
        let unmounted = self.unmounted.iter();
        changes.extend(unmounted.map(|volume| Change::new(format!("{volume} is a volume of the image that the file does not mount"))));
        changes.extend(
            self.strangers.iter().map(|service| Change::new(format!("{service}: left alone (not in the file; name it in `remove`)"))),
        );
        changes
    }
}
