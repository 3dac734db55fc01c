//! What a rehearsal found, as data: `formula test --json` prints it, the command line draws a table of it.

use formula_steps::contract::Effect;
use serde::Serialize;

use super::compare::Difference;
use super::schedule::{Boundary, Schedule, Way};

/// All cases of one formula.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name of the formula.
    pub formula: String,
    /// Whether all is as it should be.
    pub sound: bool,
    /// Schedules that were played.
    pub schedules: usize,
    /// Each case.
    pub cases: Vec<CaseReport>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseReport {
    /// Its name; empty where the file has no cases.
    pub name: String,
    /// How the run ends that nothing interrupts.
    pub outcome: String,
    /// Its exit code.
    pub exit: u8,
    /// The step that failed, and its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The steps, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// Every schedule, in the order of steps and boundaries.
    pub schedules: Vec<Played>,
    /// What a second run of the same does; None where the first is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// Steps that leave something which a rollback does not take back, because there is nothing to undo about it.
    pub leaves: Vec<String>,
    /// Expectations that are met.
    pub met: usize,
    /// Those that are not, in words.
    pub unmet: Vec<String>,
}

/// A step in the run that nothing interrupts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Full id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Where it stands at the end.
    pub state: String,
    /// What it does to the world.
    pub effect: Effect,
    /// It was tried, so that it can be cut off.
    pub tried: bool,
    /// It was taken back by the run itself.
    pub undone: bool,
}

/// One schedule and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Played {
    /// As it is given to `--schedule`.
    pub schedule: Schedule,
    /// What came of it.
    #[serde(flatten)]
    pub judgement: Judgement,
}

/// What came of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Judgement {
    /// The world is as after an uninterrupted run, or as at the start.
    Converges,
    /// So it is, once a person said how these steps stand.
    Asks {
        /// Those steps.
        steps: Vec<String>,
    },
    /// There is no way back past these steps; what came after the last of them was taken back.
    OneWay {
        /// Those steps.
        steps: Vec<String>,
        /// Whether the rest could be held against the world as it was then.
        compared: bool,
    },
    /// The world is another one.
    Diverges {
        /// Where.
        differences: Vec<Difference>,
    },
    /// The run ends in another way.
    Ends {
        /// How it should end.
        expected: String,
        /// How it ends.
        found: String,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Where the world is another one.
        differences: Vec<Difference>,
    },
    /// The run never came to the boundary.
    Unreached,
}

impl Judgement {
    /// Whether that is as it should be.
    pub fn is_sound(&self) -> bool {
        matches!(self, Self::Converges | Self::Asks { .. } | Self::OneWay { .. })
    }

    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Converges => "ok",
            Self::Asks { .. } => "asks",
            Self::OneWay { .. } => "one-way",
            Self::Diverges { .. } => "DIVERGES",
            Self::Ends { .. } => "ENDS",
            Self::Unreached => "UNREACHED",
        }
    }
}

/// What a second run of the same does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Again {
    /// The same command finds the run done, but for this step, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<(String, String)>,
    /// Steps that act again in a new run although they can be asked.
    pub acts: Vec<String>,
    /// Steps that act again because they cannot be asked: known exceptions.
    pub always: Vec<String>,
    /// Steps that act again as the test file says.
    pub allowed: Vec<String>,
    /// Where the new run left another world.
    pub differences: Vec<Difference>,
    /// It does not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Again {
    /// Whether the second run changes nothing, known exceptions aside.
    pub fn is_sound(&self) -> bool {
        let excused = self.differences.is_empty() || !self.always.is_empty() || !self.allowed.is_empty();
        self.moved.is_none() && self.acts.is_empty() && self.failure.is_none() && excused
    }
}

impl CaseReport {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.unmet.is_empty()
            && self.again.as_ref().is_none_or(Again::is_sound)
            && self.schedules.iter().all(|played| played.judgement.is_sound())
    }

    /// The first schedule that does not converge.
    pub fn first_diverging(&self) -> Option<&Played> {
        self.schedules.iter().find(|played| !played.judgement.is_sound())
    }

    /// What came of a boundary.
    pub fn judged(&self, fits: impl Fn(&Boundary) -> bool, way: Way) -> impl Iterator<Item = &Judgement> {
        let of = move |played: &&Played| played.schedule.way == way && fits(&played.schedule.boundary);
        self.schedules.iter().filter(of).map(|played| &played.judgement)
    }
}
