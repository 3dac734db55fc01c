//! `formula docs`: the reference below docs/reference, made from the program itself so that it cannot drift.

mod cli;
mod diagnostics;
mod events;
mod exit_codes;
mod formula_file;
mod kinds;
mod runbook;
mod runbooks;

pub use exit_codes::CODES as EXIT_CODES;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::load;

/// Where the pages lie, below the working directory.
const FOLDER: &str = "docs/reference";

/// What each page begins with.
const MADE: &str = "<!-- Made by `formula docs`; do not edit. -->\n\n";

/// Writes the runbook of a formula.
///
/// What it is for, its vars, locks and secrets; of each step what it does, how it fails, what is taken back, and what to type then. Markdown,
/// with a picture. Without a name it writes the reference of this program to docs/reference below the working directory, which is a checkout
/// of its source.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or path of the formula.
    pub formula: Option<String>,
    /// Write the runbook here.
    #[arg(long, short, value_name = "FILE", requires = "formula")]
    pub output: Option<PathBuf>,
    /// Read files with letter-escapes that TOML does not know.
    #[arg(long, requires = "formula")]
    pub lenient: bool,
    /// Write nothing; list the files that differ, and exit with 30 if there are any.
    #[arg(long, conflicts_with = "formula")]
    pub check: bool,
}

/// Writes or checks.
pub fn docs(app: &App, args: &Args) -> Outcome {
    match &args.formula {
        Some(name) => runbook_of(app, name, args),
        None => reference(app, args),
    }
}

fn runbook_of(app: &App, name: &str, args: &Args) -> Outcome {
    let formula = load::formula(app, name, args.lenient)?;
    let page = runbook::page(&formula, runbook::Place::Alone);
    match &args.output {
        Some(path) => {
            let path = app.workdir.join(path);
            std::fs::write(&path, page).map_err(|error| Failure::new(1, format!("`{}`: {error}", path.display())))?;
        }
        None => app.ui.out(&page),
    }
    Ok(0)
}

fn reference(app: &App, args: &Args) -> Outcome {
    let pages = pages(app)?;
    let folder = app.workdir.join(FOLDER);
    let there = files(&folder);
    let mut differing: Vec<String> = Vec::new();
    for (name, text) in &pages {
        if there.get(name) != Some(text) {
            differing.push(name.clone());
        }
    }
    let stale: Vec<String> = there.keys().filter(|name| !pages.contains_key(*name)).cloned().collect();
    if args.check {
        for name in differing.iter().chain(&stale) {
            app.ui.line(&format!("{FOLDER}/{name}"));
        }
        let count = differing.len() + stale.len();
        if count > 0 {
            let files = if count == 1 { "one file is".to_owned() } else { format!("{count} files are") };
            return Err(Failure::new(30, format!("{files} not as the program would write it")).hint("`formula docs` writes them"));
        }
        return Ok(0);
    }
    let failed = |path: &Path, error: &std::io::Error| Failure::new(1, format!("`{}`: {error}", path.display()));
    for name in &differing {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        std::fs::write(&path, &pages[name]).map_err(|error| failed(&path, &error))?;
        app.ui.line(&format!("{FOLDER}/{name}"));
    }
    for name in &stale {
        let path = folder.join(name);
        std::fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
        app.ui.line(&format!("{FOLDER}/{name} (removed)"));
    }
    Ok(0)
}

/// Every page: its path below the folder, and its text.
fn pages(app: &App) -> Result<BTreeMap<String, String>, Failure> {
    let mut pages = BTreeMap::new();
    pages.insert("README.md".to_owned(), index());
    pages.insert("cli.md".to_owned(), cli::page());
    pages.insert("formula-file.md".to_owned(), formula_file::page());
    pages.insert("exit-codes.md".to_owned(), exit_codes::page());
    pages.insert("diagnostics.md".to_owned(), diagnostics::page());
    pages.insert("events.md".to_owned(), events::page());
    pages.extend(kinds::pages(&app.workdir)?);
    pages.extend(runbooks::pages()?);
    for page in pages.values_mut() {
        page.insert_str(0, MADE);
    }
    Ok(pages)
}

fn index() -> String {
    "# Reference\n\n\
     Made from the program by `formula docs`, and held by `formula docs --check`.\n\n\
     - [Command line](cli.md)\n\
     - [The formula file](formula-file.md): keys, types of vars, templates, helpers, where it is looked for\n\
     - [Exit codes](exit-codes.md)\n\
     - [Kinds of steps](steps/README.md)\n\
     - [Runbooks of the formulas that come with it](runbooks/README.md)\n\
     - [Problems of formulas](diagnostics.md)\n\
     - [Events](events.md)\n"
        .to_owned()
}

/// The files below a folder, by path relative to it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if let Ok(name) = path.strip_prefix(root) {
                let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
                found.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// A text in a cell of a table: one line, no column of its own.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
