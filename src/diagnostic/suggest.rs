//! "Did you mean": the known name that is nearest to an unknown one.

/// The candidate with the smallest edit distance to `name`, if it is near enough to be a slip of the hand: a third of the
/// letters at most. Of equally near ones the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    // Nobody mistypes a name of hundreds of letters, and the distance costs the product of both lengths.
    if letters == 0 || letters > 100 {
        return None;
    }
    let plain = fold(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = (letters.max(candidate.chars().count()) / 3).max(1);
        let other = fold(candidate);
        if plain.len().abs_diff(other.len()) > limit * 4 {
            continue;
        }
        let distance = if plain == other { 0 } else { strsim::osa_distance(&plain, &other) };
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Case and the choice between `-` and `_` are no difference worth counting.
fn fold(name: &str) -> String {
    name.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_strangers_alone() {
        let known = ["needs", "title", "timeout", "max_parallel"];
        assert_eq!(nearest("need", known), Some("needs"));
        assert_eq!(nearest("tilte", known), Some("title"));
        assert_eq!(nearest("maxParallel", known), Some("max_parallel"));
        assert_eq!(nearest("Max-Parallel", known), Some("max_parallel"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(5_000), known), None);
    }
}
