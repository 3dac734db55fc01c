//! What a folder of migrations holds: read from the working tree or from a commit, sorted by version, each with the digest of what it
//! runs.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::status::Problem;
use super::{Place, Version};
use crate::contract::StepError;
use crate::kit::Period;
use crate::world::World;

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before containers stop.
    Pre,
    /// After they are healthy again.
    Post,
}

impl Phase {
    /// Both, in the order in which they run.
    pub const ALL: [Self; 2] = [Self::Pre, Self::Post];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }
}

/// How a migration is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// By its `down.sh` or `down.toml`.
    Down,
    /// Not at all, and the older version does not mind: it stays applied.
    Neutral,
    /// Not at all: there is no way back past it.
    OneWay,
}

/// A script of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// When it runs.
    pub phase: Phase,
    /// Its path below the working directory.
    pub path: String,
    /// Digest of the script and of the files beside it that it may use.
    pub digest: String,
    /// Its text, where it is a formula and no script.
    pub formula: Option<String>,
}

/// What takes a migration back in a later run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Its path below the working directory.
    pub path: String,
    /// Its text, where it is a formula and no script.
    pub formula: Option<String>,
}

/// The migration of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The version.
    pub version: Version,
    /// The file or folder it was read from, below the working directory.
    pub origin: String,
    /// What it is for, in a line.
    pub summary: Option<String>,
    /// Its scripts, `pre` before `post`.
    pub scripts: Vec<Script>,
    /// `down.sh` or `down.toml`.
    pub down: Option<Down>,
    /// How it is taken back.
    pub back: Back,
    /// Whether it may be run again after it was cut off or failed.
    pub reentrant: bool,
    /// How long each of its scripts may take.
    pub timeout: Option<Period>,
}

impl Migration {
    /// The script of a phase.
    pub fn script(&self, phase: Phase) -> Option<&Script> {
        self.scripts.iter().find(|script| script.phase == phase)
    }
}

/// All migrations of a folder, sorted by version, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Sorted by version.
    pub migrations: Vec<Migration>,
    /// Entries that cannot be used.
    pub problems: Vec<Problem>,
}

/// What `migration.toml` may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Declared {
    summary: Option<String>,
    reversible: Option<bool>,
    #[serde(alias = "schema-neutral")]
    schema_neutral: Option<bool>,
    phase: Option<Phase>,
    reentrant: Option<bool>,
    timeout: Option<Period>,
}

/// What is taken of a formula; whether it can be run is for those who know formulas.
#[derive(Debug, Deserialize)]
struct Head {
    description: Option<String>,
}

/// Files by their path below the folder.
type Files = BTreeMap<String, Vec<u8>>;

impl Folder {
    /// The migration of a version.
    pub fn find(&self, version: &Version) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.version == *version)
    }

    /// Reads the folder: from the commit that the place names where HEAD is not there yet, else from the working tree.
    ///
    /// # Errors
    /// When files or git cannot be read.
    pub async fn read(world: &World, place: &Place, commit: Option<&str>) -> Result<Self, StepError> {
        let files = match commit {
            Some(commit) => from_commit(world, place, commit).await?,
            None => from_tree(world, place).await?,
        };
        Ok(parse(&place.dir, &files))
    }
}

/// Files of a migration's folder that have a meaning by their name.
const OWN: [&str; 7] = ["pre.sh", "post.sh", "down.sh", "pre.toml", "post.toml", "down.toml", "migration.toml"];

/// Whether a path below the folder belongs to an entry, or to something that looks as if it should be one.
fn concerns(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let hidden = first.starts_with(['_', '.']);
    let file = !path.contains('/');
    let script = |name: &str| OWN.contains(&name);
    let parts: Vec<&str> = path.split('/').collect();
    !hidden && (Version::named(first).is_some() || file && is_entry_file(first) || parts.len() == 2 && script(parts[1]))
}

fn is_entry_file(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("sh" | "toml"))
}

async fn from_tree(world: &World, place: &Place) -> Result<Files, StepError> {
    let mut files = Files::new();
    for path in world.files.glob(&place.workdir, &format!("{}/**", place.dir)).await? {
        let Some(name) = path.strip_prefix(&place.dir).ok().and_then(Path::to_str).filter(|name| concerns(name)) else { continue };
        if let Some(file) = world.files.read(&place.workdir, &path).await? {
            files.insert(name.to_owned(), file.bytes);
        }
    }
    Ok(files)
}

async fn from_commit(world: &World, place: &Place, commit: &str) -> Result<Files, StepError> {
    let mut files = Files::new();
    for path in world.git.tree(&place.workdir, commit).await? {
        let Some(name) = path.strip_prefix(&format!("{}/", place.dir)).filter(|name| concerns(name)) else { continue };
        if let Some(bytes) = world.git.show(&place.workdir, commit, &path).await? {
            files.insert(name.to_owned(), bytes);
        }
    }
    Ok(files)
}

/// The migrations of files by their path below `dir`.
fn parse(dir: &str, files: &Files) -> Folder {
    let mut folder = Folder::default();
    let mut entries: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in files.keys() {
        let (entry, rest) = path.split_once('/').unwrap_or((path, ""));
        entries.entry(entry).or_default().push(rest);
    }
    for (entry, parts) in entries {
        let origin = format!("{dir}/{entry}");
        let read = if parts == [""] { file(&origin, entry, &files[entry]) } else { subfolder(&origin, entry, files) };
        match read {
            Ok(migration) => folder.migrations.push(migration),
            Err(problem) => folder.problems.push(problem),
        }
    }
    folder.migrations.sort_by(|one, other| one.version.cmp(&other.version));
    for pair in folder.migrations.windows(2) {
        let [one, other] = pair else { continue };
        if one.version == other.version {
            let what = format!("`{}` and `{}` are both the migration of {}", one.origin, other.origin, one.version);
            folder.problems.push(Problem::new(what, "keep one of them, or give one another version"));
        }
    }
    folder
}

fn version_of(origin: &str, name: &str) -> Result<Version, Problem> {
    Version::named(name).ok_or_else(|| {
        let now = "name it `v` and a semantic version, such as `v0.3.0.sh` or `v0.3.0/`; what is no migration begins with `_`";
        Problem::new(format!("`{origin}` is not named after a version"), now)
    })
}

/// A migration of one file: neutral, before containers stop.
fn file(origin: &str, name: &str, bytes: &[u8]) -> Result<Migration, Problem> {
    let stem = name.strip_suffix(".sh").or_else(|| name.strip_suffix(".toml")).unwrap_or(name);
    let version = version_of(origin, stem)?;
    let (formula, summary) = formula(origin, bytes)?.unzip();
    let script = Script { phase: Phase::Pre, path: origin.to_owned(), digest: digest([("", bytes)]), formula };
    Ok(Migration {
        version,
        origin: origin.to_owned(),
        summary: summary.flatten(),
        scripts: vec![script],
        down: None,
        back: Back::Neutral,
        reentrant: true,
        timeout: None,
    })
}

/// Text and description of a formula; none for a script.
fn formula(path: &str, bytes: &[u8]) -> Result<Option<(String, Option<String>)>, Problem> {
    if !is_formula(path) {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string());
    let read = text.and_then(|text| Ok((text.to_owned(), toml::from_str::<Head>(text).map_err(|error| error.to_string())?)));
    let (text, head) = read.map_err(|error| {
        Problem::new(format!("`{path}` is no formula: {}", error.trim_end()), format!("`formula check {path}` shows all that is wrong"))
    })?;
    Ok(Some((text, head.description.filter(|description| !description.is_empty()))))
}

/// Whether what lies at a path is a formula, and no script.
pub(super) fn is_formula(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "toml")
}

/// The files of a migration's folder.
type Inside<'a> = BTreeMap<&'a str, &'a [u8]>;

/// `stem.sh` or `stem.toml`.
fn one_of<'a>(origin: &str, inside: &Inside<'a>, stem: &str) -> Result<Option<(String, &'a [u8])>, Problem> {
    let found = |ending: &str| {
        let name = format!("{stem}.{ending}");
        inside.get(name.as_str()).map(|bytes| (name.clone(), *bytes))
    };
    match (found("sh"), found("toml")) {
        (Some(_), Some(_)) => {
            let what = format!("`{origin}` has `{stem}.sh` and `{stem}.toml`");
            Err(Problem::new(what, "take one of them away: a phase is a script or a formula"))
        }
        (script, formula) => Ok(script.or(formula)),
    }
}

/// The scripts and formulas of a migration's folder, `pre` before `post`, and the description of the first that has one.
fn scripts(origin: &str, inside: &Inside<'_>) -> Result<(Vec<Script>, Option<String>), Problem> {
    let helpers = inside.iter().filter(|(path, _)| !OWN.contains(path)).map(|(path, bytes)| (*path, *bytes));
    let (mut scripts, mut told) = (Vec::new(), None);
    for phase in Phase::ALL {
        let Some((own, bytes)) = one_of(origin, inside, phase.as_str())? else { continue };
        let path = format!("{origin}/{own}");
        let (formula, description) = formula(&path, bytes)?.unzip();
        told = told.or(description.flatten());
        scripts.push(Script { phase, path, digest: digest(helpers.clone().chain([("", bytes)])), formula });
    }
    Ok((scripts, told))
}

/// A migration of a folder.
fn subfolder(origin: &str, name: &str, files: &Files) -> Result<Migration, Problem> {
    let version = version_of(origin, name)?;
    let start = format!("{name}/");
    let inside: Inside<'_> = files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&start)?, bytes.as_slice()))).collect();
    let declared = match inside.get("migration.toml") {
        None => Declared::default(),
        Some(bytes) => declared(origin, bytes)?,
    };
    let (scripts, told) = scripts(origin, &inside)?;
    let wrong = |what: &str, now: &str| Err(Problem::new(format!("`{origin}` {what}"), now));
    if scripts.is_empty() {
        return wrong("has neither `pre.sh` nor `post.sh`, nor a formula in their place", "add the script, or take the folder away");
    }
    if let Some(phase) = declared.phase
        && scripts.iter().any(|script| script.phase != phase)
    {
        let now = format!("take the other script away, or `phase = \"{}\"` out of `migration.toml`", phase.as_str());
        return wrong("has scripts of another phase than `migration.toml` declares", &now);
    }
    let down = match one_of(origin, &inside, "down")? {
        None => None,
        Some((own, bytes)) => {
            let path = format!("{origin}/{own}");
            let formula = formula(&path, bytes)?.map(|(text, _)| text);
            Some(Down { path, formula })
        }
    };
    let back = match (declared.reversible, declared.schema_neutral, &down) {
        (Some(false), None | Some(false), None) => Back::OneWay,
        (Some(false), Some(true), _) => {
            return wrong("is declared both one-way and neutral", "keep `reversible = false` or `schema_neutral = true`");
        }
        (Some(false), _, Some(_)) => return wrong("is declared one-way and has a `down.sh`", "take one of the two away"),
        (Some(true), _, None) => return wrong("is declared reversible and has no `down.sh`", "add it, or take `reversible = true` away"),
        (_, _, Some(_)) => Back::Down,
        (None, _, None) => Back::Neutral,
    };
    Ok(Migration {
        version,
        origin: origin.to_owned(),
        summary: declared.summary.or(told),
        scripts,
        down,
        back,
        reentrant: declared.reentrant.unwrap_or(true),
        timeout: declared.timeout,
    })
}

fn declared(origin: &str, bytes: &[u8]) -> Result<Declared, Problem> {
    let read = std::str::from_utf8(bytes).map_err(|error| error.to_string());
    let read = read.and_then(|text| toml::from_str(text).map_err(|error| error.to_string()));
    read.map_err(|error| {
        let now = "it may say `summary`, `reversible`, `schema_neutral`, `phase`, `reentrant` and `timeout`";
        Problem::new(format!("`{origin}/migration.toml` cannot be used: {}", error.trim_end()), now)
    })
}

fn digest<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in parts {
        // Lengths, so that no two sets of files look alike.
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    crate::kit::text::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> Folder {
        parse("migrations", &files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }

    fn problem(files: &[(&str, &str)]) -> String {
        let found = folder(files).problems;
        assert_eq!(found.len(), 1, "{found:?}");
        format!("{}; {}", found[0].what, found[0].now)
    }

    #[test]
    fn m2_migrations_are_sorted_by_version_and_not_by_name() {
        let found = folder(&[("v0.10.0.sh", "b"), ("v0.9.0.sh", "a"), ("v0.10.1/post.sh", "c")]);
        let versions: Vec<_> = found.migrations.iter().map(|migration| migration.version.to_string()).collect();
        assert_eq!(versions, ["v0.9.0", "v0.10.0", "v0.10.1"]);
        assert!(found.problems.is_empty());
    }

    #[test]
    fn a_folder_says_how_it_is_taken_back() {
        let back = |files: &[(&str, &str)]| folder(files).migrations[0].back;
        assert_eq!(back(&[("v1.0.0.sh", "")]), Back::Neutral);
        assert_eq!(back(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "summary = \"x\"")]), Back::Neutral);
        assert_eq!(back(&[("v1.0.0/pre.sh", ""), ("v1.0.0/down.sh", "")]), Back::Down);
        assert_eq!(back(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "reversible = false")]), Back::OneWay);
        assert_eq!(back(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "schema-neutral = true")]), Back::Neutral);
    }

    #[test]
    fn what_cannot_be_used_is_told_by_name() {
        assert!(problem(&[("v1.0.0.sh", ""), ("v1.0.0/pre.sh", "")]).contains("are both the migration of v1.0.0"));
        assert!(problem(&[("v1.0.0.toml", "steps = ")]).contains("`migrations/v1.0.0.toml` is no formula: TOML parse error"));
        assert!(problem(&[("v1.0.0/pre.sh", ""), ("v1.0.0/pre.toml", "")]).contains("has `pre.sh` and `pre.toml`; take one"));
        assert!(problem(&[("1.0.0.sh", "")]).contains("`migrations/1.0.0.sh` is not named after a version"));
        assert!(problem(&[("next/pre.sh", "")]).contains("`migrations/next` is not named after a version"));
        assert!(problem(&[("v1.0.0/down.sh", "")]).contains("neither `pre.sh` nor `post.sh`"));
        assert!(problem(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "reversable = true")]).contains("reversable"));
        assert!(problem(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "reversible = true")]).contains("no `down.sh`"));
        assert!(problem(&[("v1.0.0/pre.sh", ""), ("v1.0.0/migration.toml", "phase = \"post\"")]).contains("another phase"));
    }

    #[test]
    fn a_formula_takes_the_place_of_a_script() {
        let plain = folder(&[("v1.0.0.toml", "name = \"v1.0.0\"\ndescription = \"moves the queue\"\n")]);
        let migration = &plain.migrations[0];
        assert_eq!((migration.summary.as_deref(), migration.back), (Some("moves the queue"), Back::Neutral));
        assert_eq!((migration.scripts[0].phase, migration.scripts[0].path.as_str()), (Phase::Pre, "migrations/v1.0.0.toml"));
        assert!(migration.scripts[0].formula.is_some());
        let mixed = folder(&[("v1.0.0/post.toml", "description = \"x\""), ("v1.0.0/pre.sh", ""), ("v1.0.0/down.toml", "")]);
        let migration = &mixed.migrations[0];
        assert_eq!(migration.back, Back::Down);
        assert_eq!(
            migration.down.as_ref().map(|down| (down.path.as_str(), down.formula.as_deref())),
            Some(("migrations/v1.0.0/down.toml", Some("")))
        );
        let kinds: Vec<_> = migration.scripts.iter().map(|script| (script.phase, script.formula.is_some())).collect();
        assert_eq!(kinds, [(Phase::Pre, false), (Phase::Post, true)]);
    }

    #[test]
    fn only_what_a_phase_runs_counts_for_its_digest() {
        let digests =
            |files: &[(&str, &str)]| folder(files).migrations[0].scripts.iter().map(|script| script.digest.clone()).collect::<Vec<_>>();
        let one = digests(&[("v1.0.0/pre.sh", "a"), ("v1.0.0/post.sh", "b"), ("v1.0.0/list", "x")]);
        let other = digests(&[("v1.0.0/pre.sh", "a"), ("v1.0.0/post.sh", "c"), ("v1.0.0/list", "x"), ("v1.0.0/down.sh", "d")]);
        assert!(one[0] == other[0] && one[1] != other[1]);
        let helper = digests(&[("v1.0.0/pre.sh", "a"), ("v1.0.0/post.sh", "b"), ("v1.0.0/list", "y")]);
        assert!(one[0] != helper[0] && one[1] != helper[1]);
    }

    #[test]
    fn other_files_of_the_folder_are_no_migrations() {
        for path in ["README.md", "canonical/m1/pre.sh", "_lib.sh", ".keep", "lib/text.sh"] {
            assert!(!concerns(path), "{path}");
        }
        for path in ["v1.0.0.sh", "1.0.0.sh", "v1.0.0/pre.sh", "v1.0.0/data/list", "oops/down.sh", "oops/pre.toml", "v1.0.toml"] {
            assert!(concerns(path), "{path}");
        }
    }
}
