//! `formula check`: every problem of formulas, before anything runs.

use std::path::Path;

use super::app::{App, VERSION};
use super::failure::{Failure, Outcome};
use super::load;
use crate::catalog;
use crate::diagnostic::{Diagnostic, Severity, SourceFile, render, to_json, to_sarif};
use crate::syntax;

/// Reports every problem of formulas.
///
/// All problems of a file come in one go, each with its place and the way out. Needs no Docker and no network, and executes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or paths of formulas [default: every formula of ./formulas and ./migrations].
    #[arg(value_name = "NAME|FILE")]
    pub formulas: Vec<String>,
    /// Take warnings for errors.
    #[arg(long)]
    pub strict: bool,
    /// How to print the problems.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Print the problems as data: `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Read files with letter-escapes that TOML does not know.
    #[arg(long)]
    pub lenient: bool,
}

/// How to print problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people, on stderr.
    #[default]
    Text,
    /// One line of JSON.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the lines.
    Sarif,
}

/// A file and what is wrong with it.
struct Checked {
    source: SourceFile,
    found: Vec<Diagnostic>,
}

/// Checks.
pub fn check(app: &App, args: &Args) -> Outcome {
    let names = if args.formulas.is_empty() { all(app)? } else { args.formulas.clone() };
    let kinds = syntax::Builtin::default();
    let options = syntax::Options { lenient: args.lenient, strict: args.strict, ..syntax::Options::default() };
    let mut checked = Vec::with_capacity(names.len());
    for name in &names {
        checked.push(match load::catalog(app).read(&app.workdir, name) {
            Ok(source) => {
                let found = syntax::check(&source, &kinds, options).diagnostics;
                Checked { source, found }
            }
            Err(catalog::Error::Unreadable { path, problem }) => Checked { source: SourceFile::new(path, ""), found: vec![*problem] },
            Err(_) => {
                return Err(load::source(app, name)
                    .err()
                    .unwrap_or_else(|| Failure::new(10, format!("`{name}` changed while it was read"))));
            }
        });
    }
    let files = || checked.iter().map(|file| (&file.source, file.found.as_slice()));
    match args.format {
        Format::Text if !args.json => print(app, &checked),
        Format::Text | Format::Json => app.ui.line(&to_json(files()).to_string()),
        Format::Sarif => app.ui.line(&to_sarif(files(), VERSION).to_string()),
    }
    let errors = count(&checked, Severity::Error);
    Ok(if errors > 0 { 10 } else { 0 })
}

/// The formulas of this directory, and its migrations that are formulas.
fn all(app: &App) -> Result<Vec<String>, Failure> {
    let migrations = migrations(app);
    match here(app, "check") {
        Ok(names) => Ok(names.into_iter().chain(migrations).collect()),
        Err(_) if !migrations.is_empty() => Ok(migrations),
        Err(failure) => Err(failure),
    }
}

/// Paths of `migrations/v….toml` and of `pre.toml`, `post.toml`, `down.toml` in `migrations/v…/`.
fn migrations(app: &App) -> Vec<String> {
    let names = |folder: &str| -> Vec<String> {
        let entries = app.workdir.join(folder).read_dir().into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).map(|name| format!("{folder}/{name}")).collect()
    };
    let mut found = Vec::new();
    for entry in names("migrations").into_iter().filter(|path| path.starts_with("migrations/v")) {
        let parts = ["pre", "post", "down"].map(|part| format!("{entry}/{part}.toml"));
        found.extend(parts.into_iter().chain([entry]).filter(|path| is_toml(path) && app.workdir.join(path).is_file()));
    }
    found.sort();
    found
}

fn is_toml(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "toml")
}

/// The formulas of this directory.
pub(super) fn here(app: &App, command: &str) -> Result<Vec<String>, Failure> {
    let folder = app.workdir.join("formulas");
    let listed = load::catalog(app).list();
    let names: Vec<String> = listed.into_iter().filter(|listed| listed.path.parent() == Some(&folder)).map(|listed| listed.name).collect();
    if names.is_empty() {
        let failure = Failure::usage(format!("there are no formulas in `{}`", shown(&folder, app)));
        return Err(failure.hint(format!("name them: `formula {command} NAME` or `formula {command} FILE.toml`")));
    }
    Ok(names)
}

fn shown(path: &Path, app: &App) -> String {
    path.strip_prefix(&app.workdir).unwrap_or(path).display().to_string()
}

fn print(app: &App, checked: &[Checked]) {
    for file in checked {
        for problem in &file.found {
            app.ui.err(&render(&file.source, problem, app.ui.color_err));
            app.ui.err("");
        }
    }
    let (errors, all) = (count(checked, Severity::Error), checked.iter().map(|file| file.found.len()).sum::<usize>());
    let problems = if all == 0 {
        "no problems".to_owned()
    } else {
        let parts = [(errors, "error"), (count(checked, Severity::Warning), "warning")].into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| plural(count, what)).collect();
        format!("{} ({})", plural(all, "problem"), parts.join(", "))
    };
    app.ui.status(&format!("{} checked, {problems}", plural(checked.len(), "formula")));
    let code = checked.iter().flat_map(|file| &file.found).map(|problem| problem.code).next();
    if let Some(code) = code {
        app.ui.status(&format!("`formula explain {code}` says more"));
    }
}

fn count(checked: &[Checked], severity: Severity) -> usize {
    checked.iter().flat_map(|file| &file.found).filter(|problem| problem.severity == severity).count()
}

pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
