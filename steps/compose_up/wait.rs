//! Waiting until services are as they should be, by looking at their containers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Params;
use super::decide::{Survey, containers};
use super::model::{Condition, conditions, leans_on, replicas};
use crate::contract::{Context, StepError};
use crate::kit::{compose, readiness};
use crate::world::{ComposeService, Container};

/// Between two looks: while it is [`FRESH`], and later.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// For so long it is looked often.
const FRESH: Duration = Duration::from_secs(10);
/// A state that may be a passing one counts when it has lasted for so long.
const LASTING: Duration = Duration::from_millis(500);
/// A container that the engine has started again so often in vain is not waited for: by then it has been given some fifteen seconds.
const HOPELESS: u64 = 7;

type Running = BTreeMap<String, Vec<Container>>;

/// One wait, with its deadline.
pub(super) struct Waiting<'a> {
    pub(super) cx: &'a Context,
    pub(super) params: &'a Params,
    pub(super) survey: &'a Survey,
    /// When the step began.
    pub(super) start: Duration,
}

/// What one look saw.
#[derive(Default)]
struct Look {
    bad: Vec<String>,
    ended: bool,
    /// Containers of this run whose own check calls them unhealthy.
    sick: BTreeSet<String>,
    /// Id, start and restarts of every container that has no check of its own: one that dies at once would pass a single look.
    starts: Vec<(String, String, u64)>,
}

impl Waiting<'_> {
    /// What is left of the time.
    pub(super) fn left(&self) -> Duration {
        self.params.timeout.0.saturating_sub(self.cx.world.clock.monotonic().saturating_sub(self.start))
    }

    /// Waits until all services are as they should be.
    pub(super) async fn all(&self) -> Result<Running, StepError> {
        let condition = if self.params.wait { Condition::Healthy } else { Condition::Started };
        let goals: Vec<_> = self.survey.model.services.iter().map(|service| (service, condition)).collect();
        self.until(&goals, self.params.wait).await
    }

    /// Waits for what services want to be there before they are started.
    pub(super) async fn for_what_they_need(&self, services: &[&str]) -> Result<(), StepError> {
        let mut goals = Vec::new();
        for service in services.iter().filter_map(|name| self.survey.model.service(name)) {
            for (name, condition) in conditions(service).filter(|(_, condition)| *condition == Condition::Healthy) {
                goals.extend(self.survey.model.service(name).map(|service| (service, condition)));
            }
        }
        if !goals.is_empty() {
            self.until(&goals, false).await?;
        }
        Ok(())
    }

    /// Waits for services. To last means to be seen twice, the very same containers, a while apart: one that dies at once would pass a
    /// single look. Those that a check of their own calls healthy have lasted.
    async fn until(&self, goals: &[(&ComposeService, Condition)], to_last: bool) -> Result<Running, StepError> {
        let cx = self.cx;
        let (mut well, mut sick, mut told) = (None, BTreeMap::new(), String::new());
        let mut falls = BTreeMap::new();
        let begin = cx.world.clock.monotonic();
        loop {
            let now = cx.world.clock.monotonic();
            let running = containers(cx, &self.survey.model.project).await?.0;
            let look = self.look(goals, &running, &mut falls).await;
            if look.bad.is_empty() {
                let since = match well.take() {
                    Some((since, starts)) if starts == look.starts => since,
                    _ => now,
                };
                if !to_last || look.starts.is_empty() || now.saturating_sub(since) >= LASTING {
                    return Ok(running);
                }
                well = Some((since, look.starts));
                if told.is_empty() {
                    told.push_str("it was started again and again");
                }
            } else {
                well = None;
                told = look.bad.join("; ");
            }
            sick = look.sick.into_iter().map(|id| (sick.get(&id).copied().unwrap_or(now), id)).map(|(since, id)| (id, since)).collect();
            let still_sick = sick.values().any(|since: &Duration| now.saturating_sub(*since) >= LASTING);
            if look.ended || still_sick {
                return Err(StepError::permanent(format!("not up: {told}")));
            }
            if self.left().is_zero() {
                return Err(StepError::permanent(format!("not well within {}: {told}", self.params.timeout)));
            }
            let shown = if look.bad.is_empty() { "up, seeing whether it lasts" } else { &told };
            let done = goals.len().saturating_sub(look.bad.len());
            cx.progress.update(shown, Some(done as u64), Some(goals.len() as u64));
            let fresh = now.saturating_sub(begin) < FRESH;
            cx.sleep(if fresh { INTERVALS.0 } else { INTERVALS.1 }).await?;
        }
    }

    /// One that the engine starts again and again is up at many a look: `falls` remembers how each was seen to end.
    async fn look(&self, goals: &[(&ComposeService, Condition)], running: &Running, falls: &mut BTreeMap<String, String>) -> Look {
        let mut look = Look::default();
        for (service, condition) in goals {
            let there = running.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            let unchecked = there.iter().filter(|container| container.health.is_none());
            look.starts.extend(unchecked.map(|container| (container.id.clone(), container.started_at.clone(), container.restarts)));
            if let Err((reason, container)) = self.judge(service, *condition, there) {
                let mut why = reason.why;
                look.ended |= reason.ended;
                if let Some(container) = container {
                    if self.is_ours(&service.name) && container.health.as_ref().is_some_and(|health| health.status == "unhealthy") {
                        look.sick.insert(container.id.clone());
                    }
                    if container.state != "running" {
                        why.push_str(&readiness::last_words(self.cx, &container.id).await);
                        falls.insert(container.id.clone(), why.clone());
                    } else if let Some(fall) = falls.get(&container.id) {
                        why = format!("{why}; a moment ago it {fall}");
                    }
                }
                look.bad.push(format!("`{}` {why}", service.name));
            }
        }
        look
    }

    fn judge<'c>(
        &self,
        service: &ComposeService,
        condition: Condition,
        there: &'c [Container],
    ) -> Result<(), (readiness::NotReady, Option<&'c Container>)> {
        let not_yet = |why: String| (readiness::NotReady::yet(why), None);
        if there.len() != replicas(service) {
            return Err(not_yet(format!("has {} of {} containers", there.len(), replicas(service))));
        }
        let image = self.survey.image_id(&service.name);
        for container in there {
            // The hash of one that leans on another is known to compose alone.
            let differs = if leans_on(service).is_empty() { compose::differs(service, image, container) } else { None };
            if let Some(why) = differs {
                return Err(not_yet(format!("is not the one that was asked for: {why}")));
            }
            let job = self.survey.model.jobs().contains(service.name.as_str());
            let ended_well = job && container.state == "exited" && container.exit_code == Some(0);
            if condition == Condition::Started || ended_well {
                continue;
            }
            if let Err(mut reason) = readiness::judge(self.cx, container) {
                reason.ended |= self.is_ours(&service.name) && container.restarts >= HOPELESS;
                return Err((reason, Some(container)));
            }
        }
        Ok(())
    }

    /// Whether this run made the service's containers.
    fn is_ours(&self, service: &str) -> bool {
        self.survey.action(service).touches()
    }
}
