//! Carries out one probe, attempt or undo of one step, with its time limit, and survives its panic.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use formula_steps::contract::{Class, Context, Probe, StepError, StepType};
use formula_steps::world::{Cancel, CancelLevel};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::shared::Shared;
use crate::model::{ProbeReason, StepIx};
use crate::plan::Rendered;

/// What is to be done to a step.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Look.
    Probe(ProbeReason),
    /// Act.
    Attempt { attempt: u32, before: Option<Value> },
    /// Take back.
    Undo { before: Option<Value>, output: Option<Value> },
}

/// Names work that is commissioned, so that it is commissioned once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Probe(StepIx),
    Attempt(StepIx, u32),
    Undo(StepIx),
    Ask(StepIx),
}

/// Work whose intent is on its way to the disk, or there.
pub(super) struct Launch {
    pub(super) key: Key,
    pub(super) step: StepIx,
    pub(super) work: Work,
    pub(super) rendered: Arc<Rendered>,
}

/// How work ended.
pub(super) struct Report {
    pub(super) key: Key,
    pub(super) step: StepIx,
    pub(super) ended: Ended,
}

/// The result, by the kind of work.
pub(super) enum Ended {
    Probed(ProbeReason, Result<Probe<Value, Value>, StepError>),
    Attempted(u32, Result<Value, StepError>),
    Undone(Result<(), StepError>),
    /// The probe of a gate answered yes or not yet, or could not be asked.
    Asked(Result<bool, StepError>),
}

/// SIGTERM; the number is part of the ABI.
const TERM: i32 = 15;
/// How long a step may take to stop once it was told to, beyond the grace its children have.
const STOP: Duration = Duration::from_secs(12);

/// Does the work.
pub(super) async fn carry_out(shared: Arc<Shared>, kind: &'static dyn StepType, launch: Launch, cancel: Cancel) -> Report {
    let Launch { key, step, work, rendered } = launch;
    let limit = shared.plan.step(step).timeout_ms.map(Duration::from_millis);
    let ended = match work {
        Work::Probe(reason) => {
            let cx = shared.context(step, 0, &rendered, None, cancel.clone());
            Ended::Probed(reason, guarded(kind.probe(&cx, &rendered.with), None, &cx).await)
        }
        Work::Attempt { attempt, before } => {
            let log = shared.log(step, attempt);
            let cx = shared.context(step, attempt, &rendered, Some(log.clone()), cancel.clone());
            let stage = shared.stage.as_deref();
            let mut result = match stage.and_then(|stage| stage.begins(&cx.step)) {
                Some(error) => Err(error),
                None => guarded(kind.run(&cx, &rendered.with, before.as_ref()), limit, &cx).await,
            };
            if let Some(error) = stage.and_then(|stage| stage.ended(&cx.step, &result)) {
                result = Err(error);
            }
            log.finish();
            Ended::Attempted(attempt, result.and_then(|output| checked(&shared, output)))
        }
        Work::Undo { before, output } => {
            let log = shared.log(step, 0);
            let cx = shared.context(step, 0, &rendered, Some(log.clone()), cancel.clone());
            let result = guarded(kind.undo(&cx, &rendered.with, before.as_ref(), output.as_ref()), limit, &cx).await;
            log.finish();
            Ended::Undone(result)
        }
    };
    Report { key, step, ended }
}

/// An output goes into the journal and to other steps: a secret must not.
fn checked(shared: &Shared, output: Value) -> Result<Value, StepError> {
    if !shared.redactor.is_empty() && shared.redactor.found_in(&output.to_string()) {
        return Err(StepError::permanent("an output of the step holds the value of a secret, and is not kept")
            .hint("leave the value out of `outputs`; hand the secret to the step that needs it with `secrets`"));
    }
    Ok(output)
}

/// Runs to the end, to the limit, or to a panic.
async fn guarded<T>(work: impl Future<Output = Result<T, StepError>>, limit: Option<Duration>, cx: &Context) -> Result<T, StepError> {
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut work = std::pin::pin!(work);
    let ended = match limit {
        None => work.await,
        Some(limit) => {
            if let Some(ended) = within(cx, limit, &mut work).await {
                ended
            } else {
                cx.cancel.raise(CancelLevel::Graceful(TERM));
                let timed_out = StepError::new(Class::Timeout, format!("took longer than its limit of {}", seconds(limit)))
                    .hint("raise `timeout` of the step, or find out what it waits for with `formula log`");
                // Whatever it says now, it did not do so in time; only a success is believed.
                return match within(cx, STOP, work).await {
                    Some(Ok(Ok(output))) => Ok(output),
                    _ => Err(timed_out),
                };
            }
        }
    };
    ended.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        Err(StepError::new(Class::Internal, format!("the step panicked: {}", words.unwrap_or_else(|| "without words".into()))))
    })
}

/// The result of `work`, if it ends in time.
async fn within<T>(cx: &Context, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        ended = work => Some(ended),
        () = cx.world.clock.sleep(limit) => None,
    }
}

fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 { format!("{} s", limit.as_secs()) } else { format!("{} ms", limit.as_millis()) }
}

/// The failure of a step whose kind this program does not have (a journal of another build).
pub(super) fn without_kind(shared: &Shared, launch: &Launch) -> Report {
    let Launch { key, step, work, .. } = launch;
    let error = StepError::permanent(format!("this program has no kind `{}`", shared.plan.step(*step).kind))
        .hint("use the program that started the run, or one that has this kind");
    let ended = match work {
        Work::Probe(reason) => Ended::Probed(*reason, Err(error)),
        Work::Attempt { attempt, .. } => Ended::Attempted(*attempt, Err(error)),
        Work::Undo { .. } => Ended::Undone(Err(error)),
    };
    Report { key: *key, step: *step, ended }
}
