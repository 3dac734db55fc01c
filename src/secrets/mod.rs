//! Secrets that the steps of a plan name, fetched from their sources before the first effect.
//!
//! Values leave this module as [`Secret`] and nothing else: no message, no error and nothing that is stored holds one. Programs that are asked
//! (`sops`, `age`, commands) get no terminal and no input; what unlocks them must be unlocked beforehand.

mod ask;
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use formula_steps::world::Secret;

use crate::model::{Plan, SecretSource};

/// The longest value.
const LONGEST: usize = 64 * 1024;
/// Shorter values cannot be masked: they would stand in half of all words.
const SHORTEST_MASKED: usize = 6;
/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// All secrets that were found.
#[derive(Debug, Default)]
pub struct Resolved {
    /// By name. Optional ones that were not found are missing.
    pub secrets: BTreeMap<String, Secret>,
    /// What a person should know, such as values that are too short to be masked.
    pub warnings: Vec<String>,
}

/// A required secret that no source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Every source with the reason why it gave nothing.
    pub tried: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tried.is_empty() {
            return write!(f, "secret `{}` has no sources; add `from = [\"env:{}\"]` to [secrets.{}]", self.name, self.name, self.name);
        }
        write!(f, "secret `{}` was not found: {}", self.name, self.tried.join("; "))
    }
}

impl std::error::Error for Missing {}

/// Fetches every secret that a step of the plan names; of its sources the first that has it wins. `env` is the whole environment: sources are
/// looked up in it and programs run with it.
///
/// # Errors
/// All required secrets that were not found.
pub fn resolve(plan: &Plan, env: &BTreeMap<String, String>) -> Result<Resolved, Vec<Missing>> {
    let resolver = Resolver { workdir: &plan.workdir, env, patience: PATIENCE };
    let mut resolved = Resolved::default();
    let mut missing = Vec::new();
    for (name, sources) in &plan.secrets {
        match resolver.first(sources, &mut resolved.warnings) {
            Ok(secret) => {
                if secret.expose().chars().count() < SHORTEST_MASKED {
                    resolved.warnings.push(format!(
                        "secret `{name}` has fewer than {SHORTEST_MASKED} characters and cannot be masked in output; use a longer one"
                    ));
                }
                resolved.secrets.insert(name.clone(), secret);
            }
            Err(_) if plan.optional_secrets.contains(name) => {}
            Err(tried) => missing.push(Missing { name: name.clone(), tried }),
        }
    }
    if missing.is_empty() { Ok(resolved) } else { Err(missing) }
}

/// Asks sources.
struct Resolver<'a> {
    workdir: &'a Path,
    env: &'a BTreeMap<String, String>,
    patience: Duration,
}

impl Resolver<'_> {
    fn first(&self, sources: &[SecretSource], warnings: &mut Vec<String>) -> Result<Secret, Vec<String>> {
        let mut tried = Vec::with_capacity(sources.len());
        for source in sources {
            match self.one(source, warnings).and_then(usable) {
                Ok(value) => return Ok(Secret::new(value)),
                Err(reason) => tried.push(format!("{} {reason}", shown(source))),
            }
        }
        Err(tried)
    }

    fn one(&self, source: &SecretSource, warnings: &mut Vec<String>) -> Result<String, String> {
        match source {
            SecretSource::Env(name) => self.env.get(name).cloned().ok_or_else(|| "is not set".to_owned()),
            SecretSource::File(path) => file::read(self.workdir, path, warnings),
            SecretSource::Sops { file, key } => {
                let mut argv = vec!["sops".to_owned(), "--decrypt".to_owned()];
                if let Some(key) = key {
                    let parts: Vec<_> = key.split('.').map(|part| serde_json::Value::from(part).to_string()).collect();
                    let path = format!("[{}]", parts.join("]["));
                    argv.extend(["--extract".to_owned(), path]);
                }
                argv.push(self.existing(file)?);
                self.ask(&argv)
            }
            SecretSource::Age(file) => {
                let mut argv = vec!["age".to_owned(), "--decrypt".to_owned()];
                if let Some(identity) = self.identity() {
                    argv.extend(["--identity".to_owned(), identity]);
                }
                argv.push(self.existing(file)?);
                self.ask(&argv)
            }
            SecretSource::Command(argv) => self.ask(argv),
        }
    }

    fn ask(&self, argv: &[String]) -> Result<String, String> {
        let output = ask::ask(argv, self.workdir, self.env, self.patience)?;
        Ok(file::without_line_end(output))
    }

    /// The whole path of a file that a program is to decrypt; whole, so that it is never taken for an option.
    fn existing(&self, path: &str) -> Result<String, String> {
        let path = file::locate(self.workdir, path)?;
        if path.is_file() { Ok(path.to_string_lossy().into_owned()) } else { Err("does not exist".to_owned()) }
    }

    /// The file with the identities of age, where sops looks for it too.
    fn identity(&self) -> Option<String> {
        if let Some(named) = ["AGE_IDENTITY", "SOPS_AGE_KEY_FILE"].iter().find_map(|name| self.env.get(*name)) {
            return Some(named.clone());
        }
        let config = self.env.get("XDG_CONFIG_HOME").cloned().or_else(|| self.env.get("HOME").map(|home| format!("{home}/.config")));
        config.map(|config| format!("{config}/sops/age/keys.txt")).filter(|path| Path::new(path).is_file())
    }
}

/// A value that can be handed on and masked.
fn usable(value: String) -> Result<String, String> {
    match value {
        value if value.trim().is_empty() => Err("is empty".to_owned()),
        value if value.contains('\0') => Err("holds a zero byte, which no environment can carry".to_owned()),
        value => Ok(value),
    }
}

/// A source as authors write it; of a command only the program, since its arguments may be telling.
fn shown(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => format!("`env:{name}`"),
        SecretSource::File(path) => format!("`file:{path}`"),
        SecretSource::Sops { file, key: Some(key) } => format!("`sops:{file}#{key}`"),
        SecretSource::Sops { file, key: None } => format!("`sops:{file}`"),
        SecretSource::Age(file) => format!("`age:{file}`"),
        SecretSource::Command(argv) => format!("`command:{}`", argv.first().map_or("", String::as_str)),
    }
}

#[cfg(test)]
mod tests;
