//! The ledger: what was applied to a box, when and by whom. JSON lines in one file, only ever added to, each addition durable before
//! anything rests on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folder::{Back, Phase};
use super::status::Source;
use super::{Place, Version};
use crate::contract::{Class, StepError};
use crate::world::World;

/// Version of the format of a row.
const FORMAT: u32 = 1;

/// Who made a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Who(String);

impl Who {
    /// A step of a run.
    pub fn step(run: &str, step: &str) -> Self {
        Self(format!("run {run} step {step}"))
    }
    /// A person at the command line.
    pub fn person(user: &str) -> Self {
        Self(format!("user {user}"))
    }
    /// As it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a person settled a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// It counts as applied, with the content it has now.
    Yes,
    /// It is to be run.
    No,
}

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum Row {
    /// The box stands at this version: everything up to it counts as applied, nothing above it.
    Baseline {
        /// The version.
        version: Version,
        /// How it is known.
        source: Source,
    },
    /// A script is about to start.
    Began {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
        /// Digest of what runs.
        digest: String,
        /// How it is taken back.
        back: Back,
        /// Where the box stood.
        from: Option<Version>,
        /// Where it goes.
        to: Version,
        /// It is a formula, which knows by itself how it is taken back in the run that applied it.
        #[serde(default, skip_serializing_if = "is_false")]
        formula: bool,
    },
    /// It ended.
    Ended {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
        /// Digest of what runs.
        digest: String,
        /// When it started, RFC 3339 in UTC.
        began: String,
        /// How it ended: a number, a signal, `time limit`.
        exit: String,
        /// Whether it succeeded.
        ok: bool,
        /// What it did turned out to have no way back.
        #[serde(default, skip_serializing_if = "is_false")]
        one_way: bool,
    },
    /// Its `down.sh` is about to start.
    DownBegan {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
        /// How it is taken back.
        back: Back,
        /// Where the box goes back to.
        to: Option<Version>,
    },
    /// Its `down.sh` ended.
    DownEnded {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
        /// When it started, RFC 3339 in UTC.
        began: String,
        /// How it ended: a number, a signal, `time limit`.
        exit: String,
        /// Whether it succeeded.
        ok: bool,
    },
    /// A rollback passed it: it stays applied.
    Left {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
    },
    /// A person settled it.
    Repaired {
        /// The version.
        version: Version,
        /// The phase.
        phase: Phase,
        /// As what it counts from now on.
        applied: Applied,
        /// Digest of the script as it is now.
        digest: Option<String>,
        /// Why.
        reason: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    v: u32,
    at: String,
    who: Who,
    #[serde(flatten)]
    row: Row,
}

/// How a script of a migration stands by the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It ran to its end.
    Applied,
    /// It began, and its end is not known.
    Unknown,
    /// It failed.
    Failed,
    /// Its `down.sh` began and did not succeed.
    Undoing,
    /// It is not applied, though the ledger knows it: taken back, or settled so by a person.
    Pending,
}

/// What the ledger knows of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// How it stands.
    pub standing: Standing,
    /// Digest of what ran.
    pub digest: String,
    /// How it is taken back, as it was when it ran.
    pub back: Back,
    /// It is a formula.
    pub formula: bool,
    /// What it did turned out to have no way back, whatever is declared.
    pub crossed: bool,
    /// Who ran or settled it last.
    pub who: Who,
    /// Who took it back last.
    pub down_by: Option<Who>,
    /// Where the box went back to then.
    pub down_to: Option<Version>,
    /// Start of what happened last, RFC 3339 in UTC.
    pub began: Option<String>,
    /// Its end.
    pub ended: Option<String>,
    /// How it ended: a number, a signal, a time limit.
    pub exit: Option<String>,
    /// A rollback left it applied.
    pub left: bool,
    /// Number of the row with which it began.
    pub row: usize,
}

impl Mark {
    fn new(standing: Standing, back: Back, who: Who, row: usize) -> Self {
        Self {
            standing,
            digest: String::new(),
            back,
            formula: false,
            crossed: false,
            who,
            down_by: None,
            down_to: None,
            began: None,
            ended: None,
            exit: None,
            left: false,
            row,
        }
    }
}

/// The box stands at this version by a row of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The version.
    pub version: Version,
    /// Where it comes from.
    pub source: Source,
    /// Who recorded it.
    pub who: Who,
}

/// The ledger, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// What the box started from.
    pub baseline: Option<Baseline>,
    /// What is known of each script.
    pub marks: BTreeMap<(Version, Phase), Mark>,
    rows: usize,
}

impl Book {
    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What is known of a script.
    pub fn mark(&self, version: &Version, phase: Phase) -> Option<&Mark> {
        self.marks.get(&(version.clone(), phase))
    }

    /// Whether a script counts as applied by a row of its own.
    pub fn is_applied(&self, version: &Version, phase: Phase) -> bool {
        self.mark(version, phase).is_some_and(|mark| mark.standing == Standing::Applied)
    }

    /// Scripts that fulfil a condition, the one that began last first.
    pub fn last_first(&self, wanted: impl Fn(&Mark) -> bool) -> Vec<(&Version, Phase, &Mark)> {
        let mut found: Vec<_> =
            self.marks.iter().filter(|(_, mark)| wanted(mark)).map(|((version, phase), mark)| (version, *phase, mark)).collect();
        found.sort_by_key(|(_, _, mark)| std::cmp::Reverse(mark.row));
        found
    }

    fn take(&mut self, line: Line) {
        self.rows += 1;
        let (at, who, number) = (line.at, line.who, self.rows);
        match line.row {
            Row::Baseline { version, source } => {
                self.marks.clear();
                self.baseline = Some(Baseline { version, source, who });
            }
            Row::Began { version, phase, digest, back, formula, .. } => {
                let standing = Standing::Unknown;
                // Kept, so that a step which took it back still knows that it did when running it again is cut off.
                let down_by = self.marks.get(&(version.clone(), phase)).and_then(|old| old.down_by.clone());
                let mark = Mark { digest, formula, down_by, began: Some(at), ..Mark::new(standing, back, who, number) };
                self.marks.insert((version, phase), mark);
            }
            Row::Ended { version, phase, exit, ok, one_way, .. } => self.change(version, phase, |mark| {
                mark.crossed = one_way;
                mark.back = if one_way { Back::OneWay } else { mark.back };
                mark.standing = if ok { Standing::Applied } else { Standing::Failed };
                (mark.ended, mark.exit) = (Some(at), Some(exit));
            }),
            Row::DownBegan { version, phase, back, to } => {
                // What lies at or below the baseline has no mark of its own yet.
                let mark = self.marks.entry((version, phase)).or_insert_with(|| Mark::new(Standing::Undoing, back, who.clone(), number));
                mark.standing = Standing::Undoing;
                (mark.down_by, mark.down_to) = (Some(who), to);
                (mark.began, mark.ended, mark.exit) = (Some(at), None, None);
            }
            Row::DownEnded { version, phase, exit, ok, .. } => self.change(version, phase, |mark| {
                mark.standing = if ok { Standing::Pending } else { Standing::Undoing };
                (mark.ended, mark.exit) = (Some(at), Some(exit));
            }),
            Row::Left { version, phase } => self.change(version, phase, |mark| mark.left = true),
            Row::Repaired { version, phase, applied, digest, .. } => {
                let back = self.marks.get(&(version.clone(), phase)).map_or(Back::Neutral, |old| old.back);
                let standing = if applied == Applied::Yes { Standing::Applied } else { Standing::Pending };
                let mark = Mark { digest: digest.unwrap_or_default(), ended: Some(at), ..Mark::new(standing, back, who, number) };
                self.marks.insert((version, phase), mark);
            }
        }
    }

    fn change(&mut self, version: Version, phase: Phase, change: impl FnOnce(&mut Mark)) {
        if let Some(mark) = self.marks.get_mut(&(version, phase)) {
            change(mark);
        }
    }
}

/// Reads the ledger; an absent one is empty.
///
/// # Errors
/// When it cannot be read, is damaged, or was written by a newer program.
pub async fn read(world: &World, place: &Place) -> Result<Book, StepError> {
    let (root, path) = place.ledger()?;
    let mut book = Book::default();
    let Some(file) = world.files.read(&root, &path).await? else { return Ok(book) };
    let damaged = |number: usize, why: String| {
        StepError::refused(format!("the ledger of migrations `{}` line {number} cannot be read: {why}", root.join(&path).display())).hint(
            format!(
                "restore the file, or move it away and say where the box stands with `formula migrate baseline VERSION{}`",
                place.options()
            ),
        )
    };
    let text = String::from_utf8(file.bytes).map_err(|_| damaged(1, "it is not UTF-8".into()))?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| damaged(index + 1, error.to_string()))?;
        if line.v > FORMAT {
            return Err(damaged(index + 1, format!("it has format {}, this program knows up to {FORMAT}", line.v)));
        }
        book.take(line);
    }
    Ok(book)
}

/// The time now, as rows have it.
pub fn now(world: &World) -> String {
    jiff::Timestamp::from_millisecond(world.clock.unix_millis()).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

/// Adds rows; they are durable when this returns.
///
/// # Errors
/// When the file cannot be read or written.
pub async fn append(world: &World, place: &Place, who: &Who, rows: &[Row]) -> Result<(), StepError> {
    let (root, path) = place.ledger()?;
    let _held = world.files.lock(&root, &path).await?;
    let mut bytes = world.files.read(&root, &path).await?.map(|file| file.bytes).unwrap_or_default();
    for row in rows {
        let line = Line { v: FORMAT, at: now(world), who: who.clone(), row: row.clone() };
        let line = serde_json::to_vec(&line).map_err(|error| StepError::new(Class::Internal, error.to_string()))?;
        if bytes.last().is_some_and(|byte| *byte != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&line);
        bytes.push(b'\n');
    }
    world.files.write(&root, &path, &bytes, 0o600, false).await.map_err(|error| {
        StepError::from(error).context(format!("the ledger of migrations `{}` cannot be written", root.join(&path).display()))
    })
}
