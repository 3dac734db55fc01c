//! Where a run is cut off and how it goes on: one schedule, as it is written on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A moment in what a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// It is announced, and nothing was done.
    Before,
    /// So many of its changes took place, and not all.
    During(usize),
    /// All was done, and it is not recorded.
    After,
    /// It is recorded.
    Recorded,
}

/// A moment of a step, or of its undo.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boundary {
    /// Id of the step.
    pub step: String,
    /// It is the undo.
    pub undo: bool,
    /// When.
    pub point: Point,
}

/// What is done after the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `formula resume`.
    Resume,
    /// `formula rollback`.
    Rollback,
}

/// A cut and what follows it: `push:after-effect:rollback`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schedule {
    /// Where the machine dies.
    pub boundary: Boundary,
    /// What is done then.
    pub way: Way,
}

/// The words that a boundary is written with.
pub const BOUNDARIES: &str =
    "before-effect, during-effect-N, after-effect, after-record, before-undo, during-undo-N, after-undo, after-undo-record";

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.undo { "undo" } else { "effect" };
        match self.point {
            Point::Before => write!(f, "{}:before-{what}", self.step),
            Point::During(changes) => write!(f, "{}:during-{what}-{changes}", self.step),
            Point::After => write!(f, "{}:after-{what}", self.step),
            Point::Recorded if self.undo => write!(f, "{}:after-undo-record", self.step),
            Point::Recorded => write!(f, "{}:after-record", self.step),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Resume => "resume",
            Way::Rollback => "rollback",
        };
        write!(f, "{}:{way}", self.boundary)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Schedule {
    type Err = String;

    /// Reads what [`fmt::Display`] writes; the id of a step may hold colons.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.rsplitn(3, ':');
        let (Some(way), Some(point), Some(step)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("`{text}` is no schedule: write STEP:BOUNDARY:resume or STEP:BOUNDARY:rollback"));
        };
        let way = match way {
            "resume" => Way::Resume,
            "rollback" => Way::Rollback,
            other => return Err(format!("a schedule ends with `resume` or `rollback`, not with `{other}`")),
        };
        let during = |rest: Option<&str>| rest.and_then(|count| count.parse().ok()).map(Point::During);
        let (undo, point) = match point {
            "before-effect" => (false, Point::Before),
            "after-effect" => (false, Point::After),
            "after-record" => (false, Point::Recorded),
            "before-undo" => (true, Point::Before),
            "after-undo" => (true, Point::After),
            "after-undo-record" => (true, Point::Recorded),
            other => during(other.strip_prefix("during-effect-"))
                .map(|point| (false, point))
                .or_else(|| during(other.strip_prefix("during-undo-")).map(|point| (true, point)))
                .ok_or_else(|| format!("there is no boundary `{other}`: they are {BOUNDARIES}"))?,
        };
        Ok(Self { boundary: Boundary { step: step.to_owned(), undo, point }, way })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_as_it_is_written() {
        for text in [
            "push:before-effect:resume",
            "push:during-effect-2:rollback",
            "push:after-effect:rollback",
            "mirror[https://x:8080/y]:after-record:resume",
            "push:before-undo:resume",
            "push:during-undo-1:resume",
            "push:after-undo:rollback",
            "push:after-undo-record:rollback",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for bad in ["push", "push:resume", "push:sometime:resume", "push:after-effect:pray", "push:during-effect-x:resume"] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }
}
