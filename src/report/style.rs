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
    /// Foreign text, as [`clean`], that cannot speak to the CI system around us either.
    pub fn clean(self, text: &str) -> String {
        let text = clean(text);
        match self.ci {
            Some(ci) => ci.neutral(text),
            None => text,
        }
    }
}

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Foreign text for a terminal: control characters and escape sequences are taken out, so that a log cannot move the cursor or set the
/// title. Tabs become spaces: where one ends depends on where its text is shown, which whoever counts the columns of a line cannot know.
pub fn clean(text: &str) -> String {
    let text = clean_with_tabs(text);
    if !text.contains('\t') {
        return text;
    }
    let mut out = String::with_capacity(text.len() + TAB);
    let mut column = 0;
    for c in text.chars() {
        let width = if c == '\t' { TAB - column % TAB } else { 1 };
        if c == '\t' {
            out.extend(std::iter::repeat_n(' ', width));
        } else {
            out.push(c);
        }
        column += width;
    }
    out
}

/// As [`clean`], but tabs stay: for text that is printed as it came and may be copied.
pub fn clean_with_tabs(text: &str) -> String {
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
    fn foreign_text_cannot_command_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}b\r\u{8}\u{9b}2Jc\u{1b}Pq\u{1b}\\d"), "aredbcd");
        assert_eq!(clean("cut \u{1b}]0;open"), "cut ");
        assert_eq!(clean("\ta\tb"), "        a       b");
        assert_eq!(clean_with_tabs("\ta\u{1b}[0m\tb"), "\ta\tb");
    }

    #[test]
    fn foreign_text_cannot_command_a_ci_system_and_is_left_alone_where_there_is_none() {
        let (here, ci) = (Style::default(), Style { ci: Some(Ci), ..Style::default() });
        assert_eq!(ci.clean("::error::x"), ":\u{200b}:error:\u{200b}:x");
        assert_eq!(ci.clean("##[group]"), "#\u{200b}#[group]");
        assert_eq!(ci.clean("a::b is fine"), "a::b is fine");
        assert_eq!(here.clean("::error::x ##[group]"), "::error::x ##[group]");
    }

    #[test]
    fn durations_read_well() {
        let all: Vec<_> = [0, 999, 1_000, 61_500, 7_800_000].into_iter().map(duration).collect();
        assert_eq!(all, ["0 ms", "999 ms", "1.0 s", "1 min 01 s", "2 h 10 min"]);
    }
}
