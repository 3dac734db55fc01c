//! What every part of the reader shares: the text, the kinds, and where problems go.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::Kinds;
use super::patch::Patch;
use crate::diagnostic::{Diagnostic, Severity, SourceFile, codes, nearest};

/// Suggestions per file. Each costs a look at every candidate; a file with more unknown names than this is not helped by them.
const SUGGESTIONS: u32 = 200;

/// One reading of one file. Places are offsets into the parsed text until [`Patch::restore`] moves them.
pub(super) struct Cx<'a> {
    /// The file.
    pub source: &'a SourceFile,
    /// The text that was parsed.
    pub patch: &'a Patch<'a>,
    /// What `uses` may name.
    pub kinds: &'a dyn Kinds,
    found: RefCell<Vec<Diagnostic>>,
    suggestions: Cell<u32>,
}

impl<'a> Cx<'a> {
    pub(super) fn new(source: &'a SourceFile, patch: &'a Patch<'a>, kinds: &'a dyn Kinds) -> Self {
        Self { source, patch, kinds, found: RefCell::default(), suggestions: Cell::new(SUGGESTIONS) }
    }

    /// The text that was parsed.
    pub(super) fn text(&self) -> &str {
        &self.patch.text
    }

    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Whether no error was reported so far.
    pub(super) fn is_sound(&self) -> bool {
        self.found.borrow().iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// The line of an offset into the parsed text.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.source.line_column(self.patch.original(offset)).0
    }

    /// The nearest known name, as long as the file has not asked too often.
    pub(super) fn nearest<'n>(&self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        let left = self.suggestions.get();
        self.suggestions.set(left.saturating_sub(1));
        if left == 0 { None } else { nearest(name, known) }
    }

    /// `did you mean …?`, or the list of what is known where that is short.
    pub(super) fn suggest<'n>(&self, name: &str, known: impl Iterator<Item = &'n str> + Clone, what: &str) -> Option<String> {
        if let Some(near) = self.nearest(name, known.clone()) {
            return Some(format!("did you mean `{near}`?"));
        }
        let names: Vec<String> = known.take(16).map(|name| format!("`{name}`")).collect();
        (!names.is_empty() && names.len() < 16).then(|| format!("{what} {}", names.join(", ")))
    }

    /// Says that a value has the wrong type.
    pub(super) fn wrong_type(&self, node: &Node<'_>, name: &str, wanted: &str) {
        let found = node.type_name();
        let problem = Diagnostic::error(codes::WRONG_TYPE, format!("`{name}` must be {wanted}"));
        let mut problem = problem.at(node.range.clone(), format!("this is {found}"));
        if let (DeValue::String(text), "a list of texts") = (node.value, wanted) {
            problem = problem.help(format!("write `{name} = [{}]`", quoted(text)));
        }
        self.report(problem);
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'t> {
    /// The value.
    pub value: &'t DeValue<'t>,
    /// In the parsed text.
    pub range: Range<usize>,
}

impl<'t> Node<'t> {
    pub(super) fn new(spanned: &'t Spanned<DeValue<'t>>) -> Self {
        Self { value: spanned.get_ref(), range: spanned.span() }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a bool",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        }
    }

    pub(super) fn items(array: &'t DeArray<'t>) -> impl Iterator<Item = Self> {
        array.iter().map(Node::new)
    }
}

/// A text and where it stands, quotes included.
#[derive(Debug, Clone)]
pub(super) struct Text<'t> {
    /// Its value.
    pub text: &'t str,
    /// In the parsed text.
    pub range: Range<usize>,
}

/// A key, its place and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'t> {
    /// The key.
    pub key: &'t str,
    /// Where the key stands.
    pub key_range: Range<usize>,
    /// What it is set to.
    pub node: Node<'t>,
}

/// The entries of a table as the author wrote them.
pub(super) fn entries<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> =
        table.iter().map(|(key, value)| Entry { key: key.get_ref(), key_range: key.span(), node: Node::new(value) }).collect();
    entries.sort_by_key(|entry| entry.key_range.start);
    entries
}
