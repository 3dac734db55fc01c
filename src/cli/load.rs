//! From a name on the command line to a checked formula, and to a plan.

use std::path::PathBuf;

use super::app::App;
use super::failure::Failure;
use crate::catalog::{self, Catalog};
use crate::diagnostic::{Diagnostic, Severity, SourceFile, render};
use crate::model::{Formula, Plan};
use crate::plan::{Given, Inputs};
use crate::syntax;

/// Where formulas are looked for, in order.
pub fn catalog(app: &App) -> Catalog {
    let path = app.var("FORMULA_PATH").into_iter().flat_map(|path| path.split(':')).map(PathBuf::from);
    let config = app.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| app.var("HOME").map(|home| PathBuf::from(home).join(".config")));
    Catalog::new(&app.workdir, path, config.map(|config| config.join("formula")).as_deref())
}

/// The text of a formula by name or path.
///
/// # Errors
/// None of that name, with the nearest; or a file that cannot be read.
pub fn source(app: &App, name: &str) -> Result<SourceFile, Failure> {
    catalog(app).read(&app.workdir, name).map_err(|error| match &error {
        catalog::Error::Unknown { searched, .. } => {
            let searched: Vec<_> = searched.iter().map(|folder| folder.display().to_string()).collect();
            Failure::new(10, error.to_string())
                .hint(format!("looked in {} and among the shipped ones", searched.join(", ")))
                .hint("`formula list` shows what there is")
        }
        _ => Failure::new(10, error.to_string()).hint("`formula list` shows what there is"),
    })
}

/// A checked formula by name or path; its problems are printed.
///
/// # Errors
/// As [`source`], and problems.
pub fn formula(app: &App, name: &str, lenient: bool) -> Result<Formula, Failure> {
    checked(app, &source(app, name)?, syntax::Options { lenient, ..syntax::Options::default() })
}

/// A formula from its text; its problems are printed.
///
/// # Errors
/// Problems.
pub fn checked(app: &App, source: &SourceFile, options: syntax::Options) -> Result<Formula, Failure> {
    let parsed = syntax::parse(source, &syntax::Builtin::default(), options);
    let errors: Vec<&Diagnostic> = parsed.diagnostics.iter().filter(|problem| problem.severity == Severity::Error).collect();
    for problem in &errors {
        app.ui.err(&render(source, problem, app.ui.color_err));
    }
    match parsed.formula {
        Some(formula) if errors.is_empty() => Ok(formula),
        _ => Err(Failure::said(10)),
    }
}

/// The plan of a formula with what was given for its vars.
///
/// # Errors
/// Vars that are missing or do not fit, and what can only be seen once they are known.
pub fn plan(app: &App, formula: &Formula, given: &[Given], key: Option<&str>, lenient: bool) -> Result<Plan, Failure> {
    let vars = crate::plan::inputs(formula, given).map_err(|errors| {
        let mut failure = Failure::new(10, format!("the vars of `{}` do not fit", formula.name));
        for error in errors {
            failure = failure.hint(format!("{}; {}", error.message, error.help));
        }
        failure
    })?;
    let inputs = Inputs { vars, env: app.env.clone(), workdir: app.workdir.clone(), key: key.map(str::to_owned) };
    let mut load = |name: &str| inlined(app, name, lenient);
    crate::plan::plan(formula, &inputs, &syntax::Builtin::default(), &mut load).map_err(|problems| {
        let source = SourceFile::new(formula.path.clone(), formula.source.clone());
        for problem in &problems {
            app.ui.err(&render(&source, problem, app.ui.color_err));
        }
        Failure::said(10)
    })
}

/// A formula that another one names.
///
/// # Errors
/// Its problems.
pub fn inlined(app: &App, name: &str, lenient: bool) -> Result<Formula, Vec<Diagnostic>> {
    let source = catalog(app)
        .read(&app.workdir, name)
        .map_err(|error| vec![Diagnostic::error(crate::diagnostic::codes::INLINE, error.to_string())])?;
    let parsed = syntax::parse(&source, &syntax::Builtin::default(), syntax::Options { lenient, ..syntax::Options::default() });
    match parsed.formula {
        Some(formula) if !parsed.diagnostics.iter().any(|problem| problem.severity == Severity::Error) => Ok(formula),
        _ => Err(parsed.diagnostics),
    }
}
