//! One page per kind: what its author wrote, and what the program knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::super::failure::Failure;
use super::super::kind::{self, Field, Kind};
use super::cell;

/// The pages, below `steps/`, with an index.
pub(super) fn pages(checkout: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Kinds of steps\n\nWhat `uses` may name. `formula steps KIND` prints the tables of a kind.\n\n| Kind | |\n|---|---|\n",
    );
    for kind in kind::all() {
        let _ = writeln!(index, "| [`{0}`]({0}.md) | {1} |", kind.name, cell(kind.summary));
        let text = module_doc(checkout, &kind)?;
        pages.insert(format!("steps/{}.md", kind.name), page(&kind, &text));
    }
    pages.insert("steps/README.md".to_owned(), index);
    Ok(pages)
}

/// What stands at the top of the kind's source file; kinds of the engine's own have none.
fn module_doc(checkout: &Path, kind: &Kind) -> Result<String, Failure> {
    if kind.behaviour.is_none() {
        return Ok(format!("{}.", kind.summary));
    }
    let path = checkout.join("steps").join(format!("{}.rs", kind.name.replace('-', "_")));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("`{}`: {error}", path.display())).hint("run `formula docs` in a checkout of this program's source")
    })?;
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    Ok(unlinked(&lines.collect::<Vec<_>>().join("\n")))
}

/// Links to code lead nowhere on a page: [`Name`] becomes `Name`.
fn unlinked(text: &str) -> String {
    let link = regex::Regex::new(r"\[(`[^`\]]+`)\](\([^)]*\))?").expect("the pattern is a constant");
    link.replace_all(text, "$1").into_owned()
}

fn page(kind: &Kind, text: &str) -> String {
    let mut page = format!("# `{}`\n\n{text}\n\n", kind.name);
    let _ = writeln!(
        page,
        "| | |\n|---|---|\n| effect | {} |\n| probe | {} |\n| undo | {} |\n| after a cut-off | {} |",
        kind.effect(),
        kind.probe(),
        kind.undo(),
        kind.repeat()
    );
    let _ = writeln!(page, "\n## Example\n\n```toml\n{}\n```", kind.example);
    let params = kind::fields(&kind.params);
    if !params.is_empty() {
        page.push_str("\n## `with`\n\n");
        page.push_str(&table(&params, true));
    }
    let outputs = kind.outputs.as_ref().map(kind::fields).unwrap_or_default();
    if !outputs.is_empty() {
        page.push_str("\n## Outputs\n\n");
        page.push_str(&table(&outputs, false));
    }
    page
}

fn table(fields: &[Field], params: bool) -> String {
    let mut table = String::from(if params {
        "| Param | Takes | Needed | What |\n|---|---|---|---|\n"
    } else {
        "| Output | Is | What |\n|---|---|---|\n"
    });
    for field in fields {
        let (name, takes, doc) = (&field.name, cell(&field.takes), cell(&field.doc));
        if params {
            let needed = match (&field.default, field.required) {
                (_, true) => "yes".to_owned(),
                (Some(default), false) => format!("default `{default}`"),
                (None, false) => String::new(),
            };
            let _ = writeln!(table, "| `{name}` | {takes} | {needed} | {doc} |");
        } else {
            let _ = writeln!(table, "| `{name}` | {takes} | {doc} |");
        }
    }
    table
}
