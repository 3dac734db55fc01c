//! What would happen to each service, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Model, leans_on, mounted, replicas, tidy};
use super::{AnonymousVolumes, Before, Memo, Output, Params, Runs, Was};
use crate::contract::{Context, StepError};
use crate::kit::{compose, engine_tag, readiness, recipe, text};
use crate::world::{ComposeService, Container, Image};

/// The label with which compose records what a container depends on.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// The label with which compose names a network in its project.
const NETWORK: &str = "com.docker.compose.network";

/// What is done about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    Create,
    Recreate,
    /// Start what has stopped.
    Start,
    /// Stop and start it: what it depends on is made anew, and the file wants that.
    Restart,
    /// Make or remove some of several containers.
    Scale,
    /// It is as it should be, and not well yet.
    Wait,
}

impl Action {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Wait => "wait for it",
        }
    }

    pub(super) fn needs_up(self) -> bool {
        !matches!(self, Self::Keep | Self::Wait | Self::Restart)
    }

    /// Whether the step does anything to it.
    pub(super) fn touches(self) -> bool {
        self.needs_up() || self == Self::Restart
    }

    fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Recreate)
    }
}

/// What is done about a service, and why.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) reason: String,
}

impl Decision {
    fn new(action: Action, reason: impl Into<String>) -> Self {
        Self { action, reason: reason.into() }
    }
}

/// All that one look at project, engine and file gives.
pub(super) struct Survey {
    pub(super) model: Model,
    /// Containers by service, leftovers of an interrupted `up` aside.
    pub(super) running: BTreeMap<String, Vec<Container>>,
    /// The image that each service would run now.
    images: BTreeMap<String, Option<Image>>,
    pub(super) decisions: BTreeMap<String, Decision>,
    /// Services that run, are not in the file, and shall go.
    pub(super) gone: Vec<String>,
    /// Those that stay.
    pub(super) strangers: Vec<String>,
    /// Volumes of images that the file does not mount, as `service:/path`.
    pub(super) unmounted: Vec<String>,
    /// Names of what an interrupted `up` left.
    pub(super) leftovers: Vec<String>,
    /// Containers that are to be replaced whatever they are.
    forced: BTreeSet<String>,
    /// Of those the ones that could not be started, with the network that is gone.
    cut_off: BTreeMap<String, String>,
    /// Services that an earlier attempt has made.
    made: BTreeSet<String>,
}

/// Containers of a project by service, and the names of the leftovers among them.
pub(super) async fn containers(cx: &Context, project: &str) -> Result<(BTreeMap<String, Vec<Container>>, Vec<String>), StepError> {
    let mut services = cx.unless_cancelled(readiness::services(cx, project)).await?;
    let mut leftovers = Vec::new();
    for containers in services.values_mut() {
        let left = containers.extract_if(.., |container| compose::meant(container).is_some());
        leftovers.extend(left.map(|container| container.name));
    }
    services.retain(|_, containers| !containers.is_empty());
    Ok((services, leftovers))
}

impl Survey {
    pub(super) async fn take(cx: &Context, params: &Params, model: Model, memo: Option<&Memo>) -> Result<Self, StepError> {
        let (running, leftovers) = containers(cx, &model.project).await?;
        let mut by_reference: BTreeMap<String, Option<Image>> = BTreeMap::new();
        let mut images = BTreeMap::new();
        for service in &model.services {
            let reference = compose::reference(&model.project, service);
            if !by_reference.contains_key(&reference) {
                let image = cx.unless_cancelled(cx.world.docker.image(&reference)).await?;
                by_reference.insert(reference.clone(), image);
            }
            images.insert(service.name.clone(), by_reference.get(&reference).cloned().flatten());
        }
        let (gone, strangers) = model.orphans(cx, params, &running).await?;
        let mut forced: BTreeSet<String> = match memo {
            Some(memo) => memo.forced.iter().cloned().collect(),
            None if params.force_recreate => {
                model.named.iter().filter_map(|name| running.get(name)).flatten().map(|container| container.id.clone()).collect()
            }
            None => BTreeSet::new(),
        };
        let cut_off = cut_off(cx, &running).await?;
        forced.extend(cut_off.keys().cloned());
        let made = memo.map(|memo| memo.services.iter().filter(|(_, (made, _))| *made).map(|(name, _)| name.clone()).collect());
        let made = made.unwrap_or_default();
        let unmounted = unmounted(&model, &images);
        let decisions = BTreeMap::new();
        let mut survey = Self { model, running, images, decisions, gone, strangers, unmounted, leftovers, forced, cut_off, made };
        survey.decide_all(cx, params).await?;
        Ok(survey)
    }

    async fn decide_all(&mut self, cx: &Context, params: &Params) -> Result<(), StepError> {
        let order: Vec<String> = self.model.levels().into_iter().flatten().map(str::to_owned).collect();
        for name in order {
            let Some(service) = self.model.service(&name) else { continue };
            let decision = self.decide(cx, params, service).await?;
            self.decisions.insert(name, decision);
        }
        Ok(())
    }

    async fn decide(&self, cx: &Context, params: &Params, service: &ComposeService) -> Result<Decision, StepError> {
        let there = self.containers_of(&service.name);
        let count = replicas(service);
        let scale = || Decision::new(Action::Scale, format!("{} wanted, {} there", text::count(count, "container"), there.len()));
        if there.is_empty() || count == 0 {
            return Ok(match (there.len(), count) {
                (0, 0) => Decision::new(Action::Keep, "none wanted"),
                (_, 0) => scale(),
                _ => Decision::new(Action::Create, "has no container"),
            });
        }
        if let Some(network) = there.iter().find_map(|container| self.cut_off.get(&container.id)) {
            return Ok(Decision::new(Action::Recreate, format!("its network `{network}` is gone")));
        }
        if there.iter().any(|container| self.forced.contains(&container.id)) {
            return Ok(Decision::new(Action::Recreate, "as asked"));
        }
        if let Some(why) = self.differs(cx, service, there).await? {
            return Ok(Decision::new(Action::Recreate, why));
        }
        if there.len() != count {
            return Ok(scale());
        }
        let job = self.model.jobs().contains(service.name.as_str());
        for container in there {
            let ended_well = container.state == "exited" && container.exit_code == Some(0);
            if job && ended_well {
                continue;
            }
            if let Err(reason) = readiness::judge(cx, container) {
                let stopped = matches!(container.state.as_str(), "created" | "exited" | "dead");
                if stopped || params.wait {
                    return Ok(Decision::new(if stopped { Action::Start } else { Action::Wait }, reason.why));
                }
            }
        }
        Ok(match self.goes_with(service, there) {
            Some(name) => Decision::new(Action::Restart, format!("`{name}`, which it depends on, is made anew")),
            None => Decision::new(Action::Keep, "unchanged"),
        })
    }

    /// The service that is made anew, and with which this one is to be restarted (`restart: true` below `depends_on`). Of one that an
    /// earlier attempt has made the start tells whether that was done.
    fn goes_with<'s>(&self, service: &'s ComposeService, there: &[Container]) -> Option<&'s str> {
        let wanted = |name: &&String| service.config["depends_on"][name.as_str()]["restart"] == true;
        let earlier = |name: &str| {
            let of = self.containers_of(name).iter().map(|container| instant(&container.started_at)).max();
            self.made.contains(name) && there.iter().any(|container| Some(instant(&container.started_at)) < of)
        };
        let anew = |name: &&String| self.decisions.get(*name).is_some_and(|one| one.action.makes()) || earlier(name);
        service.depends_on.iter().filter(wanted).find(anew).map(String::as_str)
    }

    /// Why compose would make the containers of a service anew.
    async fn differs(&self, cx: &Context, service: &ComposeService, there: &[Container]) -> Result<Option<String>, StepError> {
        let image = self.image_id(&service.name);
        let leans_on = leans_on(service);
        if leans_on.is_empty() {
            return Ok(there.iter().find_map(|container| compose::differs(service, image, container)));
        }
        // Compose puts the id of the other container into the hash of this one: only compose itself can tell.
        let dependencies = self.model.dependencies(service);
        if let Some(name) = dependencies.iter().find(|name| self.decisions.get(*name).is_some_and(|one| one.action.makes())) {
            return Ok(Some(format!(
                "it shares what is of {}, and `{name}` is made anew",
                text::some_of(&leans_on.into_iter().collect::<Vec<_>>())
            )));
        }
        if let Some(container) = there.iter().find(|container| image != Some(&container.image_id)) {
            let alike = ComposeService { config_hash: hash(container), ..service.clone() };
            return Ok(compose::differs(&alike, image, container));
        }
        let asking = cx.world.compose.recreates(&self.model.file, std::slice::from_ref(&service.name));
        let anew = cx.unless_cancelled(asking).await?;
        Ok(there.iter().any(|container| anew.contains(&container.name)).then(|| "another configuration".to_owned()))
    }

    pub(super) fn containers_of(&self, service: &str) -> &[Container] {
        self.running.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn image_id(&self, service: &str) -> Option<&str> {
        self.images.get(service)?.as_ref().map(|image| image.id.as_str())
    }

    pub(super) fn action(&self, service: &str) -> Action {
        self.decisions.get(service).map_or(Action::Keep, |decision| decision.action)
    }

    /// The services that must be brought up, those first that others of them depend on.
    pub(super) fn levels(&self) -> Vec<Vec<&str>> {
        let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
        let mut levels: Vec<Vec<&str>> = Vec::new();
        for name in self.model.levels().into_iter().flatten() {
            let Some(service) = self.model.service(name).filter(|_| self.action(name).needs_up()) else { continue };
            let needs = self.model.dependencies(service);
            let level = needs.iter().filter_map(|need| depth.get(need.as_str())).max().map_or(0, |deepest| deepest + 1);
            depth.insert(name, level);
            levels.resize(levels.len().max(level + 1), Vec::new());
            levels[level].push(name);
        }
        levels
    }

    /// Whether all networks that the services need are there, as compose made them, and stay: later versions of compose note what a
    /// network was made from, and make it anew when that changes.
    pub(super) async fn has_networks(&self, cx: &Context) -> Result<bool, StepError> {
        let ours = BTreeMap::from([(readiness::PROJECT.to_owned(), self.model.project.clone())]);
        let there = cx.unless_cancelled(cx.world.docker.networks(&ours)).await?;
        let lasting = there.iter().filter(|network| !network.labels.contains_key(readiness::CONFIG_HASH));
        let keys: BTreeSet<&str> = lasting.filter_map(|network| network.labels.get(NETWORK)).map(String::as_str).collect();
        let wanted = self.model.services.iter().filter_map(|service| service.config["networks"].as_object());
        Ok(wanted.flat_map(serde_json::Map::keys).all(|key| keys.contains(key.as_str())))
    }

    /// Whether a service has containers that are to be replaced whatever they are.
    pub(super) fn is_forced(&self, service: &str, forced: &[String]) -> bool {
        self.containers_of(service).iter().any(|container| forced.contains(&container.id))
    }

    /// Refuses volumes that nobody mounts, where the author wants that.
    pub(super) fn refuse_volumes(&self, params: &Params) -> Result<(), StepError> {
        if params.anonymous_volumes == AnonymousVolumes::Report || self.unmounted.is_empty() {
            return Ok(());
        }
        Err(StepError::refused(format!(
            "`{}` does not mount what images declare as volumes: {}",
            params.file,
            text::some_of(&self.unmounted)
        ))
        .hint("mount a named volume at each: `volumes: [NAME:/path]`"))
    }

    /// Refuses to begin with images that are not there.
    pub(super) fn refuse_images(&self) -> Result<(), StepError> {
        let services = self.model.services.iter().filter(|service| replicas(service) > 0 && self.image_id(&service.name).is_none());
        let (built, pulled): (Vec<_>, Vec<_>) = services.partition(|service| service.image.is_none());
        let names = |services: &[&ComposeService]| {
            let mut names: Vec<String> = services.iter().map(|service| compose::reference(&self.model.project, service)).collect();
            names.dedup();
            text::some_of(&names)
        };
        let refuse = |names: String| StepError::refused(format!("not on the engine: {names}; nothing was changed"));
        match (pulled.is_empty(), built.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(refuse(names(&pulled)).hint("pull them before, with a step `image-pull`")),
            (true, false) => Err(refuse(names(&built)).hint("build them before: `docker compose build`")),
        }
    }

    /// Refuses to replace what the checkpoint does not know how to make again.
    pub(super) fn refuse_unrecorded(&self, before: Option<&Before>) -> Result<(), StepError> {
        let recorded = before.map(|before| before.containers.as_slice()).unwrap_or_default();
        let doomed = self.doomed();
        match recorded.iter().find(|was| was.blueprint.is_none() && doomed.contains(&was.id.as_str())) {
            Some(was) => Err(StepError::conflict(format!(
                "`{}` has to be replaced, and did not have to when this step looked at it; nothing was changed",
                was.name
            ))
            .hint("look at what changed meanwhile, and run again")),
            None => Ok(()),
        }
    }

    /// Ids of containers that will go.
    fn doomed(&self) -> BTreeSet<&str> {
        let replaced = self.decisions.iter().filter(|(_, decision)| matches!(decision.action, Action::Recreate | Action::Scale));
        let services = replaced.map(|(name, _)| name).chain(&self.gone);
        services.flat_map(|name| self.containers_of(name)).map(|container| container.id.as_str()).collect()
    }

    /// A container that is not of these services and has a name that one of theirs needs: what is expected, and what is found.
    pub(super) async fn foreign_names(&self, cx: &Context) -> Result<Option<(String, String)>, StepError> {
        for service in self.model.services.iter().filter(|service| self.action(&service.name).makes()) {
            let own = service.config["container_name"].as_str().map(str::to_owned);
            let name = own.unwrap_or_else(|| format!("{}-{}-1", self.model.project, service.name));
            let Some(found) = cx.unless_cancelled(cx.world.docker.container(&name)).await? else { continue };
            let project = found.labels.get(readiness::PROJECT);
            let of = found.labels.get(readiness::SERVICE);
            let expected = format!("the name `{name}` free for a container of `{}`", service.name);
            if project != Some(&self.model.project) {
                let whose = project.map_or_else(|| "no compose project".to_owned(), |project| format!("compose project `{project}`"));
                return Ok(Some((expected, format!("a container of {whose} that has it"))));
            }
            if let Some(of) = of.filter(|of| **of != service.name && !self.gone.contains(of)) {
                return Ok(Some((expected, format!("a container of service `{of}`, which is to stay; is it to go? name it in `remove`"))));
            }
        }
        Ok(None)
    }

    /// The checkpoint.
    pub(super) async fn before(&self, cx: &Context) -> Result<Before, StepError> {
        let doomed = self.doomed();
        let services: Vec<String> = self.model.services.iter().map(|service| service.name.clone()).chain(self.gone.clone()).collect();
        let mut containers = Vec::new();
        for service in &services {
            for container in self.containers_of(service) {
                let (mut blueprint, mut stands_for) = (None, None);
                if doomed.contains(container.id.as_str()) {
                    blueprint = recipe::of(cx, &self.model.project, service, &container.id).await?;
                    stands_for = cx.unless_cancelled(engine_tag::image_id(cx, &container.image)).await?;
                }
                containers.push(Was {
                    id: container.id.clone(),
                    name: container.name.clone(),
                    service: service.clone(),
                    image: container.image.clone(),
                    image_id: container.image_id.clone(),
                    stands_for,
                    config_hash: hash(container),
                    running: matches!(container.state.as_str(), "running" | "restarting" | "paused"),
                    healthy: container.health.as_ref().is_some_and(|health| health.status == "healthy"),
                    depends_on: container.labels.get(DEPENDS_ON).cloned().unwrap_or_default(),
                    blueprint,
                });
            }
        }
        let label = BTreeMap::from([(readiness::PROJECT.to_owned(), self.model.project.clone())]);
        let networks = cx.unless_cancelled(cx.world.docker.networks(&label)).await?;
        let networks = networks.into_iter().map(|network| network.name).collect();
        Ok(Before { project: self.model.project.clone(), services, containers, networks })
    }

    /// What this attempt is about to do, and earlier ones were.
    pub(super) fn memo(&self, mut memo: Memo) -> Memo {
        for (name, decision) in self.decisions.iter().filter(|(_, decision)| decision.action != Action::Keep) {
            // The first reason is the reason: what an attempt that was cut off left half done is none. But to be made is more.
            let known = memo.services.get(name).map(|(made, _)| *made);
            if known.is_none() || known == Some(false) && decision.action.makes() {
                memo.services.insert(name.clone(), (decision.action.makes(), decision.reason.clone()));
            }
        }
        memo.removed.extend(self.gone.iter().filter(|name| !memo.removed.contains(name)).cloned().collect::<Vec<_>>());
        memo.forced = self.forced.iter().cloned().collect();
        memo
    }

    pub(super) fn output(&self, memo: &Memo) -> Output {
        self.output_of(&self.running, memo)
    }

    pub(super) fn output_of(&self, running: &BTreeMap<String, Vec<Container>>, memo: &Memo) -> Output {
        let mut services = BTreeMap::new();
        for service in &self.model.services {
            let there = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            let (recreated, reason) = memo.services.get(&service.name).cloned().unwrap_or((false, "unchanged".to_owned()));
            let runs = Runs {
                container: there.first().map(|container| container.id.clone()).unwrap_or_default(),
                containers: there.iter().map(|container| container.id.clone()).collect(),
                image_id: self.image_id(&service.name).unwrap_or_default().to_owned(),
                recreated,
                reason,
            };
            services.insert(service.name.clone(), runs);
        }
        Output {
            project: self.model.project.clone(),
            recreated: services.iter().filter(|(_, runs)| runs.recreated).map(|(name, _)| name.clone()).collect(),
            services,
            removed: memo.removed.clone(),
            anonymous_volumes: self.unmounted.clone(),
        }
    }
}

/// Containers that do not run and were given a network that is not there any more, not under its id: compose would try to start them,
/// and fail each time.
async fn cut_off(cx: &Context, running: &BTreeMap<String, Vec<Container>>) -> Result<BTreeMap<String, String>, StepError> {
    let stopped = running.values().flatten().filter(|container| matches!(container.state.as_str(), "created" | "exited" | "dead"));
    let stopped: Vec<&Container> = stopped.filter(|container| !container.network_ids.is_empty()).collect();
    if stopped.is_empty() {
        return Ok(BTreeMap::new());
    }
    let there: BTreeSet<String> =
        cx.unless_cancelled(cx.world.docker.networks(&BTreeMap::new())).await?.into_iter().map(|network| network.id).collect();
    let gone = |container: &&Container| {
        let (name, _) = container.network_ids.iter().find(|(_, id)| !there.contains(*id))?;
        Some((container.id.clone(), name.clone()))
    };
    Ok(stopped.iter().filter_map(gone).collect())
}

/// A time as the engine writes it, so that two of them compare: it leaves out zeros at the end.
pub(super) fn instant(time: &str) -> (String, String) {
    let (seconds, rest) = time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    (seconds.to_owned(), format!("{rest:0<9}"))
}

/// The hash that compose labelled a container with.
fn hash(container: &Container) -> String {
    container.labels.get(readiness::CONFIG_HASH).cloned().unwrap_or_default()
}

/// Volumes that images declare and the file does not mount.
fn unmounted(model: &Model, images: &BTreeMap<String, Option<Image>>) -> Vec<String> {
    let mut found = Vec::new();
    for service in model.services.iter().filter(|service| service.config["volumes_from"].as_array().is_none_or(Vec::is_empty)) {
        let mounted = mounted(service);
        let declared = images.get(&service.name).and_then(Option::as_ref).map(|image| image.volumes.as_slice()).unwrap_or_default();
        let missing = declared.iter().map(|path| tidy(path)).filter(|path| !mounted.contains(path));
        found.extend(missing.map(|path| format!("{}:{path}", service.name)));
    }
    found
}
