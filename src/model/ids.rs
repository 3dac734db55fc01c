//! Names of runs and steps.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Identifier of a run: 26 characters of Crockford base 32, the first ten of them the start time, so that text order is time order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub String);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl RunId {
    /// A new identifier from the start time and 80 random bits.
    pub fn new(started: Timestamp, random: [u8; 10]) -> Self {
        let mut value = u128::from(started.0.unsigned_abs() & ((1 << 48) - 1)) << 80;
        for (index, byte) in random.into_iter().enumerate() {
            value |= u128::from(byte) << (72 - 8 * index);
        }
        let text = (0..26).map(|place| ALPHABET[usize::from(((value >> (125 - 5 * place)) & 31) as u8)] as char).collect();
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Place of a step in [`super::Plan::steps`]. Never stored in the journal, which names steps by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepIx(pub u32);

impl StepIx {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_runs_sort_later_and_text_is_26_characters() {
        let early = RunId::new(Timestamp(1_000), [255; 10]);
        let late = RunId::new(Timestamp(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(late.as_str().len(), 26);
        assert_eq!(RunId::new(Timestamp((1 << 48) - 1), [255; 10]).as_str(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }
}
