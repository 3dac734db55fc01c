//! A pass over the tokens before TOML is parsed: escapes that TOML does not know, and nesting that would exhaust a stack.
//!
//! Knows tokens only; neither tables nor formulas.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// The deepest nesting of tables and lists, dotted keys included.
pub(super) const DEEPEST: usize = 32;

/// What the tokens tell.
#[derive(Debug, Default)]
pub(super) struct Lexical {
    /// Offsets of backslashes that begin no escape of TOML.
    pub escapes: Vec<usize>,
    /// The first place that is nested too deep.
    pub too_deep: Option<Range<usize>>,
    /// Tokens, where one that begins a table counts for several: what parsing the text takes.
    pub weight: usize,
    /// The most of it that belongs to one step, or to what stands before all of them.
    pub heaviest: usize,
    /// Offsets of the headers `[[steps]]` and `[[finally]]`.
    pub steps: Vec<usize>,
}

/// Tokens that a table counts for.
const TABLE: usize = 4;

/// Looks at every token once.
pub(super) fn scan(text: &str) -> Lexical {
    let mut found = Lexical::default();
    // Dots of the header, then of the key of each open bracket.
    let mut levels: Vec<usize> = vec![0];
    let mut header = 0_usize;
    let mut in_header = false;
    let mut line_start = true;
    let mut before = 0;
    for token in Source::new(text).lex() {
        let range = token.span().start()..token.span().end();
        found.weight += if matches!(token.kind(), TokenKind::Dot | TokenKind::LeftCurlyBracket) { TABLE } else { 1 };
        found.heaviest = found.heaviest.max(found.weight - before);
        match token.kind() {
            TokenKind::BasicString => escapes(text, range.clone(), false, &mut found.escapes),
            TokenKind::MlBasicString => escapes(text, range.clone(), true, &mut found.escapes),
            TokenKind::LeftSquareBracket if levels.len() == 1 && line_start => {
                (in_header, header) = (true, 0);
                if is_step(&text[range.start..]) {
                    found.steps.push(range.start);
                    before = found.weight;
                }
            }
            TokenKind::LeftSquareBracket if in_header => line_start = true,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => levels.push(0),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if levels.len() > 1 => {
                levels.pop();
            }
            TokenKind::Dot if in_header => header += 1,
            TokenKind::Dot => *levels.last_mut().expect("the file's own level is never closed") += 1,
            TokenKind::Comma => *levels.last_mut().expect("the file's own level is never closed") = 0,
            TokenKind::Newline => {
                in_header = false;
                if levels.len() == 1 {
                    levels[0] = 0;
                }
            }
            _ => {}
        }
        line_start = match token.kind() {
            TokenKind::Newline => levels.len() == 1,
            TokenKind::Whitespace => line_start,
            _ => false,
        };
        let depth = levels.len() + header + levels.iter().sum::<usize>();
        if depth > DEEPEST && matters(token) {
            // Nothing else is said of such a file.
            found.too_deep = Some(range);
            break;
        }
    }
    found
}

/// Whether the header that the text begins with is that of a step.
fn is_step(text: &str) -> bool {
    let blank = [' ', '\t'];
    let name = text.strip_prefix("[[").map(|rest| rest.trim_start_matches(blank));
    let rest = name.and_then(|name| name.strip_prefix("steps").or_else(|| name.strip_prefix("finally")));
    rest.is_some_and(|rest| rest.trim_start_matches(blank).starts_with("]]"))
}

/// Only these make anything deeper.
fn matters(token: Token) -> bool {
    matches!(token.kind(), TokenKind::Dot | TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket)
}

fn escapes(text: &str, range: Range<usize>, multi_line: bool, found: &mut Vec<usize>) {
    let bytes = text.as_bytes();
    let mut at = range.start;
    while at < range.end {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        // A hex escape with bad digits is reported by the parser, which says more about it.
        let known = match bytes.get(at + 1) {
            Some(b'b' | b't' | b'n' | b'f' | b'r' | b'e' | b'"' | b'\\' | b'x' | b'u' | b'U') => true,
            Some(b' ' | b'\t' | b'\r' | b'\n') => multi_line && ends_line(&bytes[at + 1..range.end]),
            _ => false,
        };
        if known {
            at += 2;
        } else {
            if at + 1 < range.end {
                found.push(at);
            }
            at += 1;
        }
    }
}

/// Whether only blanks stand before the end of the line.
fn ends_line(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) == Some(&b'\n')
}

/// Where the key or table header that stands at `range` a second time stood first.
pub(super) fn first_of(text: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let name = text.get(range.clone())?;
    let tokens: Vec<Token> = Source::new(text).lex().take_while(|token| token.span().start() < range.end).collect();
    let here = tokens.iter().position(|token| token.span().start() == range.start)?;
    let line = tokens[..here].iter().rposition(|token| token.kind() == TokenKind::Newline).map_or(0, |at| at + 1);
    let is_header = |at: usize| tokens[at..].iter().find(|token| token.kind() != TokenKind::Whitespace).is_some_and(opens);
    if is_header(line) {
        let header = squeezed(&text[tokens[line].span().start()..range.end]);
        return tokens[..line].iter().enumerate().find_map(|(at, token)| {
            let starts = at == 0 || tokens[at - 1].kind() == TokenKind::Newline;
            if !starts || !is_header(at) {
                return None;
            }
            let begin = token.span().start();
            let end = text[begin..].find('\n').map_or(text.len(), |length| begin + length);
            squeezed(&text[begin..end]).starts_with(&header).then(|| begin..text[begin..end].find(']').map_or(end, |at| begin + at + 1))
        });
    }
    let mut depth = 0_usize;
    for at in (0..here).rev() {
        let token = &tokens[at];
        match token.kind() {
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => depth += 1,
            TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket => depth = depth.checked_sub(1)?,
            _ => {}
        }
        let span = token.span().start()..token.span().end();
        let is_key = || {
            let next = tokens[at + 1..].iter().find(|next| next.kind() != TokenKind::Whitespace);
            next.is_some_and(|next| matches!(next.kind(), TokenKind::Equals | TokenKind::Dot))
        };
        if depth == 0 && &text[span.clone()] == name && is_key() {
            return Some(span);
        }
    }
    None
}

fn opens(token: &Token) -> bool {
    token.kind() == TokenKind::LeftSquareBracket
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> Vec<&str> {
        scan(text).escapes.into_iter().map(|at| &text[at..at + 2]).collect()
    }

    #[test]
    fn finds_escapes_that_toml_does_not_know() {
        assert_eq!(bad(r#"a = "\. \` \( \$ \| \d""#), [r"\.", r"\`", r"\(", r"\$", r"\|", r"\d"]);
        assert_eq!(bad(r#"a = "\b\t\n\f\r\e\"\\ \x41 \u00e4 \U0001f600""#), [""; 0]);
        assert_eq!(bad(r"a = '\.' # \."), [""; 0], "literal texts and comments have no escapes");
        assert_eq!(bad("a = \"\"\"x \\\n  y \\  \n z \\. \"\"\""), ["\\."]);
        assert_eq!(bad("a = \"\"\"x \\ y\"\"\""), ["\\ "], "a blank in the middle of a line ends nothing");
        assert_eq!(bad(r#"a = "\\." "#), [""; 0], "the second backslash is escaped by the first");
    }

    #[test]
    fn nesting_is_counted_over_headers_keys_and_brackets() {
        let deep = |n: usize| format!("a = {}{}\n", "[".repeat(n), "]".repeat(n));
        assert!(scan(&deep(31)).too_deep.is_none());
        assert!(scan(&deep(32)).too_deep.is_some());
        let keys = |n: usize| format!("{} = 1\n", vec!["a"; n].join("."));
        assert!(scan(&keys(32)).too_deep.is_none());
        assert!(scan(&keys(40)).too_deep.is_some());
        assert!(scan(&format!("[{}]\nb = 1\n", vec!["a"; 40].join("."))).too_deep.is_some());
        let many = "a.b.c = 1\n".repeat(50) + &"x = [{ a.b = 1.5 }, { a.b = 2.5 }]\n".repeat(50);
        assert!(scan(&many).too_deep.is_none(), "depth does not add up over lines");
        assert!(scan(&format!("x = [{}]\n", "1.5, ".repeat(100))).too_deep.is_none());
    }

    #[test]
    fn headers_of_steps_are_found_and_nothing_else() {
        let text = "[[steps]]\nid = \"[[steps]]\"\n[steps.with]\na = [\n[[1]]]\n  [[ finally ]]\n[[stepss]]\n[[steps.x]]\n# [[steps]]\n";
        let found = scan(text);
        assert_eq!(found.steps, [0, text.find("[[ finally").unwrap()]);
        assert!(scan("a = 1\n").weight < scan("a.b = 1\n").weight);
    }

    #[test]
    fn the_first_of_two_is_found() {
        let text = "a = 1\nb = { a = 2 }\n[vars.x]\na = 3\n\n[vars.x]\na = 4\na = 5\n";
        let second = text.rfind("a = 5").unwrap();
        let first = text.rfind("a = 4").unwrap();
        assert_eq!(first_of(text, &(second..second + 1)), Some(first..first + 1));
        let header = text.rfind("x]").unwrap();
        let before = text.find("[vars.x]").unwrap();
        assert_eq!(first_of(text, &(header..header + 1)), Some(before..before + 8));
        let inline = "t = { k = 1, k = 2 }\n";
        assert_eq!(first_of(inline, &(13..14)), Some(6..7));
        assert_eq!(first_of("k = 1\n", &(0..1)), None);
    }
}
