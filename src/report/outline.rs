//! The little that screens need of a plan. A plan may be large, and a thread that shows a run is no place to keep another one.

use std::collections::HashMap;

use serde::Deserialize;

use crate::model::Gate;

/// What lines say of some steps.
#[derive(Debug, Default)]
pub struct Outline(HashMap<String, Fact>);

/// What lines say of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// How often it is attempted at most.
    pub attempts: u32,
    /// The gate that it is.
    pub gate: Option<Gate>,
}

/// What is read of a plan, in the words of [`crate::model::Plan`].
#[derive(Deserialize)]
struct Read {
    steps: Vec<ReadStep>,
}

#[derive(Deserialize)]
struct ReadStep {
    id: String,
    #[serde(default)]
    retry: ReadRetry,
    #[serde(default)]
    gate: Option<Gate>,
}

#[derive(Deserialize, Default)]
struct ReadRetry {
    #[serde(default)]
    attempts: u32,
}

impl Outline {
    /// From the JSON of a plan; nothing of one that cannot be read.
    pub fn read(plan: &[u8]) -> Self {
        let Ok(plan) = serde_json::from_slice::<Read>(plan) else { return Self::default() };
        let facts = plan.steps.into_iter().map(|step| (step.id, Fact { attempts: step.retry.attempts, gate: step.gate }));
        Self(facts.filter(|(_, fact)| fact.attempts > 1 || fact.gate.is_some()).collect())
    }

    /// What is to be said of a step; None where nothing is.
    pub fn find(&self, step: &str) -> Option<Fact> {
        self.0.get(step).copied()
    }
}
