//! What a plan shows of migrations: each with its way back, a formula with its steps.

use super::folder::Back;
use super::status::{Source, Status};
use super::{Job, Place, Version};
use crate::contract::{Change, Context, StepError};

/// What running these jobs would change. `down` is the version that they go back to, where they go back.
///
/// # Errors
/// Refused where what is to run is a formula that cannot be run.
pub fn changes(cx: &Context, place: &Place, status: &Status, jobs: &[Job], down: Option<&Version>) -> Result<Vec<Change>, StepError> {
    let mut changes = Vec::new();
    for job in jobs {
        let back = if down.is_some() { String::new() } else { way_back(status, job) };
        let summary = job.summary.as_ref().map(|summary| format!(": {summary}")).unwrap_or_default();
        let verb = if down.is_some() { "take back" } else { "run" };
        let (version, phase, script) = (&job.version, job.phase.as_str(), &job.script);
        let change = Change::new(format!("{verb} migration {version} ({phase}, `{script}`){summary}{back}"));
        changes.push(if job.back == Back::OneWay && down.is_none() { change.one_way() } else { change });
        changes.extend(steps_of(cx, job)?);
    }
    if let Some(to) = down {
        let stays = status.neutral_above(to);
        changes
            .extend(stays.iter().map(|entry| Change::new(format!("leave migration {} ({}) applied", entry.version, entry.phase.as_str()))));
    }
    if let Some(level) = status.level.as_ref().filter(|_| status.book.is_empty() && !jobs.is_empty()) {
        changes.push(Change::new(format!("record {} as the baseline, {}", level.version, level.source.told())));
    }
    if let (true, Some((file, key)), Some(wanted)) = (status.key_lags(), &place.key, status.wanted_key()) {
        changes.push(Change::new(format!("set `{key}` in `{file}` to `{wanted}`")));
    }
    Ok(changes)
}

/// The steps of a formula; none of a script.
fn steps_of(cx: &Context, job: &Job) -> Result<Vec<Change>, StepError> {
    let Some(text) = &job.formula else { return Ok(Vec::new()) };
    let (version, phase, path) = (&job.version, job.phase.as_str(), &job.script);
    let outline = cx.formulas.outline(path, text).map_err(|problems| {
        let what = format!("`{path}` is migration {version} ({phase}), and a formula that cannot be run:\n{problems}");
        StepError::refused(what).hint(format!("`formula check {path}` shows all that is wrong"))
    })?;
    let steps = outline.steps.into_iter().map(|step| {
        let title = step.title.map(|title| format!(": {title}")).unwrap_or_default();
        let no_way = if step.one_way { "; ONE-WAY: there is no way back past it" } else { "" };
        let change = Change::new(format!("  its step `{}` ({}){title}{no_way}", step.id, step.kind));
        if step.one_way { change.one_way() } else { change }
    });
    Ok(steps.collect())
}

/// What becomes of a migration when a run goes back.
fn way_back(status: &Status, job: &Job) -> String {
    let down = status.folder.find(&job.version).and_then(|migration| migration.down.as_ref());
    let down = down.map_or("down.sh", |down| down.path.rsplit('/').next().unwrap_or_default());
    match (job.back, job.formula.is_some()) {
        (Back::OneWay, _) => "; ONE-WAY: there is no way back past it".to_owned(),
        (Back::Down, false) => format!("; going back runs its `{down}`"),
        (Back::Neutral, false) => "; going back leaves it applied".to_owned(),
        (Back::Down, true) => format!("; going back takes its steps back, in a later run its `{down}`"),
        (Back::Neutral, true) => "; going back takes its steps back, a later run leaves it applied".to_owned(),
    }
}

impl Source {
    /// How the level is known, in words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Ledger => "by its ledger",
            Self::Key => "by the key in the env file",
            Self::Head => "by the release tag of HEAD",
            Self::From => "by `from`",
            Self::Person => "by a person",
        }
    }
}

impl Status {
    /// Whether the ledger is ahead of the key, or behind it.
    pub fn key_lags(&self) -> bool {
        let holds = |wanted: &Version| self.key.as_deref().and_then(Version::parse).as_ref() == Some(wanted);
        self.has_key && self.wanted_key().is_some_and(|wanted| !holds(wanted))
    }
}
