//! Parses a file piece by piece, each from the header of a step to that of another, where that gives what parsing it in one go would.
//!
//! The parser's tokens and events take some twenty bytes for each byte of the text, all at once: of a file of megabytes far more than
//! what is kept of it. And what is small when it is given back is memory that the rest of a run can use again.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// Bytes of a piece, at least.
const PIECE: usize = 8 * 1024;

/// The values of a text, as far as they can be told, and what is wrong with it. `headers` are the offsets of `[[steps]]` and
/// `[[finally]]`, ascending.
pub(super) fn parse<'t>(text: &'t str, headers: &[usize]) -> (DeTable<'t>, Vec<Error>) {
    if let Some(root) = by_pieces(text, headers, PIECE) {
        return (root, Vec::new());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    (root.into_inner(), errors)
}

/// None where the text is small, where a piece is no TOML, and where it depends on another piece what one of them means.
fn by_pieces<'t>(text: &'t str, headers: &[usize], least: usize) -> Option<DeTable<'t>> {
    if text.len() < 2 * least {
        return None;
    }
    let mut root = DeTable::parse(&text[..*headers.first()?]).ok()?.into_inner();
    let mut starts = headers.iter().copied().peekable();
    while let Some(start) = starts.next() {
        while starts.next_if(|next| *next < start + least).is_some() {}
        let end = starts.peek().copied().unwrap_or(text.len());
        for (key, value) in DeTable::parse(&text[start..end]).ok()?.into_inner() {
            add(&mut root, moved(key, start), shifted(value, start), text)?;
        }
    }
    Some(root)
}

/// Adds a key of a piece to those before. None if it is there and is no list that headers with two brackets make longer.
fn add<'t>(root: &mut DeTable<'t>, key: Key<'t>, value: Spanned<DeValue<'t>>, text: &str) -> Option<()> {
    let Some(before) = root.get_mut(key.get_ref().as_ref()) else {
        root.insert(key, value);
        return Some(());
    };
    let (DeValue::Array(before), DeValue::Array(more)) = (before.get_mut(), value.into_inner()) else { return None };
    let is_of_headers = |item: &Spanned<DeValue<'_>>| item.get_ref().is_table() && text[item.span().start..].starts_with("[[");
    if !before.first().is_some_and(is_of_headers) {
        return None;
    }
    more.into_iter().for_each(|item| before.push(item));
    Some(())
}

type Key<'t> = Spanned<toml::de::DeString<'t>>;

fn moved<T>(value: Spanned<T>, by: usize) -> Spanned<T> {
    let range = value.span();
    Spanned::new(range.start + by..range.end + by, value.into_inner())
}

/// The value with all places in it so many bytes further on.
fn shifted(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let mut value = moved(value, by);
    match value.get_mut() {
        DeValue::Array(items) => {
            for item in items.iter_mut() {
                let old = std::mem::replace(item, Spanned::new(0..0, DeValue::Boolean(false)));
                *item = shifted(old, by);
            }
        }
        DeValue::Table(table) => {
            let old = std::mem::take(table);
            table.extend(old.into_iter().map(|(key, value)| (moved(key, by), shifted(value, by))));
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::lexical;
    use super::*;

    fn pieces(text: &str) -> Option<DeTable<'_>> {
        by_pieces(text, &lexical::scan(text).steps, 1)
    }

    #[test]
    fn pieces_give_what_the_whole_gives_with_every_place() {
        let mut tried = 0;
        let folders = ["formulas", "tests/spec", "fuzz/corpus", "migrations"];
        let mut folders: Vec<_> = folders.iter().map(|folder| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if let Ok(text) = std::fs::read_to_string(entry.path())
                    && let Some(found) = pieces(&text)
                {
                    let whole = DeTable::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
                    assert_eq!(format!("{found:?}"), format!("{:?}", whole.into_inner()), "{}", entry.path().display());
                    tried += 1;
                }
            }
        }
        assert!(tried > 20, "only {tried} files");
    }

    #[test]
    fn what_pieces_cannot_tell_is_left_to_the_whole() {
        for text in [
            "steps = [{ id = \"a\" }]\n[[steps]]\nid = \"b\"\n",
            "[vars]\na = 1\n[[steps]]\nid = \"b\"\n[[steps]]\nid = \"c\"\n[vars]\nb = 2\n",
            "[[steps]]\nid = \"a\"\n[[finally]]\nid = \"b\"\n[steps.with]\nx = 1\n",
            "[[steps]]\nid = \"a\"\n[[steps]]\nid = \n",
            "a = [[1]]\n[[steps]]\nid = \"a\"\n[[a]]\n",
            "a = 1\n",
        ] {
            assert!(pieces(text).is_none(), "{text}");
        }
        let text = "[vars]\na = 1\n[[steps]]\nid = \"b\"\n[steps.with]\nx = [1, { y = 'é' }]\n[[finally]]\nid = \"c\"\n[env]\nA = ''\n";
        assert_eq!(format!("{:?}", pieces(text).unwrap()), format!("{:?}", DeTable::parse(text).unwrap().into_inner()));
    }
}
