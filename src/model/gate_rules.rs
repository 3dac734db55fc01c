//! Who may answer a gate, and how an approval is proven.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an approval is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Proof {
    /// It is given at a terminal.
    Terminal,
    /// A file that belongs to the one who answers names the digest of the gate.
    File {
        /// Below the working directory.
        path: String,
    },
}

/// What an answer to a gate must fulfil.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRules {
    /// Names of users; anyone where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// How an approval is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl GateRules {
    /// The rules in the `with` table of a gate.
    ///
    /// # Errors
    /// What cannot be one.
    pub fn of(with: &Value) -> Result<Self, String> {
        let mut approvers = Vec::new();
        for name in with["approvers"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if name.is_empty() || name.starts_with('-') || name.contains([':', ',', '/']) || name.chars().any(char::is_control) {
                return Err(format!("`approvers`: `{name}` is not the name of a user"));
            }
            approvers.push(name.to_owned());
        }
        let file = with["proof_file"].as_str();
        let proof = match (with["proof"].as_str(), file) {
            (None, None) => None,
            (Some("terminal"), None) => Some(Proof::Terminal),
            (Some("file"), Some(path)) => {
                let inside = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
                if path.is_empty() || path.starts_with('-') || !std::path::Path::new(path).components().all(inside) {
                    return Err(format!("`proof_file` is `{path}`, which is not a path below the working directory"));
                }
                Some(Proof::File { path: path.to_owned() })
            }
            (Some("file"), None) => return Err("`proof = \"file\"` needs `proof_file`, the path of that file".to_owned()),
            (Some("terminal") | None, Some(_)) => return Err("`proof_file` has no use without `proof = \"file\"`".to_owned()),
            (Some(other), _) => return Err(format!("`proof` is `{other}`, and it may be `terminal` or `file`")),
        };
        Ok(Self { approvers, proof })
    }

    /// Whether anyone may answer as they like.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// Whether that user may answer.
    pub fn admits(&self, user: &str) -> bool {
        self.approvers.is_empty() || self.approvers.iter().any(|name| name == user)
    }

    /// Names in backticks.
    pub fn names(&self) -> String {
        self.approvers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_rule_is_told() {
        let why = |with: Value| GateRules::of(&with).unwrap_err();
        assert_eq!(why(json!({ "approvers": ["ada", "a:b"] })), "`approvers`: `a:b` is not the name of a user");
        assert_eq!(why(json!({ "proof": "forge" })), "`proof` is `forge`, and it may be `terminal` or `file`");
        assert!(why(json!({ "proof": "file" })).contains("needs `proof_file`"));
        assert!(why(json!({ "proof": "file", "proof_file": "../x" })).contains("not a path below"));
        assert!(why(json!({ "proof_file": "x" })).contains("no use without"));
        let rules = GateRules::of(&json!({ "approvers": ["ada"], "proof": "file", "proof_file": "ok" })).unwrap();
        assert!(rules.admits("ada") && !rules.admits("eve") && !rules.is_free());
        assert!(GateRules::of(&json!({ "prompt": "?" })).unwrap().is_free());
    }
}
