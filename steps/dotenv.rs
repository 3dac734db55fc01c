//! Reads and edits env files so that docker compose and a shell that sources them see the same.
//!
//! The two disagree about much: compose ends a plain value at a space and a hash, resolves escapes like `\n` in double quotes and
//! takes `\'` inside single quotes for a quote; a shell does none of that, and much else. Here a value counts as known only where
//! both read the same bytes, and is written only in a form that both read back. Lines that are not touched keep their bytes.
//! Knows text, and neither files nor steps.

use std::fmt;

/// An env file as a list of entries that can be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    entries: Vec<Entry>,
}

/// An assignment, or a line that is none; with its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    raw: String,
    assignment: Option<Assignment>,
}

/// Where the parts of an assignment lie in the raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment {
    key: String,
    /// The value, where all readers agree on it.
    value: Option<String>,
    /// What stands before the key, in a spelling that every reader takes: indentation and `export`.
    prefix: String,
    /// The comment behind the value, with the space before it.
    comment: String,
    /// Something follows a closing quote that is no comment.
    trailing: bool,
}

/// What a file says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Missing,
    /// One value, which every reader sees.
    Value(String),
    /// Something that readers take differently, or that depends on other variables.
    Unclear,
}

/// Whether a name can be a key.
pub fn is_key(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether the name of a key says that its value must not be shown.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    ["TOKEN", "PASS", "PASSWORD", "PASSWD", "SECRET", "KEY", "CREDENTIALS"]
        .iter()
        .any(|end| key.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with('_')))
}

/// The value as it must be written for compose and a shell to read back the same bytes: bare, in single or in double quotes.
///
/// # Errors
/// Why there is no such form; the value itself is not told.
pub fn quote(value: &str) -> Result<String, &'static str> {
    if value.contains(['\0', '\r']) {
        return Err("it holds a NUL or a carriage return, which not every reader of an env file keeps");
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if value.chars().all(bare) {
        return Ok(value.to_owned());
    }
    // Compose takes a backslash before the closing quote for an escape, unless it is itself behind one.
    let backslashes = value.len() - value.trim_end_matches('\\').len();
    if !value.contains('\'') && backslashes.is_multiple_of(2) {
        return Ok(format!("'{value}'"));
    }
    if value.contains('`') {
        return Err(
            "it holds a backquote together with a single quote, or before a final backslash, which compose and a shell read differently",
        );
    }
    let escaped = value.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '\\' | '"' | '$') {
            text.push('\\');
        }
        text.push(c);
        text
    });
    Ok(format!("\"{escaped}\""))
}

impl EnvFile {
    /// Splits a text into entries.
    ///
    /// # Errors
    /// The number of a line whose quote is never closed: nothing behind it can be read.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut entries = Vec::new();
        let mut line = 1;
        let mut rest = text;
        while !rest.is_empty() {
            let entry = entry(rest).map_err(|Unclosed| line)?;
            line += entry.raw.matches('\n').count();
            rest = &rest[entry.raw.len()..];
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// What the file says about a key; the last assignment counts.
    pub fn read(&self, key: &str) -> Reading {
        match self.assignments(key).last() {
            None => Reading::Missing,
            Some((_, assignment)) => assignment.value.clone().map_or(Reading::Unclear, Reading::Value),
        }
    }

    /// How often a key is assigned.
    pub fn count(&self, key: &str) -> usize {
        self.assignments(key).count()
    }

    /// Keys that are assigned, in order, each once.
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for assignment in self.entries.iter().filter_map(|entry| entry.assignment.as_ref()) {
            if !keys.contains(&assignment.key.as_str()) {
                keys.push(&assignment.key);
            }
        }
        keys
    }

    /// The entries of a key as they stand, with their places.
    pub fn raw(&self, key: &str) -> Vec<(usize, String)> {
        self.assignments(key).map(|(at, _)| (at, self.entries[at].raw.clone())).collect()
    }

    /// Whether the last line has its end; true for an empty file.
    pub fn ends_with_newline(&self) -> bool {
        self.entries.last().is_none_or(|entry| entry.raw.ends_with('\n'))
    }

    /// Makes `key` have `value`, in one assignment: the last one is changed in place, earlier ones go. Nothing is touched where it
    /// is so already. `value` must have been through [`quote`].
    ///
    /// # Errors
    /// See [`quote`], and for lines that assign the key in a way that cannot be taken apart.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        self.refuse_hidden(key)?;
        let places: Vec<usize> = self.assignments(key).map(|(at, _)| at).collect();
        let already = self.read(key) == Reading::Value(value.to_owned());
        if let Some(&last) = places.last() {
            if !already {
                let raw = self.entries[last].rewritten(value, self.newline())?;
                self.entries[last] = proven(&raw, value)?;
            }
            for &at in places[..places.len() - 1].iter().rev() {
                self.entries.remove(at);
            }
            return Ok(());
        }
        let line = format!("{key}={}{}", quote(value)?, self.newline());
        let entry = proven(&line, value)?;
        self.end_last_line();
        self.entries.push(entry);
        Ok(())
    }

    /// Takes every assignment of a key away.
    ///
    /// # Errors
    /// For lines that assign the key in a way that cannot be taken apart.
    pub fn unset(&mut self, key: &str) -> Result<(), &'static str> {
        self.refuse_hidden(key)?;
        self.entries.retain(|entry| entry.assignment.as_ref().is_none_or(|assignment| assignment.key != key));
        Ok(())
    }

    /// Puts lines in the place of the present ones of a key, at the end where there are none.
    pub fn put_back(&mut self, key: &str, old: &[(usize, String)]) {
        let present: Vec<usize> = self.assignments(key).map(|(at, _)| at).collect();
        let place = present.first().copied();
        for &at in present.iter().rev() {
            self.entries.remove(at);
        }
        if place.is_none() && !old.is_empty() {
            self.end_last_line();
        }
        let place = place.unwrap_or(self.entries.len());
        for (offset, (_, raw)) in old.iter().enumerate() {
            self.insert(place + offset, raw);
        }
    }

    /// Puts a line at a place.
    pub fn insert(&mut self, at: usize, raw: &str) {
        let mut entry = reread(raw);
        if at < self.entries.len() && !raw.ends_with('\n') {
            entry.raw.push_str(self.newline());
        }
        self.entries.insert(at.min(self.entries.len()), entry);
    }

    /// Takes the end of the last line away.
    pub fn cut_final_newline(&mut self) {
        if let Some(last) = self.entries.last_mut() {
            let kept = last.raw.trim_end_matches('\n').trim_end_matches('\r').len();
            last.raw.truncate(kept);
        }
    }

    fn assignments<'a>(&'a self, key: &'a str) -> impl DoubleEndedIterator<Item = (usize, &'a Assignment)> {
        let all = self.entries.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.assignment.as_ref()?)));
        all.filter(move |(_, assignment)| assignment.key == key)
    }

    /// Compose reads on behind a closing quote, so `A='1' B=2` assigns both.
    fn refuse_hidden(&self, key: &str) -> Result<(), &'static str> {
        let hides = |entry: &Entry| entry.assignment.as_ref().is_some_and(|it| it.trailing) && entry.raw.contains(key);
        if self.entries.iter().any(hides) {
            return Err("a line that names it goes on behind a closing quote; put each assignment on a line of its own");
        }
        Ok(())
    }

    /// The line end that the file uses.
    fn newline(&self) -> &'static str {
        if self.entries.first().is_some_and(|entry| entry.raw.ends_with("\r\n")) { "\r\n" } else { "\n" }
    }

    fn end_last_line(&mut self) {
        let newline = self.newline();
        if let Some(last) = self.entries.last_mut().filter(|last| !last.raw.ends_with('\n')) {
            last.raw.push_str(newline);
        }
    }
}

impl fmt::Display for EnvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| f.write_str(&entry.raw))
    }
}

impl Entry {
    /// The same line with another value.
    fn rewritten(&self, value: &str, newline: &str) -> Result<String, &'static str> {
        let Some(assignment) = &self.assignment else { return Ok(self.raw.clone()) };
        let mut quoted = quote(value)?;
        if quoted.is_empty() && !assignment.comment.is_empty() {
            // Compose would take the comment for the value.
            quoted.push_str("''");
        }
        let end = if self.raw.ends_with("\r\n") || (!self.raw.ends_with('\n') && newline == "\r\n") { "\r\n" } else { "\n" };
        Ok(format!("{}{}={quoted}{}{end}", assignment.prefix, assignment.key, assignment.comment))
    }
}

struct Unclosed;

/// The entry of a line that must read as `value`.
fn proven(raw: &str, value: &str) -> Result<Entry, &'static str> {
    let entry = reread(raw);
    let reads = entry.assignment.as_ref().and_then(|assignment| assignment.value.as_deref()) == Some(value);
    if reads { Ok(entry) } else { Err("compose and a shell would not read it back") }
}

fn reread(raw: &str) -> Entry {
    entry(raw).unwrap_or_else(|Unclosed| Entry { raw: raw.to_owned(), assignment: None })
}

/// Blanks within a line, as compose counts them.
const BLANK: [char; 7] = ['\t', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}'];

/// Blanks within a line, as a shell counts them.
const SHELL_BLANK: [char; 2] = [' ', '\t'];

/// The first entry of a text.
fn entry(text: &str) -> Result<Entry, Unclosed> {
    let line_end = text.find('\n').map_or(text.len(), |at| at + 1);
    let other = |end: usize| Ok(Entry { raw: text[..end].to_owned(), assignment: None });
    let line = &text[..line_end];
    let start = line.trim_start_matches('\u{feff}').trim_start_matches(BLANK);
    if start.is_empty() || start.starts_with(['#', '\n']) {
        return other(line_end);
    }
    let named = start.strip_prefix("export").filter(|rest| rest.starts_with(BLANK)).map_or(start, |rest| rest.trim_start_matches(BLANK));
    let key_start = line_end - named.len();
    let Some(separator) = named.find(['=', ':']) else { return other(line_end) };
    let name = named[..separator].trim_end_matches(BLANK);
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_.-[]".contains(c)) {
        return other(line_end);
    }
    let after = key_start + separator + 1;
    let value_start = line_end - text[after..line_end].trim_start_matches(BLANK).len();
    // A shell wants the value right behind the sign, no other sign, and plain blanks.
    let tight = value_start == after && name.len() == separator && named[separator..].starts_with('=');
    let before = &text[..key_start];
    let plain = before.trim_start_matches('\u{feff}').replace("export", "").trim_matches(SHELL_BLANK).is_empty();
    let prefix = match (plain, before.contains("export")) {
        (true, _) => before,
        (false, true) => "export ",
        (false, false) => "",
    };
    let quoted = text[value_start..].starts_with(['\'', '"']);
    let found = if quoted { quoted_value(text, value_start)? } else { plain_value(text, value_start, line_end) };
    let raw = text[..found.end].to_owned();
    let assignment = is_key(name).then(|| Assignment {
        key: name.to_owned(),
        value: found.value.filter(|_| tight && plain && !found.trailing),
        prefix: prefix.to_owned(),
        comment: found.comment,
        trailing: found.trailing,
    });
    Ok(Entry { raw, assignment })
}

struct Found {
    value: Option<String>,
    comment: String,
    trailing: bool,
    /// Where the entry ends.
    end: usize,
}

fn plain_value(text: &str, start: usize, end: usize) -> Found {
    let line = text[start..end].trim_end_matches(['\n', '\r']);
    let cut = line.find(" #").unwrap_or(line.len());
    let value = line[..cut].trim_end();
    let special = |c: char| c.is_whitespace() || "'\"\\;&|<>()`$~".contains(c);
    let agreed = !value.contains(special) && !value.starts_with('#') && line[value.len()..cut].trim_matches(SHELL_BLANK).is_empty();
    let blank = line[value.len()..cut].chars().all(|c| SHELL_BLANK.contains(&c));
    let comment = if blank { &line[value.len()..] } else { &line[cut..] }.trim_end();
    Found { value: agreed.then(|| value.to_owned()), comment: comment.to_owned(), trailing: false, end }
}

fn quoted_value(text: &str, start: usize) -> Result<Found, Unclosed> {
    let quote = text[start..].chars().next().unwrap_or('"');
    let inner_start = start + 1;
    let mut escaped = false;
    let close = text[inner_start..].char_indices().find_map(|(at, c)| {
        if c == quote && !escaped {
            return Some(inner_start + at);
        }
        escaped = c == '\\' && !escaped;
        None
    });
    let close = close.ok_or(Unclosed)?;
    let end = text[close..].find('\n').map_or(text.len(), |at| close + at + 1);
    let behind = text[close + 1..end].trim_end_matches(['\n', '\r']);
    let is_comment = behind.starts_with(SHELL_BLANK) && behind.trim_start_matches(SHELL_BLANK).starts_with('#');
    let inner = &text[inner_start..close];
    let value = if quote == '"' { double_quoted(inner) } else { (!inner.contains('\'')).then(|| inner.to_owned()) };
    Ok(Found {
        value,
        comment: if is_comment { behind.trim_end().to_owned() } else { String::new() },
        trailing: !is_comment && !behind.trim_matches(SHELL_BLANK).is_empty(),
        end,
    })
}

/// The value between double quotes, where compose and a shell agree on it.
fn double_quoted(inner: &str) -> Option<String> {
    let mut value = String::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                same @ ('\\' | '"' | '$') => value.push(same),
                // Compose resolves these, a shell does not; a shell resolves the last two, compose does not.
                'a' | 'b' | 'c' | 'f' | 'n' | 'r' | 't' | 'v' | '0' | '`' | '\n' => return None,
                other => value.extend(['\\', other]),
            },
            '$' | '`' => return None,
            other => value.push(other),
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests;
