//! The shape of a text that may not be TOML yet: sections, entries, values, each with its place.
//!
//! A bracket or quote that is not closed ends where the next line begins something that can only stand by itself: a header, or a key in the
//! first column. Anything is a tree; nothing is reported.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Values nested deeper than this are not looked into.
const DEEPEST: usize = 40;
/// What a header can begin with.
const ROOTS: [&str; 7] = ["vars", "secrets", "env", "steps", "finally", "context", "project"];
/// Keys that begin an entry of their own wherever they stand in the first column.
const KEYS: [&str; 16] = [
    "name",
    "version",
    "on_failure",
    "max_parallel",
    "lock",
    "id",
    "title",
    "uses",
    "with",
    "needs",
    "if",
    "foreach",
    "retry",
    "timeout",
    "secrets",
    "type",
];

/// A key or a text: its place, and that of its letters without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub range: Range<usize>,
    pub inner: Range<usize>,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub range: Range<usize>,
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text {
        inner: Range<usize>,
        closed: bool,
    },
    List {
        items: Vec<Node>,
        closed: bool,
    },
    Table {
        entries: Vec<Entry>,
        closed: bool,
    },
    /// A number, a bool, a date, or letters that are none of them.
    Other,
    Missing,
}

/// `a.b = value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// From the key to the end of the value.
    pub range: Range<usize>,
    pub path: Vec<Word>,
    pub equals: Option<usize>,
    pub node: Node,
}

/// What stands from one header to the next.
#[derive(Debug)]
pub(super) struct Section {
    /// Where the header stands; empty for the one at the top.
    pub header: Range<usize>,
    pub path: Vec<Word>,
    pub entries: Vec<Entry>,
    /// The step that a section of `steps` or `finally` belongs to, counted within its list.
    pub step: Option<usize>,
    /// Which of the tables of a list below a step or var, as in `[[steps.with.checks]]`, this is.
    pub item: Option<usize>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Tree {
    pub sections: Vec<Section>,
    pub comments: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
struct Token {
    kind: TokenKind,
    range: Range<usize>,
}

/// Reads any text.
pub(super) fn read(text: &str) -> Tree {
    let lexed = Source::new(text).lex().map(|token| Token { kind: token.kind(), range: token.span().start()..token.span().end() });
    let tokens: Vec<Token> = lexed.filter(|token| token.kind != TokenKind::Eof).collect();
    let comments = tokens.iter().filter(|token| token.kind == TokenKind::Comment).map(|token| token.range.clone()).collect();
    let mut sections = vec![Section { header: 0..0, path: Vec::new(), entries: Vec::new(), step: None, item: None }];
    let mut counts = [0_usize; 2];
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].kind {
            TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment => at += 1,
            TokenKind::LeftSquareBracket => {
                let end = at + tokens[at..].iter().position(|token| token.kind == TokenKind::Newline).unwrap_or(tokens.len() - at);
                let mut section = section(text, &tokens[at..end], &mut counts);
                if section.item.is_some() {
                    section.item = Some(before(text, &sections, &section));
                }
                sections.push(section);
                at = end;
            }
            _ => {
                let end = at + statement(text, &tokens[at..]);
                let mut reader = Reader { text, tokens: &tokens[at..end], at: 0 };
                let entry = reader.entry(0);
                sections.last_mut().expect("begins with one").entries.push(entry);
                at = end.max(at + 1);
            }
        }
    }
    Tree { sections, comments }
}

fn section(text: &str, tokens: &[Token], counts: &mut [usize; 2]) -> Section {
    let path: Vec<Word> = tokens.iter().filter(|token| is_word(token.kind)).map(|token| word(text, token)).collect();
    let list = tokens.get(1).is_some_and(|token| token.kind == TokenKind::LeftSquareBracket);
    let last = tokens.iter().rev().find(|token| !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment));
    let start = tokens[0].range.start;
    // A string over several lines is no header, whatever it is.
    let line = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let header = start..last.map_or(start, |token| token.range.end).min(line);
    let count = path.first().and_then(|word| match &text[word.inner.clone()] {
        "steps" => Some(0),
        "finally" => Some(1),
        _ => None,
    });
    let step = count.map(|which| {
        if list && path.len() == 1 {
            counts[which] += 1;
        }
        counts[which].saturating_sub(1)
    });
    let item = (list && path.len() > 1).then_some(0);
    Section { header, path, entries: Vec::new(), step, item }
}

/// How many tables of the same list stand before it.
fn before(text: &str, sections: &[Section], section: &Section) -> usize {
    let same = |one: &&Section| {
        let words = |section: &Section| section.path.iter().map(|word| text[word.inner.clone()].to_owned()).collect::<Vec<_>>();
        one.item.is_some() && words(one) == words(section)
    };
    let near = sections.iter().rev().take_while(|one| one.step == section.step && one.path.len() > 1);
    near.into_iter().find(same).and_then(|one| one.item).map_or(0, |item| item + 1)
}

/// Tokens up to the end of an entry: of its line, or of the line that closes its brackets.
fn statement(text: &str, tokens: &[Token]) -> usize {
    let mut open: Vec<TokenKind> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => open.push(token.kind),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => drop(open.pop()),
            TokenKind::Newline if open.is_empty() || begins_anew(text, &tokens[at + 1..]) => return at,
            _ => {}
        }
    }
    tokens.len()
}

/// Whether a line, whose tokens come next, can only stand by itself.
fn begins_anew(text: &str, tokens: &[Token]) -> bool {
    let Some(first) = tokens.first() else { return false };
    let here = &text[first.range.start..];
    let line = here[..here.find('\n').unwrap_or(here.len())].trim_end();
    match first.kind {
        TokenKind::LeftSquareBracket => {
            let name = line.trim_start_matches('[');
            let root: &str = name.split(['.', ']']).next().unwrap_or_default();
            ROOTS.contains(&root.trim()) && name.contains(']') && !name.contains(',')
        }
        TokenKind::Atom => {
            let next = tokens[1..].iter().find(|token| token.kind != TokenKind::Whitespace);
            KEYS.contains(&&text[first.range.clone()]) && next.is_some_and(|token| token.kind == TokenKind::Equals)
        }
        _ => false,
    }
}

fn is_word(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString)
}

fn word(text: &str, token: &Token) -> Word {
    let (inner, _) = inner(text, token);
    Word { range: token.range.clone(), inner }
}

/// The letters between quotes, and whether the last quote is there.
fn inner(text: &str, token: &Token) -> (Range<usize>, bool) {
    let quote = match token.kind {
        TokenKind::BasicString => "\"",
        TokenKind::LiteralString => "'",
        TokenKind::MlBasicString => "\"\"\"",
        TokenKind::MlLiteralString => "'''",
        _ => return (token.range.clone(), true),
    };
    let start = token.range.start + quote.len();
    let closed = token.range.len() >= quote.len() * 2 && text[token.range.clone()].ends_with(quote);
    // The line end that stops an unclosed string is not part of it.
    let end = if closed { token.range.end - quote.len() } else { token.range.end - usize::from(text[token.range.clone()].ends_with('\r')) };
    (start.min(end)..end, closed)
}

struct Reader<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip(&mut self, kinds: &[TokenKind]) {
        while self.peek().is_some_and(|token| kinds.contains(&token.kind)) {
            self.at += 1;
        }
    }

    /// Where the last token that was taken ends.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.range.end)
    }

    /// An entry; takes at least one token.
    fn entry(&mut self, depth: usize) -> Entry {
        let start = self.tokens[self.at].range.start;
        let mut path = Vec::new();
        let mut end = start;
        while let Some(token) = self.peek() {
            match token.kind {
                TokenKind::Whitespace => {}
                TokenKind::Dot => end = token.range.end,
                kind if is_word(kind) => {
                    path.push(word(self.text, token));
                    end = token.range.end;
                }
                _ => break,
            }
            self.at += 1;
        }
        let equals = self.peek().filter(|token| token.kind == TokenKind::Equals).map(|token| token.range.start);
        if equals.is_none() {
            // Whatever else stands on the line is no value.
            if path.is_empty() {
                self.at += 1;
                end = self.end();
            }
            return Entry { range: start..end, path, equals, node: Node { range: end..end, value: Value::Missing } };
        }
        self.at += 1;
        let node = self.value(depth);
        Entry { range: start..node.range.end.max(self.end_of_blank(node.range.end)), path, equals, node }
    }

    /// Blanks behind a missing value belong to it, so that a cursor there is in it.
    fn end_of_blank(&self, end: usize) -> usize {
        self.peek().filter(|token| token.kind == TokenKind::Whitespace && token.range.start == end).map_or(end, |token| token.range.end)
    }

    fn value(&mut self, depth: usize) -> Node {
        let blank = self.end();
        self.skip(&[TokenKind::Whitespace]);
        let missing = |range| Node { range, value: Value::Missing };
        let Some(token) = self.peek().cloned() else { return missing(blank..self.end()) };
        let start = token.range.start;
        let value = match token.kind {
            TokenKind::BasicString | TokenKind::LiteralString | TokenKind::MlBasicString | TokenKind::MlLiteralString => {
                self.at += 1;
                let (inner, closed) = inner(self.text, &token);
                Value::Text { inner, closed }
            }
            TokenKind::LeftSquareBracket if depth < DEEPEST => self.list(depth),
            TokenKind::LeftCurlyBracket if depth < DEEPEST => self.table(depth),
            TokenKind::Atom | TokenKind::Dot => {
                while self.peek().is_some_and(|token| matches!(token.kind, TokenKind::Atom | TokenKind::Dot)) {
                    self.at += 1;
                }
                Value::Other
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                self.at = self.tokens.len();
                Value::Other
            }
            _ => return missing(blank..start),
        };
        Node { range: start..self.end(), value }
    }

    fn list(&mut self, depth: usize) -> Value {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip(&[TokenKind::Whitespace, TokenKind::Newline, TokenKind::Comment, TokenKind::Comma]);
            match self.peek().map(|token| token.kind) {
                None => return Value::List { items, closed: false },
                Some(TokenKind::RightSquareBracket) => {
                    self.at += 1;
                    return Value::List { items, closed: true };
                }
                Some(_) => {
                    let before = self.at;
                    let node = self.value(depth + 1);
                    if self.at == before {
                        self.at += 1;
                    } else {
                        items.push(node);
                    }
                }
            }
        }
    }

    fn table(&mut self, depth: usize) -> Value {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.skip(&[TokenKind::Whitespace, TokenKind::Newline, TokenKind::Comment, TokenKind::Comma]);
            match self.peek().map(|token| token.kind) {
                None => return Value::Table { entries, closed: false },
                Some(TokenKind::RightCurlyBracket) => {
                    self.at += 1;
                    return Value::Table { entries, closed: true };
                }
                Some(_) => entries.push(self.entry(depth + 1)),
            }
        }
    }
}
