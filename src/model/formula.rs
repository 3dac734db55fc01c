//! A formula that was read and checked: every name in it is known, templates are parsed, but no input is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Retry, Span};

/// What happens when a step fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run is held for a person.
    #[default]
    Hold,
    /// What the run made is taken back.
    Rollback,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VarType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// One of `choices`.
    Enum,
    /// A path.
    Path,
    /// `90s`, `5m`, `1h30m`.
    Duration,
    /// An http or https address.
    Url,
    /// `host:port`.
    HostPort,
    /// A ref name as git allows it.
    GitRef,
    /// A container image reference.
    ImageRef,
    /// A semantic version, with or without `v`.
    Version,
    /// A list of texts.
    List,
    /// A table of texts.
    Table,
    /// The name of a declared secret.
    SecretName,
}

/// A declared input.
#[derive(Debug, Clone, PartialEq)]
pub struct VarDecl {
    /// Its type.
    pub ty: VarType,
    /// One line for `--help`.
    pub description: String,
    /// Must be given.
    pub required: bool,
    /// What it is where nobody gives it. May be a template over other vars.
    pub default: Option<Value>,
    /// A regular expression the text must match.
    pub pattern: Option<String>,
    /// The values of an enum.
    pub choices: Vec<String>,
    /// Where it is declared.
    pub span: Span,
}

/// Where a secret may come from; the first that has it wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, below the working directory or absolute; the last line end is dropped.
    File(String),
    /// `sops --decrypt FILE`, then a key of it.
    Sops {
        /// The file.
        file: String,
        /// Dotted key.
        key: Option<String>,
    },
    /// `age --decrypt FILE`.
    Age(String),
    /// Standard output of a command, as argv.
    Command(Vec<String>),
}

/// A declared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretDecl {
    /// Sources in order.
    pub from: Vec<SecretSource>,
    /// Whether a run may start without it.
    pub required: bool,
    /// Where it is declared.
    pub span: Span,
}

/// A step as written, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDef {
    /// Its id within the file.
    pub id: String,
    /// For people.
    pub title: Option<String>,
    /// Prose; never a template.
    pub description: Option<String>,
    /// The kind; None for a prose step.
    pub uses: Option<String>,
    /// The `with` table, templates unrendered.
    pub with: Value,
    /// The `env` table, templates unrendered.
    pub env: BTreeMap<String, String>,
    /// Ids of the steps this one follows: written, by file order, or implied by references. Sorted by file order.
    pub needs: Vec<String>,
    /// The `if` template.
    pub condition: Option<String>,
    /// The `foreach` template or list.
    pub foreach: Option<Value>,
    /// Retry.
    pub retry: Retry,
    /// Hard limit of one attempt, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Names of the secrets handed to it.
    pub secrets: Vec<String>,
    /// Where the step stands (its `[[steps]]` header line or its id).
    pub span: Span,
}

/// A checked formula.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    /// Name, equal to the file's stem.
    pub name: String,
    /// One line.
    pub description: String,
    /// Revision.
    pub version: u32,
    /// What happens on failure.
    pub on_failure: OnFailure,
    /// Steps that may run at once.
    pub max_parallel: u32,
    /// Name of the exclusive lock; `workdir` for the working directory.
    pub lock: String,
    /// Inputs in file order.
    pub vars: IndexMap<String, VarDecl>,
    /// Secrets in file order.
    pub secrets: IndexMap<String, SecretDecl>,
    /// Environment variables that templates may see, with a default.
    pub env: IndexMap<String, Option<String>>,
    /// Steps in file order.
    pub steps: Vec<StepDef>,
    /// Steps of `[[finally]]` in file order.
    pub finally: Vec<StepDef>,
    /// The file; for shipped ones `<shipped>/NAME.toml`.
    pub path: PathBuf,
    /// The text it was read from.
    pub source: String,
    /// `sha256:…` of the text.
    pub digest: String,
}
