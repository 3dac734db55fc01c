//! The first two lines of a file that was made: who made it, in which mode, of what, and a digest by which an edit shows.

use super::{Mode, sha256};

const PROGRAM: &str = "# Made by formula ";
const STATE: &str = "# compose-regen ";

/// What the header of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the program that made the file.
    pub program: String,
    /// The mode it was made in.
    pub mode: Mode,
    /// `sha256:…` of what it was made of.
    pub inputs: String,
}

/// Whether a file is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// Made by this program and as it was made.
    Ours(Header),
    /// Made by this program and changed since.
    Edited(Header),
    /// Not made by this program.
    Foreign,
}

impl Made {
    /// The header, where there is one.
    pub fn header(&self) -> Option<&Header> {
        match self {
            Self::Ours(header) | Self::Edited(header) => Some(header),
            Self::Foreign => None,
        }
    }
}

/// The file: the header, and below it `body`.
pub(super) fn write(mode: Mode, inputs: &str, body: &str) -> String {
    let (mode, version) = (mode.as_str(), env!("CARGO_PKG_VERSION"));
    let content = content(mode, inputs, body);
    format!(
        "{PROGRAM}{version} (kind compose-regen). Do not edit: change the template or its data, and run the formula again.\n\
         {STATE}mode={mode} inputs={inputs} content={content}\n{body}"
    )
}

fn content(mode: &str, inputs: &str, body: &str) -> String {
    sha256(format!("{mode}\n{inputs}\n{body}").as_bytes())
}

/// Whether the text of a file is ours, and untouched.
pub fn made(text: &str) -> Made {
    read(text).unwrap_or(Made::Foreign)
}

fn read(text: &str) -> Option<Made> {
    let (first, rest) = text.split_once('\n')?;
    let (second, body) = rest.split_once('\n')?;
    let program = first.strip_prefix(PROGRAM)?.split(' ').next()?.to_owned();
    let mut fields = second.strip_prefix(STATE)?.split(' ');
    let mode_name = fields.next()?.strip_prefix("mode=")?;
    let inputs = fields.next()?.strip_prefix("inputs=")?.to_owned();
    let said = fields.next()?.strip_prefix("content=")?.trim_end_matches('\r');
    let mode = [Mode::Pinned, Mode::Build].into_iter().find(|mode| mode.as_str() == mode_name)?;
    let untouched = content(mode_name, &inputs, body) == said;
    let header = Header { program, mode, inputs };
    Some(if untouched { Made::Ours(header) } else { Made::Edited(header) })
}

/// The text without the line that names the program.
pub(super) fn without_program(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with(PROGRAM) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_anywhere_shows() {
        let text = write(Mode::Build, "sha256:1", "services: {}\n");
        let Made::Ours(header) = made(&text) else { panic!("{text}") };
        assert_eq!((header.mode, header.inputs.as_str(), header.program.as_str()), (Mode::Build, "sha256:1", env!("CARGO_PKG_VERSION")));
        for edited in [
            text.replace("services", "Services"),
            text.replace("mode=build", "mode=pinned"),
            text.replace("sha256:1", "sha256:2"),
            format!("{text}# more\n"),
            text.replace('\n', "\r\n"),
        ] {
            assert!(matches!(made(&edited), Made::Edited(_)), "{edited}");
        }
        assert_eq!(made("services: {}\n"), Made::Foreign);
        assert_eq!(made(""), Made::Foreign);
    }

    #[test]
    fn the_version_of_the_program_is_no_difference() {
        let text = write(Mode::Pinned, "sha256:1", "a\n");
        let older = text.replacen(env!("CARGO_PKG_VERSION"), "0.0.1", 1);
        assert_ne!(text, older);
        assert_eq!(without_program(&text), without_program(&older));
        assert!(matches!(made(&older), Made::Ours(header) if header.program == "0.0.1"));
    }
}
