//! Finds tags and names in the text of a template.
//!
//! Handlebars' own tree has no places for what stands inside a tag, and its parser recurses as deep as it is told to; this scanner gives the
//! places and refuses what is too much before the parser sees it. It decides nothing else.

use std::ops::Range;

use super::TemplateError;

/// The longest text that may hold a template.
const LONGEST: usize = 64 * 1024;
/// The most tags in one text.
const MOST_TAGS: usize = 1_000;
/// The deepest nesting of parentheses, brackets and blocks.
const DEEPEST: usize = 32;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Every tag, braces included.
    pub tags: Vec<Range<usize>>,
    /// Every word in a tag that may be a name or a path.
    pub words: Vec<Range<usize>>,
}

/// Finds tags and words.
///
/// # Errors
/// When the text is too long, has too many tags or nests too deep.
pub(super) fn scan(text: &str) -> Result<Scan, TemplateError> {
    if text.len() > LONGEST {
        return Err(TemplateError::new(format!("a text with templates may have {LONGEST} bytes, this one has {}", text.len()))
            .help("keep long texts in a file"));
    }
    let bytes = text.as_bytes();
    let mut scan = Scan::default();
    let mut blocks = 0_usize;
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        if is_escaped(&bytes[..start]) {
            at = start + 2;
            continue;
        }
        let inside = skip(bytes, start, b"{~");
        match bytes.get(inside) {
            Some(b'#' | b'^') => blocks += 1,
            Some(b'/') => blocks = blocks.saturating_sub(1),
            _ => {}
        }
        let (end, depth) = tag(text, inside, &mut scan.words);
        if blocks > DEEPEST || depth > DEEPEST {
            return Err(TemplateError::new(format!("a template may nest {DEEPEST} deep, this one goes deeper")).at(start..end));
        }
        scan.tags.push(start..end);
        if scan.tags.len() > MOST_TAGS {
            return Err(TemplateError::new(format!("a text may hold {MOST_TAGS} templates, this one has more")).at(start..end));
        }
        at = end;
    }
    Ok(scan)
}

/// One backslash before the braces makes them text; two or more make a backslash and a tag.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() == 1
}

fn skip(bytes: &[u8], mut at: usize, any_of: &[u8]) -> usize {
    while bytes.get(at).is_some_and(|byte| any_of.contains(byte)) {
        at += 1;
    }
    at
}

/// Goes through a tag from behind its braces; gives its end and how deep it nests.
fn tag(text: &str, inside: usize, words: &mut Vec<Range<usize>>) -> (usize, usize) {
    let bytes = text.as_bytes();
    if bytes.get(inside) == Some(&b'!') {
        let close = if text[inside..].starts_with("!--") { "--}}" } else { "}}" };
        let end = text[inside..].find(close).map_or(text.len(), |found| inside + found + close.len());
        return (end, 0);
    }
    let (mut at, mut depth, mut deepest) = (inside, 0_usize, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'}' if depth == 0 && bytes.get(at + 1) == Some(&b'}') => return (skip(bytes, at, b"}").min(at + 3), deepest),
            quote @ (b'"' | b'\'') => at = string_end(bytes, at, quote),
            b'[' if words.last().is_some_and(|word| word.end == at && bytes[at - 1] == b'.') => {
                let end = text[at..].find(']').map_or(bytes.len(), |found| at + found + 1);
                words.last_mut().expect("just looked at").end = end;
                at = end;
            }
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                at += 1;
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            byte if is_word(byte) => {
                let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                match words.last_mut() {
                    Some(word) if word.end == at => word.end = end,
                    _ => words.push(at..end),
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    (bytes.len(), deepest)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$' | b':' | b'.' | b'/' | b'@') || byte >= 0x80
}

fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}
