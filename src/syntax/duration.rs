//! Durations as authors write them.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `90s`, `5m`, `1h30m`, `1h 30m`, `500ms`, `2d`.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a duration; write 500ms, 90s, 5m, 1h30m or 2d");
    let mut total = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(refuse)?;
        total = number.checked_mul(*millis).and_then(|part| total.checked_add(part)).ok_or_else(refuse)?;
        // Parts may stand apart: `1h 30m`.
        rest = rest[letters..].trim_start();
    }
    if text.trim().is_empty() { Err(refuse()) } else { Ok(Duration::from_millis(total)) }
}

/// Reads `2s..30s` or `5s`: the first and the longest wait.
///
/// # Errors
/// Says what is wrong with which part.
pub(super) fn parse_range(text: &str) -> Result<(Duration, Duration), String> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let (min, max) = (parse(min.trim())?, parse(max.trim())?);
    if min > max { Err(format!("`{text}` begins with the longer wait; write the shorter one first")) } else { Ok((min, max)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_and_nonsense_is_refused() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        for (text, wanted) in
            [("90s", 90_000), ("1h30m", 5_400_000), ("500ms", 500), ("2d", 172_800_000), ("0s", 0), (" 1h 30m ", 5_400_000)]
        {
            assert_eq!(millis(text), Ok(wanted), "{text}");
        }
        for text in ["", "5", "s", "-5s", "1.5h", "5 s", "5w", "5S", "99999999999999999999s", "9999999999999999d", "ä"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_has_the_shorter_wait_first() {
        let seconds = |text| parse_range(text).map(|(min, max)| (min.as_secs(), max.as_secs()));
        assert_eq!(seconds("2s..30s"), Ok((2, 30)));
        assert_eq!(seconds("5s"), Ok((5, 5)));
        assert!(parse_range("30s..2s").is_err());
        assert!(parse_range("2s..").is_err());
    }
}
