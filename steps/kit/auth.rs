//! Who a step is to a registry, and what to say when the registry says no.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::{Context, StepError};
use crate::world::{Credentials, ImageRef, Manifest, PortError, PortErrorKind};

/// A user and the name of a secret. Left out, or with an empty `secret`: the Docker configuration's credentials for the registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuth {
    /// The user's name; many registries take any name for a token.
    #[serde(default)]
    pub username: String,
    /// Name of a declared secret that the step names in `secrets`: the password or token. Empty for none.
    #[serde(default)]
    pub secret: String,
    /// Host of the registry these are for. Only needed where images of several registries are named.
    #[serde(default)]
    pub registry: Option<String>,
}

impl RegistryAuth {
    /// Whether these are meant for that host.
    fn is_for(&self, host: &str) -> bool {
        !self.secret.is_empty() && self.registry.as_deref().is_none_or(|registry| registry.is_empty() || registry == host)
    }
}

/// The credentials for a registry host.
///
/// # Errors
/// Refused when the secret is not handed to the step; whatever reading the Docker configuration gives.
pub async fn credentials(cx: &Context, auth: Option<&RegistryAuth>, host: &str) -> Result<Credentials, StepError> {
    match auth.filter(|auth| auth.is_for(host)) {
        Some(auth) => Ok(Credentials::Basic { username: auth.username.clone(), password: cx.secret(&auth.secret)?.clone() }),
        None => Ok(cx.world.registry.configured(host).await?),
    }
}

/// One problem where credentials could go to a registry they are not for: several hosts, and none named.
pub fn check_hosts<'a>(auth: Option<&RegistryAuth>, hosts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let auth = auth.filter(|auth| !auth.secret.is_empty() && auth.registry.as_deref().is_none_or(str::is_empty))?;
    let mut hosts: Vec<&str> = hosts.into_iter().collect();
    hosts.sort_unstable();
    hosts.dedup();
    (hosts.len() > 1).then(|| {
        format!(
            "images of several registries are named ({}): say which one the secret `{}` is for with `registry_auth.registry`",
            hosts.join(", "),
            auth.secret
        )
    })
}

/// A port's failure, with the way to mend credentials where they were refused.
pub fn explain(error: PortError, auth: Option<&RegistryAuth>, host: &str) -> StepError {
    let denied = error.kind == PortErrorKind::Denied;
    let hint = match auth.filter(|auth| auth.is_for(host)) {
        Some(auth) => {
            format!("the secret `{}` for user `{}` was refused by `{host}`: check its value and what it may do", auth.secret, auth.username)
        }
        None => format!("log in with `docker login {host}`, or name a secret in `registry_auth`"),
    };
    let explained = StepError::from(error);
    if denied { explained.hint(hint) } else { explained }
}

/// The manifest that a registry has under a name, None where it has none.
///
/// # Errors
/// As the registry answers, told with the name and, where it refused us, with the way to mend it; Cancelled.
pub async fn manifest(cx: &Context, auth: Option<&RegistryAuth>, name: &ImageRef) -> Result<Option<Manifest>, StepError> {
    let who = credentials(cx, auth, &name.registry).await?;
    let asking = async { cx.world.registry.manifest(name, &who).await.map_err(|error| explain(error, auth, &name.registry)) };
    cx.unless_cancelled(asking).await.map_err(|error| error.context(format!("asking the registry for `{name}`")))
}
