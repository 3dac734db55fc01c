//! The engine's output as plain text.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::world::Output;

/// Removes terminal escapes; carries what was cut off between two writes.
#[derive(Debug, Default)]
pub(super) struct Plain {
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// Inside `ESC [ …`.
    Control,
    /// Inside `ESC ] …`, ended by BEL or `ESC \`.
    System,
}

impl Plain {
    /// The text of some bytes, without escapes. A lone carriage return, as progress bars use it, ends a line.
    pub(super) fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        let mut bytes = bytes.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            self.state = match (self.state, byte) {
                (State::Text | State::System, 0x1b) => State::Escape,
                (State::Text, b'\r') => {
                    if bytes.peek() != Some(&b'\n') {
                        text.push(b'\n');
                    }
                    State::Text
                }
                (State::Text, byte) => {
                    text.push(byte);
                    State::Text
                }
                (State::Escape, b'[') => State::Control,
                (State::Escape, b']') => State::System,
                (State::Control, byte) if !(0x40..=0x7e).contains(&byte) => State::Control,
                (State::System, byte) if byte != 0x07 => State::System,
                (State::Escape | State::Control | State::System, _) => State::Text,
            };
        }
        text
    }
}

/// Hands text on and remembers its last lines, for the message of a failure.
pub(super) struct Tail<'a> {
    output: &'a dyn Output,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    plain: Plain,
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

/// Lines that are remembered, and how much of each.
const LINES: usize = 5;
const WIDTH: usize = 400;

impl<'a> Tail<'a> {
    pub(super) fn new(output: &'a dyn Output) -> Self {
        Self { output, inner: Mutex::default() }
    }

    /// Some output, split anywhere.
    pub(super) fn write(&self, bytes: &[u8]) {
        let mut inner = self.inner.lock().expect("no writer panics");
        let text = inner.plain.strip(bytes);
        self.output.write(&text);
        for part in text.split_inclusive(|byte| *byte == b'\n') {
            let room = WIDTH.saturating_sub(inner.partial.len());
            inner.partial.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&std::mem::take(&mut inner.partial)).trim_end().to_owned();
                if !line.is_empty() {
                    inner.lines.push_back(line);
                }
                if inner.lines.len() > LINES {
                    inner.lines.pop_front();
                }
            }
        }
    }

    /// A line of ours, or one that came without its end.
    pub(super) fn line(&self, text: &str) {
        self.write(format!("{}\n", text.trim_end()).as_bytes());
    }

    /// The last lines, oldest first.
    pub(super) fn last(&self) -> Vec<String> {
        let inner = self.inner.lock().expect("no writer panics");
        let partial = String::from_utf8_lossy(&inner.partial).trim_end().to_owned();
        inner.lines.iter().cloned().chain((!partial.is_empty()).then_some(partial)).collect()
    }
}

/// `12.3 MB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::OutputBuffer;

    #[test]
    fn escapes_go_and_text_stays_wherever_it_is_cut() {
        let text = b"\x1b[91mred\x1b[0m \x1b]0;title\x07plain\r\n50%\r100%\n\x1b[2K\x1b]8;;x\x1b\\link";
        let mut whole = Plain::default();
        assert_eq!(String::from_utf8_lossy(&whole.strip(text)), "red plain\n50%\n100%\nlink");
        for cut in 0..text.len() {
            // A carriage return that is parted from its line feed may give an empty line; nothing else may differ.
            let mut plain = Plain::default();
            let mut joined = plain.strip(&text[..cut]);
            joined.extend(plain.strip(&text[cut..]));
            let joined = String::from_utf8_lossy(&joined).replace("\n\n", "\n");
            assert_eq!(joined, "red plain\n50%\n100%\nlink", "cut at {cut}");
        }
    }

    #[test]
    fn the_last_lines_are_remembered() {
        let buffer = OutputBuffer::new();
        let tail = Tail::new(&buffer);
        for number in 0..9 {
            tail.write(format!("line {number}\n").as_bytes());
        }
        tail.write(b"cut ");
        tail.write(b"off");
        assert_eq!(tail.last(), ["line 4", "line 5", "line 6", "line 7", "line 8", "cut off"]);
        assert!(buffer.text().starts_with("line 0\nline 1\n"));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!([size(999), size(1500), size(104_857_600)], ["999 B", "1.5 kB", "104.9 MB"]);
    }
}
