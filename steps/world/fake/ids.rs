//! Ids made of content, as git and image registries make them.

use sha2::{Digest, Sha256};

/// 64 hexadecimal digits.
pub(super) fn sha256(content: impl AsRef<[u8]>) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content.as_ref()).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// 40 hexadecimal digits, as git names objects.
pub(super) fn object(content: impl AsRef<[u8]>) -> String {
    let mut id = sha256(content);
    id.truncate(40);
    id
}
