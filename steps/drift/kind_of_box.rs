//! What a kind of box must look like: `box.toml`, read and checked. All names that the checks know come from here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::finding::Severity;
use crate::contract::{Context, StepError};

/// The description that is used where a box has none of its own.
pub const SHIPPED: &str = include_str!("../../formulas/templates/box.toml");
/// Where a box has its own.
pub const USUAL: &str = "box.toml";
/// How messages name it.
pub const SHIPPED_NAME: &str = "the shipped box.toml";

/// What a kind of box must look like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KindOfBox {
    /// The page that tells how a box is brought back to a known state; remedies point into it by the ids of the reset.
    pub runbook: String,
    /// Images.
    pub images: Images,
    /// The env file.
    pub env: Env,
    /// Services that tables of the project files stand for.
    pub agents: Option<Agents>,
    /// Links that must exist.
    pub links: Vec<Link>,
    /// Services that must be seen working in their own output.
    pub heartbeats: Vec<Heartbeat>,
    /// The one-time reset, in order.
    pub reset: Vec<Reset>,
}

/// Which images are first-party, and what is known of images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Patterns of repositories, without registry and tag, whose versions must agree with the version key.
    pub first_party: Vec<String>,
    /// Tags that say nothing about a version.
    pub floating_tags: Vec<String>,
    /// The label in which an image says its version.
    pub version_label: String,
}

/// What may be in the env file, and what must not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Env {
    /// Key that holds the version.
    pub version_key: String,
    /// Other keys that must agree with it where they are set: a version, or an image reference with it as the tag.
    pub version_key_aliases: Vec<String>,
    /// Key that holds the last migration.
    pub migration_key: String,
    /// Keys that must not be there.
    pub forbidden: Vec<String>,
    /// Keys whose values are addresses that must answer.
    pub reach: Vec<String>,
    /// Keys of older releases.
    pub legacy: BTreeMap<String, Legacy>,
}

/// A key of an older release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legacy {
    /// How bad it is that it is still there.
    pub severity: Severity,
    /// What stands for it now.
    pub becomes: String,
}

/// Tables of the project files that stand for services with an account of their own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// Name of the table that holds them.
    pub table: String,
    /// Keys that a table must all have (and not empty) to stand for a service.
    #[serde(default)]
    pub when: Vec<String>,
    /// Key that holds the user.
    pub user: String,
    /// The user where that key is missing; `{name}` stands for the table's name.
    pub default_user: String,
    /// Keys that the env file must have; `{suffix}` stands for the user in capitals, `-` as `_`.
    pub credentials: Vec<String>,
}

/// A path that must be a link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The link; `~` is the home folder.
    pub path: String,
    /// Key of the env file that says where it must lead.
    #[serde(default)]
    pub to_key: String,
    /// Where it must lead, unless that key says otherwise.
    pub to: String,
}

/// Services whose output must show that they work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Patterns of service names.
    pub services: Vec<String>,
    /// Regular expression that one of the last lines must fit.
    pub pattern: String,
    /// So many of the last lines are looked at.
    #[serde(default = "lines")]
    pub lines: usize,
}

fn lines() -> usize {
    200
}

/// One step of the reset.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Its id, which is also its anchor in the runbook.
    pub id: String,
    /// What is done.
    pub title: String,
    /// Checks that find nothing more once it is done.
    #[serde(default)]
    pub checks: Vec<String>,
    /// What it does to the services.
    #[serde(default)]
    pub services: Option<Services>,
}

/// What a step of the reset does to the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Services {
    /// It stops them.
    Down,
    /// It starts them.
    Up,
}

impl KindOfBox {
    /// Reads a description; `name` is how messages call the file.
    ///
    /// # Errors
    /// Refused, with line and column, for what is no TOML, for unknown keys, unknown checks, patterns that are none, and ids used twice.
    pub fn parse(text: &str, name: &str) -> Result<Self, StepError> {
        let kind: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            let words = error.message().trim().to_owned();
            StepError::refused(format!("{name}{place}: {words}"))
                .hint("`docs/client-box-bootstrap.md` shows every key; without a file of your own the shipped description is used")
        })?;
        let wrong = |what: String| Err(StepError::refused(format!("{name}: {what}")));
        let mut seen = Vec::new();
        for step in &kind.reset {
            if seen.contains(&&step.id) {
                return wrong(format!("the reset has two steps `{}`", step.id));
            }
            seen.push(&step.id);
            if let Some(unknown) = step.checks.iter().find(|id| !super::checks::is_check(id)) {
                return wrong(format!("step `{}` of the reset names `{unknown}`, which is no check; they are d1 to d18", step.id));
            }
        }
        if let Some(bad) = kind.heartbeats.iter().find(|beat| regex::Regex::new(&beat.pattern).is_err()) {
            return wrong(format!("`{}` is not a regular expression", bad.pattern));
        }
        Ok(kind)
    }

    /// The description at `path` below the working directory and its name; the shipped one for an empty path, and where there is none at
    /// the usual place.
    ///
    /// # Errors
    /// As [`KindOfBox::parse`]; also when the file cannot be read, or is not there though it was named.
    pub async fn load(cx: &Context, path: &str) -> Result<(Self, String), StepError> {
        if path.is_empty() {
            return Ok((Self::parse(SHIPPED, SHIPPED_NAME)?, SHIPPED_NAME.to_owned()));
        }
        let full = cx.path(path)?;
        match cx.world.files.read(&cx.workdir, Path::new(&full)).await? {
            Some(file) => {
                let text = String::from_utf8(file.bytes).map_err(|_| StepError::refused(format!("`{path}` is not UTF-8 text")))?;
                Ok((Self::parse(&text, &format!("`{path}`"))?, path.to_owned()))
            }
            None if path == USUAL => Ok((Self::parse(SHIPPED, SHIPPED_NAME)?, SHIPPED_NAME.to_owned())),
            None => Err(StepError::refused(format!("there is no `{path}` here")).hint("leave it out for the shipped description")),
        }
    }

    /// Whether an image is first-party, by its repository.
    pub fn is_first_party(&self, repository: &str) -> bool {
        let repository = repository.strip_prefix("library/").unwrap_or(repository);
        self.images.first_party.iter().any(|pattern| fits(pattern, repository))
    }

    /// Whether a tag says nothing about a version.
    pub fn is_floating(&self, tag: &str) -> bool {
        self.images.floating_tags.iter().any(|floating| floating == tag)
    }

    /// The place in the runbook for a check: the first step of the reset that is about it.
    pub fn anchor(&self, check: &str) -> Option<String> {
        let step = self.reset.iter().find(|step| step.checks.iter().any(|id| id == check))?;
        (!self.runbook.is_empty()).then(|| format!("{}#{}", self.runbook, step.id))
    }
}

/// `*` stands for part of a name, `**` for folders as well; `**/` also for none.
pub fn fits(pattern: &str, text: &str) -> bool {
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

/// Line and column of a byte, as `:3:7`.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    format!(":{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_description_is_sound_and_knows_its_images() {
        let kind = KindOfBox::parse(SHIPPED, SHIPPED_NAME).unwrap();
        for (repository, ours) in
            [("acme/agents", true), ("library/shop-agents", true), ("agents", true), ("acme/depot", false), ("acme/agents-tools", false)]
        {
            assert_eq!(kind.is_first_party(repository), ours, "{repository}");
        }
        assert_eq!(kind.anchor("d13").as_deref(), Some("docs/client-box-bootstrap.md#config-dir"));
        let named: Vec<&String> = kind.reset.iter().flat_map(|step| &step.checks).collect();
        for check in (1..=18).map(|number| format!("d{number}")) {
            assert_eq!(named.iter().filter(|id| ***id == check).count(), 1, "{check} belongs to one step of the reset");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_place() {
        for (text, said) in [
            ("[env]\nforbiden = []\n", "`box.toml`:2:1: unknown field `forbiden`"),
            ("runbook = 'a\n", "`box.toml`:1:13: "),
            ("[[reset]]\nid = 'x'\ntitle = 'X'\nchecks = ['d19']\n", "`box.toml`: step `x` of the reset names `d19`"),
            ("[[links]]\npath = '~/.x'\n", "`box.toml`:1:1: missing field `to`"),
        ] {
            let error = KindOfBox::parse(text, "`box.toml`").unwrap_err();
            assert!(error.message.starts_with(said), "{text:?}: {}", error.message);
        }
    }
}
