//! Results that the journal could not take: kept beside it, and taken up by whoever takes up the run.
//!
//! A disk that is full has seldom room for another file, so there is a second place for it, in the user's own folder. The file is in the form of
//! the journal's envelopes, which go on where the journal ends: once anything else was recorded, they do not fit any more and are let be.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::folder;
use crate::model::{Envelope, Event, JOURNAL_VERSION, RunId, Timestamp};

/// Where results of one run are kept.
pub(super) struct Recovery {
    run: RunId,
    /// The state directory first.
    places: [PathBuf; 2],
}

impl Recovery {
    /// Results of that run, in its state directory or else in the user's own folder.
    pub(super) fn new(run: &RunId, state_dir: &Path, users: &Path) -> Self {
        let name = format!("recover-{run}.jsonl");
        Self { run: run.clone(), places: [state_dir.join(&name), users.join(&name)] }
    }

    /// Keeps events whose first has the number `seq`. Answers where, if there is a place for them.
    pub(super) fn keep(&self, seq: u64, at: Timestamp, events: Vec<Event>) -> Option<PathBuf> {
        let line = |(offset, event)| {
            let envelope = Envelope { v: JOURNAL_VERSION, run: self.run.clone(), seq: seq + offset, at, event };
            format!("{}\n", envelope.to_json())
        };
        let text: String = (0..).zip(events).map(line).collect();
        let place = self.places.iter().find(|place| write(place, &text).is_ok());
        // Where it could not be written whole, what there is of it goes.
        self.places.iter().take_while(|other| Some(*other) != place).for_each(|other| drop(std::fs::remove_file(other)));
        place.cloned()
    }

    /// What was kept and goes on with the entry of that number; nothing where it does not fit.
    pub(super) fn kept(&self, seq: u64) -> Vec<Event> {
        let texts = self.places.iter().filter_map(|place| std::fs::read_to_string(place).ok());
        let fitting = |text: String| {
            let entries = text.lines().map_while(|line| serde_json::from_str::<Envelope>(line).ok());
            let fits = |(expected, entry): &(u64, Envelope)| entry.seq == *expected && entry.run == self.run && entry.v == JOURNAL_VERSION;
            let events: Vec<_> = (seq..).zip(entries).take_while(fits).map(|(_, entry)| entry.event).collect();
            (!events.is_empty()).then_some(events)
        };
        texts.into_iter().find_map(fitting).unwrap_or_default()
    }

    /// What was kept is in the journal now, or out of date.
    pub(super) fn forget(&self) {
        for place in &self.places {
            // It would not fit any more.
            let _ = std::fs::remove_file(place);
        }
    }
}

fn write(place: &Path, text: &str) -> std::io::Result<()> {
    let parent = place.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(place)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    folder::sync(parent)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn undone(step: &str) -> Event {
        Event::UndoSucceeded { step: step.into() }
    }

    #[test]
    fn what_was_kept_fits_where_the_journal_ended_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let recovery = Recovery::new(&RunId("R".into()), dir.path(), &dir.path().join("user"));
        assert!(recovery.kept(1).is_empty());
        let place = recovery.keep(5, Timestamp(0), vec![undone("a"), undone("b")]).unwrap();
        assert_eq!(place, dir.path().join("recover-R.jsonl"));
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(recovery.kept(5), [undone("a"), undone("b")]);
        assert!(recovery.kept(4).is_empty() && recovery.kept(6).is_empty());
        // The end of it was cut off: what is whole is true all the same.
        let text = std::fs::read_to_string(&place).unwrap();
        std::fs::write(&place, &text[..text.len() - 3]).unwrap();
        assert_eq!(recovery.kept(5), [undone("a")]);
        std::fs::rename(&place, dir.path().join("recover-S.jsonl")).unwrap();
        assert!(Recovery::new(&RunId("S".into()), dir.path(), dir.path()).kept(5).is_empty(), "it is another run's");
        recovery.forget();
    }

    #[test]
    fn there_is_a_second_place() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("full"), "no folder").unwrap();
        let recovery = Recovery::new(&RunId("R".into()), &dir.path().join("full"), &dir.path().join("user"));
        let place = recovery.keep(2, Timestamp(0), vec![undone("a")]).unwrap();
        assert_eq!(place, dir.path().join("user/recover-R.jsonl"));
        assert_eq!(recovery.kept(2), [undone("a")]);
        recovery.forget();
        assert!(!place.exists());
        let nowhere = Recovery::new(&RunId("R".into()), &dir.path().join("full"), &dir.path().join("full/user"));
        assert_eq!(nowhere.keep(2, Timestamp(0), vec![undone("a")]), None);
    }
}
