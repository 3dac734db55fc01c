//! `formula list`: the formulas there are, and which file wins.

use std::path::Path;

use serde_json::{Value, json};

use super::app::App;
use super::load;
use super::table::columns;
use crate::catalog::Listed;
use crate::report::clean;
use crate::syntax;

/// Lists formulas.
///
/// Those of ./formulas, of each folder of FORMULA_PATH, of your configuration folder, and the shipped ones. The first of a name is used and
/// hides the others.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// What stands in a file.
enum Content {
    Formula { description: String, prose: usize, steps: usize },
    Broken,
}

/// Lists.
pub fn list(app: &App, args: &Args) -> u8 {
    let kinds = syntax::Builtin::default();
    let listed = load::catalog(app).list();
    let all: Vec<(Listed, Content)> = listed
        .into_iter()
        .map(|listed| {
            let content = content(app, &listed, &kinds);
            (listed, content)
        })
        .collect();
    if args.json {
        let formulas: Vec<Value> = all.iter().map(|(listed, content)| data(listed, content)).collect();
        app.ui.line(&json!({ "v": 1, "formulas": formulas }).to_string());
        return 0;
    }
    let rows: Vec<Vec<String>> = all.iter().map(|(listed, content)| row(app, listed, content)).collect();
    for line in columns(&rows) {
        app.ui.told(&format!("{line}\n"));
    }
    0
}

fn content(app: &App, listed: &Listed, kinds: &syntax::Builtin) -> Content {
    // Escapes that TOML does not know are no reason not to list a file.
    let options = syntax::Options { lenient: true, ..syntax::Options::default() };
    let source = load::catalog(app).read(&app.workdir, &listed.name).ok();
    match source.and_then(|source| syntax::parse(&source, kinds, options).formula) {
        Some(formula) => {
            let steps = formula.steps.len() + formula.finally.len();
            let prose = formula.steps.iter().chain(&formula.finally).filter(|step| step.uses.is_none()).count();
            Content::Formula { description: formula.description, prose, steps }
        }
        None => Content::Broken,
    }
}

fn row(app: &App, listed: &Listed, content: &Content) -> Vec<String> {
    let what = match content {
        Content::Formula { description, prose: 0, .. } => clean(description),
        Content::Formula { description, .. } => format!("{} (prose, cannot run)", clean(description)),
        Content::Broken => format!("has problems: `formula check {}`", listed.name),
    };
    let shown = |path: &Path| path.strip_prefix(&app.workdir).unwrap_or(path).display().to_string();
    let mut place = shown(&listed.path);
    if !listed.hides.is_empty() {
        let hidden: Vec<String> = listed.hides.iter().map(|path| shown(path)).collect();
        place = format!("{place}, hides {}", hidden.join(", "));
    }
    vec![listed.name.clone(), place, what]
}

fn data(listed: &Listed, content: &Content) -> Value {
    let (description, steps, runs) = match content {
        Content::Formula { description, prose, steps } => (Some(description), Some(steps), *prose == 0),
        Content::Broken => (None, None, false),
    };
    json!({ "name": listed.name, "description": description, "path": listed.path, "hides": listed.hides, "steps": steps, "runs": runs })
}
