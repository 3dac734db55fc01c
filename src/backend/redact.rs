//! The one streaming redactor in front of every sink: terminal, logs, journal, JSON, errors.
//!
//! It knows each secret raw, by line, in base64 (three alignments, both alphabets), hex, percent-, JSON- and shell-escaped and as UTF-16, over
//! any split of writes. It is a safety net, not a boundary: a program can print a secret transformed in another way.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Values shorter than this are not masked: they would mask half of every log.
pub const SHORTEST: usize = 6;

/// Lines of a secret shorter than this are not masked by themselves.
const SHORTEST_LINE: usize = 8;

/// Knows what to mask.
#[derive(Debug, Default)]
pub struct Redactor {
    automaton: Option<AhoCorasick>,
    patterns: Vec<Vec<u8>>,
}

impl Redactor {
    /// For these values; those under [`SHORTEST`] bytes are left out.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            forms(value, &mut patterns);
            if value.contains('\n') {
                for line in value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE) {
                    forms(line, &mut patterns);
                }
            }
        }
        let patterns: Vec<Vec<u8>> = patterns.into_iter().collect();
        if patterns.is_empty() {
            return Self::default();
        }
        let size: usize = patterns.iter().map(Vec::len).sum();
        let kind = (size < 64 * 1024).then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(kind)
            .build(&patterns)
            .expect("patterns of secrets are far below the automaton's limits");
        Self { automaton: Some(automaton), patterns }
    }

    /// Whether there is anything to mask.
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Masks a whole text. Where what a terminal obeys (a colour, a zero byte) stands within a secret it is taken out of all of the text: whoever
    /// shows it would put the secret together again.
    pub fn text(&self, text: &str) -> String {
        let masked = self.plain(text);
        if self.is_empty() || !masked.contains(is_obeyed) {
            return masked;
        }
        let bare = bare(&masked);
        if self.found_in(&bare) { self.plain(&bare) } else { masked }
    }

    fn plain(&self, text: &str) -> String {
        match &self.automaton {
            Some(automaton) if automaton.is_match(text) => {
                let mut masked = Vec::with_capacity(text.len());
                automaton.replace_all_with_bytes(text.as_bytes(), &mut masked, |_, _, out| {
                    out.extend_from_slice(MASK.as_bytes());
                    true
                });
                String::from_utf8_lossy(&masked).into_owned()
            }
            _ => text.to_owned(),
        }
    }

    /// Masks every string of a JSON value, keys included.
    pub fn value(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => {
                for item in map.values_mut() {
                    self.value(item);
                }
                if map.keys().any(|key| self.found_in(key)) {
                    *map = std::mem::take(map).into_iter().map(|(key, item)| (self.text(&key), item)).collect();
                }
            }
            _ => {}
        }
    }

    /// Whether a text holds a secret.
    pub fn found_in(&self, text: &str) -> bool {
        self.automaton.as_ref().is_some_and(|automaton| automaton.is_match(text))
    }

    /// The first place from which `bytes` might still become a secret.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let longest = self.patterns.iter().map(Vec::len).max().unwrap_or(0);
        let from = bytes.len().saturating_sub(longest.saturating_sub(1));
        let tail = &bytes[from..];
        for start in 0..tail.len() {
            let rest = &tail[start..];
            // The patterns are sorted, so those that begin with `rest` follow its place.
            let at = self.patterns.partition_point(|pattern| pattern.as_slice() < rest);
            if self.patterns.get(at).is_some_and(|pattern| pattern.len() > rest.len() && pattern.starts_with(rest))
                || self.patterns.get(at + 1).is_some_and(|pattern| pattern.starts_with(rest))
            {
                return from + start;
            }
        }
        bytes.len()
    }
}

/// Whether a terminal obeys a character rather than show it.
fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// A text without what a terminal obeys.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = match c {
            '\u{1b}' => chars.next(),
            '\u{9b}' => Some('['),
            _ => None,
        };
        match begins {
            // CSI: up to its final byte.
            Some('[') => drop(chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c))),
            // OSC, DCS and their like: up to BEL or ST.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(c) = chars.next() {
                    if c == '\u{7}' || c == '\u{9c}' || c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                        break;
                    }
                }
            }
            Some(_) => {}
            None if is_obeyed(c) => {}
            None => out.push(c),
        }
    }
    out
}

/// Masks a stream whose pieces may split a secret anywhere.
#[derive(Debug, Default)]
pub struct RedactStream {
    held: Vec<u8>,
}

impl RedactStream {
    /// Takes a piece and appends to `out` what can no longer become part of a secret.
    pub fn push(&mut self, redactor: &Redactor, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(automaton) = &redactor.automaton else {
            out.extend_from_slice(bytes);
            return;
        };
        if self.held.is_empty() {
            let rest = emit(automaton, redactor, bytes, out);
            self.held.extend_from_slice(&bytes[rest..]);
        } else {
            self.held.extend_from_slice(bytes);
            let held = std::mem::take(&mut self.held);
            let rest = emit(automaton, redactor, &held, out);
            self.held.extend_from_slice(&held[rest..]);
        }
    }

    /// The end: what is held back is decided now.
    pub fn finish(&mut self, redactor: &Redactor, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        match &redactor.automaton {
            Some(automaton) => automaton.replace_all_with_bytes(&held, out, |_, _, out| {
                out.extend_from_slice(MASK.as_bytes());
                true
            }),
            None => out.extend_from_slice(&held),
        }
    }
}

/// Writes the decided part of `bytes`, masked; returns where the undecided part begins.
fn emit(automaton: &AhoCorasick, redactor: &Redactor, bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let mut done = 0;
    let mut limit = redactor.undecided(bytes);
    for found in automaton.find_iter(bytes) {
        if found.start() >= limit {
            break;
        }
        out.extend_from_slice(&bytes[done..found.start()]);
        out.extend_from_slice(MASK.as_bytes());
        done = found.end();
        if done > limit {
            limit = done + redactor.undecided(&bytes[done..]);
        }
    }
    let limit = limit.max(done);
    out.extend_from_slice(&bytes[done..limit]);
    limit
}

/// Every form of a value that is looked for.
fn forms(value: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    let mut add = |form: String| {
        if form.len() >= SHORTEST {
            patterns.insert(form.into_bytes());
        }
    };
    add(value.to_owned());
    add(STANDARD.encode(bytes));
    for shift in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            add(shifted_base64(engine, bytes, shift));
        }
    }
    let hex = |upper: bool| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            text
        })
    };
    add(hex(false));
    add(hex(true));
    for (upper, plus) in [(true, false), (false, false), (true, true)] {
        add(percent(bytes, upper, plus));
    }
    let json = Value::from(value).to_string();
    add(json[1..json.len() - 1].to_owned());
    add(json[1..json.len() - 1].replace('/', "\\/"));
    add(value.replace('\'', "'\\''"));
    add(value.chars().flat_map(|c| if "\"\\$`".contains(c) { vec!['\\', c] } else { vec![c] }).collect());
    patterns.insert(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
}

/// The base64 characters that are the same whatever stands around the value, when it begins `shift` bytes into a group of three.
fn shifted_base64(engine: &impl base64::Engine, bytes: &[u8], shift: usize) -> String {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(bytes);
    let text = engine.encode(&padded);
    let skip = [0, 2, 3][shift];
    let whole = padded.len() * 8 / 6;
    text[skip..whole].to_owned()
}

fn percent(bytes: &[u8], upper: bool, plus: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        let _ = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => write!(text, "{}", byte as char),
            b' ' if plus => write!(text, "+"),
            _ if upper => write!(text, "%{byte:02X}"),
            _ => write!(text, "%{byte:02x}"),
        };
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 6] = [
        "hunter2-secret",
        "p%\"\\ss w\u{f6}rd/+?",
        "{\"token\": \"abc123def\"}",
        "hunter2-secret-longer",
        "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----",
        "abcabcabcabd",
    ];

    fn stream(redactor: &Redactor, pieces: &[&[u8]]) -> String {
        let (mut stream, mut out) = (RedactStream::default(), Vec::new());
        for piece in pieces {
            stream.push(redactor, piece, &mut out);
        }
        stream.finish(redactor, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_form_is_masked_at_every_split() {
        let redactor = Redactor::new(SECRETS);
        let mut cases = 0;
        for secret in SECRETS {
            let mut all = BTreeSet::new();
            forms(secret, &mut all);
            for shift in ["", "u", "us", "user:"] {
                all.insert(STANDARD.encode(format!("{shift}{secret}@end")).into_bytes());
            }
            for form in all {
                let text = [b"before ".as_slice(), &form, b" after"].concat();
                for split in 0..=text.len() {
                    let (left, right) = text.split_at(split);
                    let masked = stream(&redactor, &[left, right]);
                    assert!(masked.starts_with("before ") && masked.ends_with(" after") && masked.contains(MASK), "{masked:?}");
                    assert!(!masked.contains(secret), "{masked:?}");
                    cases += 1;
                }
                let bytes: Vec<&[u8]> = text.chunks(1).collect();
                assert_eq!(stream(&redactor, &bytes), stream(&redactor, &[&text]));
            }
        }
        assert!(cases > 3_000, "{cases}");
    }

    #[test]
    fn what_a_terminal_obeys_hides_no_secret_in_a_text() {
        let redactor = Redactor::new(SECRETS);
        for between in
            ["\u{1b}[1m", "\u{1b}[0;31m\u{1b}[K", "\0", "\u{1b}]0;title\u{7}", "\u{1b}P+q\u{1b}\\", "\u{9b}2J", "\u{7}", "\u{1b}c"]
        {
            let text = format!("it is hunter2{between}-secret{between} and \u{1b}[1mmore");
            assert_eq!(redactor.text(&text), "it is *** and more", "{between:?}");
        }
        let harmless = "a \u{1b}[1mbold\u{1b}[0m word\n";
        assert_eq!(redactor.text(harmless), harmless, "what hides nothing stays as it is");
        assert_eq!(Redactor::default().text("\u{1b}[1mx"), "\u{1b}[1mx");
    }

    #[test]
    fn the_longest_of_two_overlapping_secrets_is_masked_whole() {
        let redactor = Redactor::new(SECRETS);
        assert_eq!(stream(&redactor, &[b"x hunter2-secret", b"-longer y"]), "x *** y");
        assert_eq!(stream(&redactor, &[b"x hunter2-secret", b"-lon y"]), "x ***-lon y");
        assert_eq!(stream(&redactor, &[b"abcabc", b"abcabcabd"]), "abc***");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_become_a_secret() {
        let redactor = Redactor::new(SECRETS);
        let (mut stream, mut out) = (RedactStream::default(), Vec::new());
        stream.push(&redactor, b"a line without any\n", &mut out);
        assert_eq!(out, b"a line without any\n");
        stream.push(&redactor, b"hunter2", &mut out);
        assert_eq!(out, b"a line without any\n");
    }

    #[test]
    fn json_values_and_keys_are_masked_and_short_values_are_not() {
        let redactor = Redactor::new(["hunter2-secret", "short"]);
        let mut value = serde_json::json!({"hunter2-secret": ["x hunter2-secret", 1, "short"]});
        redactor.value(&mut value);
        assert_eq!(value, serde_json::json!({"***": ["x ***", 1, "short"]}));
    }
}
