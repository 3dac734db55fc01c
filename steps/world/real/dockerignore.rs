//! Which files of a build context `.dockerignore` leaves in, by the rules of Docker's own matcher (not those of `.gitignore`).
//!
//! Knows patterns and paths only, no files and no engine. The rules that surprise: a pattern is anchored at the root of the
//! context; a later line overrules an earlier one; a pattern that matches a folder matches all below it; `**` crosses folders.

use regex::Regex;

use crate::world::{PortError, PortResult};

/// The patterns of one `.dockerignore`, ready to match.
#[derive(Debug, Clone, Default)]
pub struct Dockerignore {
    patterns: Vec<Pattern>,
}

/// What the patterns said of a folder; handed on to what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the path is left out.
    pub ignored: bool,
    /// Per pattern, whether it matched this path or a folder above it.
    matched: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// The cleaned text, without `!`.
    text: String,
    /// `!`: takes back in.
    exception: bool,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact,
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

impl Dockerignore {
    /// Reads the text of a `.dockerignore`.
    ///
    /// # Errors
    /// `Invalid` with the line for a pattern that Docker refuses too.
    pub fn parse(text: &str) -> PortResult<Self> {
        let mut patterns = Vec::new();
        for (number, line) in text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let bad = |why: &str| {
                PortError::invalid(format!("`.dockerignore` line {}: `{}` {why}", number + 1, line.trim()))
                    .hint("see https://docs.docker.com/build/concepts/context/#dockerignore-files for what a pattern may be")
            };
            patterns.push(Pattern::parse(line.trim()).map_err(bad)?);
        }
        Ok(Self { patterns })
    }

    /// Adds `!path` where `path` would be left out: the engine needs the Dockerfile and `.dockerignore` whatever the patterns say.
    pub fn keep(&mut self, path: &str) {
        if self.ignores(path) {
            self.patterns.push(Pattern { text: path.to_owned(), exception: true, matcher: Matcher::Exact });
        }
    }

    /// Whether a path (relative, `/` between parts) is left out, judged on its own.
    pub fn ignores(&self, path: &str) -> bool {
        self.check(path, None).ignored
    }

    /// Judges a path, given what was said of the folder that holds it; None at the root of the context.
    pub fn check(&self, path: &str, parent: Option<&Verdict>) -> Verdict {
        let mut ignored = false;
        let mut matched = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.is_some_and(|parent| parent.matched[index]);
            let hit = inherited || {
                // A pattern that could not change the answer is not tried; what lies below then does not inherit from it. Docker
                // does the same, and some answers depend on it.
                if pattern.exception != ignored {
                    continue;
                }
                pattern.matches(path) || (parent.is_none() && ancestors(path).any(|above| pattern.matches(above)))
            };
            matched[index] = hit;
            if hit {
                ignored = !pattern.exception;
            }
        }
        Verdict { ignored, matched }
    }

    /// Whether a folder that is left out must still be walked: an exception may take something below it back in. Like Docker,
    /// this looks at the spelling: only an exception that begins with the folder's own path counts.
    pub fn reaches_into(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        self.patterns.iter().any(|pattern| pattern.exception && format!("{}/", pattern.text).starts_with(&folder))
    }
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if text.is_empty() {
            return Err("is an exception from nothing");
        }
        let mut text = clean(text);
        if text.len() > 1 && text.starts_with('/') {
            text.remove(0);
        }
        check_syntax(&text)?;
        let matcher = compile(&text)?;
        Ok(Self { text, exception, matcher })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/').is_some_and(|name| name == path),
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }
}

/// `path.Clean` of Go: single slashes, no `.`, `..` taken with what it follows.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The syntax that Go's `filepath.Match` insists on.
fn check_syntax(pattern: &str) -> Result<(), &'static str> {
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next().ok_or("ends in the middle of an escape")?;
            }
            '[' => {
                rest.next_if_eq(&'^');
                let mut ranges = 0;
                while ranges == 0 || rest.next_if_eq(&']').is_none() {
                    class_char(&mut rest)?;
                    if rest.next_if_eq(&'-').is_some() {
                        class_char(&mut rest)?;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), &'static str> {
    const OPEN: &str = "has a `[` without its `]`";
    match rest.next().ok_or(OPEN)? {
        '-' | ']' => return Err("has an empty or broken `[…]`"),
        '\\' => {
            rest.next().ok_or(OPEN)?;
        }
        _ => {}
    }
    rest.peek().map(|_| ()).ok_or(OPEN)
}

/// Turns a cleaned pattern into the cheapest matcher that says the same.
fn compile(pattern: &str) -> Result<Matcher, &'static str> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Regex,
    }
    let mut kind = Kind::Exact;
    let mut regex = String::from("^");
    let mut rest = pattern.chars().peekable();
    let mut first = true;
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_some() {
                    regex.push_str("(?:.*/)?");
                    kind = Kind::Regex;
                } else if kind == Kind::Exact {
                    kind = Kind::Prefix;
                } else {
                    regex.push_str(".*");
                    kind = Kind::Regex;
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            '[' => {
                class(&mut rest, &mut regex)?;
                kind = Kind::Regex;
            }
            '\\' => {
                escaped(rest.next(), &mut regex)?;
                kind = Kind::Regex;
            }
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        first = false;
    }
    Ok(match kind {
        Kind::Exact => Matcher::Exact,
        Kind::Prefix => Matcher::Prefix(pattern.trim_end_matches('/').trim_end_matches("**").to_owned()),
        Kind::Suffix => Matcher::Suffix(pattern[2..].to_owned()),
        Kind::Regex => Matcher::Regex(Regex::new(&format!("{regex}$")).map_err(|_| "is not a pattern")?),
    })
}

/// The inside of a `[…]`: ranges and single characters, with what only this regex dialect treats specially escaped.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Result<(), &'static str> {
    regex.push('[');
    if rest.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    loop {
        match rest.next().ok_or("has a `[` without its `]`")? {
            ']' => break,
            '\\' => escaped(rest.next(), regex)?,
            '-' => regex.push('-'),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push(']');
    Ok(())
}

/// What follows a backslash. Letters and digits have a meaning in Docker's regexes that nobody writing a path wants: only the
/// classes are taken over, the rest is refused rather than guessed.
fn escaped(c: Option<char>, regex: &mut String) -> Result<(), &'static str> {
    match c.ok_or("ends in the middle of an escape")? {
        'd' => regex.push_str("[0-9]"),
        'w' => regex.push_str("[0-9A-Za-z_]"),
        's' => regex.push_str(r"[\t\n\f\r ]"),
        c if c.is_alphanumeric() => return Err("escapes a letter or digit, which needs no escape"),
        c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_docker_says() {
        // Pattern lines, path, left out?
        for (lines, path, ignored) in [
            ("", "a", false),
            ("# a\n", "a", false),
            ("a", "a", true),
            ("/a", "a", true),
            ("a/", "a", true),
            ("./a//b/../", "a", true),
            ("a", "b/a", false),
            ("a", "a/b/c", true),
            ("*.log", "x.log", true),
            ("*.log", "sub/x.log", false),
            ("**/*.log", "x.log", true),
            ("**/*.log", "deep/er/x.log", true),
            ("**", "anything/at/all", true),
            ("**/x", "x", true),
            ("**/x", "a/x", true),
            ("**/x", "ax", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[a&&b]", "&", true),
            ("[[a]", "[", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("a+b(c).$", "a+b(c).$", true),
            ("ü*", "übung", true),
            ("a\n!a", "a", false),
            ("!a\na", "a", true),
            ("*\n!keep", "keep", false),
            ("*\n!keep", "other", true),
            ("dir\n!dir/keep", "dir/keep", false),
            ("dir\n!dir/keep", "dir/else", true),
            ("dir\n!dir/keep\ndir/keep", "dir/keep", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("  spaced  ", "spaced", true),
            ("\u{feff}bom", "bom", true),
            ("crlf\r\nother", "crlf", true),
            ("! a", "a", false),
        ] {
            let ignore = Dockerignore::parse(lines).expect(lines);
            assert_eq!(ignore.ignores(path), ignored, "{lines:?} on {path:?}");
        }
    }

    #[test]
    fn a_walk_that_hands_verdicts_down_agrees_with_judging_alone() {
        let ignore = Dockerignore::parse("a\n!a/b\na/b/c\n!a/b/c/d").expect("patterns");
        let mut parent = None;
        for (path, ignored) in [("a", true), ("a/b", false), ("a/b/c", true), ("a/b/c/d", false)] {
            let verdict = ignore.check(path, parent.as_ref());
            assert_eq!((verdict.ignored, ignore.ignores(path)), (ignored, ignored), "{path}");
            parent = Some(verdict);
        }
    }

    #[test]
    fn a_folder_left_out_is_walked_only_for_an_exception_below_it() {
        let ignore = Dockerignore::parse("*\n!src/main\n!**/lib").expect("patterns");
        assert!(ignore.reaches_into("src"));
        assert!(ignore.reaches_into("src/main"));
        assert!(!ignore.reaches_into("sr"));
        assert!(!ignore.reaches_into("other"));
    }

    #[test]
    fn a_broken_pattern_is_named_with_its_line() {
        for text in ["ok\n[", "ok\n[]a]", "ok\n!", "ok\na\\", "ok\n[-x]", "ok\n[z-a]"] {
            let error = Dockerignore::parse(text).expect_err(text);
            assert!(error.message.contains("line 2"), "{text:?}: {}", error.message);
        }
    }

    #[test]
    fn what_the_engine_needs_is_kept() {
        let mut ignore = Dockerignore::parse("*").expect("patterns");
        ignore.keep("Dockerfile");
        assert!(!ignore.ignores("Dockerfile"));
        assert!(ignore.ignores("Dockerfile.old"));
    }
}
