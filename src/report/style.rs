//! How text looks: colours where they are wanted, and foreign text that cannot command a terminal.

use super::Ci;

/// The look of a report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Colour.
    pub color: bool,
    /// 1 shows the output of steps.
    pub verbose: u8,
    /// The CI system around us.
    pub ci: Option<Ci>,
}

impl Style {
    /// Text in an SGR style, such as `1;31`; readable without it.
    pub fn paint(self, text: &str, sgr: &str) -> String {
        if self.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint(text, "32")
    }
    /// What failed.
    pub fn bad(self, text: &str) -> String {
        self.paint(text, "1;31")
    }
    /// What wants attention.
    pub fn warn(self, text: &str) -> String {
        self.paint(text, "33")
    }
    /// What is beside the point.
    pub fn dim(self, text: &str) -> String {
        self.paint(text, "2")
    }
    /// What is the point.
    pub fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }
}

/// Foreign text for a terminal: control characters and escape sequences are taken out, so that a log cannot move the cursor, set the title,
/// or speak to the CI system. Tabs stay.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    if out.trim_start().starts_with("::") || out.contains("##[") {
        out = out.replace("::", ":\u{200b}:").replace("##[", "#\u{200b}#[");
    }
    out
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM, APC: up to BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' || c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    for c in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            break;
        }
    }
}

/// A duration for people: `340 ms`, `1.2 s`, `3 min 05 s`, `2 h 10 min`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_command_terminal_or_ci() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}b\r\u{8}\u{9b}2Jc\u{1b}Pq\u{1b}\\d\te"), "aredbcd\te");
        assert_eq!(clean("::error::x"), ":\u{200b}:error:\u{200b}:x");
        assert_eq!(clean("##[group]"), "#\u{200b}#[group]");
        assert_eq!(clean("a::b is fine"), "a::b is fine");
        assert_eq!(clean("cut \u{1b}]0;open"), "cut ");
    }

    #[test]
    fn durations_read_well() {
        let all: Vec<_> = [0, 999, 1_000, 61_500, 7_800_000].into_iter().map(duration).collect();
        assert_eq!(all, ["0 ms", "999 ms", "1.0 s", "1 min 01 s", "2 h 10 min"]);
    }
}
