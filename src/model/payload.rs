//! Values in the journal: small ones stand in the event, larger ones are blobs named by digest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Values whose JSON is longer than this many bytes become blobs.
pub const BLOB_THRESHOLD: usize = 512;

/// A value, or where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The value itself.
    Value(Value),
    /// Its canonical JSON is stored under this digest.
    Blob {
        /// `sha256:…` of the bytes.
        digest: String,
        /// Number of bytes.
        size: u64,
    },
}

impl Payload {
    /// The value, if it stands here.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Blob { .. } => None,
        }
    }
}
