//! Texts in a picture: how wide they are about, cut to what fits, and escaped.

/// Width of a letter in parts of the font size, a little more than what common sans-serif fonts need: no font is asked, since the one who
/// looks has another one anyway.
fn part(letter: char, bold: bool) -> f64 {
    let wide = match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | ' ' | '/' | '-' | '"' => 0.43,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 1.0,
        'A'..='Z' => 0.75,
        letter if letter > '\u{2e7f}' => 1.1,
        _ => 0.63,
    };
    if bold { wide * 1.1 } else { wide }
}

/// A font: its size and how wide its letters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Font {
    /// Plain, at a size in pixels.
    Plain(f64),
    /// Bold, at a size in pixels.
    Bold(f64),
    /// All letters of one width, at a size in pixels.
    Mono(f64),
}

impl Font {
    /// Pixels that a text takes, rather too many than too few.
    pub(super) fn width(self, text: &str) -> f64 {
        text.chars().map(|letter| self.letter(letter)).sum()
    }

    fn letter(self, letter: char) -> f64 {
        match self {
            Self::Plain(size) => part(letter, false) * size,
            Self::Bold(size) => part(letter, true) * size,
            Self::Mono(size) => (if letter > '\u{2e7f}' { 1.1 } else { 0.62 }) * size,
        }
    }

    /// The text, or its beginning and an ellipsis.
    pub(super) fn fit(self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let mut left = room - self.letter('…');
        let mut out = String::new();
        for letter in text.chars() {
            left -= self.letter(letter);
            if left < 0.0 {
                break;
            }
            out.push(letter);
        }
        out.truncate(out.trim_end().len());
        out.push('…');
        out
    }
}

/// A text as XML takes it, in an element or an attribute; what XML has no way to write is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // The last two rows turn the direction of what follows: a text could write over others.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            letter => out.push(letter),
        }
    }
    out
}

/// A number as a picture writes it.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_what_fits_and_cannot_leave_their_element() {
        let font = Font::Plain(10.0);
        assert_eq!(font.fit("short", 100.0), "short");
        let cut = font.fit("a text that is too long", 60.0);
        assert!(cut.ends_with('…') && font.width(&cut) <= 60.0, "{cut}");
        assert_eq!(font.fit("x", 1.0), "…");
        assert_eq!(escaped("</text><script a=\"'&\u{1b}\u{202e}"), "&lt;/text&gt;&lt;script a=&quot;&#39;&amp;");
        assert_eq!((number(3.0), number(2.25)), ("3".into(), "2.2".into()));
    }
}
