//! What every part of the reader shares: the text, the kinds, and where problems go.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::Kinds;
use super::limit::HOPELESS;
use super::patch::Patch;
use crate::diagnostic::{Diagnostic, Severity, SourceFile, codes, nearest};

/// Names that are compared for suggestions, per file. A file with more unknown names than this allows for is not helped by them.
const COMPARISONS: usize = 300_000;
/// Keys and tables written twice of which the first one is looked for; each costs a look at the whole text.
const FIRSTS: usize = 10;

/// One reading of one file. Places are offsets into the parsed text until [`Patch::restore`] moves them.
pub(super) struct Cx<'a> {
    /// The file.
    pub source: &'a SourceFile,
    /// The text that was parsed.
    pub patch: &'a Patch<'a>,
    /// What `uses` may name.
    pub kinds: &'a dyn Kinds,
    found: RefCell<Vec<Diagnostic>>,
    errors: Cell<usize>,
    comparisons: Cell<usize>,
    firsts: Cell<usize>,
    patterns: Cell<usize>,
}

impl<'a> Cx<'a> {
    pub(super) fn new(source: &'a SourceFile, patch: &'a Patch<'a>, kinds: &'a dyn Kinds) -> Self {
        let [errors, comparisons, firsts, patterns] = [0, COMPARISONS, FIRSTS, 0].map(Cell::new);
        Self { source, patch, kinds, found: RefCell::default(), errors, comparisons, firsts, patterns }
    }

    /// The text that was parsed.
    pub(super) fn text(&self) -> &str {
        &self.patch.text
    }

    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.errors.set(self.errors.get() + usize::from(diagnostic.severity == Severity::Error));
        self.found.borrow_mut().push(diagnostic);
    }

    /// Whether no error was reported so far.
    pub(super) fn is_sound(&self) -> bool {
        self.errors.get() == 0
    }

    /// Whether so much is wrong that there is no point in looking for more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.errors.get() >= HOPELESS
    }

    /// Bytes that the next regular expression may take once it is compiled; None where a file may have no more of them. Time grows
    /// with both.
    pub(super) fn size_of_next_pattern(&self) -> Option<usize> {
        let count = self.patterns.get();
        self.patterns.set(count + 1);
        match count {
            0..20 => Some(4 << 20),
            20..500 => Some(1 << 17),
            _ => None,
        }
    }

    /// Whether the first of two may be looked for; not often.
    pub(super) fn may_look_back(&self) -> bool {
        let left = self.firsts.get();
        self.firsts.set(left.saturating_sub(1));
        left > 0
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
        let mut left = self.comparisons.get();
        let known = known.into_iter().take_while(|_| {
            let some = left > 0;
            left = left.saturating_sub(1);
            some
        });
        let near = nearest(name, known);
        self.comparisons.set(left);
        near
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
