//! A span of time as authors write it. Must not know a clock.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A span of time, written `30s`, `2m`, `1h 30m` or `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = if self.0 >= Duration::from_secs(1) { Duration::from_millis(self.0.as_millis() as u64) } else { self.0 };
        match jiff::SignedDuration::try_from(rounded) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed: jiff::SignedDuration = text
            .trim()
            .parse()
            .map_err(|_| de::Error::custom(format!("`{text}` is not a duration; write it like `30s`, `2m` or `1h 30m`")))?;
        Duration::try_from(parsed).map(Self).map_err(|_| de::Error::custom(format!("`{text}` is a negative duration")))
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration", "description": "a duration such as `30s`, `2m`, `1h 30m` or `500ms`", "examples": ["30s", "2m"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h 30m", 5_400_000), ("1h30m", 5_400_000)] {
            let period: Period = serde_json::from_value(text.into()).expect(text);
            assert_eq!(period, Period::millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_way_to_write_one() {
        for text in ["", "30", "soon", "-5s"] {
            let error = serde_json::from_value::<Period>(text.into()).expect_err(text).to_string();
            assert!(error.contains("duration"), "{text}: {error}");
        }
    }

    #[test]
    fn a_period_is_shown_short() {
        assert_eq!(Period::seconds(125).to_string(), "2m 5s");
        assert_eq!(Period::millis(500).to_string(), "500ms");
    }
}
