//! A value: blanks between its tokens, and the indentation of its lines.

use toml_parser::lexer::TokenKind;

use super::read::Token;

/// The lines of a value; the first one follows the equals sign. A string that spans lines comes as it is, within one of them.
pub(super) fn lines(tokens: &[Token<'_>]) -> Vec<String> {
    let rows: Vec<Vec<Token<'_>>> = tokens.split(|token| token.kind == TokenKind::Newline).map(trimmed).collect();
    let mut lines: Vec<String> = Vec::new();
    // The line on which each open bracket stands: brackets opened on one line indent once.
    let mut open: Vec<usize> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if row.is_empty() {
            // At most one empty line, and none beside a bracket.
            let before = at.checked_sub(1).and_then(|at| rows[at].last());
            let after = rows[at..].iter().find_map(|row| row.first());
            if before.is_some_and(|token| !opens(token.kind)) && after.is_some_and(|token| !closes(token.kind)) {
                lines.push(String::new());
            }
            continue;
        }
        let leading = row.iter().take_while(|token| closes(token.kind)).count();
        let mut around = open[..open.len().saturating_sub(leading)].to_vec();
        around.dedup();
        let mut line = "  ".repeat(if at == 0 { 0 } else { around.len() });
        let mut previous: Option<Token<'_>> = None;
        let mut blank = "";
        for token in row {
            if token.kind == TokenKind::Whitespace {
                blank = token.text;
                continue;
            }
            if let Some(previous) = previous {
                line.push_str(between(previous.kind, token.kind, blank));
            }
            line.push_str(token.text);
            if opens(token.kind) {
                open.push(at);
            } else if closes(token.kind) {
                open.pop();
            }
            previous = Some(*token);
            blank = "";
        }
        lines.push(line);
    }
    lines
}

/// Without blanks at both ends.
fn trimmed<'t>(row: &[Token<'t>]) -> Vec<Token<'t>> {
    let is_blank = |token: &Token<'_>| token.kind == TokenKind::Whitespace;
    let start = row.iter().position(|token| !is_blank(token)).unwrap_or(row.len());
    let end = row.iter().rposition(|token| !is_blank(token)).map_or(start, |at| at + 1);
    row[start..end].to_vec()
}

/// What stands between two tokens of one line that have `blank` between them.
fn between(before: TokenKind, after: TokenKind, blank: &str) -> &str {
    use TokenKind as Kind;
    match (before, after) {
        // Remarks inside a list may stand in a column of their own.
        (_, Kind::Comment) => {
            if blank.is_empty() {
                "  "
            } else {
                blank
            }
        }
        (Kind::LeftCurlyBracket, Kind::RightCurlyBracket) => "",
        (Kind::Comma | Kind::Equals | Kind::LeftCurlyBracket, _) | (_, Kind::Equals | Kind::RightCurlyBracket) => " ",
        // A date and its time are two.
        _ if before == Kind::Atom && after == Kind::Atom => " ",
        _ => "",
    }
}

fn opens(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket)
}

fn closes(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket)
}
