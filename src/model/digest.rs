//! Digests of plain data.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// JSON with sorted keys and no spaces: equal values give equal bytes.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(&map[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// `sha256:…` over the canonical JSON of `value`.
pub fn digest_of<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_value(value).expect("plain data without maps of odd keys");
    digest_of_bytes(canonical_json(&json).as_bytes())
}

/// `sha256:…` over bytes.
pub fn digest_of_bytes(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hash {
        text.push(char::from_digit(u32::from(byte >> 4), 16).expect("a nibble"));
        text.push(char::from_digit(u32::from(byte & 15), 16).expect("a nibble"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_of_keys_does_not_matter_and_values_do() {
        assert_eq!(digest_of(&json!({"a": 1, "b": [true, null]})), digest_of(&json!({"b": [true, null], "a": 1})));
        assert_ne!(digest_of(&json!({"a": 1})), digest_of(&json!({"a": "1"})));
        assert_eq!(canonical_json(&json!({"b\n": 1, "a": {}})), "{\"a\":{},\"b\\n\":1}");
    }
}
