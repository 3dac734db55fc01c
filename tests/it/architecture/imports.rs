//! Which module names what of another: `use` declarations, paths in code, and paths inside macro calls.
//!
//! Every path is made absolute first (`crate`, `self`, `super`, names brought in by `use`, child modules). Code for tests is left
//! out: a test may look wherever it likes.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, UseTree};

use super::tree::{Source, Tree, is_test_only};

/// One path that a module names.
#[derive(Debug, Clone)]
pub struct Import {
    /// `path:line` of the place.
    pub place: String,
    /// The module it stands in, crate first.
    pub from: Vec<String>,
    /// What it names, crate first.
    pub target: Vec<String>,
}

/// All imports of all code that is not for tests.
pub fn imports(tree: &Tree) -> Vec<Import> {
    let sources = tree.sources.iter().filter(|source| !source.test);
    sources.flat_map(|source| of_source(tree, source)).collect()
}

fn of_source(tree: &Tree, source: &Source) -> Vec<Import> {
    let mut finder = Finder { tree, source, module: source.module.clone(), names: BTreeMap::new(), found: Vec::new() };
    // Twice: names brought in at the end of a file are as good as those at its beginning.
    finder.visit_file(&source.ast);
    finder.found.clear();
    finder.visit_file(&source.ast);
    finder.found
}

struct Finder<'tree> {
    tree: &'tree Tree,
    source: &'tree Source,
    /// Where the visitor is, inline modules included.
    module: Vec<String>,
    /// Names that a `use` brought in, and what they stand for.
    names: BTreeMap<String, Vec<String>>,
    found: Vec<Import>,
}

impl Finder<'_> {
    fn add(&mut self, line: usize, rooted: bool, segments: &[String]) -> Option<Vec<String>> {
        let target = if rooted { segments.to_vec() } else { self.absolute(segments)? };
        let place = format!("{}:{line}", self.source.path);
        self.found.push(Import { place, from: self.module.clone(), target: target.clone() });
        Some(target)
    }

    /// The path from its crate on, or `None` for a local name.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        let mut base = match first.as_str() {
            "crate" => vec![self.module[0].clone()],
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len() - 1].to_vec(),
            _ => {
                let child: Vec<String> = self.module.iter().chain([first]).cloned().collect();
                if let Some(known) = self.names.get(first).filter(|_| !rest.is_empty()) {
                    known.clone()
                } else if self.tree.modules.contains(&child) {
                    child
                } else if rest.is_empty() {
                    return None;
                } else {
                    vec![first.clone()]
                }
            }
        };
        for segment in rest {
            match segment.as_str() {
                "super" => drop(base.pop()),
                "self" => {}
                _ => base.push(segment.clone()),
            }
        }
        Some(base)
    }

    fn visit_tree(&mut self, rooted: bool, prefix: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.visit_tree(rooted, prefix, &path.tree);
                prefix.pop();
            }
            UseTree::Name(name) => self.bring_in(rooted, prefix, &name.ident, None),
            UseTree::Rename(name) => self.bring_in(rooted, prefix, &name.ident, Some(&name.rename)),
            UseTree::Glob(glob) => drop(self.add(glob.star_token.span.start().line, rooted, prefix)),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.visit_tree(rooted, prefix, tree);
                }
            }
        }
    }

    fn bring_in(&mut self, rooted: bool, prefix: &[String], name: &Ident, new_name: Option<&Ident>) {
        let mut segments = prefix.to_vec();
        segments.push(name.to_string());
        // A single name (`use serde;`) is a crate where it is no child.
        let rooted = rooted || self.absolute(&segments).is_none();
        let target = self.add(name.span().start().line, rooted, &segments).unwrap_or_default();
        let own = if name == "self" { prefix.last().cloned() } else { Some(name.to_string()) };
        if let Some(own) = new_name.map(Ident::to_string).or(own) {
            self.names.insert(own, target);
        }
    }

    /// Macro input has no syntax tree: take every `a::b::c` in it that begins with something known.
    fn visit_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.visit_tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    let mut segments = vec![first.to_string()];
                    while let [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(next), ..] = &tokens[at + 1..]
                        && one.as_char() == ':'
                        && two.as_char() == ':'
                    {
                        segments.push(next.to_string());
                        at += 3;
                    }
                    if segments.len() > 1 {
                        self.add(line, false, &segments);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).is_some_and(is_test_only) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test_only(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.visit_tree(item.leading_colon.is_some(), &mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.add(path.segments[0].ident.span().start().line, path.leading_colon.is_some(), &segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}
