//! `formula test`: rehearses a formula on a fake world, with the real kinds, the real core and the real driver.
//!
//! First a run that nothing interrupts. Then, for every step and every boundary (before its effect, within it, after it, after its record, in
//! its undo), the machine dies there; once the run is taken up again by a new driver, once it is taken back. The world must be that of the
//! uninterrupted run, or that of the start. Nothing real is touched: git, engine, registries, compose, files, HTTP, programs and time are all
//! in memory.
//!
//! A death is not a call that fails. What stays of a run is what the journal had acknowledged, and the world as it was at that very moment; both
//! are kept while the uninterrupted run goes on, and a new driver goes on from them as it would after a power cut.

mod calls;
mod case;
mod compare;
mod control;
mod expect;
mod file;
mod play;
mod problem;
mod report;
mod schedule;
mod skeleton;
mod stubs;
mod theatre;
mod time;
mod world;

#[cfg(test)]
mod tests;

use formula_steps::contract::StepType;

pub use compare::Difference;
pub use report::{Again, CaseReport, Judgement, Played, Report, StepReport};
pub use schedule::{BOUNDARIES, Boundary, Point, Schedule, Way};
pub use skeleton::skeleton;

use crate::diagnostic::{Diagnostic, Severity, SourceFile, codes};
use crate::plan::Load;
use crate::syntax::{self, Builtin};
use case::{Case, Unready};
use control::Fault;
use expect::Came;
use file::TestFile;
use play::Reference;

/// What is rehearsed.
pub struct Subject<'a> {
    /// The text of the formula.
    pub formula: &'a SourceFile,
    /// The text of its test file. None: what its `[test]` table says, else the defaults of its vars in an empty world.
    pub test: Option<&'a SourceFile>,
    /// What `uses` may name, the engine's own kinds aside.
    pub kinds: Vec<&'static dyn StepType>,
}

/// How much of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// This step fails, always.
    pub fail: Option<String>,
    /// Only the case of that name.
    pub case: Option<String>,
    /// Only this schedule.
    pub schedule: Option<Schedule>,
}

/// Problems of a test file.
#[derive(Debug)]
pub struct Misfit {
    /// The text that they are placed in.
    pub source: SourceFile,
    /// The problems.
    pub problems: Vec<Diagnostic>,
    /// A test file to begin with, where there is none.
    pub skeleton: Option<String>,
}

/// Why nothing was rehearsed.
#[derive(Debug)]
pub enum Error {
    /// Problems of the formula, placed in its text.
    Formula(Vec<Diagnostic>),
    /// Problems of the test file (or of the `[test]` table), placed in that text.
    Test(Box<Misfit>),
    /// What was asked for is not there; with what is.
    Unknown(String),
    /// It could not be played at all.
    Broken {
        /// The case.
        case: String,
        /// Why.
        message: String,
    },
}

/// Rehearses a formula. `load` reads the formulas that it inlines.
///
/// # Errors
/// See [`Error`]. A rehearsal that finds something is no error: see [`Report::sound`].
pub fn rehearse(subject: &Subject<'_>, options: &Options, load: &mut Load<'_>) -> Result<Report, Error> {
    let parsed = syntax::parse(subject.formula, &Builtin::new(subject.kinds.iter().copied()), syntax::Options::default());
    let errors = || parsed.diagnostics.iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
    let Some(formula) = &parsed.formula else { return Err(Error::Formula(errors())) };
    let (file, source) = test_file(subject)?;
    let outer = file.clone().unwrap_or_default();
    let cases: Vec<TestFile> =
        if outer.case.is_empty() { vec![outer.clone()] } else { outer.case.iter().map(|case| case::merged(&outer, case)).collect() };
    let mut reports = Vec::new();
    for one in &cases {
        let name = one.name.as_ref().map_or("", |name| name.get_ref());
        if options.case.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let case = Case::new(formula, one, &subject.kinds, load).map_err(|unready| match unready {
            Unready::Formula(problems) => Error::Formula(problems),
            Unready::Test(problems) => {
                let skeleton = file.is_none().then(|| skeleton(formula));
                Error::Test(Box::new(Misfit { source: source.clone(), problems, skeleton }))
            }
        })?;
        reports.push(of_case(case, options)?);
    }
    if let (Some(wanted), true) = (&options.case, reports.is_empty()) {
        let names: Vec<String> = cases.iter().filter_map(|case| case.name.as_ref()).map(|name| format!("`{}`", name.get_ref())).collect();
        let there = if names.is_empty() { "the test file has none".to_owned() } else { format!("there are {}", names.join(", ")) };
        return Err(Error::Unknown(format!("there is no case `{wanted}`: {there}")));
    }
    let schedules = reports.iter().map(|case| case.schedules.len()).sum();
    Ok(Report { formula: formula.name.clone(), sound: reports.iter().all(CaseReport::is_sound), schedules, cases: reports })
}

/// The test file, and the text that its places are in.
fn test_file(subject: &Subject<'_>) -> Result<(Option<TestFile>, SourceFile), Error> {
    let bad = |source: &SourceFile, problem: Box<Diagnostic>| {
        Error::Test(Box::new(Misfit { source: source.clone(), problems: vec![*problem], skeleton: None }))
    };
    let inner = problem::read_inner(subject.formula).map_err(|problem| bad(subject.formula, problem))?;
    let Some(test) = subject.test else { return Ok((inner, subject.formula.clone())) };
    if inner.is_some() {
        let problem = Diagnostic::error(codes::TEST_FILE, "the formula has a `[test]` table, and there is this file as well");
        return Err(bad(test, Box::new(problem.help("keep one of them"))));
    }
    problem::read(test).map(|file| (Some(file), test.clone())).map_err(|problem| bad(test, problem))
}

fn of_case(mut case: Case, options: &Options) -> Result<CaseReport, Error> {
    if let Some(step) = &options.fail {
        let there = case.plan.steps.iter().any(|one| control::is_of(&one.id, step));
        if !there {
            let ids: Vec<&str> = case.plan.steps.iter().map(|step| step.id.as_str()).collect();
            let near = crate::diagnostic::nearest(step, ids.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
            return Err(Error::Unknown(format!("the plan has no step `{step}`{}", near.unwrap_or_default())));
        }
        let error = formula_steps::contract::StepError::permanent("it fails, as `--fail` asks for");
        case.faults.insert(0, Fault { step: step.clone(), left: None, after: false, error, call: None });
        case.expect = None;
    }
    let broken = |message| Error::Broken { case: case.name.clone(), message };
    let reference = Reference::new(&case).map_err(broken)?;
    let (met, mut unmet) = match (&case.expect, &options.fail) {
        (Some(expect), _) => expect::check(expect, &came(&reference)),
        (None, None) => expect::check(&file::Expect::default(), &came(&reference)),
        (None, Some(_)) => (0, Vec::new()),
    };
    let mut schedules = reference.schedules();
    if let Some(wanted) = &options.schedule {
        schedules.retain(|schedule| schedule == wanted);
        if schedules.is_empty() {
            unmet.push(format!("the run never comes to `{}`", wanted.boundary));
        }
    }
    let schedules = play::play_all(&case, &reference, schedules);
    let done = reference.verdict.outcome == crate::model::Outcome::Done && options.schedule.is_none();
    let again = done.then(|| play::again(&case, &reference));
    let verdict = reference.verdict;
    let failure = verdict.message.map(|message| match verdict.failed_step {
        Some(step) => format!("`{step}`: {message}"),
        None => message,
    });
    Ok(CaseReport {
        name: case.name.clone(),
        outcome: verdict.outcome.as_str().to_owned(),
        exit: verdict.exit,
        failure,
        steps: reference.steps,
        schedules,
        again,
        leaves: reference.leaves,
        met,
        unmet,
    })
}

fn came<'r>(reference: &'r Reference<'_>) -> Came<'r> {
    Came { verdict: &reference.verdict, steps: &reference.steps, outputs: &reference.outputs, marks: &reference.marks, end: &reference.end }
}
