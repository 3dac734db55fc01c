//! What a survey is about, and what it reads on the way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind_of_box::KindOfBox;

/// The box: where its files are and what its keys are called. An empty text counts as left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The version that the box is to get; none: it is looked at as it is.
    #[serde(default)]
    pub version: String,
    /// The remote that releases come from.
    #[serde(default = "remote")]
    pub remote: String,
    /// Template of the compose file; the tree's `docker-compose.yml.hbs`, where there is one.
    #[serde(default)]
    pub template: String,
    /// What the template sees as `values`.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// The compose file.
    #[serde(default = "compose_file")]
    pub compose_file: String,
    /// Name of the compose project; what runs there, else the folder's name.
    #[serde(default)]
    pub project: String,
    /// Pattern of the project files.
    #[serde(default = "data")]
    pub data: String,
    /// The env file.
    #[serde(default = "env_file")]
    pub env_file: String,
    /// Key of the env file that holds the version; the one that the description of the box names.
    #[serde(default)]
    pub version_key: String,
    /// Other keys that must agree with it where they are set; those that the description of the box names.
    #[serde(default)]
    pub version_key_aliases: Vec<String>,
    /// Folder of the migrations.
    #[serde(default = "migrations")]
    pub migrations: String,
    /// Key of the env file that holds the last migration; the one that the description of the box names.
    #[serde(default)]
    pub migration_key: String,
    /// Addresses that show whether the box is well; those that are well now are the baseline for later.
    #[serde(default)]
    pub health_urls: Vec<String>,
    /// Description of the kind of box; without one at the usual place, the shipped one.
    #[serde(default = "box_file", rename = "box")]
    pub box_file: String,
    /// Checks (`d7`) whose findings a person accepts: they do not block.
    #[serde(default)]
    pub accept: Vec<String>,
}

fn remote() -> String {
    "origin".into()
}
fn compose_file() -> String {
    "docker-compose.yml".into()
}
fn data() -> String {
    "projects/*.toml".into()
}
fn env_file() -> String {
    ".env".into()
}
fn migrations() -> String {
    "migrations".into()
}
fn box_file() -> String {
    super::kind_of_box::USUAL.into()
}

impl Default for Subject {
    fn default() -> Self {
        Self {
            version: String::new(),
            remote: remote(),
            template: String::new(),
            values: Map::new(),
            compose_file: compose_file(),
            project: String::new(),
            data: data(),
            env_file: env_file(),
            version_key: String::new(),
            version_key_aliases: Vec::new(),
            migrations: migrations(),
            migration_key: String::new(),
            health_urls: Vec::new(),
            box_file: box_file(),
            accept: Vec::new(),
        }
    }
}

impl Subject {
    /// What is wrong about it by itself.
    pub fn problems(&self) -> Vec<String> {
        let unknown = self.accept.iter().filter(|id| !super::checks::is_check(id));
        let mut problems: Vec<String> = unknown.map(|id| format!("`accept` names `{id}`, which is no check; they are d1 to d18")).collect();
        for (name, value) in [("compose_file", &self.compose_file), ("env_file", &self.env_file), ("data", &self.data)] {
            if value.is_empty() {
                problems.push(format!("`{name}` is empty"));
            }
        }
        problems
    }

    /// The same with what is left out filled in from the description of the box.
    #[must_use]
    pub(super) fn with(&self, kind: &KindOfBox) -> Self {
        let or = |given: &str, named: &str| if given.is_empty() { named.to_owned() } else { given.to_owned() };
        let mut aliases = self.version_key_aliases.clone();
        if aliases.is_empty() {
            aliases.clone_from(&kind.env.version_key_aliases);
        }
        Self {
            version_key: or(&self.version_key, &kind.env.version_key),
            version_key_aliases: aliases,
            migration_key: or(&self.migration_key, &kind.env.migration_key),
            ..self.clone()
        }
    }
}

/// What was read on the way: the state to compare with later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Readings {
    /// The compose project.
    pub project: String,
    /// Full id of HEAD's commit; empty where that is not known.
    pub commit: String,
    /// The release tag that HEAD stands on; empty where it stands on none.
    pub release: String,
    /// What the `VERSION` file says; empty where there is none.
    pub version_file: String,
    /// The version key's value; empty where it is not set.
    pub version_key: String,
    /// Tags of first-party images in the compose file, by service.
    pub compose: BTreeMap<String, String>,
    /// Versions that the images of first-party containers say, by service; empty where one says none.
    pub running: BTreeMap<String, String>,
    /// Image ids of all containers, by service.
    pub images: BTreeMap<String, String>,
    /// Config hashes of all containers, by service.
    pub config_hashes: BTreeMap<String, String>,
    /// Digests of the env file, the compose file and the project files, by path.
    pub files: BTreeMap<String, String>,
    /// Names of the health checks that are green now.
    pub green: Vec<String>,
}
