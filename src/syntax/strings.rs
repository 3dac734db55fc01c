//! From a place inside a text's value back to the place in the file: quotes, escapes and folded lines take room there.

use std::ops::Range;

/// The range in the file of `part`, which is in bytes of the decoded value of the TOML string that stands at `string` in `file`.
pub(super) fn locate(file: &str, string: &Range<usize>, part: &Range<usize>) -> Range<usize> {
    let raw = &file[string.clone()];
    string.start + offset(raw, part.start)..string.start + offset(raw, part.end)
}

fn offset(raw: &str, wanted: usize) -> usize {
    let multi_line = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let mut at = if multi_line { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
    if multi_line {
        // The line end right after the opening quotes does not count.
        at += if raw[at..].starts_with("\r\n") { 2 } else { usize::from(raw[at..].starts_with('\n')) };
    }
    if !raw.starts_with('"') {
        return (at + wanted).min(raw.len());
    }
    let mut decoded = 0;
    while decoded < wanted && at < raw.len() {
        let rest = &raw[at..];
        let (taken, given) = step(rest);
        at += taken;
        decoded += given;
    }
    // What is wanted begins behind a folded line end, not before it.
    while raw[at..].starts_with('\\') && step(&raw[at..]).1 == 0 {
        at += step(&raw[at..]).0;
    }
    at.min(raw.len())
}

/// Bytes taken from the file and bytes given to the value by what comes next.
fn step(rest: &str) -> (usize, usize) {
    let Some(escaped) = rest.strip_prefix('\\') else {
        let length = rest.chars().next().map_or(1, char::len_utf8);
        return (length, length);
    };
    let digits = match escaped.as_bytes().first() {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let blank = escaped.len() - escaped.trim_start_matches([' ', '\t', '\r', '\n']).len();
            return (1 + blank, 0);
        }
        _ => return (1 + escaped.chars().next().map_or(0, char::len_utf8), 1),
    };
    let letter = escaped.get(1..=digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    (2 + digits, letter.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn a_part_of_a_value_is_found_in_the_file() {
        for file in [
            "a = \"x {{ it }}\"",
            "a = 'x {{ it }}'",
            "a = \"\\tx\\u00e4\\\"\\\\ {{ it }}\"",
            "a = \"\"\"\n  x\n {{ it }}\"\"\"",
            "a = '''\r\n  x\n {{ it }}'''",
            "a = \"\"\"x \\\n   \\\n   {{ it }}\"\"\"",
            "a = \"ü\\x41\\e {{ it }}\"",
        ] {
            let table = DeTable::parse(file).unwrap();
            let value = &table.get_ref()["a"];
            let text = value.get_ref().as_str().unwrap();
            let at = text.find("{{ it }}").unwrap();
            let range = locate(file, &value.span(), &(at..at + 8));
            assert_eq!(&file[range], "{{ it }}", "{file:?}");
        }
    }
}
