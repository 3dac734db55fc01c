//! A template once it was read and checked: known helpers with the right number of arguments, names bound.

use serde_json::Value;

use super::Reference;
use super::helpers::Helper;

/// A template ready to be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    /// In the order of the text.
    pub nodes: Vec<Node>,
    /// In the order of the text.
    pub references: Vec<Reference>,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it stands.
    Text(String),
    /// `{{ expr }}`.
    Show(Expr),
    /// `{{#if}}`; `{{#unless}}` has its branches swapped.
    If { test: Expr, then: Vec<Node>, otherwise: Vec<Node> },
    /// `{{#each}}`.
    Each { list: Expr, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Something with a value.
#[derive(Debug)]
pub(super) enum Expr {
    /// A name of the scope.
    Ref(Reference),
    /// `this.a.b` or a block parameter: the item of the `depth`-th enclosing `each`, counted from outside.
    Item { depth: usize, path: Vec<String> },
    /// `@index` and the like.
    Loop { depth: usize, what: LoopVar },
    /// A literal.
    Literal(Value),
    /// A helper with its arguments.
    Call(&'static Helper, Vec<Expr>),
}

/// What an `each` knows beside its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopVar {
    /// From 0.
    Index,
    /// The key of a table's entry; in a list the index.
    Key,
    /// Whether it is the first.
    First,
    /// Whether it is the last.
    Last,
}
