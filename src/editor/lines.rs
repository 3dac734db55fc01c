//! Places as editors count them: lines from 0, columns in UTF-16 units.

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 0.
    pub line: u32,
    /// From 0, in UTF-16 units.
    pub column: u32,
}

/// Where each line begins.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        Self { starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect() }
    }

    /// The place of a byte offset, which may be past the end.
    pub(super) fn position(&self, text: &str, offset: usize) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let column = text[self.starts[line]..offset].chars().map(char::len_utf16).sum::<usize>();
        Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The byte offset of a place; the end of the line where the column is past it, the end of the text where the line is.
    pub(super) fn offset(&self, text: &str, position: Position) -> usize {
        let line = position.line as usize;
        let Some(&start) = self.starts.get(line) else { return text.len() };
        let end = self.starts.get(line + 1).map_or(text.len(), |next| next - 1);
        let mut left = position.column as usize;
        let mut offset = start;
        for letter in text[start..end].chars() {
            // A place in the middle of a character is the one before it.
            if left < letter.len_utf16() || letter == '\r' && offset + 1 == end {
                break;
            }
            left -= letter.len_utf16();
            offset += letter.len_utf8();
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_as_editors_do() {
        let text = "a\u{e4}\u{1f600}b\r\nx";
        let lines = Lines::new(text);
        let place = |line, column| Position { line, column };
        for (offset, position) in
            [(0, place(0, 0)), (1, place(0, 1)), (3, place(0, 2)), (7, place(0, 4)), (8, place(0, 5)), (10, place(1, 0))]
        {
            assert_eq!(lines.position(text, offset), position);
            assert_eq!(lines.offset(text, position), offset);
        }
        assert_eq!(lines.offset(text, place(0, 3)), 3, "inside a character");
        assert_eq!(lines.offset(text, place(0, 99)), 8, "before the line end");
        assert_eq!(lines.offset(text, place(9, 0)), text.len());
        assert_eq!(lines.position(text, 5), place(0, 2));
        assert_eq!(lines.position(text, 99), place(1, 1));
    }
}
