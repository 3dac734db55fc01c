//! `formula __complete`: words that only the program itself knows, for the scripts of `formula completions`.

use super::app::App;
use super::kind;
use super::load;
use super::vars;
use crate::backend::Backend as _;
use crate::report::{Hub, clean};

/// Lists words, each with a tab and what it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of what kind.
    #[arg(value_enum)]
    pub what: What,
    /// Of what formula or run.
    pub of: Option<String>,
}

/// Kinds of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Names of formulas.
    Formulas,
    /// The flags of a formula's vars.
    Flags,
    /// Ids of runs.
    Runs,
    /// Ids of the steps of a run.
    Steps,
    /// Kinds of steps.
    Kinds,
    /// Codes of diagnostics.
    Codes,
}

/// Lists; nothing where something is amiss, as nobody would see why.
pub fn complete(app: &App, args: &Args) -> u8 {
    let of = args.of.as_deref();
    let words = match args.what {
        What::Formulas => load::catalog(app).list().into_iter().map(|listed| (listed.name, String::new())).collect(),
        What::Flags => of.map(|name| flags(app, name)).unwrap_or_default(),
        What::Runs => runs(app).unwrap_or_default(),
        What::Steps => steps(app, of).unwrap_or_default(),
        What::Kinds => kind::all().into_iter().map(|kind| (kind.name.to_owned(), kind.summary.to_owned())).collect(),
        What::Codes => crate::diagnostic::codes::all().map(|code| (code.code.to_owned(), code.title.to_owned())).collect::<Vec<_>>(),
    };
    for (word, told) in words {
        app.ui.told(&format!("{word}\t{}\n", clean(told.lines().next().unwrap_or_default())));
    }
    0
}

fn flags(app: &App, name: &str) -> Vec<(String, String)> {
    let Ok(source) = load::source(app, name) else { return Vec::new() };
    let options = crate::syntax::Options { lenient: true, ..Default::default() };
    let formula = crate::syntax::parse(&source, &crate::syntax::Builtin::default(), options).formula;
    formula.map(|formula| vars::flags("run", &formula)).unwrap_or_default()
}

fn runs(app: &App) -> Option<Vec<(String, String)>> {
    use crate::journal::Journal as _;
    let runs = app.journal().ok()??.runs().ok()?;
    let told =
        |run: &crate::journal::RunRecord| format!("{} {}", run.formula, run.outcome.map_or("unfinished", |outcome| outcome.as_str()));
    Some(runs.iter().map(|run| (run.run.to_string(), told(run))).collect())
}

fn steps(app: &App, run: Option<&str>) -> Option<Vec<(String, String)>> {
    let (journal, run) = app.existing(run).ok()?;
    let (plan, _) = app.backend(journal, Hub::new()).look(&run).ok()?;
    Some(plan.steps.iter().map(|step| (step.id.clone(), step.kind.clone())).collect())
}
