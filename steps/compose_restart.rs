//! `compose-restart` brings services of a compose project up to what its file says now, and waits until they are well.
//!
//! **Takes** a compose file and services. Only these services are touched; what they depend on must be as the file says. `variables` override those of the
//! file; `image_id` is the image that their containers must run in the end.
//!
//! **Gives** container and image id of each service.
//!
//! **Probes** whether each service has containers with the wanted configuration and image that run, healthy where they have a check:
//! then nothing is restarted.
//!
//! **Undoes** by making the containers again that ran before, with the images, variables and volumes that they had; services that had no
//! container are removed. What they were told, secrets too, is kept apart from the journal, as `compose-up` keeps it. A reference that the file names is pointed at the earlier image for that moment and put back afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Class, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::kit::readiness::{self, CONFIG_HASH};
use crate::kit::recipe::{self, Recipe};
use crate::kit::{Period, compose, engine_tag, text};
use crate::world::{ComposeFile, ComposeService, Container, ImageRef, Up};

/// Between two looks while waiting.
const INTERVAL: Duration = Duration::from_secs(1);

/// The kind `compose-restart`.
#[derive(Debug, Clone, Copy)]
pub struct ComposeRestart;

/// What an author writes under `with`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The compose file.
    #[serde(default = "file")]
    pub file: String,
    /// Project name; compose's own default where left out.
    #[serde(default)]
    pub project: Option<String>,
    /// The services. At least one.
    pub services: Vec<String>,
    /// The env file for the compose file's variables, if not `.env` beside it.
    #[serde(default)]
    pub env_file: Option<String>,
    /// Profiles that are on.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Variables, as `NAME=value`, that win over those of the env file.
    #[serde(default)]
    pub variables: Vec<String>,
    /// `sha256:…` of the image that the containers must run; what the file's reference stands for on the engine where left out.
    #[serde(default)]
    pub image_id: Option<String>,
    /// How long to wait until they are well.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

fn file() -> String {
    "docker-compose.yml".into()
}
fn timeout() -> Period {
    Period::seconds(120)
}

/// What ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The project's name.
    pub project: String,
    /// By service.
    pub services: BTreeMap<String, Was>,
}

/// What one service was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// The image reference that the file names.
    pub reference: Option<String>,
    /// What that reference stood for on the engine.
    pub stands_for: Option<String>,
    /// Its containers.
    pub containers: Vec<Ran>,
}

/// A container as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its id.
    pub id: String,
    /// Id of its image.
    pub image_id: String,
    /// The hash that compose labelled it with.
    pub config_hash: String,
    /// The reference that its image was named by.
    #[serde(default)]
    pub reference: String,
    /// Whether it ran.
    #[serde(default = "ran")]
    pub running: bool,
    /// What it is made of again; none where it stays as it is, and in what older programs recorded.
    #[serde(default)]
    pub blueprint: Option<Recipe>,
}

fn ran() -> bool {
    true
}

/// One service as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// Id of its (first) container.
    pub container: String,
    /// `sha256:…` of the image it runs.
    pub image_id: String,
}

/// What the step gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The project's name.
    pub project: String,
    /// By service.
    pub services: BTreeMap<String, Runs>,
}

impl Step for ComposeRestart {
    type Params = Params;
    type Before = Before;
    type Output = Output;
    const META: StepMeta = StepMeta {
        kind: "compose-restart",
        version: 1,
        summary: "Restarts compose services with a new image and waits until they are well",
        example: r#"[[steps]]
id = "restart"
uses = "compose-restart"
with = { file = "docker-compose.yml", services = ["agents"], timeout = "2m" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if params.services.is_empty() {
            problems.push("`services` is empty: name what to restart".into());
        }
        for name in params.services.iter().filter(|name| name.is_empty() || name.starts_with('-')) {
            problems.push(format!("`{name}` is not a service's name"));
        }
        for variable in params.variables.iter().filter(|variable| !variable.contains('=')) {
            problems.push(format!("`{variable}` in `variables` is not of the form `NAME=value`"));
        }
        problems
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let project = Project::read(cx, params).await?;
        let running = readiness::services(cx, &project.name).await?;
        let mut before = Before { project: project.name.clone(), services: BTreeMap::new() };
        let (mut there, mut changes) = (BTreeMap::new(), Vec::new());
        for service in &project.services {
            let containers = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            let wanted = project.wanted(cx, params, service).await?;
            let mut was: Vec<Ran> = containers.iter().map(Ran::from).collect();
            match as_wanted(cx, service, wanted.as_deref(), containers) {
                Ok(runs) => {
                    there.insert(service.name.clone(), runs);
                }
                Err(reason) => {
                    changes.push(Change::new(format!("bring up `{}`: {}", service.name, reason.why)));
                    for ran in &mut was {
                        ran.blueprint = recipe::of(cx, &project.name, &service.name, &ran.id).await?;
                    }
                }
            }
            let stands_for = match &service.image {
                Some(reference) => engine_tag::image_id(cx, reference).await?,
                None => None,
            };
            before.services.insert(service.name.clone(), Was { reference: service.image.clone(), stands_for, containers: was });
        }
        Ok(if changes.is_empty() {
            Probe::Present { output: Output { project: project.name, services: there } }
        } else {
            Probe::Absent { before, changes }
        })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let project = Project::read(cx, params).await?;
        let _lock = compose::lock(cx, &project.name, &project.file).await?;
        project.may_go_up(cx).await?;
        recipe::write_down(cx, recipes(before)).await?;
        project.up(cx, Some(params.timeout.0)).await?;
        let services = project.wait(cx, params).await?;
        recipe::forget_earlier(cx, &project.name, Some(&params.services)).await?;
        Ok(Output { project: project.name, services })
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        let before = before.ok_or_else(|| StepError::refused("what ran before was not recorded"))?;
        let project = Project::read(cx, params).await?;
        let _lock = compose::lock(cx, &project.name, &project.file).await?;
        let running = readiness::services(cx, &project.name).await?;
        let mut back = Vec::new();
        for service in &project.services {
            let Some(was) = before.services.get(&service.name) else { continue };
            let now = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            if was.containers.is_empty() {
                for container in now {
                    cx.world.docker.remove_container(&container.id, true).await?;
                }
            } else if was.containers.iter().any(|ran| ran.blueprint.is_some()) {
                again(cx, was, now).await?;
            } else if !same(&was.containers, now) {
                back.push((service, was));
            }
        }
        let result = project.back(cx, &back).await;
        for service in &project.services {
            let was = before.services.get(&service.name);
            if let (Some(reference), Some(id)) = (&service.image, was.and_then(|was| was.stands_for.as_ref()))
                && engine_tag::image_id(cx, reference).await?.as_ref() != Some(id)
            {
                cx.world.docker.tag(id, &ImageRef::parse(reference)?).await?;
            }
        }
        result?;
        recipe::forget(cx, recipes(Some(before)).map(|(_, recipe)| recipe)).await
    }
}

/// What the containers that may be replaced are made again from, each with its id.
fn recipes(before: Option<&Before>) -> impl Iterator<Item = (&str, &Recipe)> {
    let containers = before.into_iter().flat_map(|before| before.services.values()).flat_map(|was| &was.containers);
    containers.filter_map(|ran| Some((ran.id.as_str(), ran.blueprint.as_ref()?)))
}

/// A compose project as its file says now, with the services asked for.
struct Project {
    name: String,
    file: ComposeFile,
    services: Vec<ComposeService>,
    /// What those depend on, and is not named.
    needed: Vec<ComposeService>,
}

impl Project {
    async fn read(cx: &Context, params: &Params) -> Result<Self, StepError> {
        let mut file = compose::file(cx, &params.file, params.project.as_deref(), params.env_file.as_deref(), &params.profiles)?;
        for variable in &params.variables {
            // An empty name is a formula's way to say that there is none.
            if let Some((name, value)) = variable.split_once('=').filter(|(name, _)| !name.is_empty()) {
                file.env.insert(name.to_owned(), value.to_owned());
            }
        }
        let (name, all) = cx.unless_cancelled(cx.world.compose.config(&file)).await?;
        let known: Vec<String> = all.iter().map(|service| service.name.clone()).collect();
        let unknown: Vec<String> = params.services.iter().filter(|name| !known.contains(name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(StepError::permanent(format!("`{}` has no service {}", params.file, text::some_of(&unknown)))
                .hint(format!("it has {}", text::some_of(&known))));
        }
        let mut wanted = params.services.clone();
        let mut at = 0;
        while let Some(name) = wanted.get(at).cloned() {
            let depends_on = all.iter().find(|service| service.name == name).map(|service| service.depends_on.clone());
            for name in depends_on.unwrap_or_default() {
                if !wanted.contains(&name) {
                    wanted.push(name);
                }
            }
            at += 1;
        }
        let all = all.into_iter().filter(|service| wanted.contains(&service.name));
        let (services, needed) = all.partition(|service| params.services.contains(&service.name));
        Ok(Self { name, file, services, needed })
    }

    /// The image that a service must run, if it can be told yet.
    async fn wanted(&self, cx: &Context, params: &Params, service: &ComposeService) -> Result<Option<String>, StepError> {
        match (params.image_id.as_ref().filter(|id| !id.is_empty()), &service.image) {
            (Some(id), _) => Ok(Some(id.clone())),
            (None, Some(reference)) => engine_tag::image_id(cx, reference).await,
            (None, None) => Ok(None),
        }
    }

    /// Brings the services up.
    async fn up(&self, cx: &Context, limit: Option<Duration>) -> Result<(), StepError> {
        let services = self.services.iter().map(|service| service.name.clone()).collect();
        compose::up(cx, &self.name, &self.file, &Up { services, ..Up::default() }, limit).await
    }

    /// Compose looks after what the services depend on, too. That must be as the file says, for it is nobody's business here.
    async fn may_go_up(&self, cx: &Context) -> Result<(), StepError> {
        let running = readiness::services(cx, &self.name).await?;
        for service in &self.needed {
            let containers = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            let image = compose::image_id(cx, &self.name, service).await?;
            let why = match containers {
                [] => Some("it has no container".to_owned()),
                containers => containers.iter().find_map(|container| compose::differs(service, image.as_deref(), container)),
            };
            if let Some(why) = why {
                let message = format!("`{}`, which is depended on, is not what its file says: {why}", service.name);
                return Err(StepError::refused(message).hint("name it in `services` too, or bring all up with `compose-up`"));
            }
        }
        Ok(())
    }

    /// Waits until all services are as wanted, in two looks in a row that see the very same containers: one that dies at once
    /// would pass a single look.
    async fn wait(&self, cx: &Context, params: &Params) -> Result<BTreeMap<String, Runs>, StepError> {
        let start = cx.world.clock.monotonic();
        let mut before = None;
        loop {
            let look = self.look(cx, params).await?;
            if look.bad.is_empty() && before.as_ref() == Some(&look.starts) {
                return Ok(look.good);
            }
            let elapsed = cx.world.clock.monotonic().saturating_sub(start);
            if look.ended || elapsed >= params.timeout.0 {
                let when = if look.ended { "not up".to_owned() } else { format!("not well within {}", params.timeout) };
                let bad = if look.bad.is_empty() { "it was started again and again".to_owned() } else { look.bad.join("; ") };
                return Err(StepError::permanent(format!("{when}: {bad}")));
            }
            let told = if look.bad.is_empty() { "up, seeing whether it lasts".to_owned() } else { look.bad.join("; ") };
            cx.progress.update(&told, Some(look.good.len() as u64), Some(self.services.len() as u64));
            before = look.bad.is_empty().then_some(look.starts);
            cx.sleep(INTERVAL).await?;
        }
    }

    async fn look(&self, cx: &Context, params: &Params) -> Result<Look, StepError> {
        let running = readiness::services(cx, &self.name).await?;
        let mut look = Look::default();
        for service in &self.services {
            let containers = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            look.starts.extend(containers.iter().map(|container| (container.id.clone(), container.started_at.clone(), container.restarts)));
            let wanted = self.wanted(cx, params, service).await?;
            match as_wanted(cx, service, wanted.as_deref(), containers) {
                Ok(runs) => {
                    look.good.insert(service.name.clone(), runs);
                }
                Err(reason) => {
                    look.ended |= reason.ended;
                    let words = match containers.first() {
                        Some(container) if container.state != "running" => readiness::last_words(cx, &container.id).await,
                        _ => String::new(),
                    };
                    look.bad.push(format!("`{}` {}{words}", service.name, reason.why));
                }
            }
        }
        Ok(look)
    }

    /// Brings services up again with the images they ran before.
    async fn back(&self, cx: &Context, services: &[(&ComposeService, &Was)]) -> Result<(), StepError> {
        if services.is_empty() {
            return Ok(());
        }
        for (service, was) in services {
            let (Some(reference), Some(ran)) = (&service.image, was.containers.first()) else { continue };
            if cx.world.docker.image(&ran.image_id).await?.is_none() {
                return Err(StepError::new(
                    Class::Conflict,
                    format!("`{}` ran image {}, which is gone from the engine", service.name, ran.image_id),
                )
                .hint("pull or build it again, then roll back again"));
            }
            cx.world.docker.tag(&ran.image_id, &ImageRef::parse(reference)?).await?;
        }
        let only: Vec<ComposeService> = services.iter().map(|(service, _)| (*service).clone()).collect();
        Self { name: self.name.clone(), file: self.file.clone(), services: only, needed: Vec::new() }.up(cx, None).await
    }
}

/// What one look at all services saw.
#[derive(Default)]
struct Look {
    good: BTreeMap<String, Runs>,
    bad: Vec<String>,
    ended: bool,
    /// Id, start and restarts of every container.
    starts: Vec<(String, String, u64)>,
}

/// The service as it runs, if it is as wanted.
fn as_wanted(cx: &Context, service: &ComposeService, wanted: Option<&str>, containers: &[Container]) -> Result<Runs, readiness::NotReady> {
    let not_yet = readiness::NotReady::yet;
    let first = containers.first().ok_or_else(|| not_yet("has no container"))?;
    for container in containers {
        if wanted.is_some_and(|wanted| wanted != container.image_id) {
            return Err(not_yet(&format!("runs image {} instead of {}", container.image_id, wanted.unwrap_or_default())));
        }
        if wanted.is_none() && service.image.is_some() {
            return Err(not_yet("has an image that is not on the engine yet"));
        }
        if container.labels.get(CONFIG_HASH) != Some(&service.config_hash) {
            return Err(not_yet("has another configuration"));
        }
        readiness::judge(cx, container)?;
    }
    Ok(Runs { container: first.id.clone(), image_id: first.image_id.clone() })
}

/// Makes the containers of a service again that were there, in place of those that are.
async fn again(cx: &Context, was: &Was, now: &[Container]) -> Result<(), StepError> {
    let docker = &cx.world.docker;
    let is = |ran: &Ran, container: &&Container| {
        let alike = ran.blueprint.as_ref().is_some_and(|blueprint| blueprint.name == container.name) && ran.is_like(container);
        container.id == ran.id || alike
    };
    let missing = || was.containers.iter().filter(|ran| !now.iter().any(|container| is(ran, &container)));
    for ran in missing() {
        if docker.image(&ran.image_id).await?.is_none() {
            let message = format!("`{}` ran image {}, which is gone from the engine", ran.reference, ran.image_id);
            return Err(StepError::conflict(message).hint("pull or build it again, then roll back again"));
        }
    }
    let blueprints = recipe::blueprints(cx, missing().filter_map(|ran| Some((ran.id.as_str(), ran.blueprint.as_ref()?)))).await?;
    for container in now.iter().filter(|container| !was.containers.iter().any(|ran| is(ran, container))) {
        cx.proceed()?;
        docker.stop_container(&container.id).await?;
        docker.remove_container(&container.id, true).await?;
    }
    for ran in missing() {
        let Some(mut blueprint) = blueprints.get(&ran.id).cloned() else { continue };
        cx.proceed()?;
        if engine_tag::image_id(cx, &ran.reference).await?.as_ref() != Some(&ran.image_id) {
            if was.reference.as_ref() == Some(&ran.reference) {
                // The undo puts the name back where it was at the end.
                docker.tag(&ran.image_id, &ImageRef::parse(&ran.reference)?).await?;
            } else {
                blueprint.image.clone_from(&ran.image_id);
            }
        }
        let id = docker.create_container(&blueprint).await?;
        if ran.running {
            docker.start_container(&id).await?;
        }
    }
    let stopped = |ran: &&Ran| ran.running;
    for ran in was.containers.iter().filter(stopped) {
        let made = now.iter().find(|container| is(ran, container) && container.state != "running");
        if let Some(container) = made {
            cx.proceed()?;
            docker.start_container(&container.id).await?;
        }
    }
    Ok(())
}

/// Whether the same images run with the same configuration as before.
fn same(before: &[Ran], now: &[Container]) -> bool {
    let key = |image: &str, hash: &str| format!("{image} {hash}");
    let mut before: Vec<String> = before.iter().map(|ran| key(&ran.image_id, &ran.config_hash)).collect();
    let mut now: Vec<String> = now.iter().map(Ran::from).map(|ran| key(&ran.image_id, &ran.config_hash)).collect();
    before.sort_unstable();
    now.sort_unstable();
    before == now
}

impl From<&Container> for Ran {
    fn from(container: &Container) -> Self {
        Self {
            id: container.id.clone(),
            image_id: container.image_id.clone(),
            config_hash: container.labels.get(CONFIG_HASH).cloned().unwrap_or_default(),
            reference: container.image.clone(),
            running: container.state == "running",
            blueprint: None,
        }
    }
}

impl Ran {
    /// Whether a container runs the same image with the same configuration.
    fn is_like(&self, container: &Container) -> bool {
        let hash = container.labels.get(CONFIG_HASH).map(String::as_str).unwrap_or_default();
        container.image_id == self.image_id && hash == self.config_hash
    }
}
