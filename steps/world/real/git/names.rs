//! What may be a ref, a remote, an object id, a revision or a path in a call of git. Nothing here can be taken for an option.

use crate::world::{PortError, PortResult};

/// Refuses what git would not take as the full name of a ref (the rules of `git check-ref-format`), and any part that begins
/// with `-`.
pub(super) fn check_ref(name: &str) -> PortResult<()> {
    let is_locked = |part: &str| part.as_bytes().ends_with(b".lock");
    let part_is_bad = |part: &str| part.is_empty() || part.starts_with(['.', '-']) || is_locked(part);
    let char_is_bad = |char: char| char.is_ascii_control() || " ~^:?*[\\".contains(char);
    let bad = !name.contains('/')
        || name.split('/').any(part_is_bad)
        || name.contains(char_is_bad)
        || name.contains("..")
        || name.contains("@{")
        || name.ends_with('.');
    if bad {
        let shown = name.escape_debug();
        return Err(PortError::invalid(format!("`{shown}` is not a name that git takes for a ref"))
            .hint("no spaces, none of `~^:?*[\\`, no `..` or `@{`, no part that begins with `.` or `-` or ends in `.lock`"));
    }
    Ok(())
}

/// The full name of a tag.
pub(super) fn tag_ref(name: &str) -> PortResult<String> {
    let full = format!("refs/tags/{name}");
    check_ref(&full)?;
    Ok(full)
}

/// The full name of a branch. `HEAD` is none, as git itself says.
pub(super) fn branch_ref(name: &str) -> PortResult<String> {
    let full = format!("refs/heads/{name}");
    check_ref(&full)?;
    if name == "HEAD" {
        return Err(PortError::invalid("`HEAD` is not the name of a branch"));
    }
    Ok(full)
}

/// Refuses a remote (its name or its address) that could be taken for an option.
pub(super) fn check_remote(remote: &str) -> PortResult<()> {
    if remote.is_empty() || remote.starts_with('-') || remote.contains(char::is_control) {
        return Err(PortError::invalid(format!("`{}` is not a remote", remote.escape_debug())).hint("`git remote -v` shows the remotes"));
    }
    Ok(())
}

/// Refuses what is not the full id of an object.
pub(super) fn check_id(id: &str) -> PortResult<()> {
    if matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(PortError::invalid(format!("`{}` is not the full id of a git object", id.escape_debug())))
}

/// Refuses a revision that could be taken for an option or for more than one line.
pub(super) fn check_revision(revision: &str) -> PortResult<()> {
    if revision.is_empty() || revision.starts_with('-') || revision.contains(char::is_control) {
        return Err(PortError::invalid(format!("`{}` is not a revision that git can be asked for", revision.escape_debug())));
    }
    Ok(())
}

/// A path in a commit, from the root of the repository.
pub(super) fn tree_path(path: &str) -> PortResult<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') || parts.is_empty() || parts.contains(&"..") || path.contains(['\n', '\0']) {
        return Err(PortError::invalid(format!("`{}` is not a path in a repository", path.escape_debug())));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn git_takes(name: &str) -> bool {
        let mut git = std::process::Command::new("git");
        git.args(["check-ref-format", name]).status().unwrap().success()
    }

    #[test]
    fn what_could_be_an_option_is_refused() {
        for name in ["-d", "--all", "--upload-pack=touch x"] {
            assert!(tag_ref(name).is_err() && branch_ref(name).is_err() && check_remote(name).is_err() && check_revision(name).is_err());
        }
        assert!(check_id("HEAD").is_err() && check_id(&"a".repeat(40)).is_ok() && check_id(&"f".repeat(64)).is_ok());
        assert_eq!(tree_path("./a//b").unwrap(), "a/b");
        for path in ["", "/etc", "../x", "a/../../x", "a\nb"] {
            assert!(tree_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn names_are_judged_as_git_judges_them() {
        for name in [
            "v1.0.0", "a/b", "ä", "@", "a@b", "a-b", "", "a b", "a..b", "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a//b", "/a", "a/", "a~",
            "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{b", "a\u{7f}", "a\tb", "a.lockb", "{", "@{",
        ] {
            assert_eq!(tag_ref(name).is_ok(), git_takes(&format!("refs/tags/{name}")), "{name:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn names_made_of_odd_pieces_are_judged_as_git_judges_them(
            pieces in prop::collection::vec(prop::sample::select(vec!["a", ".", "/", "@", "{", ".lock", "~", " ", "ö", "x-", "\\", "\u{1}"]), 1..7),
        ) {
            let name = format!("refs/tags/{}", pieces.concat());
            prop_assert_eq!(check_ref(&name).is_ok(), git_takes(&name), "{}", name);
        }
    }
}
