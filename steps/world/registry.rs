//! The port to image registries: HTTP API v2, for digests, verification, deletion and the proof that a push may be made.

use async_trait::async_trait;

use super::{ImageRef, PortResult, Secret};

/// Who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    Anonymous,
    /// A user with a password or token.
    Basic {
        /// The user's name; many registries take any for a token.
        username: String,
        /// Password or token.
        password: Secret,
    },
    /// A token that the registry's own token service exchanges.
    IdentityToken(Secret),
}

/// A manifest as the registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `sha256:…` of the bytes.
    pub digest: String,
    /// Media type.
    pub media_type: String,
    /// The very bytes.
    pub bytes: Vec<u8>,
}

/// Talks to the registry that a reference names. Plain HTTP is used for loopback addresses only.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The credentials that the user's Docker configuration has for a registry host; anonymous where it has none.
    async fn configured(&self, host: &str) -> PortResult<Credentials>;
    /// The manifest behind a tag or digest, None if there is none.
    async fn manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<Option<Manifest>>;
    /// Puts a manifest, whose blobs are there, under a tag.
    async fn put_manifest(&self, image: &ImageRef, manifest: &Manifest, who: &Credentials) -> PortResult<()>;
    /// Deletes a manifest by digest; every tag on it goes with it. Fine if there is none.
    async fn delete_manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<()>;
    /// All tags of the repository.
    async fn tags(&self, image: &ImageRef, who: &Credentials) -> PortResult<Vec<String>>;
    /// Proves that a push to the repository would be let in: opens an upload and cancels it.
    async fn prove_push(&self, image: &ImageRef, who: &Credentials) -> PortResult<()>;
}
