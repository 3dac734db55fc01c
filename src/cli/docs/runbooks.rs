//! What the formulas that come with the program do, for whoever has to run them: a picture each.

use std::collections::BTreeMap;

use super::super::failure::Failure;
use super::super::graph;
use crate::catalog::SHIPPED;
use crate::diagnostic::SourceFile;
use crate::graph::draw::svg;
use crate::syntax::{self, Builtin};

/// The pictures, below `runbooks/`.
pub(super) fn pages() -> Result<BTreeMap<String, String>, Failure> {
    let mut pages = BTreeMap::new();
    for (name, text) in SHIPPED {
        let source = SourceFile::new(format!("{name}.toml"), *text);
        let parsed = syntax::parse(&source, &Builtin::default(), syntax::Options::default());
        let formula = parsed.formula.ok_or_else(|| Failure::new(1, format!("the shipped formula `{name}` has problems")))?;
        let picture = svg(&graph::as_written(&formula)).map_err(|error| Failure::new(1, format!("`{name}`: {error}")))?;
        pages.insert(format!("runbooks/{name}.svg"), picture);
    }
    Ok(pages)
}
