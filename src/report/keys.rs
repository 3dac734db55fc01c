//! Whether keys such as Ctrl-C show themselves. Where lines are live, a `^C` that the terminal puts among them moves all that are below.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Keys that do not show themselves, until [`Keys::restore`] or the end.
pub(super) struct Keys {
    hidden: bool,
}

impl Keys {
    /// From now on. Nothing where there is no terminal, or where they do not show themselves anyway.
    pub(super) fn hidden() -> Self {
        Self { hidden: set(LocalModes::ECHOCTL, false) }
    }

    /// As it was before.
    pub(super) fn restore(&mut self) {
        if std::mem::take(&mut self.hidden) {
            set(LocalModes::ECHOCTL, true);
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Whether it was the other way.
fn set(mode: LocalModes, on: bool) -> bool {
    let terminal = std::io::stderr();
    let Ok(mut modes) = tcgetattr(&terminal) else { return false };
    if modes.local_modes.contains(mode) == on {
        return false;
    }
    modes.local_modes.set(mode, on);
    tcsetattr(&terminal, OptionalActions::Now, &modes).is_ok()
}
