//! Versions as migrations are named: `v` and a semantic version, ordered by number and not by name.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A semantic version, written with a `v`. Build metadata does not count when two are compared.
#[derive(Debug, Clone)]
pub struct Version(semver::Version);

impl Version {
    /// Reads `v0.3.0` or `0.3.0`.
    pub fn parse(text: &str) -> Option<Self> {
        semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok().map(Self)
    }

    /// Reads `v0.3.0`: the form that names of migrations and tags have.
    pub fn named(text: &str) -> Option<Self> {
        text.starts_with('v').then(|| Self::parse(text)).flatten()
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a version; write it like `v0.3.0`")))
    }
}

impl JsonSchema for Version {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a version such as `v0.3.0`", "examples": ["v0.3.0"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_versions_are_ordered_by_number() {
        let mut versions: Vec<_> = ["v0.10.0", "v0.9.0", "v0.10.0-rc.1", "v1.0.0"].iter().filter_map(|text| Version::named(text)).collect();
        versions.sort();
        assert_eq!(versions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["v0.9.0", "v0.10.0-rc.1", "v0.10.0", "v1.0.0"]);
    }

    #[test]
    fn build_metadata_makes_no_other_version() {
        assert_eq!(Version::parse("v1.0.0+a"), Version::parse("1.0.0+b"));
        assert!(Version::named("1.0.0").is_none() && Version::parse("v1.0").is_none());
    }
}
