//! Image registries in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{Credentials, ImageRef, Manifest, PortError, PortErrorKind, PortResult, Registry, Secret};
use super::{FakeImage, FakeWorld, State, ids};

/// Media type of the manifests that a fake engine pushes.
const MEDIA_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeRegistry {
    /// Nobody answers.
    pub down: bool,
    /// Who may come in, with passwords; empty for everybody.
    #[serde(skip_serializing)]
    pub users: BTreeMap<String, String>,
    /// Everybody may read, whatever `users` says.
    pub public: bool,
    /// Manifests cannot be deleted.
    pub no_delete: bool,
    /// A tag that is there cannot be moved.
    pub immutable: bool,
    /// Repositories by path.
    pub repositories: BTreeMap<String, FakeRepository>,
}

/// A repository of a registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeRepository {
    /// Digests by tag.
    pub tags: BTreeMap<String, String>,
    /// Manifests by digest.
    pub manifests: BTreeMap<String, FakeManifest>,
}

/// A manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeManifest {
    /// Media type.
    pub media_type: String,
    /// The very text.
    pub text: String,
}

/// What the user's Docker configuration holds for a registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeCredentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Read,
    Write,
}

impl FakeRegistry {
    /// Drops what is the same as nothing: repositories without tags.
    pub(super) fn normalise(&mut self) {
        for repository in self.repositories.values_mut() {
            let tagged: Vec<_> = repository.tags.values().cloned().collect();
            repository.manifests.retain(|digest, _| tagged.contains(digest));
        }
        self.repositories.retain(|_, repository| !repository.tags.is_empty());
    }

    fn admits(&self, host: &str, who: &Credentials, wish: Wish) -> PortResult<()> {
        if self.users.is_empty() || (self.public && wish == Wish::Read) {
            return Ok(());
        }
        let known = match who {
            Credentials::Anonymous => false,
            Credentials::Basic { username, password } => self.users.get(username).is_some_and(|right| right == password.expose()),
            Credentials::IdentityToken(token) => self.users.values().any(|right| right == token.expose()),
        };
        if known { Ok(()) } else { Err(PortError::new(PortErrorKind::Denied, format!("registry `{host}` wants other credentials"))) }
    }
}

impl FakeRepository {
    /// Puts an image there under a tag, as a push does, and gives the digest.
    pub fn put(&mut self, tag: &str, id: &str, image: &FakeImage) -> String {
        let described = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": { "digest": id, "labels": image.labels, "size": image.size, "volumes": image.volumes },
        });
        let text = described.to_string();
        let digest = format!("sha256:{}", ids::sha256(&text));
        self.manifests.insert(digest.clone(), FakeManifest { media_type: MEDIA_TYPE.to_owned(), text });
        self.tags.insert(tag.to_owned(), digest.clone());
        digest
    }

    pub(super) fn find(&self, image: &ImageRef) -> Option<(&String, &FakeManifest)> {
        let digest = match &image.digest {
            Some(digest) => digest,
            None => self.tags.get(image.tag.as_deref().unwrap_or("latest"))?,
        };
        self.manifests.get_key_value(digest)
    }
}

impl State {
    pub(super) fn registry(&mut self, image: &ImageRef, who: &Credentials, wish: Wish) -> PortResult<&mut FakeRegistry> {
        self.entered(image, who, wish)?;
        Ok(self.registries.get_mut(&image.registry).expect("it was entered a line ago"))
    }

    /// The registry of an image, to be looked at.
    fn entered(&self, image: &ImageRef, who: &Credentials, wish: Wish) -> PortResult<&FakeRegistry> {
        let host = &image.registry;
        let found = self.registries.get(host).filter(|registry| !registry.down);
        let registry = found.ok_or_else(|| PortError::new(PortErrorKind::Unreachable, format!("registry `{host}` does not answer")))?;
        registry.admits(host, who, wish)?;
        Ok(registry)
    }

    /// The credentials of the user's Docker configuration.
    pub(super) fn configured(&self, host: &str) -> Credentials {
        self.credentials.get(host).map_or(Credentials::Anonymous, |known| Credentials::Basic {
            username: known.username.clone(),
            password: Secret::new(&known.password),
        })
    }
}

#[async_trait]
impl Registry for FakeWorld {
    async fn configured(&self, host: &str) -> PortResult<Credentials> {
        self.look("registry.configured", host, |state| Ok(state.configured(host)))
    }

    async fn manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<Option<Manifest>> {
        self.look("registry.manifest", image, |state| {
            let registry = state.entered(image, who, Wish::Read)?;
            let found = registry.repositories.get(&image.repository).and_then(|repository| repository.find(image));
            Ok(found.map(|(digest, manifest)| Manifest {
                digest: digest.clone(),
                media_type: manifest.media_type.clone(),
                bytes: manifest.text.clone().into_bytes(),
            }))
        })
    }

    async fn put_manifest(&self, image: &ImageRef, manifest: &Manifest, who: &Credentials) -> PortResult<()> {
        self.change("registry.put_manifest", image, |state| {
            let tag = image.tag.clone().ok_or_else(|| PortError::invalid(format!("`{image}` has no tag")))?;
            let registry = state.registry(image, who, Wish::Write)?;
            let immutable = registry.immutable;
            let repository = registry.repositories.entry(image.repository.clone()).or_default();
            may_move(repository, image, &manifest.digest, immutable)?;
            let text = String::from_utf8_lossy(&manifest.bytes).into_owned();
            let kept = FakeManifest { media_type: manifest.media_type.clone(), text };
            repository.manifests.insert(manifest.digest.clone(), kept);
            repository.tags.insert(tag, manifest.digest.clone());
            Ok(())
        })
    }

    async fn delete_manifest(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        self.change("registry.delete_manifest", image, |state| {
            let digest = image.digest.clone().ok_or_else(|| PortError::invalid(format!("`{image}` has no digest")))?;
            let registry = state.registry(image, who, Wish::Write)?;
            if registry.no_delete {
                return Err(PortError::failed(format!("registry `{}` does not delete (405 UNSUPPORTED)", image.registry)));
            }
            if let Some(repository) = registry.repositories.get_mut(&image.repository) {
                repository.manifests.remove(&digest);
                repository.tags.retain(|_, tagged| *tagged != digest);
            }
            Ok(())
        })
    }

    async fn tags(&self, image: &ImageRef, who: &Credentials) -> PortResult<Vec<String>> {
        self.look("registry.tags", image, |state| {
            let registry = state.entered(image, who, Wish::Read)?;
            Ok(registry.repositories.get(&image.repository).map(|found| found.tags.keys().cloned().collect()).unwrap_or_default())
        })
    }

    async fn prove_push(&self, image: &ImageRef, who: &Credentials) -> PortResult<()> {
        self.look("registry.prove_push", image, |state| state.entered(image, who, Wish::Write).map(|_| ()))
    }
}

/// Whether a tag may be put on that digest.
pub(super) fn may_move(repository: &FakeRepository, image: &ImageRef, digest: &str, immutable: bool) -> PortResult<()> {
    let there = repository.tags.get(image.tag.as_deref().unwrap_or("latest"));
    match there {
        Some(there) if immutable && there != digest => {
            Err(PortError::new(PortErrorKind::Conflict, format!("tag of `{image}` is immutable and stands on `{there}`")))
        }
        _ => Ok(()),
    }
}
