//! An open file: its text, its shape, and what is declared in it. Each part is made when first asked for.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

use super::lines::{Lines, Position};
use super::tree::{self, Entry, Node, Tree, Value};
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::syntax::{self, Builtin, Options};

/// A file as it stands in the editor.
#[derive(Debug)]
pub struct Document {
    /// Its path and text.
    pub source: SourceFile,
    lines: OnceLock<Lines>,
    tree: OnceLock<Tree>,
    names: OnceLock<Names>,
    problems: OnceLock<Vec<Diagnostic>>,
}

/// What is declared.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub steps: Vec<Step>,
    pub finally: Vec<Step>,
    /// Places in `steps`, then behind them `finally`, by id.
    ids: HashMap<String, (bool, usize)>,
    pub vars: Vec<Declared>,
    pub secrets: Vec<Declared>,
    pub env: Vec<Declared>,
}

/// A var, a secret or a variable of the environment.
#[derive(Debug)]
pub(super) struct Declared {
    pub name: String,
    pub range: Range<usize>,
    /// `type` and `description` as written.
    pub ty: Option<String>,
    pub description: Option<String>,
}

/// A step as far as it is written.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub id: Option<String>,
    /// Of the id, or of the header.
    pub range: Range<usize>,
    pub title: Option<String>,
    pub uses: Option<String>,
    pub foreach: bool,
    pub with: Map<String, Json>,
}

impl Document {
    /// A file.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let source = SourceFile::new(path, text);
        Self { source, lines: OnceLock::new(), tree: OnceLock::new(), names: OnceLock::new(), problems: OnceLock::new() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Lines::new(&self.source.text))
    }

    /// A byte offset as the editor counts.
    pub fn position(&self, offset: usize) -> Position {
        self.lines().position(&self.source.text, offset)
    }

    /// The byte offset of a place; of the nearest one where there is no such place.
    pub fn offset(&self, position: Position) -> usize {
        self.lines().offset(&self.source.text, position)
    }

    /// Whether it is a formula: in a folder of formulas, with its schema line, or with steps. Other TOML files are none of our business.
    pub fn is_formula(&self) -> bool {
        let path: &Path = &self.source.path;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".test.toml") {
            return false;
        }
        let folder = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "formulas");
        let first = self.source.text.lines().take_while(|line| line.starts_with('#') || line.trim().is_empty());
        folder
            || first.take(8).any(|line| line.starts_with("#:schema") && line.contains("formula.schema"))
            || !self.names().steps.is_empty()
    }

    /// Every problem, as `formula check` tells them.
    pub fn problems(&self, kinds: &Builtin) -> &[Diagnostic] {
        self.problems.get_or_init(|| syntax::check(&self.source, kinds, Options::default()).diagnostics)
    }

    pub(super) fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| tree::read(&self.source.text))
    }

    pub(super) fn names(&self) -> &Names {
        self.names.get_or_init(|| names(&self.source.text, self.tree()))
    }
}

impl Names {
    pub(super) fn step(&self, id: &str) -> Option<&Step> {
        let (finally, at) = self.ids.get(id)?;
        if *finally { self.finally.get(*at) } else { self.steps.get(*at) }
    }

    /// Those of `[[steps]]` before those of `[[finally]]`.
    pub(super) fn all(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.finally)
    }
}

fn names(text: &str, tree: &Tree) -> Names {
    let mut names = Names::default();
    for section in &tree.sections {
        let path: Vec<&str> = section.path.iter().map(|word| &text[word.inner.clone()]).collect();
        match (path.as_slice(), section.step) {
            ([], _) => root(text, &section.entries, &mut names),
            ([list @ ("steps" | "finally"), below @ ..], Some(at)) => {
                let steps = if *list == "steps" { &mut names.steps } else { &mut names.finally };
                while steps.len() <= at {
                    steps.push(Step { range: section.header.clone(), ..Step::default() });
                }
                section.entries.iter().for_each(|entry| step_entry(text, below, entry, &mut steps[at]));
            }
            ([what @ ("vars" | "secrets" | "env"), name, below @ ..], _) => {
                let declared = declare(&mut names, what, name, section.path[1].range.clone());
                if below.is_empty() {
                    section.entries.iter().for_each(|entry| declared_entry(text, entry, declared));
                }
            }
            ([what @ ("vars" | "secrets" | "env")], _) => declared_entries(text, what, &section.entries, &mut names),
            _ => {}
        }
    }
    let ids = |finally: bool, steps: &[Step]| {
        let named = steps.iter().enumerate().filter_map(|(at, step)| Some((step.id.clone()?, (finally, at))));
        named.rev().collect::<Vec<_>>()
    };
    // Of two steps with one id the first is meant.
    names.ids = ids(true, &names.finally).into_iter().chain(ids(false, &names.steps)).collect();
    names
}

fn root(text: &str, entries: &[Entry], names: &mut Names) {
    for entry in entries {
        let Some(first) = entry.path.first() else { continue };
        match (&text[first.inner.clone()], &entry.node.value) {
            (list @ ("steps" | "finally"), Value::List { items, .. }) => {
                let steps = if list == "steps" { &mut names.steps } else { &mut names.finally };
                for item in items {
                    let mut step = Step { range: item.range.clone(), ..Step::default() };
                    if let Value::Table { entries, .. } = &item.value {
                        for entry in entries {
                            step_entry(text, &[], entry, &mut step);
                        }
                    }
                    steps.push(step);
                }
            }
            (what @ ("vars" | "secrets" | "env"), value) => match (entry.path.get(1), value) {
                (None, Value::Table { entries, .. }) => declared_entries(text, what, entries, names),
                (Some(name), _) => {
                    let declared = declare(names, what, &text[name.inner.clone()], name.range.clone());
                    let rest = Entry { path: entry.path[2..].to_vec(), ..entry.clone() };
                    declared_entry(text, &rest, declared);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// `[vars]`, then `x = { type = "int" }`.
fn declared_entries(text: &str, what: &str, entries: &[Entry], names: &mut Names) {
    for entry in entries {
        let Some(name) = entry.path.first() else { continue };
        let declared = declare(names, what, &text[name.inner.clone()], name.range.clone());
        match &entry.node.value {
            Value::Table { entries, .. } => entries.iter().for_each(|entry| declared_entry(text, entry, declared)),
            _ if entry.path.len() == 2 => {
                let rest = Entry { path: entry.path[1..].to_vec(), ..entry.clone() };
                declared_entry(text, &rest, declared);
            }
            _ => {}
        }
    }
}

fn declare<'n>(names: &'n mut Names, what: &str, name: &str, range: Range<usize>) -> &'n mut Declared {
    let list = match what {
        "vars" => &mut names.vars,
        "secrets" => &mut names.secrets,
        _ => &mut names.env,
    };
    // Entries of one name stand together, so the last one is looked at only.
    if list.last().is_none_or(|last| last.name != name) {
        list.push(Declared { name: name.to_owned(), range, ty: None, description: None });
    }
    let last = list.len() - 1;
    &mut list[last]
}

fn declared_entry(text: &str, entry: &Entry, declared: &mut Declared) {
    let [key] = entry.path.as_slice() else { return };
    match &text[key.inner.clone()] {
        "type" => declared.ty = plain(text, &entry.node),
        "description" => declared.description = plain(text, &entry.node),
        _ => {}
    }
}

fn step_entry(text: &str, below: &[&str], entry: &Entry, step: &mut Step) {
    let keys: Vec<&str> = below.iter().copied().chain(entry.path.iter().map(|word| &text[word.inner.clone()])).collect();
    match keys.as_slice() {
        ["id"] => {
            step.id = plain(text, &entry.node).filter(|id| !id.is_empty());
            step.range = entry.node.range.clone();
        }
        ["title"] => step.title = plain(text, &entry.node),
        ["uses"] => step.uses = plain(text, &entry.node),
        ["foreach"] => step.foreach = true,
        ["with"] => {
            if let Json::Object(with) = json(text, &entry.node) {
                step.with = with;
            }
        }
        ["with", key] => drop(step.with.insert((*key).to_owned(), json(text, &entry.node))),
        _ => {}
    }
}

/// The letters of a text.
fn plain(text: &str, node: &Node) -> Option<String> {
    match &node.value {
        Value::Text { inner, .. } => Some(text[inner.clone()].to_owned()),
        _ => None,
    }
}

/// A value as far as outputs depend on it; escapes stay as they are.
fn json(text: &str, node: &Node) -> Json {
    match &node.value {
        Value::Text { inner, .. } => Json::from(&text[inner.clone()]),
        Value::List { items, .. } => items.iter().map(|item| json(text, item)).collect(),
        Value::Table { entries, .. } => {
            let pair = |entry: &Entry| Some((text[entry.path.first()?.inner.clone()].to_owned(), json(text, &entry.node)));
            Json::Object(entries.iter().filter_map(pair).collect())
        }
        Value::Other => serde_json::from_str(&text[node.range.clone()]).unwrap_or(Json::Null),
        Value::Missing => Json::Null,
    }
}
