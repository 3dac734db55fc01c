//! A file that is large for what any file may hold is looked at step by step before it is read whole: one that is full of mistakes then
//! costs no more memory than a piece of it.
//!
//! Everything found here would be found again by the reader; references are left to it, since steps may name any other.

use indexmap::IndexMap;
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Node};
use super::limit::{HOPELESS, WEIGHT};
use super::names::Names;
use super::outputs::Outputs;
use super::patch::Patch;
use super::{Kinds, Readable, check_kind, ids_of, lexical, params, step, syntax_error};
use crate::diagnostic::{Diagnostic, SourceFile};

/// Bytes of a piece, at least; it ends where a step ends.
const PIECE: usize = 64 * 1024;

/// Lets a file through, unless its steps are hopeless.
pub(super) fn pass<'s>(source: &SourceFile, kinds: &dyn Kinds, readable: Readable<'s>) -> Result<Readable<'s>, Vec<Diagnostic>> {
    let text = &readable.0.text;
    // Half a byte a word is more than any text has.
    if text.len() / 2 < WEIGHT {
        return Ok(readable);
    }
    let tokens = lexical::scan(text);
    if tokens.weight < WEIGHT {
        return Ok(readable);
    }
    let mut found = Vec::new();
    let mut starts = tokens.steps.into_iter().peekable();
    while let Some(start) = starts.next() {
        while starts.next_if(|next| *next < start + PIECE).is_some() {}
        let end = starts.peek().copied().unwrap_or(text.len());
        for mut problem in piece(source, kinds, &text[start..end]) {
            for label in problem.primary.iter_mut().chain(&mut problem.secondary) {
                label.range = label.range.start + start..label.range.end + start;
            }
            readable.0.restore(&mut problem);
            found.push(problem);
        }
        if found.len() >= HOPELESS {
            found.extend(readable.1);
            return Err(found);
        }
    }
    Ok(readable)
}

/// What is wrong with some steps, as far as they can be judged by themselves. Places count from the piece's beginning.
fn piece(source: &SourceFile, kinds: &dyn Kinds, text: &str) -> Vec<Diagnostic> {
    let patch = Patch::new(text, &[], &[]);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // A table of a step that stands in the piece before looks as if it were there twice.
        return errors.iter().filter(|error| error.message() != "duplicate key").map(syntax_error).collect();
    }
    let cx = Cx::new(source, &patch, kinds);
    let mut drafts = Vec::new();
    for (key, finally) in [("steps", false), ("finally", true)] {
        let Some(DeValue::Array(array)) = root.get_ref().get(key).map(toml::Spanned::get_ref) else { continue };
        for item in Node::items(array) {
            if let DeValue::Table(table) = item.value {
                drafts.push(step::read(&cx, table, item.range.clone(), finally));
            }
        }
    }
    let (vars, secrets, env) = (IndexMap::new(), IndexMap::new(), IndexMap::new());
    let (ids, outputs) = (ids_of(&drafts), Outputs::new(&cx, &drafts));
    let names = Names { cx: &cx, drafts: &drafts, ids, vars: &vars, secrets: &secrets, env: &env, outputs };
    for draft in &drafts {
        check_kind(&names, draft);
        params::check(&names, draft);
    }
    drop(names);
    drop(drafts);
    cx.into_found()
}
