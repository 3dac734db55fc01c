//! What the user's Docker configuration says: credentials for registries, with the user's credential helpers, and the current
//! context's engine.
//!
//! Knows `config.json` and its neighbours, no engine and no registry. A credential never leaves in a message.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::world::{Credentials, PortError, PortErrorKind, PortResult, Secret};

/// The key under which Docker keeps the credentials of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";
/// A helper may ask a keyring, even a person; but it must not hold up a run for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder with `config.json`: `~/.docker`, or what `DOCKER_CONFIG` names. None: no configuration.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    dir: Option<PathBuf>,
    patience: Option<Duration>,
}

type Found = Result<DockerCredential, CredentialRetrievalError>;

/// How to reach the engine of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEndpoint {
    /// As in `DOCKER_HOST`.
    pub host: String,
    /// Folder with `ca.pem`, `cert.pem` and `key.pem`, where the context has one.
    pub tls_dir: Option<PathBuf>,
}

/// The parts of `config.json` that matter here.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, serde_json::Value>,
    cred_helpers: BTreeMap<String, String>,
    current_context: Option<String>,
}

impl DockerConfig {
    /// The configuration in a folder.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, patience: None }
    }

    /// Waits at most that long for a credential helper.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The credentials for a registry host such as `ghcr.io` or `127.0.0.1:5000`; anonymous where there are none.
    ///
    /// # Errors
    /// `Failed` for a file or helper that cannot be used, `Timeout` for a helper that does not answer.
    pub async fn credentials(&self, host: &str) -> PortResult<Credentials> {
        if host != "docker.io" {
            return self.lookup(host).await;
        }
        match self.lookup(HUB).await? {
            Credentials::Anonymous => self.lookup(host).await,
            found => Ok(found),
        }
    }

    /// Everything that the configuration names, for an engine that pulls base images by itself. A helper that fails is skipped:
    /// the build may not need it, and says so if it does.
    pub async fn all(&self) -> BTreeMap<String, Credentials> {
        let Ok(file) = self.read() else { return BTreeMap::new() };
        let hosts: BTreeSet<String> = file.auths.into_keys().chain(file.cred_helpers.into_keys()).collect();
        // Together: a helper that hangs must cost its patience once.
        let found = futures_util::future::join_all(hosts.iter().map(|host| self.lookup(host))).await;
        let found = hosts.into_iter().zip(found).filter_map(|(host, found)| Some((host, found.ok()?)));
        found.filter(|(_, credentials)| *credentials != Credentials::Anonymous).collect()
    }

    /// The engine of the context that `docker context use` chose; None for the default one. Blocks for two small files.
    ///
    /// # Errors
    /// `Failed` when the chosen context has no endpoint.
    pub fn context(&self) -> PortResult<Option<ContextEndpoint>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Meta {
            endpoints: BTreeMap<String, Endpoint>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Endpoint {
            host: String,
        }
        let Some(dir) = &self.dir else { return Ok(None) };
        let Some(name) = self.read()?.current_context.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };
        let id = super::digest::hex(&Sha256::digest(name.as_bytes()));
        let contexts = dir.join("contexts");
        let lost = || {
            PortError::failed(format!("Docker context `{name}` of `{}` has no engine", dir.join("config.json").display()))
                .hint("see `docker context ls`, or set DOCKER_HOST")
        };
        let bytes = std::fs::read(contexts.join("meta").join(&id).join("meta.json")).map_err(|_| lost())?;
        let mut meta: Meta = serde_json::from_slice(&bytes).map_err(|_| lost())?;
        let host = meta.endpoints.remove("docker").ok_or_else(lost)?.host;
        let tls = contexts.join("tls").join(&id).join("docker");
        Ok(Some(ContextEndpoint { host, tls_dir: tls.is_dir().then_some(tls) }))
    }

    fn read(&self) -> PortResult<ConfigFile> {
        let Some(path) = self.dir.as_ref().map(|dir| dir.join("config.json")) else { return Ok(ConfigFile::default()) };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| PortError::failed(format!("`{}` is not a Docker configuration: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ConfigFile::default()),
            Err(error) => Err(PortError::failed(format!("cannot read `{}`: {error}", path.display()))),
        }
    }

    async fn lookup(&self, server: &str) -> PortResult<Credentials> {
        let Some(path) = self.dir.as_ref().map(|dir| dir.join("config.json")) else { return Ok(Credentials::Anonymous) };
        let key = server.to_owned();
        self.ask(server, move || match std::fs::File::open(&path) {
            Ok(file) => docker_credential::get_credential_from_reader(std::io::BufReader::new(file), &key),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(CredentialRetrievalError::ConfigNotFound),
            Err(_) => Err(CredentialRetrievalError::ConfigReadError),
        })
        .await
    }

    /// Waits for an answer that may have to be asked from another program.
    async fn ask(&self, server: &str, work: impl FnOnce() -> Found + Send + 'static) -> PortResult<Credentials> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A thread of its own: a helper that hangs must not hold up the end of the runtime, as a blocking task would.
        std::thread::Builder::new()
            .name("docker-credentials".into())
            .spawn(move || {
                // Nobody listens any more once the patience is over.
                let _ = sender.send(work());
            })
            .map_err(|error| PortError::failed(format!("cannot start a thread for the credentials of `{server}`: {error}")))?;
        let patience = self.patience.unwrap_or(PATIENCE);
        match tokio::time::timeout(patience, receiver).await {
            Ok(Ok(found)) => self.judge(server, found),
            Ok(Err(_)) => Err(PortError::failed(format!("looking up the credentials of `{server}` stopped without an answer"))),
            Err(_) => Err(PortError::new(
                PortErrorKind::Timeout,
                format!("the credential helper for `{server}` did not answer in {} s", patience.as_secs()),
            )
            .hint("it may wait for a keyring to be unlocked; try `docker login` in a terminal")),
        }
    }

    fn judge(&self, server: &str, found: Found) -> PortResult<Credentials> {
        use CredentialRetrievalError as Error;
        let what = format!("credentials of `{server}`");
        match found {
            Ok(DockerCredential::IdentityToken(token)) => Ok(Credentials::IdentityToken(Secret::new(token))),
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                Ok(Credentials::Basic { username, password: Secret::new(password) })
            }
            Err(Error::NoCredentialConfigured | Error::ConfigNotFound) => Ok(Credentials::Anonymous),
            Err(Error::HelperFailure { stdout, stderr, .. }) if [&stdout, &stderr].iter().any(|text| text.contains("not found")) => {
                Ok(Credentials::Anonymous)
            }
            Err(Error::HelperFailure { helper, stderr, stdout }) => {
                let words = [stderr, stdout].into_iter().find_map(|text| text.lines().next().map(str::to_owned)).unwrap_or_default();
                Err(PortError::failed(format!("{what}: `{helper}` failed: {words}")))
            }
            Err(Error::HelperCommunicationError | Error::MalformedHelperResponse) => {
                Err(PortError::failed(format!("{what}: the credential helper cannot be used"))
                    .hint("the `docker-credential-…` program that config.json names must be on PATH"))
            }
            Err(error) => {
                let dir = self.dir.as_deref().unwrap_or(std::path::Path::new("")).join("config.json");
                Err(PortError::failed(format!("{what}: `{}`: {error}", dir.display())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_helper_that_hangs_costs_its_patience_and_no_more() {
        let config = DockerConfig::new(Some("/unused".into())).with_patience(Duration::from_millis(50));
        let (stop, hang) = std::sync::mpsc::channel::<()>();
        let hanging = move || {
            let _ = hang.recv();
            Err(CredentialRetrievalError::NoCredentialConfigured)
        };
        let error = config.ask("slow.test", hanging).await.expect_err("it hangs");
        assert_eq!(error.kind, PortErrorKind::Timeout);
        assert!(error.message.contains("slow.test"), "{error}");
        drop(stop);
        // Dying takes its own time: the panic is written out first.
        let patient = DockerConfig::new(Some("/unused".into())).with_patience(Duration::from_mins(1));
        let dying = patient.ask("dying.test", || panic!("as a defect would")).await.expect_err("it dies");
        assert_eq!(dying.kind, PortErrorKind::Failed);
    }

    #[test]
    fn a_helper_that_knows_nobody_is_no_failure() {
        let config = DockerConfig::default();
        let failed = |words: &str| {
            let (helper, stdout, stderr) = ("docker-credential-x".to_owned(), words.to_owned(), String::new());
            config.judge("x.test", Err(CredentialRetrievalError::HelperFailure { helper, stdout, stderr }))
        };
        assert_eq!(failed("credentials not found in native keychain"), Ok(Credentials::Anonymous));
        let error = failed("the keyring is locked\nmore").expect_err("a failure");
        assert!(error.message.ends_with("the keyring is locked"), "{error}");
    }
}
