//! A compose file made from a template and data: rendering, checking, comparing. Shared by the kind `compose-regen` and by whoever
//! must say whether the file on disk is what would be made.
//!
//! [`render`] is pure: no clock, no environment, no folder, no network, nothing remembered from an earlier call. The same template,
//! data, values and mode give the same bytes. [`load`] alone looks outside: it reads the data and the template.
//!
//! The usual order: [`load::template`] and [`load::data`], [`render`], then [`made`] and [`Rendered::is`] on what is there.

mod checks;
mod data;
mod diff;
mod each;
mod fill;
mod header;
mod helpers;
mod keys;
pub mod load;
mod yaml;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use checks::Service;
pub use data::Data;
pub use diff::{Difference, DifferenceKind, differences, unified};
pub use header::{Header, Made, made};
pub use keys::{Key, keys_in};

/// Name of the template that comes with the program; see [`SHIPPED_TEMPLATE`].
pub const TEMPLATE_NAME: &str = "docker-compose.yml.hbs";

/// The template that comes with the program.
pub const SHIPPED_TEMPLATE: &str = include_str!("../../formulas/templates/docker-compose.yml.hbs");

/// Revision of what rendering means; part of the digest of the inputs.
const REVISION: u32 = 1;

/// Where the images of the services that are built from this repository come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From a registry, at the version that the version key names.
    #[default]
    Pinned,
    /// Built on this machine.
    Build,
}

impl Mode {
    /// The name as it stands in the header, and as templates see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Build => "build",
        }
    }
}

/// A template: what messages call it, and its text.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a> {
    /// What messages call it, such as its path.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Everything a rendering depends on beside the template.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// What templates see as `data.<name>`.
    pub data: Data,
    /// What templates see as `values`.
    pub values: Map<String, Value>,
    /// What templates see as `mode`.
    pub mode: Mode,
}

/// Where something in the output comes from: a table of a data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file, as it was named or found.
    pub file: String,
    /// The table, with its parents where they are known: `agents.dev-qwen`.
    pub table: String,
    /// The line on which the table begins, where it is known.
    pub line: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table.is_empty() {
            return write!(f, "`{}`", self.file);
        }
        write!(f, "`[{}]` in `{}`", self.table, self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, " line {line}"))
    }
}

/// How much a [`Note`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// For information.
    Info,
    /// Probably a mistake.
    Warning,
}

/// Something the template has to say about its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it matters.
    pub level: NoteLevel,
    /// What it says.
    pub text: String,
    /// About which table.
    pub origin: Option<Origin>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin} {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What came of a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The whole file, with its header.
    pub text: String,
    /// `sha256:…` of [`Rendered::text`].
    pub digest: String,
    /// `sha256:…` of template, data, values and mode.
    pub inputs: String,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// Declared volumes, in the order of the file.
    pub volumes: Vec<String>,
    /// Declared networks, in the order of the file.
    pub networks: Vec<String>,
    /// The variables that compose will look up, by name.
    pub keys: Vec<Key>,
    /// What the template has to say.
    pub notes: Vec<Note>,
    /// The text as it was read.
    document: Arc<yaml::Node>,
}

impl Rendered {
    /// Whether the text of a file is this rendering. The version of the program in the header does not count: a new program that
    /// makes the same of the same inputs changes nothing.
    pub fn is(&self, text: &str) -> bool {
        header::without_program(text) == header::without_program(&self.text)
    }

    /// What changes from an old file to this rendering, as [`differences`] tells it.
    pub fn differences_from(&self, old: &str) -> Vec<Difference> {
        diff::between(yaml::read(old).as_ref(), Ok(&*self.document))
    }
}

/// Why nothing could be made: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// What is wrong and where; lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl RenderError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }
}

/// Renders, reads what came out as YAML and checks it: names are there once, and what is used is declared.
///
/// # Errors
/// When the template or what it makes is not sound; says where, and for duplicates from which two tables they come.
pub fn render(template: &Template<'_>, inputs: &Inputs) -> Result<Rendered, RenderError> {
    let filled = fill::fill(template, inputs)?;
    let document = yaml::read(&filled.body)
        .map_err(|error| RenderError::new(format!("what `{}` renders to is not sound YAML: {error}", template.name)))?;
    let found = checks::check(template.name, &filled.body, &document, &inputs.data)?;
    let digest = inputs_digest(template, inputs);
    let text = header::write(inputs.mode, &digest, &filled.body);
    Ok(Rendered {
        digest: sha256(text.as_bytes()),
        inputs: digest,
        services: found.services,
        volumes: found.volumes,
        networks: found.networks,
        keys: found.keys,
        notes: filled.notes,
        document: Arc::new(document),
        text,
    })
}

/// A file that nothing made: as it is written, read and checked as what [`render`] makes. It has no header.
///
/// # Errors
/// Where it is no sound YAML, or names what it does not declare.
pub fn written(name: &str, text: String) -> Result<Rendered, RenderError> {
    let document = yaml::read(&text).map_err(|error| RenderError::new(format!("`{name}` is not sound YAML: {error}")))?;
    let found = checks::check(name, &text, &document, &Data::default())?;
    let digest = sha256(text.as_bytes());
    Ok(Rendered {
        inputs: digest.clone(),
        digest,
        services: found.services,
        volumes: found.volumes,
        networks: found.networks,
        keys: found.keys,
        notes: Vec::new(),
        document: Arc::new(document),
        text,
    })
}

fn inputs_digest(template: &Template<'_>, inputs: &Inputs) -> String {
    let all = json!([REVISION, template.text, inputs.data.values, inputs.values, inputs.mode]);
    sha256(all.to_string().as_bytes())
}

/// `sha256:` and 64 digits.
pub fn sha256(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
