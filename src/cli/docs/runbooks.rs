//! The runbooks of the formulas that come with the program, with a picture each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::failure::Failure;
use super::super::graph;
use super::{cell, runbook};
use crate::catalog::SHIPPED;
use crate::diagnostic::SourceFile;
use crate::graph::draw::svg;
use crate::model::Formula;
use crate::syntax::{self, Builtin};

/// The pages, below `runbooks/`, with an index.
pub(super) fn pages() -> Result<BTreeMap<String, String>, Failure> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Runbooks\n\nOf the formulas that come with the program: what each step does, how it fails, what is taken back, what to type then. \
         `formula docs NAME`\nwrites that of any formula. The verdict of a run names the place of the step that holds or failed as `runbook`.\n\n\
         | Formula | |\n|---|---|\n",
    );
    for (name, text) in SHIPPED {
        let formula = formula(name, text)?;
        let picture = svg(&graph::as_written(&formula)).map_err(|error| Failure::new(1, format!("`{name}`: {error}")))?;
        let _ = writeln!(index, "| [`{name}`]({name}.md) | {} |", cell(&formula.description));
        pages.insert(format!("runbooks/{name}.md"), runbook::page(&formula, runbook::Place::Reference));
        pages.insert(format!("runbooks/{name}.svg"), picture);
    }
    pages.insert("runbooks/README.md".to_owned(), index);
    Ok(pages)
}

fn formula(name: &str, text: &str) -> Result<Formula, Failure> {
    let source = SourceFile::new(format!("{name}.toml"), text);
    let parsed = syntax::parse(&source, &Builtin::default(), syntax::Options::default());
    parsed.formula.ok_or_else(|| Failure::new(1, format!("the shipped formula `{name}` has problems")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::catalog::Catalog;
    use crate::model::{RUNBOOKS, anchor};
    use crate::plan::{Inputs, inputs};

    /// The anchors of a page, as forges make them of headings.
    fn anchors(page: &str) -> BTreeSet<String> {
        let headings = page.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
        let slug = |heading: &str| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect::<String>()
        };
        headings.map(slug).collect()
    }

    #[test]
    fn every_place_that_a_verdict_can_name_is_on_a_page() {
        let pages = pages().unwrap_or_default();
        let catalog = Catalog::new(Path::new("/nowhere"), [], None);
        for (name, _) in SHIPPED {
            let source = catalog.read(Path::new("/nowhere"), name).unwrap();
            let formula = syntax::parse(&source, &Builtin::default(), syntax::Options::default()).formula.unwrap();
            let page = &pages[&format!("runbooks/{name}.md")];
            let there = anchors(page);
            // Links within the page lead somewhere too.
            for link in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
                assert!(there.contains(link), "{name}: #{link}");
            }
            let required = formula.vars.iter().filter(|(_, var)| var.required).map(|(var, _)| crate::plan::Given::flag(var, "v1.2.3"));
            let Ok(vars) = inputs(&formula, &required.collect::<Vec<_>>()) else {
                panic!("{name} needs more than a version");
            };
            let mut load = |_: &str| Err(Vec::new());
            let inputs = Inputs { vars, workdir: "/nowhere".into(), ..Inputs::default() };
            let plan = crate::plan::plan(&formula, &inputs, &Builtin::default(), &mut load).unwrap();
            assert!(!plan.steps.is_empty());
            for step in &plan.steps {
                let named = plan.runbook(&step.id);
                let (path, at) = named.split_once('#').unwrap();
                assert_eq!(path, format!("{RUNBOOKS}/{name}.md"));
                assert!(there.contains(at) && at == anchor(&step.id), "{named}");
            }
        }
        assert!(pages.keys().all(|page| RUNBOOKS.ends_with("/runbooks") && page.starts_with("runbooks/")));
    }
}
