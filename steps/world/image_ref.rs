//! References to container images, parsed and never concatenated.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{PortError, PortResult};

/// `registry/repository:tag@digest`, by the grammar of the distribution specification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Host and port, such as `ghcr.io` or `127.0.0.1:5000`; `docker.io` where the text names none.
    pub registry: String,
    /// Path without the registry, such as `acme/agents`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:(?P<host>(?:localhost|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+|",
        r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*:[0-9]+|localhost:[0-9]+|\[[0-9a-fA-F:]+\](?::[0-9]+)?)(?::[0-9]+)?)/)?",
        r"(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)",
        r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$"
    ))
    .expect("the pattern is a constant")
});

impl ImageRef {
    /// Parses a reference.
    ///
    /// # Errors
    /// `Invalid` with the text and the grammar's rule of thumb.
    pub fn parse(text: &str) -> PortResult<Self> {
        let bad = || {
            PortError::invalid(format!("`{text}` is not an image reference"))
                .hint("write it as registry/repository:tag, in lower case up to the tag")
        };
        if text.len() > 512 {
            return Err(bad());
        }
        let found = GRAMMAR.captures(text).ok_or_else(bad)?;
        let part = |name| found.name(name).map(|part| part.as_str().to_owned());
        let registry = part("host").unwrap_or_else(|| "docker.io".to_owned());
        let path = part("path").ok_or_else(bad)?;
        let repository = if registry == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path };
        Ok(Self { registry, repository, tag: part("tag"), digest: part("digest") })
    }

    /// The same repository under another tag, without a digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The same repository at a digest, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: &str) -> Self {
        Self { tag: None, digest: Some(digest.to_owned()), ..self.clone() }
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        let repository = match self.repository.strip_prefix("library/") {
            Some(rest) if self.registry == "docker.io" => rest,
            _ => &self.repository,
        };
        if self.registry == "docker.io" { repository.to_owned() } else { format!("{}/{repository}", self.registry) }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ImageRef {
    type Error = PortError;
    fn try_from(text: String) -> Result<Self, PortError> {
        Self::parse(&text)
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_and_printed_back() {
        for (text, registry, repository, tag) in [
            ("busybox", "docker.io", "library/busybox", None),
            ("acme/agents:v1", "docker.io", "acme/agents", Some("v1")),
            ("ghcr.io/acme/agents:v0.3.0", "ghcr.io", "acme/agents", Some("v0.3.0")),
            ("127.0.0.1:5511/harb/store:latest", "127.0.0.1:5511", "harb/store", Some("latest")),
            ("localhost:5000/x", "localhost:5000", "x", None),
            ("registry:5000/a/b", "registry:5000", "a/b", None),
        ] {
            let parsed = ImageRef::parse(text).expect(text);
            assert_eq!(
                (parsed.registry.as_str(), parsed.repository.as_str(), parsed.tag.as_deref()),
                (registry, repository, tag),
                "{text}"
            );
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_could_reach_another_endpoint_or_be_an_option_is_refused() {
        for text in ["", "-x", "../containers/json?x=", "a b", "UPPER/x", "x:", "x@sha256:12", "http://x/y", "x:tag/y", "a//b"] {
            assert!(ImageRef::parse(text).is_err(), "{text:?}");
        }
    }
}
