//! Sections as text: blank lines, aligned equals signs and remarks.

use super::read::{Entry, Item, Section};
use super::value;

/// A key longer than this is not waited for by its neighbours.
const WIDEST_KEY: usize = 32;
/// A line longer than this does not push the remarks of its neighbours out.
const WIDEST_LINE: usize = 100;

/// The text, each line ended by `end`.
pub(super) fn text(sections: &[Section<'_>], end: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for (at, section) in sections.iter().enumerate() {
        if let Some(header) = &section.header {
            out.push(with_remark(header.text.clone(), header.comment, 0));
        }
        body(&section.items, at + 1 < sections.len(), &mut out);
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out.iter().fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push_str(end);
        text
    })
}

/// The items of a section; a header follows where `more`, and gets its empty line here.
fn body(items: &[Item<'_>], more: bool, out: &mut Vec<String>) {
    let tail = items.iter().rposition(|item| matches!(item, Item::Entry(_))).map_or(0, |at| at + 1);
    // A block of comments right above the next header belongs to that.
    let block = items.iter().rposition(|item| !matches!(item, Item::Comment(_))).map_or(0, |at| at + 1).max(tail);
    let mut begun = false;
    let mut at = 0;
    for group in items.split_inclusive(|item| matches!(item, Item::Blank)) {
        let mut entries = entries(group).into_iter();
        for item in group {
            let above_header = more && at == block;
            let after_blank = at > 0 && matches!(items[at - 1], Item::Blank);
            at += 1;
            if let Item::Blank = item {
                continue;
            }
            if (after_blank && begun) || (above_header && !out.is_empty()) {
                out.push(String::new());
            }
            begun = true;
            match item {
                Item::Comment(text) => out.push(text.trim_end().to_owned()),
                _ => out.extend(entries.next().unwrap_or_default()),
            }
        }
    }
    if more && block == items.len() && !out.is_empty() {
        out.push(String::new());
    }
}

/// The lines of each entry of a group that stands together.
fn entries(group: &[Item<'_>]) -> Vec<Vec<String>> {
    let entries: Vec<&Entry<'_>> = group.iter().filter_map(|item| if let Item::Entry(entry) = item { Some(entry) } else { None }).collect();
    let widest = entries.iter().map(|entry| width(&entry.key)).filter(|key| *key <= WIDEST_KEY).max().unwrap_or(0);
    let mut all: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let mut lines = value::lines(&entry.value);
            lines[0].insert_str(0, &format!("{:widest$} = ", entry.key));
            lines
        })
        .collect();
    let remarked = all.iter().zip(&entries).filter(|(lines, entry)| entry.comment.is_some() && lines.len() == 1);
    let column = remarked.map(|(lines, _)| width(&lines[0])).filter(|line| *line <= WIDEST_LINE).max().unwrap_or(0);
    for (lines, entry) in all.iter_mut().zip(&entries) {
        let column = if lines.len() == 1 { column } else { 0 };
        if let Some(last) = lines.last_mut() {
            *last = with_remark(std::mem::take(last), entry.comment, column);
        }
    }
    all
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn with_remark(line: String, remark: Option<&str>, column: usize) -> String {
    match remark {
        Some(remark) => format!("{line:column$}  {}", remark.trim_end()),
        None => line,
    }
}
