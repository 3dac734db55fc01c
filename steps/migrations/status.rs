//! How a box stands: folder, ledger, key and release tag held against each other. Read-only.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folder::{Back, Folder, Migration, Phase, Script};
use super::key::EnvKey;
use super::ledger::{self, Book, Mark, Standing};
use super::{Place, Version};
use crate::contract::StepError;
use crate::dotenv::Reading;
use crate::world::World;

/// Where the knowledge of the level comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The ledger.
    Ledger,
    /// The key in the env file.
    Key,
    /// The release tag that HEAD stands on exactly.
    Head,
    /// The version, or the revision on a release tag, that the step was given as `from`.
    From,
    /// A person, with `formula migrate baseline`.
    Person,
}

/// The last version up to which everything is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The version.
    pub version: Version,
    /// How it is known.
    pub source: Source,
}

/// Two things that do not fit, and what settles it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What does not fit, with both values.
    pub what: String,
    /// What to do or to type.
    pub now: String,
}

impl Problem {
    /// A problem and its way out.
    pub fn new(what: impl Into<String>, now: impl Into<String>) -> Self {
        Self { what: what.into(), now: now.into() }
    }
}

/// How one script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Applied, by a row of its own.
    Applied,
    /// At or below the baseline: counts as applied.
    Baseline,
    /// Not applied.
    Pending,
    /// It began, and its end is not known.
    Unknown,
    /// It failed.
    Failed,
    /// Its `down.sh` did not end well.
    Undoing,
}

impl State {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Baseline => "baseline",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Undoing => "undoing",
        }
    }

    /// Whether it is done with.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Applied | Self::Baseline)
    }
}

/// A row of the table that `formula migrate status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version.
    pub version: Version,
    /// The phase.
    pub phase: Phase,
    /// How it stands.
    pub state: State,
    /// How it is taken back.
    pub back: Back,
    /// It is, or was when it ran, a formula.
    #[serde(default)]
    pub formula: bool,
    /// What takes it back in a later run, below the working directory.
    #[serde(default)]
    pub down: Option<String>,
    /// The script, below the working directory; none where the folder does not have it.
    pub script: Option<String>,
    /// What it is for.
    pub summary: Option<String>,
    /// Digest of the script now.
    pub digest: Option<String>,
    /// Digest of what was applied.
    pub applied_digest: Option<String>,
    /// Start and end of what happened last.
    pub began: Option<String>,
    /// See `began`.
    pub ended: Option<String>,
    /// How it ended.
    pub exit: Option<String>,
    /// Who did it.
    pub who: Option<String>,
}

/// Everything that is known.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The folder.
    pub dir: String,
    /// The ledger's path.
    pub ledger: String,
    /// The last version up to which everything is applied; none where nothing tells it.
    pub level: Option<Level>,
    /// What the key in the env file holds, where one is looked at.
    pub key: Option<String>,
    /// Whether a key is looked at.
    #[serde(skip)]
    pub has_key: bool,
    /// Every script of the folder and of the ledger, by version and phase.
    pub entries: Vec<Entry>,
    /// What does not fit. While there is any, nothing runs.
    pub problems: Vec<Problem>,
    /// The folder, read.
    #[serde(skip)]
    pub folder: Folder,
    /// The ledger, read.
    #[serde(skip)]
    pub book: Book,
    /// The commit that the folder was read from, where that is not the working tree.
    #[serde(skip)]
    pub commit: Option<String>,
    /// Options for commands, in messages.
    #[serde(skip)]
    pub(super) options: String,
}

/// Looks at everything.
///
/// # Errors
/// When something cannot be read. What can be read and does not fit is in [`Status::problems`].
pub async fn status(world: &World, place: &Place) -> Result<Status, StepError> {
    let commit = ref_commit(world, place).await?;
    let folder = Folder::read(world, place, commit.as_deref()).await?;
    let book = ledger::read(world, place).await?;
    let key = match &place.key {
        None => None,
        Some((file, key)) => Some(EnvKey::new(file, key).read(world, &place.workdir).await?),
    };
    let (root, path) = place.ledger()?;
    let mut status = Status {
        dir: place.dir.clone(),
        ledger: root.join(path).display().to_string(),
        level: None,
        key: match &key {
            Some(Reading::Value(value)) => Some(value.clone()),
            _ => None,
        },
        has_key: key.is_some(),
        entries: Vec::new(),
        problems: folder.problems.clone(),
        folder,
        book,
        commit,
        options: place.options(),
    };
    status.settle_level(world, place, key.as_ref()).await?;
    status.fill();
    status.find_gaps();
    Ok(status)
}

/// The commit whose tree is to be read: that of `ref`, unless HEAD is there and the working tree has it.
async fn ref_commit(world: &World, place: &Place) -> Result<Option<String>, StepError> {
    let Some(revision) = &place.r#ref else { return Ok(None) };
    let commit = world.git.resolve(&place.workdir, revision).await?;
    let commit = commit.ok_or_else(|| {
        StepError::refused(format!("there is no revision `{revision}` here")).hint("fetch it first, for example with a `git-fetch` step")
    })?;
    let head = world.git.head(&place.workdir).await?;
    Ok((head.commit != commit).then_some(commit))
}

/// The highest release tag that stands for a revision.
async fn tag_at(world: &World, workdir: &Path, revision: &str) -> Result<Option<Version>, StepError> {
    // Without a repository there is no tag.
    let Ok(Some(commit)) = world.git.resolve(workdir, revision).await else { return Ok(None) };
    let tags = world.git.tags(workdir).await?;
    Ok(tags.iter().filter(|(_, at)| **at == commit).filter_map(|(tag, _)| Version::named(tag)).max())
}

impl Status {
    /// The version at or below which everything counts as applied without a row of its own.
    pub fn base(&self) -> Option<&Version> {
        match &self.book.baseline {
            Some(baseline) => Some(&baseline.version),
            None => self.level.as_ref().map(|level| &level.version),
        }
    }

    /// The same with a ledger that has grown since.
    #[must_use]
    pub fn with_book(&self, book: Book) -> Self {
        let mut status = Self { book, ..self.clone() };
        let level = status.complete(status.book.baseline.as_ref().map(|baseline| baseline.version.clone()));
        status.level = level.map(|version| Level { version, source: Source::Ledger });
        status.problems.clone_from(&status.folder.problems);
        status.fill();
        status.find_gaps();
        status
    }

    async fn settle_level(&mut self, world: &World, place: &Place, key: Option<&Reading>) -> Result<(), StepError> {
        let held = self.held_by_key(place, key);
        if !self.book.is_empty() {
            let level = self.complete(self.book.baseline.as_ref().map(|baseline| baseline.version.clone()));
            // Below is fine: a rollback puts the env file back and leaves what is neutral applied.
            if let (Some(held), Some(level)) = (held, &level)
                && held > *level
                && !self.book.marks.keys().any(|(version, _)| *version == held)
            {
                let (name, options) = (told(place), &self.options);
                let what = format!("{name} is {held}, and the ledger knows everything up to {level} only");
                let now = format!(
                    "if the box is at {held}, type `formula migrate baseline {held}{options}`; if not, give the key the value {level}"
                );
                self.problems.push(Problem::new(what, now));
            }
            self.level = level.map(|version| Level { version, source: Source::Ledger });
            return Ok(());
        }
        self.level = match (held, place.from.as_deref()) {
            (Some(version), _) => Some(Level { version, source: Source::Key }),
            (None, Some(from)) => match Version::named(from) {
                Some(version) => Some(Level { version, source: Source::From }),
                None => tag_at(world, &place.workdir, from).await?.map(|version| Level { version, source: Source::From }),
            },
            (None, None) => tag_at(world, &place.workdir, "HEAD").await?.map(|version| Level { version, source: Source::Head }),
        };
        Ok(())
    }

    /// The version that the key holds; one that says something else is a problem.
    fn held_by_key(&mut self, place: &Place, key: Option<&Reading>) -> Option<Version> {
        let name = told(place);
        let (what, now) = match key? {
            Reading::Missing => return None,
            Reading::Value(value) if value.is_empty() => return None,
            Reading::Value(value) => {
                if let Some(version) = Version::parse(value) {
                    return Some(version);
                }
                let options = &self.options;
                let now = format!(
                    "give it the version of the last migration, or take it out and say where the box stands with `formula migrate baseline VERSION{options}`"
                );
                (format!("{name} is `{value}`, which is no version"), now)
            }
            Reading::Unclear => (format!("{name} is something that readers take differently"), "write it as a plain `KEY=value`".into()),
        };
        self.problems.push(Problem::new(what, now));
        None
    }

    /// The highest version up to which everything above `base` is applied.
    pub(super) fn complete(&self, base: Option<Version>) -> Option<Version> {
        let mut versions: Vec<&Version> = self.folder.migrations.iter().map(|migration| &migration.version).collect();
        versions.extend(self.book.marks.keys().map(|(version, _)| version));
        versions.sort();
        // Taken back, or to be run by a person's word, although the baseline covers it.
        let reopened = self
            .book
            .marks
            .iter()
            .find(|((version, _), mark)| base.as_ref().is_some_and(|base| version <= base) && mark.standing != Standing::Applied);
        if let Some(((open, _), mark)) = reopened {
            let back_to = mark.down_to.as_ref().filter(|to| *to < open);
            return versions.into_iter().rfind(|version| *version < open).max(back_to).cloned();
        }
        let mut level = base.clone();
        for version in versions.into_iter().filter(|version| base.as_ref().is_none_or(|base| *version > base)) {
            let known = self.folder.find(version);
            let open = Phase::ALL.into_iter().any(|phase| {
                let there = known.is_some_and(|migration| migration.script(phase).is_some());
                let marked = self.book.mark(version, phase).is_some();
                (there || marked && known.is_none()) && !self.book.is_applied(version, phase)
            });
            if open {
                break;
            }
            level = Some(version.clone());
        }
        level
    }

    fn fill(&mut self) {
        let mut keys: Vec<(Version, Phase)> = self.book.marks.keys().cloned().collect();
        for migration in &self.folder.migrations {
            keys.extend(migration.scripts.iter().map(|script| (migration.version.clone(), script.phase)));
        }
        keys.sort();
        keys.dedup();
        self.entries = keys.into_iter().map(|(version, phase)| self.entry(version, phase)).collect();
        for entry in self.entries.iter().filter(|entry| entry.state == State::Applied) {
            if let (Some(now), Some(then)) = (&entry.digest, &entry.applied_digest)
                && now != then
            {
                let (version, phase) = (&entry.version, entry.phase.as_str());
                let what = format!(
                    "`{}` was changed after it was applied: it was {}, now it is {}",
                    entry.script.as_deref().unwrap_or_default(),
                    short(then),
                    short(now)
                );
                let options = &self.options;
                self.problems.push(Problem::new(
                    what,
                    format!(
                        "put the old content back; or accept the new one with `formula migrate repair {version} --phase {phase} --applied{options}`, or have it run again with `--pending`"
                    ),
                ));
            }
        }
    }

    fn entry(&self, version: Version, phase: Phase) -> Entry {
        let migration = self.folder.find(&version);
        let script = migration.and_then(|migration| migration.script(phase));
        let mark = self.book.mark(&version, phase);
        let below = self.base().is_some_and(|base| version <= *base);
        let state = match mark.map(|mark| mark.standing) {
            Some(Standing::Applied) => State::Applied,
            Some(Standing::Unknown) => State::Unknown,
            Some(Standing::Failed) => State::Failed,
            Some(Standing::Undoing) => State::Undoing,
            None if below => State::Baseline,
            Some(Standing::Pending) | None => State::Pending,
        };
        Entry {
            phase,
            state,
            back: match (migration, mark) {
                (_, Some(Mark { crossed: true, standing: Standing::Applied, .. })) => Back::OneWay,
                (Some(migration), _) => migration.back,
                (None, mark) => mark.map_or(Back::Neutral, |mark| mark.back),
            },
            formula: script.map_or_else(|| mark.is_some_and(|mark| mark.formula), |script| script.formula.is_some()),
            down: migration.and_then(|migration| migration.down.as_ref()).map(|down| down.path.clone()),
            script: script.map(|script| script.path.clone()),
            summary: migration.and_then(|migration| migration.summary.clone()),
            digest: script.map(|script| script.digest.clone()),
            applied_digest: mark.map(|mark| mark.digest.clone()).filter(|digest| !digest.is_empty()),
            began: mark.and_then(|mark| mark.began.clone()),
            ended: mark.and_then(|mark| mark.ended.clone()),
            exit: mark.and_then(|mark| mark.exit.clone()),
            who: mark.map(|mark| mark.who.as_str().to_owned()),
            version,
        }
    }

    /// What was never run although something above it was.
    fn find_gaps(&mut self) {
        let mut gaps = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.state == State::Pending) {
            if self.book.mark(&entry.version, entry.phase).is_some() {
                continue;
            }
            let above = self.book.marks.iter().filter(|((_, phase), mark)| *phase == entry.phase && mark.standing == Standing::Applied);
            let Some(((above, _), _)) = above.max_by_key(|((version, _), _)| version).filter(|((version, _), _)| *version > entry.version)
            else {
                continue;
            };
            let (version, phase, options) = (&entry.version, entry.phase.as_str(), &self.options);
            let what = format!("migration {version} ({phase}) was never applied, and {above} above it was");
            let now = format!(
                "have it run late with `formula migrate repair {version} --phase {phase} --pending{options}`, or say with `--applied` that it is not needed"
            );
            gaps.push(Problem::new(what, now));
        }
        self.problems.extend(gaps);
    }

    /// The migration and script of a pending entry.
    fn script(&self, entry: &Entry) -> Option<(&Migration, &Script)> {
        let migration = self.folder.find(&entry.version)?;
        Some((migration, migration.script(entry.phase)?))
    }

    /// The scripts of a phase that are left to run up to a version, in order. The level does not matter where the folder has none.
    pub fn pending(&self, to: &Version, phase: Phase) -> Vec<(&Migration, &Script)> {
        let open = self.entries.iter().filter(|entry| entry.phase == phase && entry.version <= *to && !entry.state.is_done());
        open.filter_map(|entry| self.script(entry)).collect()
    }
}

/// The key in a message.
fn told(place: &Place) -> String {
    place.key.as_ref().map(|(file, key)| format!("`{key}` in `{file}`")).unwrap_or_default()
}

/// The beginning of a digest, as messages show it.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
