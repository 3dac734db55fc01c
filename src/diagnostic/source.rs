//! A text with a name, and the lines in it.

use std::path::PathBuf;
use std::sync::OnceLock;

/// A source file as problems quote it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// How it is named in messages.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Byte offset of the start of each line; made when first asked for.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// Bytes of the longest text that is read: 16 MiB.
    pub const LARGEST: usize = 16 * 1024 * 1024;

    /// A text under that name.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), lines: OnceLock::new() }
    }

    fn starts(&self) -> &[usize] {
        self.lines.get_or_init(|| std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.starts().partition_point(|start| *start <= offset);
        let start = self.starts()[line - 1];
        let before = &self.text.as_bytes()[start..offset];
        // Continuation bytes do not start a character.
        (line, before.iter().map(|byte| usize::from(byte & 0xC0 != 0x80)).sum::<usize>() + 1)
    }

    /// Byte range of a line, counted from 1, without its line end. Empty past the last line.
    pub fn line_range(&self, line: usize) -> std::ops::Range<usize> {
        let starts = self.starts();
        let Some(&start) = starts.get(line.saturating_sub(1)) else { return self.text.len()..self.text.len() };
        let end = starts.get(line).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[start..end];
        start..end - usize::from(text.ends_with('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_are_characters() {
        let source = SourceFile::new("a", "eins\r\nz\u{fc}ge\n");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(4), (1, 5));
        assert_eq!(source.line_column(9), (2, 3), "the character of two bytes counts once");
        assert_eq!(source.line_column(999), (3, 1));
        assert_eq!(&source.text[source.line_range(1)], "eins");
        assert_eq!(&source.text[source.line_range(2)], "z\u{fc}ge");
        assert_eq!(&source.text[source.line_range(3)], "");
        assert_eq!(&source.text[source.line_range(9)], "");
    }
}
