//! How a digest is written.

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// `sha256:…`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}
