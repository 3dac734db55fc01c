//! Problems as text for people: what, where, the line itself, why, and what to do.
//!
//! Quotes at most 120 columns of any line. Takes no decision about colour; the caller knows its terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use regex::{Captures, Regex};

use super::{Diagnostic, Label, Severity, SourceFile};

/// Columns of a source line that are quoted.
const COLUMNS: usize = 120;
/// Columns kept before a place that would otherwise be cut off.
const LEAD: usize = 40;

/// One problem, without a line end after the last line.
pub fn render(source: &SourceFile, diagnostic: &Diagnostic, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let path = clean(&source.path.display().to_string());
    let title = level.primary_title(clean(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title);
    let mut moved = None;
    group = match &diagnostic.primary {
        Some(primary) => {
            let (snippet, shown) = snippet(source, primary, &diagnostic.secondary);
            let (line, column) = source.line_column(primary.range.start);
            moved =
                shown.filter(|shown| *shown != column).map(|shown| (format!("{path}:{line}:{shown}"), format!("{path}:{line}:{column}")));
            group.element(snippet.path(path))
        }
        None => group.element(Origin::path(path)),
    };
    let mut report = vec![group];
    if let Some(help) = &diagnostic.help {
        report.push(Group::with_title(Level::HELP.secondary_title(clean(help))));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    // Lines are cut here already; the renderer shall not cut them again.
    let mut text = renderer.term_width(COLUMNS * 4).render(&report);
    // The renderer counts columns in the part of the line that it was given.
    if let Some((shown, real)) = moved {
        text = text.replacen(&shown, &real, 1);
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Control characters of a file must not reach the terminal through a message.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { '\u{FFFD}' } else { letter }).collect()
}

static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(://[^/@\s:\x22']*:)([^/@\s\x22'{}]+)@").expect("the pattern is a constant"));

/// The line with passwords in addresses covered, byte for byte.
fn masked(line: &str) -> Cow<'_, str> {
    if line.contains("://") {
        PASSWORD.replace_all(line, |found: &Captures<'_>| format!("{}{}@", &found[1], "*".repeat(found[2].len())))
    } else {
        Cow::Borrowed(line)
    }
}

struct Mark<'a> {
    /// Bytes within the line.
    range: Range<usize>,
    text: &'a str,
    primary: bool,
}

/// The lines with marks, cut to size, and the column at which the primary mark then stands. Lines between them are left empty, since the
/// renderer folds them away.
fn snippet<'a>(source: &SourceFile, primary: &Label, secondary: &[Label]) -> (Snippet<'a, Annotation<'a>>, Option<usize>) {
    let mut lines: BTreeMap<usize, Vec<Mark<'_>>> = BTreeMap::new();
    let labels = std::iter::once((primary, true)).chain(secondary.iter().map(|label| (label, false)));
    for (label, primary) in labels {
        let start = floor(&source.text, label.range.start);
        let (line, _) = source.line_column(start);
        let whole = source.line_range(line);
        // A place that spans lines is marked on its first one.
        let end = floor(&source.text, label.range.end).clamp(start, whole.end.max(start));
        let range = start.min(whole.end) - whole.start..end.min(whole.end) - whole.start;
        lines.entry(line).or_default().push(Mark { range, text: &label.text, primary });
    }
    let first = lines.keys().next().copied().unwrap_or(1);
    let last = lines.keys().next_back().copied().unwrap_or(1);
    let mut text = String::new();
    let mut annotations = Vec::new();
    let mut shown = None;
    for line in first..=last {
        if line > first {
            text.push('\n');
        }
        let whole = &source.text[source.line_range(line)];
        // A single line between two marked ones is shown.
        let between = lines.contains_key(&(line - 1)) && lines.contains_key(&(line + 1));
        let (mut none, marks) = (Vec::new(), lines.get_mut(&line));
        if let Some(marks) = marks.or_else(|| between.then_some(&mut none)) {
            let part = near(whole, marks);
            shown = quote(&masked(part), marks, &mut text, &mut annotations).or(shown);
        }
    }
    (Snippet::source(text).line_start(first).annotations(annotations), shown)
}

/// Where a line begins to be looked at, and how far: much more than is quoted, and far less than a line may have.
const NEAR: usize = 4_096;

/// The part of a line around its first mark; moves the marks into it.
fn near<'l>(line: &'l str, marks: &mut [Mark<'_>]) -> &'l str {
    let focus = focus(marks);
    let (from, to) = (floor(line, focus.saturating_sub(NEAR)), ceil(line, focus + NEAR));
    for mark in marks {
        let moved = |at: usize| at.clamp(from, to) - from;
        mark.range = moved(mark.range.start)..moved(mark.range.end);
    }
    &line[from..to]
}

fn focus(marks: &[Mark<'_>]) -> usize {
    marks.iter().find(|mark| mark.primary).or_else(|| marks.first()).map_or(0, |mark| mark.range.start)
}

/// Appends the part of a line around its first mark. Gives the column of the primary mark in what was appended.
fn quote(line: &str, marks: &[Mark<'_>], text: &mut String, annotations: &mut Vec<Annotation<'_>>) -> Option<usize> {
    let focus = focus(marks);
    let fits = |part: &str| part.chars().map(columns).sum::<usize>() <= COLUMNS;
    let mut from = 0;
    if !fits(line) && !fits(&line[..ceil(line, focus + LEAD)]) {
        from = floor(line, focus.saturating_sub(LEAD));
    }
    let mut used = 0;
    let mut to = line.len();
    for (at, letter) in line[from..].char_indices() {
        used += columns(letter);
        if used > COLUMNS {
            to = from + at;
            break;
        }
    }
    let begin = text.len();
    let base = begin + if from > 0 { "…".len() } else { 0 };
    if from > 0 {
        text.push('…');
    }
    text.push_str(&line[from..to]);
    if to < line.len() {
        text.push('…');
    }
    let mut shown = None;
    for mark in marks {
        let start = mark.range.start.clamp(from, to) - from + base;
        let end = mark.range.end.clamp(from, to) - from + base;
        if mark.primary {
            shown = Some(text[begin..start].chars().count() + 1);
        }
        let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(start..end.max(start));
        annotations.push(if mark.text.is_empty() { annotation } else { annotation.label(clean(mark.text)) });
    }
    shown
}

fn columns(letter: char) -> usize {
    match letter {
        '\t' => 4,
        _ if letter.is_ascii() => 1,
        _ => 2,
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn ceil(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset += 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"x\"\n\n[[steps]]\nid = \"build\"\n\n[[steps]]\nneeds = [\"biuld\"]\n";

    #[test]
    fn a_problem_reads_as_documented() {
        let source = SourceFile::new("formulas/release.toml", TEXT);
        let at = TEXT.find("\"biuld\"").unwrap();
        let problem = Diagnostic::error("F0203", "unknown step `biuld` in `needs`")
            .at(at..at + 7, "no step has this id")
            .help("did you mean `build` (line 4)?");
        assert_eq!(
            render(&source, &problem, false),
            "error[F0203]: unknown step `biuld` in `needs`
 --> formulas/release.toml:7:10
  |
7 | needs = [\"biuld\"]
  |          ^^^^^^^ no step has this id
  |
help: did you mean `build` (line 4)?"
        );
        assert!(render(&source, &problem, true).contains("\u{1b}["), "colour on request");
    }

    #[test]
    fn both_places_of_a_duplicate_are_shown_and_lines_between_are_folded() {
        let text = "a = 1\nb = 2\nc = 3\nd = 4\na = 5\n";
        let source = SourceFile::new("x.toml", text);
        let problem = Diagnostic::error("F0103", "`a` is written twice").at(24..25, "again").also(0..1, "first");
        let shown = render(&source, &problem, false);
        assert_eq!(shown, "error[F0103]: `a` is written twice\n --> x.toml:5:1\n  |\n1 | a = 1\n  | - first\n...\n5 | a = 5\n  | ^ again");
    }

    #[test]
    fn long_lines_are_cut_around_the_place_and_the_column_stays_true() {
        let text = format!("k = \"{}WRONG{}\"\n", "x".repeat(3_000), "y".repeat(3_000));
        let at = text.find("WRONG").unwrap();
        let source = SourceFile::new("x.toml", text);
        let shown = render(&source, &Diagnostic::error("F0301", "m").at(at..at + 5, "here"), false);
        assert!(shown.contains(&format!("x.toml:1:{}", at + 1)), "{shown}");
        assert!(shown.contains("WRONG") && shown.contains("^^^^^ here"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= COLUMNS + 10), "{shown}");
    }

    #[test]
    fn control_characters_of_the_file_do_not_reach_the_terminal() {
        let source = SourceFile::new("x\u{1b}[2J.toml", "a = \"\u{1b}[2Jboo\"\n");
        let shown = render(&source, &Diagnostic::error("F0301", "bad \u{7}").at(4..10, "\u{1b}[31m"), false);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    }

    #[test]
    fn a_password_in_an_address_is_not_quoted() {
        let text = "r = \"https://me:hunter2@git.example/x.git\" # ssh://a:{{ vars.b }}@c\n";
        let source = SourceFile::new("x.toml", text);
        let shown = render(&source, &Diagnostic::error("F0504", "m").at(4..5, "here"), false);
        assert!(shown.contains("https://me:*******@git.example/x.git\" # ssh://a:{{ vars.b }}@c"), "{shown}");
    }

    #[test]
    fn odd_places_do_not_panic() {
        let text = "ä = 'ü'\r\n# …\r\n";
        let source = SourceFile::new("x.toml", text);
        for start in 0..text.len() + 2 {
            for end in 0..text.len() + 2 {
                render(
                    &source,
                    &Diagnostic::error("F0301", "m").at(Range { start, end }, "x").also(Range { start: end, end: start }, ""),
                    false,
                );
            }
        }
    }
}
