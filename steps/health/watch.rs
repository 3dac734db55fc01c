//! Watching checks until all are green for long enough, or time is up.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Check, Fault, Memory, look};
use crate::contract::{Context, StepError};
use crate::kit::Period;
use crate::kit::text;

/// So many looks in a row must see something that ended before waiting for it is given up.
const GIVE_UP_AFTER: u32 = 3;

/// How to watch.
#[derive(Debug, Clone)]
pub struct Watch {
    /// For so long nothing is given up before the deadline.
    pub start_period: Duration,
    /// Between two looks.
    pub interval: Duration,
    /// For one look.
    pub timeout: Duration,
    /// Looks in a row that must be green.
    pub successes: u32,
    /// For so long all must have been green.
    pub stable_for: Duration,
    /// For everything.
    pub deadline: Duration,
    /// Names of the checks that are judged; all where None.
    pub judged: Option<Vec<String>>,
    /// Look once and judge nothing.
    pub survey: bool,
}

/// What was seen of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// Whether the last look was green.
    pub ok: bool,
    /// Whether it counted.
    pub judged: bool,
    /// What the last look saw.
    pub seen: String,
    /// How often it was looked at.
    pub looks: u32,
}

/// What was seen of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// By name of the check.
    pub checks: BTreeMap<String, Seen>,
    /// Names of the checks whose last look was green.
    pub green: Vec<String>,
    /// How long it took, such as `12s`.
    pub took: String,
}

struct Track<'a> {
    name: String,
    check: &'a Check,
    judged: bool,
    memory: Memory,
    looks: u32,
    streak: u32,
    green_since: Option<Duration>,
    ended: u32,
    seen: String,
}

/// Watches until all judged checks are green as long as asked for.
///
/// # Errors
/// Permanent, with the last reason of each failing check, when the deadline passes or what is watched has ended for good;
/// Cancelled; whatever makes looking again senseless.
pub async fn watch(cx: &Context, checks: &[Check], how: &Watch) -> Result<Verdict, StepError> {
    let mut tracks: Vec<Track<'_>> = checks.iter().map(|check| Track::new(check, how)).collect();
    let start = cx.world.clock.monotonic();
    loop {
        let left = how.deadline.saturating_sub(cx.world.clock.monotonic().saturating_sub(start));
        round(cx, &mut tracks, how.timeout.min(left)).await?;
        let now = cx.world.clock.monotonic();
        let elapsed = now.saturating_sub(start);
        let done = tracks.iter().filter(|track| track.judged).all(|track| track.is_green(how, now));
        if how.survey || done {
            return Ok(verdict(tracks, elapsed));
        }
        let gone = elapsed >= how.start_period && tracks.iter().any(|track| track.judged && track.ended >= GIVE_UP_AFTER);
        if gone || elapsed.saturating_add(how.interval) >= how.deadline {
            return Err(failure(&tracks, how, now, elapsed, gone));
        }
        let red = tracks.iter().filter(|track| track.judged && track.streak == 0).count();
        cx.progress.update(&progress(&tracks, red), Some((tracks.len() - red) as u64), Some(tracks.len() as u64));
        cx.sleep(how.interval).await?;
    }
}

impl<'a> Track<'a> {
    fn new(check: &'a Check, how: &Watch) -> Self {
        let name = check.name();
        let judged = !how.survey && how.judged.as_ref().is_none_or(|judged| judged.contains(&name));
        Self { name, check, judged, memory: Memory::default(), looks: 0, streak: 0, green_since: None, ended: 0, seen: String::new() }
    }

    fn note(&mut self, now: Duration, result: Result<String, Fault>) -> Result<(), StepError> {
        self.looks += 1;
        match result {
            Ok(seen) => {
                self.streak += 1;
                self.green_since.get_or_insert(now);
                self.ended = 0;
                self.seen = seen;
            }
            Err(Fault::NotReady(reason)) => {
                self.streak = 0;
                self.green_since = None;
                self.ended = if reason.ended { self.ended + 1 } else { 0 };
                self.seen = reason.why;
            }
            Err(Fault::Broken(error)) => return Err(error),
        }
        Ok(())
    }

    fn is_green(&self, how: &Watch, now: Duration) -> bool {
        self.streak >= how.successes.max(1) && self.green_since.is_some_and(|since| now.saturating_sub(since) >= how.stable_for)
    }
}

/// Looks at everything once, all at the same time.
async fn round(cx: &Context, tracks: &mut [Track<'_>], timeout: Duration) -> Result<(), StepError> {
    let looks = tracks.iter_mut().map(|track| {
        let check = track.check;
        look(check, cx, &mut track.memory, timeout)
    });
    let results = join_all(looks).await;
    let now = cx.world.clock.monotonic();
    for (track, result) in tracks.iter_mut().zip(results) {
        let before = (track.streak > 0, track.seen.clone());
        track.note(now, result)?;
        if before != (track.streak > 0, track.seen.clone()) {
            cx.log(format!("{} `{}` {}", if track.streak > 0 { "green" } else { "red  " }, track.name, track.seen));
        }
    }
    Ok(())
}

fn verdict(tracks: Vec<Track<'_>>, took: Duration) -> Verdict {
    let green = tracks.iter().filter(|track| track.streak > 0).map(|track| track.name.clone()).collect();
    let checks = tracks
        .into_iter()
        .map(|track| (track.name, Seen { ok: track.streak > 0, judged: track.judged, seen: track.seen, looks: track.looks }))
        .collect();
    Verdict { checks, green, took: Period(took).to_string() }
}

fn progress(tracks: &[Track<'_>], red: usize) -> String {
    match tracks.iter().find(|track| track.judged && track.streak == 0) {
        Some(track) => format!("{}: `{}` {}", text::count(red, "red check"), track.name, track.seen),
        None => "all green, waiting for it to last".into(),
    }
}

fn failure(tracks: &[Track<'_>], how: &Watch, now: Duration, elapsed: Duration, gone: bool) -> StepError {
    let bad: Vec<String> = tracks
        .iter()
        .filter(|track| track.judged && !track.is_green(how, now))
        .map(|track| {
            if track.streak > 0 {
                let since = Period(now.saturating_sub(track.green_since.unwrap_or(now)));
                format!("`{}` is green only since {since} ({})", track.name, text::count(track.streak as usize, "look"))
            } else {
                format!("`{}` {}", track.name, track.seen)
            }
        })
        .collect();
    let when = if gone { format!("gave up after {}", Period(elapsed)) } else { format!("not healthy within {}", Period(how.deadline)) };
    let list = if bad.len() == 1 { format!(": {}", bad[0]) } else { format!(":\n- {}", bad.join("\n- ")) };
    StepError::permanent(format!("{when}{list}"))
}
