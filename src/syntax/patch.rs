//! The text that TOML is parsed from: the author's, with the backslashes of unknown escapes doubled; and the way back to the author's
//! places.

use std::borrow::Cow;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::Span;

/// A text with backslashes doubled, and where.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    /// The text to parse.
    pub text: Cow<'a, str>,
    /// Offsets in `text` of what was put in, ascending.
    inserted: Vec<usize>,
    /// Offsets in `text` of the headers of steps, ascending.
    pub headers: Vec<usize>,
}

impl<'a> Patch<'a> {
    /// Doubles the backslashes at these offsets, which ascend, as those of the headers of steps do.
    pub(super) fn new(text: &'a str, backslashes: &[usize], headers: &[usize]) -> Self {
        if backslashes.is_empty() {
            return Self { text: Cow::Borrowed(text), inserted: Vec::new(), headers: headers.to_vec() };
        }
        let headers = headers.iter().map(|at| at + backslashes.partition_point(|backslash| backslash < at)).collect();
        let mut patched = String::with_capacity(text.len() + backslashes.len());
        let mut inserted = Vec::with_capacity(backslashes.len());
        let mut done = 0;
        for &at in backslashes {
            patched.push_str(&text[done..=at]);
            inserted.push(patched.len());
            patched.push('\\');
            done = at + 1;
        }
        patched.push_str(&text[done..]);
        Self { text: Cow::Owned(patched), inserted, headers }
    }

    /// The author's offset.
    pub(super) fn original(&self, offset: usize) -> usize {
        offset - self.inserted.partition_point(|at| *at < offset)
    }

    fn range(&self, range: &Range<usize>) -> Range<usize> {
        self.original(range.start)..self.original(range.end)
    }

    /// Moves all places of a problem back.
    pub(super) fn restore(&self, diagnostic: &mut Diagnostic) {
        if self.inserted.is_empty() {
            return;
        }
        for label in diagnostic.primary.iter_mut().chain(&mut diagnostic.secondary) {
            label.range = self.range(&label.range);
        }
    }

    /// The author's place.
    pub(super) fn span(&self, range: &Range<usize>) -> Span {
        self.range(range).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_author() {
        let text = r#"a = "\. and \d""#;
        let patch = Patch::new(text, &[5, 12], &[2, 8]);
        assert_eq!(patch.headers, [2, 9]);
        assert_eq!(patch.text, r#"a = "\\. and \\d""#);
        let dot = patch.text.find('.').unwrap();
        assert_eq!(&text[patch.original(dot)..=patch.original(dot)], ".");
        let letter = patch.text.find("d\"").unwrap();
        assert_eq!(&text[patch.original(letter)..], "d\"");
        assert_eq!(patch.original(patch.text.len()), text.len());
        assert_eq!(Patch::new(text, &[], &[]).original(7), 7);
    }
}
