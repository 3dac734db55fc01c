//! A text as sections of comments and entries. Expects TOML; anything else comes out as whatever it looks like.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// A token with its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'t> {
    pub kind: TokenKind,
    pub text: &'t str,
}

/// What stands from one header to the next; the first has none.
#[derive(Debug, Default)]
pub(super) struct Section<'t> {
    pub header: Option<Header<'t>>,
    pub items: Vec<Item<'t>>,
}

/// `[vars.version] # why`.
#[derive(Debug)]
pub(super) struct Header<'t> {
    /// The brackets and what is in them, without blanks.
    pub text: String,
    /// `["vars", "version"]`.
    pub path: Vec<&'t str>,
    pub comment: Option<&'t str>,
}

/// A line, or an entry that may span lines.
#[derive(Debug)]
pub(super) enum Item<'t> {
    Blank,
    Comment(&'t str),
    Entry(Entry<'t>),
}

/// `key = value # why`.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    /// As written, without blanks.
    pub key: String,
    /// The first of its segments, without quotes.
    pub first: &'t str,
    pub value: Vec<Token<'t>>,
    pub comment: Option<&'t str>,
}

/// All of it.
pub(super) fn sections(text: &str) -> Vec<Section<'_>> {
    let lexed = Source::new(text).lex().map(|token| {
        let span = token.span();
        Token { kind: token.kind(), text: &text[span.start()..span.end()] }
    });
    let tokens: Vec<Token<'_>> = lexed.filter(|token| token.kind != TokenKind::Eof).collect();
    let mut sections = vec![Section::default()];
    let mut at = 0;
    while at < tokens.len() {
        let section = sections.last_mut().expect("begins with one");
        match tokens[at].kind {
            TokenKind::Whitespace => at += 1,
            TokenKind::Newline => {
                section.items.push(Item::Blank);
                at += 1;
            }
            TokenKind::Comment => {
                section.items.push(Item::Comment(tokens[at].text));
                at = after_newline(&tokens, at + 1);
            }
            TokenKind::LeftSquareBracket => {
                let end = at + line(&tokens[at..]);
                sections.push(Section { header: Some(header(&tokens[at..end])), items: Vec::new() });
                at = after_newline(&tokens, end);
            }
            _ => {
                let end = at + statement(&tokens[at..]);
                section.items.push(Item::Entry(entry(&tokens[at..end])));
                at = after_newline(&tokens, end);
            }
        }
    }
    sections
}

/// The line end that most lines have; those inside strings do not count, they are values.
pub(super) fn line_end(text: &str) -> &'static str {
    let ends = || Source::new(text).lex().filter(|token| token.kind() == TokenKind::Newline);
    let windows = ends().filter(|token| text[token.span().start()..].starts_with('\r')).count();
    if windows * 2 > ends().count() { "\r\n" } else { "\n" }
}

fn after_newline(tokens: &[Token<'_>], at: usize) -> usize {
    at + usize::from(tokens.get(at).is_some_and(|token| token.kind == TokenKind::Newline))
}

/// Tokens up to the end of the line.
fn line(tokens: &[Token<'_>]) -> usize {
    tokens.iter().position(|token| token.kind == TokenKind::Newline).unwrap_or(tokens.len())
}

/// Tokens up to the end of the line on which no bracket is open any more.
fn statement(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
            TokenKind::Newline if depth == 0 => return at,
            _ => {}
        }
    }
    tokens.len()
}

/// Takes off a comment at the end.
fn with_comment<'a, 't>(tokens: &'a [Token<'t>]) -> (&'a [Token<'t>], Option<&'t str>) {
    match tokens.split_last() {
        Some((last, rest)) if last.kind == TokenKind::Comment => (rest, Some(last.text)),
        _ => (tokens, None),
    }
}

fn squeezed(tokens: &[Token<'_>]) -> String {
    tokens.iter().filter(|token| token.kind != TokenKind::Whitespace).map(|token| token.text).collect()
}

fn header<'t>(tokens: &[Token<'t>]) -> Header<'t> {
    let (tokens, comment) = with_comment(tokens);
    let is_name = |token: &&Token<'_>| matches!(token.kind, TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString);
    let path = tokens.iter().filter(is_name).map(|token| unquoted(token.text)).collect();
    Header { text: squeezed(tokens), path, comment }
}

fn entry<'t>(tokens: &[Token<'t>]) -> Entry<'t> {
    let (tokens, comment) = with_comment(tokens);
    let equals = tokens.iter().position(|token| token.kind == TokenKind::Equals).unwrap_or(tokens.len());
    let (key, value) = tokens.split_at(equals);
    let first = key.first().map_or("", |token| unquoted(token.text));
    Entry { key: squeezed(key), first, value: value.get(1..).unwrap_or_default().to_vec(), comment }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}
