//! Names that may become part of an address of the API, where the library puts them as they are.

use crate::world::{ImageRef, PortError, PortResult};

/// An image's reference or id, as it may be sent.
pub(super) fn image(text: &str) -> PortResult<String> {
    let id = text.strip_prefix("sha256:").unwrap_or(text);
    if (12..=64).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text.to_owned());
    }
    ImageRef::parse(text).map(|reference| reference.to_string())
}

/// Repository and tag of a name that is to be given; `latest` where it has no tag.
pub(super) fn parts(name: &ImageRef) -> PortResult<(String, String)> {
    // The parts of a reference are public: only what parses may be sent.
    let name = ImageRef::parse(&name.to_string())?;
    if name.digest.is_some() {
        return Err(PortError::invalid(format!("`{name}` has a digest, which cannot be chosen"))
            .hint("a digest follows from the content; name a tag"));
    }
    Ok((name.name(), name.tag.unwrap_or_else(|| "latest".to_owned())))
}

/// A container's name or id.
pub(super) fn container(text: &str) -> PortResult<&str> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && text.len() <= 255 && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
        return Ok(text);
    }
    Err(PortError::invalid(format!("`{text}` is not the name of a container"))
        .hint("letters, digits, `_`, `.` and `-`, the first one a letter or digit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_reaches_another_endpoint_passes() {
        for text in ["../containers/json?x=", "a?b", "a/../b", "-x", "", "a b", "x#y", "%2e%2e"] {
            assert!(image(text).is_err(), "{text:?}");
            assert!(container(text).is_err(), "{text:?}");
        }
        for text in ["sha256:0123456789ab", "0123456789ab", "busybox", "127.0.0.1:5000/a/b:c"] {
            assert_eq!(image(text).as_deref(), Ok(text));
        }
        for text in ["proj-web-1", "0123456789ab", "a.b_c"] {
            assert_eq!(container(text), Ok(text));
        }
    }

    #[test]
    fn a_new_name_has_a_tag_and_no_digest() {
        let of = |text: &str| parts(&ImageRef::parse(text).expect(text));
        assert_eq!(of("ghcr.io/a/b"), Ok(("ghcr.io/a/b".into(), "latest".into())));
        assert!(of(&format!("a@sha256:{}", "0".repeat(64))).is_err());
    }
}
