//! What the journal says about other runs, for steps that look at it.

use std::path::PathBuf;
use std::sync::Arc;

use formula_steps::contract::{Records, UnfinishedRun};

use crate::journal::{Journal, RunRecord};
use crate::model::Outcome;

/// The runs of one working directory.
pub struct JournalRecords {
    journal: Arc<dyn Journal>,
    workdir: PathBuf,
}

impl JournalRecords {
    /// Those of `workdir`.
    pub fn new(journal: Arc<dyn Journal>, workdir: PathBuf) -> Self {
        Self { journal, workdir }
    }
}

impl Records for JournalRecords {
    fn unfinished(&self) -> Result<Vec<UnfinishedRun>, String> {
        let runs = self.journal.runs().map_err(|error| error.to_string())?;
        let here = runs.into_iter().filter(|run| run.workdir == self.workdir);
        Ok(here
            .filter_map(|run| Some(UnfinishedRun { state: state(&run)?.to_owned(), id: run.run.to_string(), formula: run.formula }))
            .collect())
    }
}

/// How a run stands that is not over; none for one that is.
fn state(run: &RunRecord) -> Option<&'static str> {
    match run.outcome {
        Some(Outcome::Done | Outcome::Refused | Outcome::RolledBack) => None,
        Some(Outcome::Held) => Some("is held: it waits for a person"),
        Some(Outcome::Stopped) => Some("was stopped"),
        Some(Outcome::RollbackIncomplete) => Some("failed, and its rollback is incomplete"),
        Some(Outcome::Interrupted | Outcome::Terminated) => Some("was interrupted"),
        None => Some("still runs, or was cut off"),
    }
}
