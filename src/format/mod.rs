//! One way to lay out a formula: the order of keys, aligned equals signs, blank lines. Changes no value, keeps every comment.
//!
//! Works on the tokens of the text, not on a tree made from it, so that strings and comments are copied byte for byte. The order of sections
//! and of params is the author's. Whatever comes out is read again and compared before anybody gets it.

mod order;
mod read;
mod value;
mod write;

use crate::diagnostic::{Diagnostic, SourceFile};
use crate::syntax::{self, Options};

/// Why a text was not laid out.
#[derive(Debug)]
pub enum Refused {
    /// It is not TOML; every problem with its place.
    NotToml(Vec<Diagnostic>),
    /// What came out did not say the same, which is a defect of this module. Nobody should get it.
    Changed,
}

/// The text as it should be laid out.
///
/// # Errors
/// A text that is not TOML. Names, types and order do not matter here; they are `check`'s.
pub fn format(source: &SourceFile, options: Options) -> Result<String, Refused> {
    let before = syntax::plain(source, options).map_err(Refused::NotToml)?;
    let text = tidy(&source.text);
    if text == source.text {
        return Ok(text);
    }
    let after = syntax::plain(&SourceFile::new(source.path.clone(), text.as_str()), options).map_err(|_| Refused::Changed)?;
    // Through text: a NaN is not equal to itself.
    if format!("{before:?}") == format!("{after:?}") { Ok(text) } else { Err(Refused::Changed) }
}

fn tidy(text: &str) -> String {
    let (mark, text) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let sections = read::sections(text).into_iter().map(order::sorted).collect::<Vec<_>>();
    format!("{mark}{}", write::text(&sections, read::line_end(text)))
}

#[cfg(test)]
mod tests;
