//! What a step has to do to bring a box to a version, or why it must not begin.

use super::folder::{Back, Phase};
use super::script::Calls;
use super::status::{Entry, Source, State, Status};
use super::{Direction, Version};
use crate::contract::StepError;

/// One script to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The version.
    pub version: Version,
    /// The phase.
    pub phase: Phase,
    /// The script or formula, below the working directory: that of the phase, or `down.sh`.
    pub script: String,
    /// Its text, where it is a formula.
    pub formula: Option<String>,
    /// Digest of what runs; empty for a `down.sh`.
    pub digest: String,
    /// How it is taken back.
    pub back: Back,
    /// What it is for.
    pub summary: Option<String>,
}

impl Job {
    /// Of a version and phase, before it is known what runs.
    pub fn new(version: &Version, phase: Phase, back: Back) -> Self {
        let (script, digest) = (String::new(), String::new());
        Self { version: version.clone(), phase, script, formula: None, digest, back, summary: None }
    }

    /// What is started for it.
    pub fn starts(&self, direction: Direction) -> Calls<'_> {
        match &self.formula {
            Some(text) => Calls::Formula(&self.script, text, direction),
            None => Calls::Script(&self.script),
        }
    }
}

/// What is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// These scripts, in order; none where everything is applied.
    Jobs(Vec<Job>),
    /// A script that must not be run twice was cut off or failed: a person has to look.
    Held {
        /// What should be.
        expected: String,
        /// What is.
        found: String,
    },
}

impl Status {
    /// The scripts of a phase on the way up to a version.
    ///
    /// # Errors
    /// Refused where folder, ledger and key do not fit, where the level is unknown, and where something above the version cannot stay.
    pub fn forward(&self, to: &Version, phase: Phase) -> Result<Work, StepError> {
        self.refuse_problems()?;
        let pending = self.pending(to, phase);
        self.refuse_unknown(to, phase, !pending.is_empty())?;
        self.refuse_beyond(to)?;
        if let Some(held) = self.held(to, phase) {
            return Ok(held);
        }
        let jobs = pending.into_iter().map(|(migration, script)| Job {
            version: migration.version.clone(),
            phase,
            script: script.path.clone(),
            formula: script.formula.clone(),
            digest: script.digest.clone(),
            back: migration.back,
            summary: migration.summary.clone(),
        });
        Ok(Work::Jobs(jobs.collect()))
    }

    /// The `down.sh` of everything above a version, the last one first. What is neutral stays.
    ///
    /// # Errors
    /// Refused where folder and ledger do not fit, or something on the way is one-way.
    pub fn backward(&self, to: &Version) -> Result<Work, StepError> {
        self.refuse_problems()?;
        let above: Vec<&Entry> = self.entries.iter().rev().filter(|entry| entry.version > *to && entry.state != State::Pending).collect();
        refuse_one_way(&above, to)?;
        let mut jobs = Vec::new();
        for entry in above.into_iter().filter(|entry| entry.back == Back::Down) {
            let migration = self.folder.find(&entry.version);
            let Some((migration, down)) = migration.and_then(|migration| Some((migration, migration.down.clone()?))) else {
                let what = format!("migration {} has to be taken back, and its `down.sh` is not in `{}`", entry.version, self.dir);
                let now = format!("check out a version that has it ({} or later), go back from there", entry.version);
                return Err(StepError::refused(what).hint(now));
            };
            jobs.push(Job {
                version: entry.version.clone(),
                phase: entry.phase,
                script: down.path,
                formula: down.formula,
                digest: String::new(),
                back: entry.back,
                summary: migration.summary.clone(),
            });
        }
        Ok(Work::Jobs(jobs))
    }

    /// What is applied above a version and stays when going back to it.
    pub fn neutral_above(&self, to: &Version) -> Vec<&Entry> {
        let stays = |entry: &&Entry| entry.version > *to && entry.state.is_done() && entry.back == Back::Neutral;
        self.entries.iter().filter(stays).collect()
    }

    /// What the key should hold: the level, once there is a ledger.
    pub fn wanted_key(&self) -> Option<&Version> {
        self.level.as_ref().filter(|level| level.source == Source::Ledger).map(|level| &level.version)
    }

    /// Fails with everything that does not fit.
    fn refuse_problems(&self) -> Result<(), StepError> {
        let [first, rest @ ..] = self.problems.as_slice() else { return Ok(()) };
        let lines: Vec<&str> = self.problems.iter().map(|problem| problem.what.as_str()).collect();
        let mut hint = first.now.clone();
        for problem in rest {
            hint.push('\n');
            hint.push_str(&problem.now);
        }
        Err(StepError::refused(lines.join("\n")).hint(hint))
    }

    fn refuse_unknown(&self, to: &Version, phase: Phase, pending: bool) -> Result<(), StepError> {
        let baseline = format!("formula migrate baseline VERSION{}", self.options);
        if pending && self.base().is_none() {
            let what = format!(
                "nobody knows which migrations this box has had: there is no ledger (`{}`), no key says so, and HEAD is not on a release tag",
                self.ledger
            );
            return Err(StepError::refused(what).hint(format!("find out which release it runs, and say so with `{baseline}`")));
        }
        // A checkout moves HEAD before migrations run; then the tag is that of where the box goes, not of where it stands.
        let moved = self.level.as_ref().is_some_and(|level| level.source == Source::Head && level.version == *to);
        let concerned = self.entries.iter().any(|entry| entry.phase == phase && entry.version <= *to);
        if moved && concerned {
            let what = format!("HEAD stands on {to}, which is where the box is to go; that does not tell which migrations it has had");
            let now = format!("give the step `from`, the revision before the checkout; or say where the box stands with `{baseline}`");
            return Err(StepError::refused(what).hint(now));
        }
        Ok(())
    }

    fn refuse_beyond(&self, to: &Version) -> Result<(), StepError> {
        let beyond: Vec<&Entry> = self.entries.iter().rev().filter(|entry| entry.version > *to && entry.state.is_done()).collect();
        refuse_one_way(&beyond, to)?;
        let Some(entry) = beyond.iter().find(|entry| entry.back == Back::Down && entry.state == State::Applied) else { return Ok(()) };
        let what = format!("migration {} is applied, above {to}, and has to be taken back first", entry.version);
        Err(StepError::refused(what).hint("run a `migrate` step with `phase = \"down\"` before the older tree is checked out"))
    }

    fn held(&self, to: &Version, phase: Phase) -> Option<Work> {
        let entry = self.entries.iter().find(|entry| {
            let broken = matches!(entry.state, State::Unknown | State::Failed | State::Undoing);
            let reentrant = self.folder.find(&entry.version).is_none_or(|migration| migration.reentrant);
            broken && !reentrant && entry.phase == phase && entry.version <= *to
        })?;
        let (version, phase) = (&entry.version, entry.phase.as_str());
        let how = match (entry.state, &entry.exit) {
            (State::Failed, Some(exit)) => format!("failed with {exit}"),
            (State::Undoing, _) => "was being taken back".to_owned(),
            _ => "was cut off".to_owned(),
        };
        let began = entry.began.as_deref().unwrap_or("an unknown time");
        let repair = format!("formula migrate repair {version} --phase {phase}{}", self.options);
        Some(Work::Held {
            expected: format!("migration {version} ({phase}) whole or not begun"),
            found: format!(
                "one that began at {began} and {how}, and that is declared `reentrant = false`; look how far it came, then type `{repair} --applied` or `{repair} --pending`"
            ),
        })
    }
}

fn refuse_one_way(above: &[&Entry], to: &Version) -> Result<(), StepError> {
    let barred: Vec<String> = above
        .iter()
        .filter(|entry| entry.back == Back::OneWay)
        .map(|entry| format!("{} ({})", entry.version, entry.phase.as_str()))
        .collect();
    if barred.is_empty() {
        return Ok(());
    }
    let what = format!("there is no way back to {to}: one-way migrations were applied above it: {}", barred.join(", "));
    Err(StepError::refused(what)
        .hint("go forward instead, or restore a backup from before them and say so with `formula migrate baseline VERSION`"))
}
