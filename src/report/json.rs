//! One envelope a line on stdout.

use std::io::Write;

use super::hub::Subscriber;
use crate::model::Envelope;

/// The renderer for programs.
pub struct Json {
    out: Box<dyn Write + Send>,
    closed: bool,
}

impl Json {
    /// To stdout.
    pub fn new() -> Self {
        Self::to(Box::new(std::io::stdout()))
    }

    /// To another place.
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        Self { out, closed: false }
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscriber for Json {
    fn event(&mut self, envelope: &Envelope) {
        if self.closed {
            return;
        }
        let Ok(mut line) = serde_json::to_vec(envelope) else { return };
        line.push(b'\n');
        self.closed = self.out.write_all(&line).and_then(|()| self.out.flush()).is_err();
    }
}
