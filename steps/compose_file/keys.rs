//! The variables that compose looks up when it reads a file: `$KEY`, `${KEY}`, `${KEY:-default}`, `${KEY:?message}`.

/// A variable that compose will look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Whether compose refuses to go on without it, anywhere.
    pub required: bool,
    /// What stands in for it where it is not set; the first that is given.
    pub default: Option<String>,
    /// The services that use it, in the order of the file.
    pub services: Vec<String>,
}

/// The variables in a text, in the order in which they stand there; those within a default follow. `services` are left empty.
pub fn keys_in(text: &str) -> Vec<Key> {
    let mut found = Vec::new();
    collect(text, &mut found);
    found
}

fn collect(text: &str, found: &mut Vec<Key>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = closing(after) else { return };
            expression(&after[..end], found);
            rest = &after[end + 1..];
        } else {
            let end = name_end(rest);
            if end > 0 {
                found.push(Key { name: rest[..end].to_owned(), required: false, default: None, services: Vec::new() });
            }
            rest = &rest[end..];
        }
    }
}

fn expression(inner: &str, found: &mut Vec<Key>) {
    let (name, rest) = inner.split_at(name_end(inner));
    if name.is_empty() {
        return;
    }
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let default = rest.strip_prefix('-').map(str::to_owned);
    found.push(Key { name: name.to_owned(), required: rest.starts_with('?'), default: default.clone(), services: Vec::new() });
    if let Some(inner) = default.as_deref().or_else(|| rest.strip_prefix('+')) {
        collect(inner, found);
    }
}

/// How long the name is that a text begins with.
pub(super) fn name_end(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Where the brace closes that is open at the start of a text.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_variable_is_seen() {
        let found = keys_in("a $A ${B} ${C:-x${D-y}} ${E:?set it} $$NO $${NO} ${F:+z} $5 ${");
        let told: Vec<_> = found.iter().map(|key| (key.name.as_str(), key.required, key.default.as_deref())).collect();
        let expected = [
            ("A", false, None),
            ("B", false, None),
            ("C", false, Some("x${D-y}")),
            ("D", false, Some("y")),
            ("E", true, None),
            ("F", false, None),
        ];
        assert_eq!(told, expected);
    }
}
