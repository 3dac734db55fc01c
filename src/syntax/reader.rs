//! What a step is told of a formula that it runs as a run of its own.

use std::path::{Path, PathBuf};

use formula_steps::contract::{Effect, Formulas, Outline, OutlineStep};

use super::{Builtin, Options, parse};
use crate::diagnostic::{Diagnostic, Severity, SourceFile, render};
use crate::model::StepDef;

/// Reads formulas for steps.
#[derive(Debug, Clone)]
pub struct Reader {
    program: Option<PathBuf>,
}

impl Reader {
    /// With the program that runs them.
    pub fn new(program: Option<PathBuf>) -> Self {
        Self { program }
    }
}

impl Formulas for Reader {
    fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    fn outline(&self, path: &str, text: &str) -> Result<Outline, String> {
        let source = SourceFile::new(path, text);
        let parsed = parse(&source, &Builtin::default(), Options::default());
        let is_error = |problem: &&Diagnostic| problem.severity == Severity::Error;
        let errors: Vec<String> = parsed.diagnostics.iter().filter(is_error).map(|problem| render(&source, problem, false)).collect();
        let Some(formula) = parsed.formula.filter(|_| errors.is_empty()) else { return Err(errors.join("\n")) };
        if let Some(prose) = formula.steps.iter().chain(&formula.finally).find(|step| step.uses.is_none()) {
            return Err(format!("`{path}`: step `{}` has no `uses`: it is prose, which nothing can run", prose.id));
        }
        let steps = formula.steps.iter().chain(&formula.finally).map(step).collect();
        Ok(Outline { description: formula.description, steps })
    }
}

fn step(def: &StepDef) -> OutlineStep {
    let kind = def.uses.clone().unwrap_or_default();
    let behaviour = formula_steps::find(&kind).map(|found| found.behaviour(&def.with));
    let one_way = behaviour.is_some_and(|behaviour| behaviour.effect == Effect::OneWay);
    OutlineStep { id: def.id.clone(), kind, title: def.title.clone(), one_way }
}
