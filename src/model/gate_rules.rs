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
    /// A comment or a review at a forge, by one of the approvers, names the digest of the gate.
    Forge {
        /// The list of comments or reviews, in the forge's API.
        url: String,
        /// The environment variable that holds a token for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
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
        let (file, url, token) = (with["proof_file"].as_str(), with["proof_url"].as_str(), with["proof_token"].as_str());
        let proof = match (with["proof"].as_str(), file) {
            (Some("forge"), None) => Some(forge(url, token, &approvers)?),
            _ if url.is_some() || token.is_some() => {
                return Err("`proof_url` and `proof_token` have no use without `proof = \"forge\"`".to_owned());
            }
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
            (Some("terminal" | "forge") | None, Some(_)) => return Err("`proof_file` has no use without `proof = \"file\"`".to_owned()),
            (Some(other), _) => return Err(format!("`proof` is `{other}`, and it may be `terminal`, `file` or `forge`")),
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

    /// Whether that user may deny. Approvers at a forge are no users of this system; and whoever can type here could cancel the run as well.
    pub fn lets_deny(&self, user: &str) -> bool {
        matches!(self.proof, Some(Proof::Forge { .. })) || self.admits(user)
    }

    /// How an approval is proven, in words; None where nothing proves it.
    pub fn proven(&self) -> Option<String> {
        Some(match self.proof.as_ref()? {
            Proof::Terminal => "at a terminal".to_owned(),
            Proof::File { path } => format!("by the file {path}"),
            Proof::Forge { url, token: None } => format!("by a word at {url}"),
            Proof::Forge { url, token: Some(name) } => format!("by a word at {url}, which is sent what {name} holds"),
        })
    }

    /// Names in backticks.
    pub fn names(&self) -> String {
        self.approvers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// A proof by a forge. What holds a template is looked at once it is rendered.
fn forge(url: Option<&str>, token: Option<&str>, approvers: &[String]) -> Result<Proof, String> {
    let Some(url) = url else {
        return Err("`proof = \"forge\"` needs `proof_url`, where the forge's API lists the comments or reviews".to_owned());
    };
    if approvers.is_empty() {
        return Err("`proof = \"forge\"` needs `approvers`, the users of the forge who may approve".to_owned());
    }
    if !url.contains("{{") {
        let host =
            url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).map(|rest| rest.split('/').next().unwrap_or_default());
        let odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if host.is_none_or(str::is_empty) || url.contains(odd) {
            return Err(format!("`proof_url` is `{url}`, which is not an address of a forge: https://…"));
        }
        if host.is_some_and(|host| host.contains('@')) {
            return Err("`proof_url` holds a password; name the environment variable with a token in `proof_token`".to_owned());
        }
    }
    let is_name = |name: &str| {
        let first = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match token {
        // Whatever it is, it is not shown: it may be the token itself.
        Some(token) if !token.contains("{{") && !is_name(token) => {
            Err("`proof_token` is not the name of an environment variable".to_owned())
        }
        _ => Ok(Proof::Forge { url: url.to_owned(), token: token.map(str::to_owned) }),
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
        assert_eq!(why(json!({ "proof": "word" })), "`proof` is `word`, and it may be `terminal`, `file` or `forge`");
        assert!(why(json!({ "proof": "forge" })).contains("needs `proof_url`"));
        let forge = |url: &str, token: &str| json!({ "approvers": ["ada"], "proof": "forge", "proof_url": url, "proof_token": token });
        assert!(why(json!({ "proof": "forge", "proof_url": "https://h/x" })).contains("needs `approvers`"));
        assert!(why(forge("h/x", "T")).contains("not an address") && why(forge("https:///x", "T")).contains("not an address"));
        assert!(why(forge("https://u:p@h/x", "T")).contains("holds a password"));
        assert_eq!(why(forge("https://h/x", "ghp-s3cret")), "`proof_token` is not the name of an environment variable");
        assert!(why(json!({ "proof": "file", "proof_file": "x", "proof_url": "https://h" })).contains("no use without"));
        let rules = GateRules::of(&forge("{{ vars.url }}", "TOKEN")).unwrap();
        assert!(rules.admits("ada") && !rules.admits("root") && rules.lets_deny("root"));
        assert!(why(json!({ "proof": "file" })).contains("needs `proof_file`"));
        assert!(why(json!({ "proof": "file", "proof_file": "../x" })).contains("not a path below"));
        assert!(why(json!({ "proof_file": "x" })).contains("no use without"));
        let rules = GateRules::of(&json!({ "approvers": ["ada"], "proof": "file", "proof_file": "ok" })).unwrap();
        assert!(rules.admits("ada") && !rules.admits("eve") && !rules.lets_deny("eve") && !rules.is_free());
        assert!(GateRules::of(&json!({ "prompt": "?" })).unwrap().is_free());
    }
}
