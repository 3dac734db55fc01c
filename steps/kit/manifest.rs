//! What a manifest says about the image behind it.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{Image, ImageRef, Manifest};

/// Digest of the image configuration that the manifest names; None for a list of manifests.
pub fn config_digest(manifest: &Manifest) -> Option<String> {
    let json: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    json.pointer("/config/digest")?.as_str().map(str::to_owned)
}

/// Whether the manifest stands for the image with that id. An engine identifies an image by the digest of its configuration,
/// or, with containerd's store, by that of its manifest.
pub fn stands_for(manifest: &Manifest, image_id: &str) -> bool {
    manifest.digest == image_id || config_digest(manifest).as_deref() == Some(image_id)
}

/// Whether the engine's image is the one behind the manifest: by id, or because it was pulled or pushed under that digest.
pub fn is_held_as(manifest: &Manifest, reference: &ImageRef, image: &Image) -> bool {
    stands_for(manifest, &image.id) || image.digests.contains(&reference.with_digest(&manifest.digest).to_string())
}

/// A manifest that says the same and has another digest: its text with one more line end.
pub fn copy(manifest: &Manifest) -> Manifest {
    let bytes = [manifest.bytes.as_slice(), b"\n"].concat();
    let digest = Sha256::digest(&bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    Manifest { digest, bytes, media_type: manifest.media_type.clone() }
}
