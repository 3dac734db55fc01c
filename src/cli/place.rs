//! Where a command works, as it was typed: what it tells to type next must work there too.

use std::path::PathBuf;

use super::root::Global;

/// `-C` and `--state-dir`, as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    directory: Option<PathBuf>,
    state_dir: Option<PathBuf>,
}

impl Place {
    /// Of the shared flags.
    pub fn of(global: &Global) -> Self {
        Self::default().with(global)
    }

    /// With flags that were given behind.
    #[must_use]
    pub fn with(&self, global: &Global) -> Self {
        Self {
            directory: global.directory.clone().or_else(|| self.directory.clone()),
            state_dir: global.state_dir.clone().or_else(|| self.state_dir.clone()),
        }
    }

    /// The flags, to stand behind `formula `.
    fn flags(&self) -> String {
        let flag = |name: &str, path: &PathBuf| format!("{name} {} ", word(&path.to_string_lossy()));
        let given = [("-C", &self.directory), ("--state-dir", &self.state_dir)];
        given.into_iter().filter_map(|(name, path)| path.as_ref().map(|path| flag(name, path))).collect()
    }

    /// A command that works at this place.
    pub fn command(&self, command: &str) -> String {
        match command.strip_prefix("formula ") {
            Some(rest) => format!("formula {}{rest}", self.flags()),
            None => command.to_owned(),
        }
    }

    /// A hint whose commands work at this place.
    pub fn hint(&self, hint: &str) -> String {
        self.command(&hint.replace("`formula ", &format!("`formula {}", self.flags())))
    }
}

/// An argument as a shell takes it; a step that runs this program writes it in the same way.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::{Global, Place};

    #[test]
    fn commands_work_where_the_first_one_did() {
        let given = |directory: Option<&str>, state_dir: Option<&str>| Global {
            directory: directory.map(Into::into),
            state_dir: state_dir.map(Into::into),
            ..Global::default()
        };
        assert_eq!(Place::default().hint("`formula runs` lists them"), "`formula runs` lists them");
        let place = Place::of(&given(Some("a box"), None)).with(&given(None, Some("/tmp/x")));
        assert_eq!(place.command("formula resume R"), "formula -C 'a box' --state-dir /tmp/x resume R");
        assert_eq!(place.hint("wait, or `formula show`"), "wait, or `formula -C 'a box' --state-dir /tmp/x show`");
        assert_eq!(place.hint("formula settle R a --skip"), "formula -C 'a box' --state-dir /tmp/x settle R a --skip");
        assert_eq!(place.command("mend it"), "mend it");
    }
}
