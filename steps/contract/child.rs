//! How a step starts children: what they see of the environment, and what they do not.

use std::collections::BTreeMap;

use super::Context;
use crate::world::Command;

/// Variables that children inherit from the environment this program was started with, besides [`INHERITED_PREFIXES`].
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TMPDIR",
    "TZ",
    "NO_COLOR",
    // The mark by which a later driver finds children of one that died.
    "FORMULA_DRIVER",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// Beginnings of the names of more such variables.
const INHERITED_PREFIXES: &[&str] = &["LC_", "XDG_", "GIT_", "DOCKER_", "BUILDX_", "FORMULA_"];

/// One of them that belongs to the step around us, where a run is started by a step of another.
const OUTPUT: &str = "FORMULA_OUTPUT";

/// What a child sees when the environment names no search path.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn inherited(name: &str) -> bool {
    name != OUTPUT && (INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|start| name.starts_with(start)))
}

impl Context {
    /// A child in the working directory. It sees a fixed list of what this program was started with, the `env` of the step,
    /// the secrets that the step names as variables of the same names, and which step of which run it is.
    pub fn command<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Command {
        let mut env: BTreeMap<String, String> = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
        let base = self.base_env.iter().filter(|(name, _)| inherited(name));
        env.extend(base.chain(self.env.iter()).map(|(name, value)| (name.clone(), value.clone())));
        for (name, value) in [
            ("FORMULA_RUN", self.run.id.clone()),
            ("FORMULA_STEP", self.step.to_string()),
            ("FORMULA_ATTEMPT", self.attempt.to_string()),
            ("FORMULA_IDEMPOTENCY_KEY", self.key.to_string()),
        ] {
            env.insert(name.to_owned(), value);
        }
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env,
            secret_env: BTreeMap::clone(&self.secrets),
            inherit_env: false,
            dir: self.workdir.to_path_buf(),
            stdin: None,
            nested: false,
        }
    }
}
