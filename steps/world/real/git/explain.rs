//! Git's failures: their kind, git's own words without addresses' passwords, and what to do.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::world::{PortError, PortErrorKind};

use PortErrorKind::{Conflict, Denied, Failed, NotFound, Transient, Unreachable};

/// Most of git's words that are handed on.
const LONGEST: usize = 2000;

/// What tells a failure, in lower case, the first that is found; its kind; what to do.
const SIGNS: &[(&str, PortErrorKind, &str)] = &[
    ("does not appear to be a git repository", NotFound, "`git remote -v` shows the remotes and their addresses"),
    ("not a git repository", NotFound, "run this inside a clone of the repository"),
    ("dubious ownership", Denied, "git config --global --add safe.directory FOLDER, if the folder is to be trusted"),
    ("host key verification failed", Denied, "connect once by `ssh` and accept the key, or add it to ~/.ssh/known_hosts"),
    ("authentication failed", Denied, CREDENTIALS),
    ("could not read username", Denied, CREDENTIALS),
    ("could not read password", Denied, CREDENTIALS),
    ("terminal prompts disabled", Denied, CREDENTIALS),
    ("permission denied (", Denied, CREDENTIALS),
    ("access denied", Denied, CREDENTIALS),
    ("returned error: 401", Denied, CREDENTIALS),
    ("returned error: 403", Denied, CREDENTIALS),
    ("repository not found", NotFound, "the address is wrong, or these credentials may not see the repository"),
    ("returned error: 404", NotFound, "the address is wrong, or these credentials may not see the repository"),
    ("could not resolve", Unreachable, NETWORK),
    ("name or service not known", Unreachable, NETWORK),
    ("temporary failure in name resolution", Unreachable, NETWORK),
    ("connection refused", Unreachable, NETWORK),
    ("timed out", Unreachable, NETWORK),
    ("no route to host", Unreachable, NETWORK),
    ("network is unreachable", Unreachable, NETWORK),
    ("failed to connect", Unreachable, NETWORK),
    ("couldn't connect", Unreachable, NETWORK),
    ("connection reset", Transient, ""),
    ("connection was reset", Transient, ""),
    ("returned error: 429", Transient, ""),
    ("returned error: 5", Transient, ""),
    ("early eof", Transient, ""),
    ("rpc failed", Transient, ""),
    ("hung up unexpectedly", Transient, ""),
    ("could not read from remote repository", Unreachable, NETWORK),
    ("another git process seems to be running", Transient, LOCKED),
    (".lock': file exists", Transient, LOCKED),
    ("would clobber existing tag", Conflict, "the remote has another tag of that name; look at both before one of them goes"),
    ("cannot lock ref", Conflict, "somebody else changed the same ref; look with `git for-each-ref`"),
    ("tell me who you are", Failed, IDENTITY),
    ("empty ident name", Failed, IDENTITY),
    ("unable to auto-detect email address", Failed, IDENTITY),
    ("no email was given", Failed, IDENTITY),
    ("no name was given", Failed, IDENTITY),
    ("failed to sign", Failed, SIGNING),
    ("unable to sign", Failed, SIGNING),
    ("cannot run gpg", Failed, SIGNING),
    ("permission denied", Denied, "look at the owner and mode of the repository's files"),
];
const CREDENTIALS: &str =
    "git has no credentials that work for that address: set up a credential helper, a key in the ssh agent, or a token";
const NETWORK: &str = "check the address with `git remote -v`, then the network";
const LOCKED: &str = "wait for the other git, or remove the lock file that it names if no git runs in the repository";
const IDENTITY: &str = "git config user.name \"NAME\" && git config user.email ADDRESS";
const SIGNING: &str = "look at `git config --get-regexp 'gpg|signingkey'` and try `git tag -s` by hand";

/// `what` failed, and git said why.
pub(super) fn explain(what: &str, said: &str) -> PortError {
    let lower = said.to_lowercase();
    let sign = SIGNS.iter().find(|(sign, ..)| lower.contains(sign));
    let (kind, hint) = sign.map_or((Failed, ""), |(_, kind, hint)| (*kind, *hint));
    let error = PortError::new(kind, format!("cannot {what}: {}", words(said)));
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// Git itself could not be started in `dir`.
pub(super) fn not_started(dir: &Path, error: &io::Error) -> PortError {
    let shown = dir.display();
    match error.kind() {
        io::ErrorKind::NotFound if dir.is_dir() => {
            PortError::new(NotFound, "there is no program `git` on PATH").hint("install git, for example with `apt-get install git`")
        }
        io::ErrorKind::NotFound => PortError::new(NotFound, format!("there is no folder `{shown}`")),
        _ => PortError::failed(format!("cannot run git in `{shown}`: {error}")),
    }
}

/// What git said, on one line, without its advice and the prefixes of its lines.
pub(super) fn words(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    let plain = lines.map(|line| line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")).unwrap_or(line));
    let mut text = masked(&plain.collect::<Vec<_>>().join("; "));
    if text.is_empty() {
        "git does not say why".clone_into(&mut text);
    }
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/@:]*)(?::(?P<password>[^\s/]*))?@").expect("the pattern is a constant")
});

/// A text with the passwords of addresses masked. Over HTTP the user alone may be a token, so it goes as well.
pub(super) fn masked(text: &str) -> String {
    let replace = |found: &Captures<'_>| {
        let (scheme, user) = (&found["scheme"], &found["user"]);
        match found.name("password") {
            _ if scheme.to_ascii_lowercase().starts_with("http") => format!("{scheme}://***@"),
            Some(_) => format!("{scheme}://{user}:***@"),
            None => format!("{scheme}://{user}@"),
        }
    };
    ADDRESS.replace_all(text, replace).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_wherever_an_address_stands() {
        for (text, shown) in [
            ("http://u:hidden@h/o/r.git", "http://***@h/o/r.git"),
            ("https://hidden@github.com/o/r", "https://***@github.com/o/r"),
            ("https://x-token:hid:d@en@h/r", "https://***@h/r"),
            ("ssh://git@h/x", "ssh://git@h/x"),
            ("ssh://git:hidden@h:22/x", "ssh://git:***@h:22/x"),
            ("https://h/r@v1", "https://h/r@v1"),
            ("git@h:o/r.git", "git@h:o/r.git"),
            ("unable to access 'https://u:hidden@h/r/': no", "unable to access 'https://***@h/r/': no"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn failures_get_their_kind_from_what_git_says() {
        for (said, kind) in [
            ("fatal: unable to access 'https://x/': Could not resolve host: x", Unreachable),
            ("ssh: connect to host x port 22: Connection refused\r\nfatal: Could not read from remote repository.", Unreachable),
            ("ssh: connect to host x port 22: Connection timed out", Unreachable),
            ("fatal: Authentication failed for 'https://x/'", Denied),
            ("fatal: could not read Username for 'https://x': terminal prompts disabled", Denied),
            ("git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.", Denied),
            ("fatal: not a git repository (or any of the parent directories): .git", NotFound),
            ("fatal: unable to access 'https://x/': The requested URL returned error: 503", Transient),
            ("fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git process seems to be running", Transient),
            ("fatal: something new", Failed),
        ] {
            assert_eq!(explain("look", said).kind, kind, "{said}");
        }
        assert_eq!(explain("look", "hint: a\nfatal: b\n\nerror: c\n").message, "cannot look: b; c");
    }
}
