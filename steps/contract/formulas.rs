//! What a step may know of formulas: for those that run one as a run of its own.

use std::path::Path;

/// A formula, as far as a step that runs it shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its description.
    pub description: String,
    /// Its steps in file order.
    pub steps: Vec<OutlineStep>,
}

/// One of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineStep {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// For people.
    pub title: Option<String>,
    /// What it does cannot be taken back.
    pub one_way: bool,
}

/// What this program knows of formulas.
pub trait Formulas: Send + Sync {
    /// The program that runs formulas: this one. None where there is none.
    fn program(&self) -> Option<&Path>;

    /// Reads and checks the text of a formula; `path` is how messages name it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place, as a person reads it.
    fn outline(&self, path: &str, text: &str) -> Result<Outline, String>;
}

/// Knows of none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFormulas;

impl Formulas for NoFormulas {
    fn program(&self) -> Option<&Path> {
        None
    }

    fn outline(&self, path: &str, _: &str) -> Result<Outline, String> {
        Err(format!("`{path}`: this program reads no formulas"))
    }
}
