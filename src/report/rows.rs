//! The output of a step as lines, put together from the pieces in which it was read.

/// Bytes after which a line that does not end is shown as it is.
const MOST: usize = 16 * 1024;

/// The line that is being written.
#[derive(Debug, Default)]
pub(super) struct Rows {
    open: String,
}

impl Rows {
    /// Takes a piece in; the lines that are whole with it.
    pub(super) fn push(&mut self, text: &str) -> Vec<String> {
        let mut whole = Vec::new();
        for part in text.split_inclusive('\n') {
            self.open.push_str(part);
            if part.ends_with('\n') || self.open.len() > MOST {
                whole.extend(self.end());
            }
        }
        whole
    }

    /// What there is of the line that is being written.
    pub(super) fn open(&self) -> &str {
        overwritten(&self.open)
    }

    /// No more comes: the line that was being written.
    pub(super) fn end(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.open);
        (!line.is_empty()).then(|| overwritten(&line).to_owned())
    }
}

/// What is left of a line on a terminal: what stands behind the last return of the carriage, as progress in place makes them.
fn overwritten(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n']).rsplit('\r').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = "one\r\n\ntwo parts\r 10%\r 20%\nrest";
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let mut rows = Rows::default();
            let mut lines = rows.push(&text[..cut]);
            lines.extend(rows.push(&text[cut..]));
            assert_eq!(rows.open(), "rest");
            lines.extend(rows.end());
            assert_eq!(lines, ["one", "", " 20%", "rest"], "cut at {cut}");
            assert_eq!(rows.end(), None);
        }
    }

    #[test]
    fn a_line_without_an_end_is_shown_some_time() {
        let mut rows = Rows::default();
        assert!(rows.push(&"x".repeat(MOST)).is_empty());
        assert_eq!(rows.push("y")[0].len(), MOST + 1);
    }
}
