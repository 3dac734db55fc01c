//! From a place inside a text's value back to the place in the file: quotes, escapes and folded lines take room there.

use std::ops::Range;

/// The range in the file of `part`, which is in bytes of the decoded value of the TOML string that stands at `string` in `file`.
pub(super) fn locate(file: &str, string: &Range<usize>, part: &Range<usize>) -> Range<usize> {
    Locator::new(file, string).locate(part)
}

/// Finds the places of many parts of one text. Parts that ascend cost one look at the text in all.
pub(super) struct Locator<'r> {
    raw: &'r str,
    /// Where the string stands in the file.
    base: usize,
    /// Where its value begins.
    begin: usize,
    /// How far it is decoded: bytes of the file, bytes of the value.
    at: usize,
    decoded: usize,
}

impl<'r> Locator<'r> {
    /// Of the TOML string that stands at `string` in `file`.
    pub(super) fn new(file: &'r str, string: &Range<usize>) -> Self {
        let raw = &file[string.clone()];
        let multi_line = raw.starts_with("\"\"\"") || raw.starts_with("'''");
        let mut at = if multi_line { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
        if multi_line {
            // The line end right after the opening quotes does not count.
            at += if raw[at..].starts_with("\r\n") { 2 } else { usize::from(raw[at..].starts_with('\n')) };
        }
        Self { raw, base: string.start, begin: at, at, decoded: 0 }
    }

    /// The place in the file of a part, which is in bytes of the decoded value.
    pub(super) fn locate(&mut self, part: &Range<usize>) -> Range<usize> {
        let start = self.base + self.offset(part.start);
        start..self.base + self.offset(part.end)
    }

    fn offset(&mut self, wanted: usize) -> usize {
        if !self.raw.starts_with('"') {
            return (self.begin + wanted).min(self.raw.len());
        }
        if wanted < self.decoded {
            (self.at, self.decoded) = (self.begin, 0);
        }
        while self.decoded < wanted && self.at < self.raw.len() {
            let (taken, given) = step(&self.raw[self.at..]);
            self.at += taken;
            self.decoded += given;
        }
        // What is wanted begins behind a folded line end, not before it.
        while self.raw[self.at..].starts_with('\\') && step(&self.raw[self.at..]).1 == 0 {
            self.at += step(&self.raw[self.at..]).0;
        }
        self.at.min(self.raw.len())
    }
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
