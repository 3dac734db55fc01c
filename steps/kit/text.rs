//! Quoting what others wrote: short, on one line, without the step's secrets.

use crate::contract::Context;
use crate::world::Secret;

/// The most that is quoted of somebody else's text, in characters.
const MOST: usize = 300;

/// Text of others for a message: one line, cut after 300 characters, secrets of the step masked.
pub fn quote(cx: &Context, text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in cx.secrets.values().map(Secret::expose).filter(|value| !value.is_empty()) {
        text = text.replace(secret, "***");
    }
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// `1 thing`, `2 things`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A list for a message: the first ten, and how many more.
pub fn some_of(items: &[String]) -> String {
    let shown = items.iter().take(10).map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ");
    if items.len() > 10 { format!("{shown} and {} more", items.len() - 10) } else { shown }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
