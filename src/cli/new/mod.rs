//! `formula new`: the beginning of a formula, with its test, that passes every check as it is.

mod ask;
mod parts;
mod text;
mod var;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use self::var::Var;
use super::app::App;
use super::failure::{Failure, Outcome};
use crate::diagnostic::{SourceFile, render};
use crate::format::format;
use crate::syntax::{self, Builtin, Kinds as _, Options, file_schema};

/// Begins a formula: formulas/NAME.toml, and formulas/tests/NAME.test.toml for `formula test`.
///
/// Asks on a terminal; elsewhere, and with --yes, the flags say everything. What is written passes `formula check --strict`, `formula fmt
/// --check` and `formula test`. Nothing is ever overwritten.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its name.
    pub name: String,
    /// What to begin with.
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// What it does, in one line.
    #[arg(long, value_name = "TEXT")]
    pub describe: Option<String>,
    /// An input, such as `version:version`, `port:int=8080`, `remotes:list=a,b` or `channel:stable|beta=beta`; without a default it must be
    /// given to a run. May be repeated.
    #[arg(long = "var", value_name = "NAME[:TYPE][=DEFAULT]")]
    pub vars: Vec<Var>,
    /// A step of this kind, as `formula steps KIND` shows it. May be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Write the formula there; the test goes into the folder `tests` beside it.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
}

/// What a formula can begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum From {
    /// One step, or those of `--kind`.
    #[default]
    Empty,
    /// The shipped formula that builds, pushes and tags.
    Release,
    /// The shipped formula that brings a box to a version.
    Upgrade,
}

/// Begins one.
pub fn new(app: &App, args: &Args) -> Outcome {
    let file = args.output.clone().unwrap_or_else(|| Path::new("formulas").join(format!("{}.toml", args.name)));
    let test = file.parent().unwrap_or(Path::new("")).join("tests").join(format!("{}.test.toml", args.name));
    check_kinds(&args.kinds)?;
    for path in [&file, &test] {
        if app.workdir.join(path).symlink_metadata().is_ok() {
            let failure = Failure::usage(format!("`{}` is there already, nothing was written", path.display()));
            return Err(failure.hint("choose another name, or remove it first"));
        }
    }
    let args = if app.ui.interactive && !args.yes { ask::ask(app, args, &file)? } else { args.clone() };
    let made = text::make(&args);
    let formula = sound(app, &file, &made.formula)?;
    let schema = file.with_file_name("formula.schema.json");
    write(app, &file, &formula)?;
    write(app, &test, &made.test)?;
    if !app.workdir.join(&schema).exists() {
        write(app, &schema, &format!("{:#}\n", file_schema(&Builtin::default())))?;
    }
    let named = if args.output.is_some() { file.display().to_string() } else { args.name.clone() };
    app.ui.status(&format!("next: edit it, then `formula check {named}`, `formula test {named}`, `formula plan {named}`"));
    Ok(0)
}

fn check_kinds(kinds: &[String]) -> Result<(), Failure> {
    let builtin = Builtin::default();
    for kind in kinds {
        if builtin.version(kind).is_none() {
            let failure = Failure::usage(format!("there is no kind `{kind}`"));
            return Err(match crate::diagnostic::nearest(kind, builtin.names()) {
                Some(near) => failure.hint(format!("did you mean `{near}`? `formula steps` lists all of them")),
                None => failure.hint("`formula steps` lists them"),
            });
        }
    }
    Ok(())
}

/// The text laid out; refused, with what is wrong, where it would not pass: a name that cannot be one, a default that does not fit.
fn sound(app: &App, file: &Path, text: &str) -> Result<String, Failure> {
    let options = Options { strict: true, ..Options::default() };
    let mut source = SourceFile::new(file, text);
    if let Ok(text) = format(&source, options) {
        source = SourceFile::new(file, text);
    }
    let problems = syntax::check(&source, &Builtin::default(), options).diagnostics;
    for problem in &problems {
        app.ui.err(&render(&source, problem, app.ui.color_err));
    }
    if problems.is_empty() {
        Ok(source.text)
    } else {
        Err(Failure::new(10, "it would not pass `formula check --strict`, so nothing was written"))
    }
}

fn write(app: &App, path: &Path, text: &str) -> Result<(), Failure> {
    let full = app.workdir.join(path);
    let write = || {
        full.parent().map_or(Ok(()), fs::create_dir_all)?;
        OpenOptions::new().write(true).create_new(true).open(&full)?.write_all(text.as_bytes())
    };
    write().map_err(|error| Failure::new(1, format!("cannot write `{}`: {error}", path.display())))?;
    app.ui.line(&path.display().to_string());
    Ok(())
}
